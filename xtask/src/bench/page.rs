//! Pages that the upstream of a measurement answers with.

/// A page is asked for by its size in bytes, behind this.
pub(super) const PATH: &str = "/page/";
/// The selector of a page's scripts.
pub(super) const SCRIPTS: &str = r#"script[src^="https://cdn.example/"]"#;
/// What stands in a page once in each of its sections.
pub(super) const PLACEHOLDER: &str = "{{csp-nonce-8f3b1c}}";

/// A section, as shops have them: some 740 bytes and 18 elements, one of which is a script.
const SECTION: &str = r#"<section class="product" id="item">
  <h2><a href="/items/4711?colour=blue&amp;size=m">A jacket for rain and wind</a></h2>
  <p>Keeps you <em>dry</em> for hours, and <strong>warm</strong> besides. <!-- in stock --></p>
  <ul><li>Two pockets</li><li>A hood</li><li>Made of what was bottles</li></ul>
  <img src="/images/4711.jpg" alt="The jacket, from the front" width="640" height="480">
  <form action="/cart" method="post"><input type="hidden" name="item" value="4711">
    <button class="buy large" data-item="4711" disabled>Into the cart</button></form>
  <div class="rating" aria-label="4 of 5"><span>4</span>/<span>5</span></div>
  <script src="https://cdn.example/rating.js" data-nonce="{{csp-nonce-8f3b1c}}" defer></script>
</section>
"#;

/// An answer with a page of this many bytes.
pub(super) fn answer(size: usize) -> Box<[u8]> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {size}\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    let whole = answer.len() + size;
    while answer.len() + SECTION.len() <= whole {
        answer.extend_from_slice(SECTION.as_bytes());
    }
    answer.resize(whole, b' ');
    answer.into()
}

/// The size of the page that a request asks for, if it asks for one.
pub(super) fn asked(request: &[u8]) -> Option<usize> {
    let rest = request.strip_prefix(b"GET ")?;
    let rest = rest.strip_prefix(PATH.as_bytes())?;
    let digits = rest.split(|byte| *byte == b' ').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;

    #[test]
    fn a_page_has_the_size_that_it_is_asked_for_by() {
        let size = asked(b"GET /page/4096 HTTP/1.1\r\n").expect("is asked for");

        let answer = answer(size);

        let head = message::head(&answer)
            .expect("is readable")
            .expect("is whole");
        assert_eq!((head.body, answer.len()), (4096, head.size + 4096));
        let page = String::from_utf8_lossy(&answer);
        assert!(page.contains(PLACEHOLDER) && page.contains("src=\"https://cdn.example/"));
    }

    #[test]
    fn other_requests_ask_for_no_page() {
        assert_eq!(asked(b"GET / HTTP/1.1\r\n"), None);
        assert_eq!(asked(b"GET /page/many HTTP/1.1\r\n"), None);
    }
}
