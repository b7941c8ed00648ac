//! Finding what must not pass.

use legation::matcher::{Effort, Reach};

use super::prefix::Prefix;

/// What is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Numbers of payment cards: 13 to 19 digits, single spaces or hyphens between them, with
    /// their check digit right (Luhn, ISO/IEC 7812-1).
    CreditCard,
    /// International bank account numbers, with their check digits right (ISO 13616), in groups of four
    /// or without spaces.
    Iban,
    /// E-mail addresses, as they are written outside quotes (RFC 5321, section 4.1.2).
    Email,
    /// JSON Web Tokens: signed (three parts) and encrypted (five).
    Jwt,
}

#[derive(Debug)]
pub(super) enum Finder {
    Preset(Preset),
    Regex(Box<Expression>),
}

#[derive(Debug)]
pub(super) struct Expression {
    regex: regex_lite::Regex,
    reach: Reach,
    prefix: Prefix,
}

impl Finder {
    pub(super) fn regex(regex: regex_lite::Regex) -> Self {
        Self::Regex(Box::new(Expression {
            reach: Reach::of(regex.as_str()),
            prefix: Prefix::of(regex.as_str()),
            regex,
        }))
    }

    /// Spends what it took to find this: whether there was as much left. What is known by name takes time
    /// linear in the text, however often it is found.
    pub(super) fn spend(
        &self,
        effort: &mut Effort,
        text: &str,
        from: usize,
        found: Option<(usize, usize)>,
    ) -> bool {
        match (self, found) {
            (Self::Regex(expression), Some((_, end))) => {
                effort.spend(expression.reach.looked_at(text.len(), from, end))
            }
            // Where nothing is found nothing more is looked for.
            (Self::Regex(_), None) | (Self::Preset(_), _) => true,
        }
    }

    /// Where something is found first, from `from` on.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let bytes = text.as_bytes();
        match self {
            Self::Regex(expression) => {
                let start = expression.prefix.find(text, from)?;
                let found = expression.regex.find_at(text, start)?;
                Some((found.start(), found.end()))
            }
            Self::Preset(Preset::CreditCard) => {
                // A number that begins in another's middle is none.
                runs(bytes, from, |byte| byte.is_ascii_digit(), card)
            }
            Self::Preset(Preset::Iban) => {
                runs(bytes, from, |byte| byte.is_ascii_alphanumeric(), iban)
            }
            Self::Preset(Preset::Jwt) => runs(bytes, from, is_base64url, jwt),
            Self::Preset(Preset::Email) => email(bytes, from),
        }
    }
}

/// Tries `read` wherever a run of bytes begins, of a kind that none of stands before it. It is given the
/// rest of the text, and tells how long what it found is.
fn runs(
    bytes: &[u8],
    from: usize,
    is_in: impl Fn(u8) -> bool,
    read: impl Fn(&[u8]) -> Option<usize>,
) -> Option<(usize, usize)> {
    let before = from.checked_sub(1).and_then(|at| bytes.get(at));
    let mut inside = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || is_in(*byte));
    for (offset, byte) in bytes.get(from..)?.iter().enumerate() {
        if is_in(*byte) && !inside {
            let start = from.saturating_add(offset);
            if let Some(length) = read(bytes.get(start..)?) {
                return Some((start, start.saturating_add(length)));
            }
        }
        inside = byte.is_ascii_alphanumeric() || is_in(*byte);
    }
    None
}

/// How long the card's number is that begins here.
fn card(bytes: &[u8]) -> Option<usize> {
    let mut digits: [u8; 19] = [0; 19];
    let mut count = 0_usize;
    let mut end = 0;
    let mut best = None;
    let mut at = 0_usize;
    while let Some(byte) = bytes.get(at) {
        let next = at.saturating_add(1);
        if byte.is_ascii_digit() {
            let Some(place) = digits.get_mut(count) else {
                return best;
            };
            *place = byte.saturating_sub(b'0');
            count = count.saturating_add(1);
            end = next;
            let follows = bytes.get(next);
            if count >= 13
                && !follows.is_some_and(u8::is_ascii_alphanumeric)
                && is_luhn(digits.get(..count).unwrap_or_default())
            {
                best = Some(end);
            }
        } else if !(matches!(byte, b' ' | b'-') && end == at && count > 0) {
            break;
        }
        at = next;
    }
    best
}

fn is_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| {
        let twice = digit.saturating_mul(2);
        if twice > 9 {
            twice.saturating_sub(9)
        } else {
            twice
        }
    };
    let sum = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0_u32, |sum, (place, digit)| {
            let worth = if place % 2 == 1 {
                doubled(*digit)
            } else {
                *digit
            };
            sum.saturating_add(worth.into())
        });
    // Of nothing but zeros too.
    sum > 0 && sum.is_multiple_of(10)
}

/// How long the account's number is that begins here.
fn iban(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, d, ..] = bytes else { return None };
    let is_head = a.is_ascii_alphabetic()
        && b.is_ascii_alphabetic()
        && c.is_ascii_digit()
        && d.is_ascii_digit();
    if !is_head {
        return None;
    }
    let mut kept: Vec<u8> = Vec::with_capacity(34);
    let mut best = None;
    let mut at = 0_usize;
    let mut spaced = None;
    while let Some(byte) = bytes.get(at) {
        let next = at.saturating_add(1);
        if byte.is_ascii_alphanumeric() {
            if kept.len() == 34 {
                break;
            }
            kept.push(byte.to_ascii_uppercase());
            let follows = bytes.get(next);
            if kept.len() >= 15
                && !follows.is_some_and(u8::is_ascii_alphanumeric)
                && remainder(&kept) == 1
            {
                best = Some(next);
            }
        } else if *byte == b' ' && kept.len().is_multiple_of(4) && spaced != Some(at) {
            spaced = Some(next);
        } else {
            break;
        }
        at = next;
    }
    best
}

/// The number's remainder by 97, its first four characters put last (ISO/IEC 7064, MOD 97-10).
fn remainder(characters: &[u8]) -> u32 {
    let (head, rest) = characters.split_at_checked(4).unwrap_or_default();
    rest.iter().chain(head).fold(0, |left, character| {
        let (digit, shift) = match character {
            b'0'..=b'9' => (character.saturating_sub(b'0'), 10),
            _ => (character.saturating_sub(b'A').saturating_add(10), 100),
        };
        let number = left.wrapping_mul(shift).wrapping_add(u32::from(digit));
        number % 97
    })
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// How long the token is that begins here.
fn jwt(bytes: &[u8]) -> Option<usize> {
    // `{"` in base64url.
    if !bytes.starts_with(b"eyJ") {
        return None;
    }
    let mut at = 0_usize;
    for part in 0_u8..5 {
        let length = |bytes: &[u8]| bytes.iter().take_while(|byte| is_base64url(**byte)).count();
        let length = length(bytes.get(at..)?);
        // An encrypted token may have no key, an unsigned one no signature.
        if length == 0 && part < 1 {
            return None;
        }
        at = at.saturating_add(length);
        match bytes.get(at) {
            Some(b'.') if part < 4 => at = at.saturating_add(1),
            _ if part >= 2 => return Some(at),
            _ => return None,
        }
    }
    Some(at)
}

/// The longest part of an address before its `@`, and after it (RFC 5321, section 4.5.3.1).
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 255;

fn email(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let is_local = |byte: u8| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte)
    };
    let is_domain =
        |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'-' | b'.');
    let mut searched = from;
    loop {
        let rest = bytes.get(searched..)?;
        let at = rest
            .iter()
            .position(|byte| *byte == b'@')?
            .saturating_add(searched);
        searched = at.saturating_add(1);
        let local = bytes.get(from..at).unwrap_or_default();
        let local = local.iter().rev().take(LONGEST_LOCAL);
        let local = local.take_while(|byte| is_local(**byte)).count();
        let domain = bytes.get(searched..).unwrap_or_default();
        let domain = domain.iter().take(LONGEST_DOMAIN);
        let domain: Vec<u8> = domain
            .take_while(|byte| is_domain(**byte))
            .copied()
            .collect();
        let domain = domain.trim_ascii_end();
        let length = trimmed(domain);
        let dotted = domain.get(..length).unwrap_or_default();
        let has_labels = dotted.split(|byte| *byte == b'.').count() > 1
            && dotted
                .split(|byte| *byte == b'.')
                .all(|label| !label.is_empty());
        if local > 0 && has_labels {
            let mut start = at.saturating_sub(local);
            // Not in the middle of a character.
            while bytes.get(start).is_some_and(|byte| byte & 0xC0 == 0x80) {
                start = start.saturating_add(1);
            }
            let mut end = searched.saturating_add(length);
            while bytes.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
                end = end.saturating_sub(1);
            }
            if start < at {
                return Some((start, end));
            }
        }
    }
}

/// How long a domain is without the dots and hyphens at its end: those of the sentence.
fn trimmed(domain: &[u8]) -> usize {
    let end = domain.iter().rposition(|byte| !matches!(byte, b'.' | b'-'));
    end.map_or(0, |end| end.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn found(preset: Preset, text: &str) -> Vec<&str> {
        let finder = Finder::Preset(preset);
        let mut all = Vec::new();
        let mut from = 0;
        while let Some((start, end)) = finder.find(text, from) {
            all.push(text.get(start..end).unwrap());
            assert!(end > from);
            from = end;
        }
        all
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn finds_cards_with_their_check_digit_right() {
        for (text, expected) in [
            ("4111111111111111", vec!["4111111111111111"]),
            (
                "card 4111 1111 1111 1111, 5500-0000-0000-0004.",
                vec!["4111 1111 1111 1111", "5500-0000-0000-0004"],
            ),
            ("378282246310005", vec!["378282246310005"]),
            ("4111111111111112", vec![]),
            ("0000000000000000", vec![]),
            ("41111111111111110000000", vec![]),
            ("x4111111111111111", vec![]),
            ("4111111111111111x", vec![]),
            ("4111  1111 1111 1111", vec![]),
            ("4111111111111111 99", vec!["4111111111111111"]),
            ("é4111111111111111é", vec!["4111111111111111"]),
        ] {
            assert_eq!(found(Preset::CreditCard, text), expected, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn finds_accounts_with_their_check_digits_right() {
        for (text, expected) in [
            ("DE89370400440532013000", vec!["DE89370400440532013000"]),
            (
                "an GB82 WEST 1234 5698 7654 32 heute",
                vec!["GB82 WEST 1234 5698 7654 32"],
            ),
            ("de89370400440532013000", vec!["de89370400440532013000"]),
            ("DE88370400440532013000", vec![]),
            ("XDE89370400440532013000", vec![]),
            ("DE8", vec![]),
        ] {
            assert_eq!(found(Preset::Iban, text), expected, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn finds_addresses() {
        for (text, expected) in [
            ("a@b.example", vec!["a@b.example"]),
            (
                "Write to <ann.o'neil+x@mail.example.com>.",
                vec!["ann.o'neil+x@mail.example.com"],
            ),
            (
                "a@b.example, c@d.example.",
                vec!["a@b.example", "c@d.example"],
            ),
            ("käthe@müller.example", vec!["käthe@müller.example"]),
            ("a@b", vec![]),
            ("@b.example", vec![]),
            ("a@.example", vec![]),
            ("a@b..example", vec![]),
            ("@@@", vec![]),
        ] {
            assert_eq!(found(Preset::Email, text), expected, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn finds_tokens() {
        for (text, expected) in [
            (
                "Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln",
                vec!["eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln"],
            ),
            (
                "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.",
                vec!["eyJhbGciOiJub25lIn0.eyJhIjoxfQ."],
            ),
            ("eyJh..a.b.c", vec!["eyJh..a.b.c"]),
            ("eyJhbGciOiJub25lIn0", vec![]),
            ("eyJhbGciOiJub25lIn0.abc", vec![]),
            ("xeyJh.a.b", vec![]),
        ] {
            assert_eq!(found(Preset::Jwt, text), expected, "{text}");
        }
    }
}
