//! Character references in attribute values, as the HTML standard's tokenizer reads them.

use std::borrow::Cow;

/// The names of U+00A0 to U+00FF, in their order. They count without a semicolon, too.
const LATIN: &[&str] = &[
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf",
    "laquo", "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro",
    "para", "middot", "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest",
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute",
    "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute",
    "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute",
    "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
    "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde",
    "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc",
    "uuml", "yacute", "thorn", "yuml",
];

/// Others that count without a semicolon.
const OLD: &[(&str, char)] = &[
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("COPY", '\u{A9}'),
    ("REG", '\u{AE}'),
];

/// Those that scripts, styles and URLs are written with, of the two thousand that need one.
const NEW: &[(&str, char)] = &[
    ("apos", '\''),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("ndash", '\u{2013}'),
    ("mdash", '\u{2014}'),
    ("lsquo", '\u{2018}'),
    ("rsquo", '\u{2019}'),
    ("ldquo", '\u{201C}'),
    ("rdquo", '\u{201D}'),
    ("bull", '\u{2022}'),
    ("hellip", '\u{2026}'),
    ("euro", '\u{20AC}'),
    ("trade", '\u{2122}'),
    ("larr", '\u{2190}'),
    ("rarr", '\u{2192}'),
];

/// What numbers of 0x80 to 0x9F stand for: windows-1252. Those that are not in it stand for
/// themselves.
const WINDOWS: [u32; 32] = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
];

/// The value of an attribute without its references. `None`: there is a name that may be one of
/// those that are not known here.
pub(super) fn decode(value: &str) -> Option<Cow<'_, str>> {
    let Some((before, mut rest)) = value.split_once('&') else {
        return Some(Cow::Borrowed(value));
    };
    let mut decoded = before.to_owned();
    loop {
        let length;
        (length, rest) = match rest.strip_prefix('#') {
            Some(number) => numeric(number, &mut decoded),
            None => named(rest, &mut decoded)?,
        };
        if length == 0 {
            decoded.push('&');
        }
        match rest.split_once('&') {
            None => {
                decoded.push_str(rest);
                return Some(Cow::Owned(decoded));
            }
            Some((text, next)) => {
                decoded.push_str(text);
                rest = next;
            }
        }
    }
}

/// A reference by number, after its `&#`: whether there is one, and what follows.
fn numeric<'a>(text: &'a str, decoded: &mut String) -> (usize, &'a str) {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    let end = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    let (number, after) = digits.split_at_checked(end).unwrap_or((digits, ""));
    if number.is_empty() {
        // `&#` and `&#x` are text. The `&` is written where this is asked.
        decoded.push('&');
        decoded.push('#');
        return (1, text);
    }
    // What is too large for a number is too large for a character.
    let number = u32::from_str_radix(number, radix).unwrap_or(u32::MAX);
    let number = match number {
        0 => 0xFFFD,
        0x80..0xA0 => usize::try_from(number.saturating_sub(0x80))
            .ok()
            .and_then(|index| WINDOWS.get(index).copied())
            .unwrap_or(number),
        _ => number,
    };
    decoded.push(char::from_u32(number).unwrap_or('\u{FFFD}'));
    (1, after.strip_prefix(';').unwrap_or(after))
}

/// A reference by name, after its `&`.
fn named<'a>(text: &'a str, decoded: &mut String) -> Option<(usize, &'a str)> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end).unwrap_or((text, ""));
    if name.is_empty() {
        return Some((0, text));
    }
    let old = LATIN
        .iter()
        .zip('\u{A0}'..)
        .find_map(|(known, c)| (*known == name).then_some(c))
        .or_else(|| known(OLD, name));
    if let Some(after) = after.strip_prefix(';') {
        decoded.push(old.or_else(|| known(NEW, name))?);
        return Some((1, after));
    }
    match old {
        // `?a=1&copy=2` is not about copyright.
        Some(c) if !after.starts_with('=') => {
            decoded.push(c);
            Some((1, after))
        }
        // Nor is `&copying`, in an attribute.
        _ => Some((0, text)),
    }
}

fn known(list: &[(&str, char)], name: &str) -> Option<char> {
    list.iter()
        .find_map(|(known, c)| (*known == name).then_some(*c))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn reads_references_as_a_tokenizer_does() {
        for (value, decoded) in [
            ("", Some("")),
            ("a & b && c&", Some("a & b && c&")),
            ("&lt;&gt;&amp;&quot;&apos;", Some("<>&\"'")),
            ("&amp;lt;", Some("&lt;")),
            ("&#60;&#x3c;&#X3C;&#60&#x3c.", Some("<<<<<.")),
            (
                "&#0;&#x110000;&#xD800;&#99999999999;",
                Some("\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
            ),
            ("&#128;&#x9f;&#129;", Some("\u{20AC}\u{178}\u{81}")),
            ("&#;&#x;&#xg", Some("&#;&#x;&#xg")),
            ("&lt &lt&gt", Some("< <>")),
            ("?a=1&copy=2&reg=3&lt=", Some("?a=1&copy=2&reg=3&lt=")),
            ("&copy;&copy &copying &amped", Some("©© &copying &amped")),
            ("&nbsp;&yuml;&szlig;&times;", Some("\u{A0}ÿß×")),
            ("javascript&colon;f&lpar;&rpar;", Some("javascript:f()")),
            ("?a=1&b=2&section=3", Some("?a=1&b=2&section=3")),
            // One of the two thousand, or of none.
            ("&CounterClockwiseContourIntegral;", None),
            ("a&nosuch;", None),
        ] {
            assert_eq!(decode(value).as_deref(), decoded, "{value}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn knows_the_first_and_the_last_of_the_latin_ones() {
        assert_eq!(LATIN.len(), 96);
        assert_eq!(decode("&Agrave;&iquest;").as_deref(), Some("À¿"));
    }
}
