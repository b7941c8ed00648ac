//! Whether a page is wanted, by `accept` (RFC 9110, section 12.5.1).

use legation::matcher::RequestView;

/// Whether a request takes a page, and does not ask for JSON before it. What `accept`
/// leaves open is taken for a browser: one that sends anything asks for `text/html`.
pub(super) fn takes_pages<V: RequestView + ?Sized>(request: &mut V) -> Result<bool, V::Error> {
    let mut asked = Asked::default();
    // Each value is looked at; none ends the search.
    request.any_header("accept", &mut |value| {
        asked.read(value);
        false
    })?;
    Ok(asked.takes_pages())
}

/// How much each is asked for, in thousandths: none where it is not named.
#[derive(Debug, Default)]
struct Asked {
    is_given: bool,
    html: Option<u16>,
    any_text: Option<u16>,
    anything: Option<u16>,
    json: Option<u16>,
}

impl Asked {
    fn read(&mut self, value: &[u8]) {
        for range in value.split(|byte| *byte == b',') {
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let Some(name) = parts.next().filter(|name| !name.is_empty()) else {
                continue;
            };
            self.is_given = true;
            let weight = parts.find_map(weight).unwrap_or(1_000);
            let name = name.to_ascii_lowercase();
            let place = match name.as_slice() {
                b"text/html" | b"application/xhtml+xml" => &mut self.html,
                b"text/*" => &mut self.any_text,
                b"*/*" => &mut self.anything,
                b"application/json" => &mut self.json,
                name if name.starts_with(b"application/") && name.ends_with(b"+json") => {
                    &mut self.json
                }
                _ => continue,
            };
            *place = Some(place.map_or(weight, |known| known.max(weight)));
        }
    }

    fn takes_pages(&self) -> bool {
        if !self.is_given {
            return true;
        }
        let json = self.json.unwrap_or(0);
        match self.html {
            Some(html) => html > 0 && html >= json,
            // Libraries ask for JSON and take anything besides.
            None => json == 0 && self.any_text.or(self.anything).unwrap_or(0) > 0,
        }
    }
}

/// `q=0.5`, in thousandths (RFC 9110, section 12.4.2). What is written otherwise is none.
fn weight(parameter: &[u8]) -> Option<u16> {
    let (b"q" | b"Q", value) = parameter.split_at_checked(1)? else {
        return None;
    };
    let text = str::from_utf8(value.strip_prefix(b"=")?).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, is_digits) {
        ("0", true) => format!("{fraction:0<3}").parse().ok(),
        ("1", true) => Some(1_000),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn pages_are_for_those_who_ask_for_them_or_do_not_say() {
        for (values, expected) in [
            (&[][..], true),
            (&[""], true),
            (&["*/*"], true),
            (&["text/html"], true),
            (&["TEXT/HTML"], true),
            (
                &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"],
                true,
            ),
            (&["application/json", "text/html"], true),
            (&["application/json;q=0.5, text/html;q=0.6"], true),
            (&["application/json, text/html;q=0.9"], false),
            (&["application/json"], false),
            (&["application/json, text/plain, */*"], false),
            (&["application/problem+json, */*;q=0.1"], false),
            (&["text/html;q=0, */*"], false),
            (&["text/html;q=0.000"], false),
            (&["text/html; q=0.001"], true),
            (&["text/html;level=1;q=0.5"], true),
            (&["text/html;q=x"], false),
            (&["text/html;q=2"], false),
            (&["text/*"], true),
            (&["text/*;q=0, */*"], false),
            (&["image/png"], false),
            (&["text/event-stream"], false),
            (&["*/*;q=0"], false),
            (&["application/json;q=0, */*"], true),
            (&[", ,;q=1"], true),
        ] {
            let mut asked = Asked::default();
            for value in values {
                asked.read(value.as_bytes());
            }
            assert_eq!(asked.takes_pages(), expected, "{values:?}");
        }
    }
}
