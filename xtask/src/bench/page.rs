//! Bodies of a size: pages and JSON, of requests and of what the upstream answers.

/// What a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Page,
    Json,
}

/// A body that the upstream is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    kind: Kind,
    size: usize,
}

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

/// An element of a document, as shops have them: 13 values in some 290 bytes.
const ITEM: &str = r#"{"id":4711,"name":"A jacket for rain and wind","price":129.90,"currency":"CHF","count":2,
"tags":["rain","wind","made of what was bottles"],"in_stock":true,"seller":null,
"customer":{"name":"Ann Example","email":"ann@shop.example","note":"Leave it at the door, \u00fcnder the \"mat\"."}}"#;

impl Kind {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// What stands before a size in the path that asks for such a body.
    fn prefix(self) -> &'static str {
        match self {
            Self::Page => "/page/",
            Self::Json => "/json/",
        }
    }

    /// The path that asks for a body of this many bytes.
    pub(super) fn path(self, size: usize) -> String {
        format!("{}{size}", self.prefix())
    }

    /// A body of this many bytes, filled up with spaces.
    pub(super) fn body(self, size: usize) -> Vec<u8> {
        let (begin, part, comma, end) = match self {
            Self::Page => ("", SECTION, "", ""),
            Self::Json => (r#"{"items":["#, ITEM, ",", "]}"),
        };
        let each = part.len() + comma.len();
        let count = size.saturating_sub(begin.len() + end.len()) / each;
        let mut body = format!("{begin}{}{end}", vec![part; count].join(comma)).into_bytes();
        body.resize(size, b' ');
        body
    }
}

impl Asked {
    /// What a request asks for, if it asks for such a body.
    pub(super) fn by(request: &[u8]) -> Option<Self> {
        let rest = request.strip_prefix(b"GET ")?;
        let path = rest.split(|byte| *byte == b' ').next()?;
        let path = str::from_utf8(path).ok()?;
        [Kind::Page, Kind::Json].into_iter().find_map(|kind| {
            let size = path.strip_prefix(kind.prefix())?.parse().ok()?;
            Some(Self { kind, size })
        })
    }

    /// The answer to it.
    pub(super) fn answer(self) -> Box<[u8]> {
        let Self { kind, size } = self;
        let media_type = kind.media_type();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {size}\r\n\r\n"
        );
        let mut answer = head.into_bytes();
        answer.append(&mut kind.body(size));
        answer.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::message;
    use super::*;

    /// The body that a path is answered with.
    fn body(kind: Kind, size: usize) -> String {
        let request = format!("GET {} HTTP/1.1\r\n", kind.path(size));
        let answer = Asked::by(request.as_bytes())
            .expect("is asked for")
            .answer();
        let head = message::head(&answer)
            .expect("is readable")
            .expect("is whole");
        assert_eq!((head.body, answer.len()), (size, head.size + size));
        String::from_utf8_lossy(&answer[head.size..]).into_owned()
    }

    #[test]
    fn a_page_has_the_size_that_it_is_asked_for_by() {
        let page = body(Kind::Page, 4096);

        assert!(page.contains(PLACEHOLDER) && page.contains("src=\"https://cdn.example/"));
    }

    #[test]
    fn a_document_is_json_of_any_size() {
        for size in [12, 400, 4096, 65_536] {
            let document: Value = serde_json::from_str(&body(Kind::Json, size)).expect("is JSON");

            let items = document["items"].as_array().map(Vec::len);
            assert_eq!(items, Some((size - 12) / (ITEM.len() + 1)));
        }
    }

    #[test]
    fn other_requests_ask_for_no_body() {
        for request in [
            "GET / HTTP/1.1",
            "GET /page/many HTTP/1.1",
            "POST /page/1 HTTP/1.1",
        ] {
            assert_eq!(Asked::by(request.as_bytes()), None, "{request}");
        }
    }
}
