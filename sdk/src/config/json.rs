//! JSON (RFC 8259). A reader of its own because it is a tenth of `serde_json`'s
//! size in a module, finds keys that are given twice, and bounds the depth.

use deserr::ValuePointerRef;

use super::error::{ConfigErrors, Problem};
use super::locate::place;
use super::value::{MAX_DEPTH, Object, TOO_DEEP, Value, integer, number};

/// Reads a whole text.
pub(super) fn read(bytes: &[u8]) -> Result<(Value, ConfigErrors), ConfigErrors> {
    let fail = |problem, at| {
        let place = place(bytes, at);
        Err(ConfigErrors::at_place(problem, place))
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let problem = not_json("bytes that are not UTF-8");
            return fail(problem, error.valid_up_to());
        }
    };
    let mut reader = Reader {
        text,
        at: 0,
        duplicates: ConfigErrors::none(),
    };
    reader.skip_space();
    let read = reader
        .value(ValuePointerRef::Origin, MAX_DEPTH)
        .and_then(|value| {
            reader.skip_space();
            match reader.peek() {
                None => Ok(value),
                Some(_) => Err("something follows the end"),
            }
        });
    match read {
        Ok(value) => Ok((value, reader.duplicates)),
        Err(TOO_DEEP) => fail(Problem::new(TOO_DEEP), reader.at),
        Err(problem) => fail(not_json(problem), reader.at),
    }
}

fn not_json(what: &str) -> Problem {
    Problem::new(format!("not JSON: {what}")).help(
        "in Envoy's YAML give it as a `google.protobuf.Struct` with the fields under `value`, \
         or as a `google.protobuf.StringValue` whose `value` is JSON text",
    )
}

/// Reads a string that begins the text: what it says, and how long it is with
/// its quotes.
pub(super) fn string(text: &str) -> Option<(String, usize)> {
    let mut reader = Reader {
        text,
        at: 0,
        duplicates: ConfigErrors::none(),
    };
    let string = reader.string().ok()?;
    Some((string, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    duplicates: ConfigErrors,
}

type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.next();
        }
        there
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.next();
        }
    }

    fn value(&mut self, path: ValuePointerRef<'_>, depth: usize) -> Read<Value> {
        match self.peek() {
            Some(b'{') => self.object(path, depth.checked_sub(1).ok_or(TOO_DEEP)?),
            Some(b'[') => self.list(path, depth.checked_sub(1).ok_or(TOO_DEEP)?),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("null", Value::Null),
                    ("true", Value::Boolean(true)),
                    ("false", Value::Boolean(false)),
                ] {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    if rest.starts_with(word) {
                        self.at = self.at.saturating_add(word.len());
                        return Ok(value);
                    }
                }
                Err("expected a value")
            }
        }
    }

    fn list(&mut self, path: ValuePointerRef<'_>, depth: usize) -> Read<Value> {
        let mut values = Vec::new();
        self.next();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::List(values));
        }
        loop {
            self.skip_space();
            values.push(self.value(path.push_index(values.len()), depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::List(values));
            }
            if !self.take(b',') {
                return Err("expected `,` or `]`");
            }
        }
    }

    fn object(&mut self, path: ValuePointerRef<'_>, depth: usize) -> Read<Value> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        self.next();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(Object(entries)));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err("expected a key in quotes");
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err("expected `:`");
            }
            self.skip_space();
            let path = path.push_key(&key);
            let value = self.value(path, depth)?;
            if entries.iter().any(|(known, _)| *known == key) {
                self.duplicates.push_duplicate(path);
            } else {
                entries.push((key, value));
            }
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(Object(entries)));
            }
            if !self.take(b',') {
                return Err("expected `,` or `}`");
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        let mut out = String::new();
        if !self.take(b'"') {
            return Err("expected a string");
        }
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
            let end = rest.bytes().position(|byte| !plain(byte));
            let Some(end) = end else {
                self.at = self.text.len();
                return Err("a string without end");
            };
            out.push_str(rest.get(..end).unwrap_or_default());
            self.at = self.at.saturating_add(end);
            match self.peek() {
                Some(b'"') => {
                    self.next();
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.next();
                    out.push(self.escape()?);
                }
                _ => return Err("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let char = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.next();
                return self.unicode();
            }
            _ => return Err("an unknown escape in a string"),
        };
        self.next();
        Ok(char)
    }

    /// Behind `\u`: one UTF-16 unit, or two.
    fn unicode(&mut self) -> Read<char> {
        const LONE: &str = "half a surrogate pair in a string";
        let first = self.unit()?;
        let scalar = match first {
            0xd800..0xdc00 => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(LONE);
                }
                let high = (first & 0x3ff) << 10;
                match self.unit()? {
                    second @ 0xdc00..0xe000 => (high | (second & 0x3ff)).saturating_add(0x1_0000),
                    _ => return Err(LONE),
                }
            }
            one => one,
        };
        char::from_u32(scalar).ok_or(LONE)
    }

    fn unit(&mut self) -> Read<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = (unit << 4) | digit.ok_or("expected four hexadecimal digits")?;
            self.next();
        }
        Ok(unit)
    }

    fn number(&mut self) -> Read<Value> {
        let mut decimal = Decimal::default();
        let negative = self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits(&mut decimal)?;
        if leading_zero && digits > 1 {
            return Err("a number with a zero before it");
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            let digits = self.digits(&mut decimal)?;
            decimal.exponent = decimal.exponent.saturating_sub(digits);
        }
        if self.take(b'e') || self.take(b'E') {
            whole = false;
            let down = self.take(b'-');
            if !down {
                self.take(b'+');
            }
            let mut exponent = Decimal::default();
            self.digits(&mut exponent)?;
            let exponent = i32::try_from(exponent.digits).unwrap_or(i32::MAX);
            decimal.exponent = if down {
                decimal.exponent.saturating_sub(exponent)
            } else {
                decimal.exponent.saturating_add(exponent)
            };
        }
        if whole && decimal.exponent == 0 {
            let magnitude = decimal.digits;
            if !negative {
                return Ok(Value::Unsigned(magnitude));
            }
            if let Some(value) = 0_i64.checked_sub_unsigned(magnitude) {
                return Ok(integer(value));
            }
        }
        let value = decimal.value();
        if value.is_infinite() {
            return Err("a number out of range");
        }
        Ok(number(if negative { -value } else { value }))
    }

    /// Reads digits and tells how many there were.
    fn digits(&mut self, into: &mut Decimal) -> Read<i32> {
        let mut count = 0_i32;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            into.push(byte);
            count = count.saturating_add(1);
            self.next();
        }
        if count == 0 {
            return Err("expected a digit");
        }
        Ok(count)
    }
}

/// `digits` times ten to the `exponent`.
#[derive(Default)]
struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    fn push(&mut self, byte: u8) {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        let more = self.digits.checked_mul(10);
        match more.and_then(|more| more.checked_add(digit)) {
            Some(digits) if self.exponent == 0 => self.digits = digits,
            // Digits past the 19th only make it larger.
            _ => self.exponent = self.exponent.saturating_add(1),
        }
    }

    /// Exact for up to 15 digits and 22 decimals, which is any number that a
    /// person writes; beyond that, near.
    #[expect(clippy::cast_precision_loss, reason = "near is what is promised")]
    fn value(&self) -> f64 {
        // Ten to the 22nd is the last power that is an `f64` exactly. With more
        // than 19 digits, no f64 reaches beyond 400 zeros either way.
        let mut rest = self.exponent.clamp(-400, 400);
        let mut value = self.digits as f64;
        while rest != 0 {
            let step = rest.clamp(-22, 22);
            let power = (0..step.unsigned_abs()).fold(1.0, |power, _| power * 10.0);
            value = if step < 0 {
                value / power
            } else {
                value * power
            };
            rest = rest.saturating_sub(step);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        read(text.as_bytes()).unwrap().0
    }

    #[test]
    fn takes_a_whole_double_for_an_integer() {
        for text in ["3", "3.0", "3e0", "30e-1", "0.3E+1"] {
            assert_eq!(value(text), Value::Unsigned(3), "{text}");
        }
        assert_eq!(value("-3.0"), Value::Negative(-3));
        assert_eq!(value("-0.0"), Value::Unsigned(0));
        assert_eq!(value("-0"), Value::Unsigned(0));
        assert_eq!(value("3.5"), Value::Float(3.5));
        assert_eq!(value("33.3333"), Value::Float(33.3333));
        assert!(matches!(value("1e300"), Value::Float(_)));
        assert_eq!(value("1e-999"), Value::Unsigned(0));
        assert_eq!(value("18446744073709551615"), Value::Unsigned(u64::MAX));
        assert_eq!(value("-9223372036854775808"), Value::Negative(i64::MIN));
        assert!(matches!(value("18446744073709551616"), Value::Float(_)));
        assert!(matches!(value("-9223372036854775809"), Value::Float(_)));
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);

        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_DEPTH + 1, 100_000] {
            let errors = read(nested(depth).as_bytes()).err().unwrap();
            assert!(errors.to_string().contains(TOO_DEEP), "{errors}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            "{} {}",
            "{}}",
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "nul",
            "True",
            "01",
            "-",
            "1.",
            ".1",
            "1e",
            "+1",
            "1e999",
            "-01",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\t\"",
            "\"\u{1}\"",
            "//a\n{}",
            "\u{feff}{}",
            "NaN",
            "\u{a0}1",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\xff").is_err());
        assert!(read(b"{\"a\": \"\xff\"}").is_err());
        assert!(read(b" {} \n").is_ok());
    }

    #[test]
    fn reads_escapes() {
        assert_eq!(
            value(r#""\"\\\/\b\f\n\r\té\u00E9\ud83d\ude00""#),
            Value::String("\"\\/\u{8}\u{c}\n\r\téé😀".to_owned())
        );
        assert_eq!(string("\"a\\u0062\": 1"), Some(("ab".to_owned(), 9)));
    }

    /// `serde_json` as the measure.
    #[cfg(not(target_family = "wasm"))]
    mod compared {
        use proptest::prelude::*;
        use serde_json::Value as Json;

        use super::super::*;

        fn same(ours: &Value, theirs: &Json) -> bool {
            match (ours, theirs) {
                (Value::Null, Json::Null) => true,
                (Value::Boolean(ours), Json::Bool(theirs)) => ours == theirs,
                (Value::String(ours), Json::String(theirs)) => ours == theirs,
                (Value::List(ours), Json::Array(theirs)) => {
                    ours.len() == theirs.len()
                        && ours
                            .iter()
                            .zip(theirs)
                            .all(|(ours, theirs)| same(ours, theirs))
                }
                (Value::Object(Object(ours)), Json::Object(theirs)) => {
                    ours.len() == theirs.len()
                        && ours.iter().all(|(key, ours)| {
                            theirs.get(key).is_some_and(|theirs| same(ours, theirs))
                        })
                }
                (Value::Unsigned(ours), Json::Number(theirs)) if theirs.is_u64() => {
                    theirs.as_u64() == Some(*ours)
                }
                (Value::Negative(ours), Json::Number(theirs)) if theirs.is_i64() => {
                    theirs.as_i64() == Some(*ours)
                }
                (ours, Json::Number(theirs)) => {
                    let theirs = theirs.as_f64().unwrap();
                    match (ours, number(theirs)) {
                        (Value::Float(ours), Value::Float(theirs)) => {
                            (ours - theirs).abs() <= theirs.abs() * 1e-14
                        }
                        (ours, theirs) => *ours == theirs,
                    }
                }
                _ => false,
            }
        }

        /// JSON, now and then with a piece missing.
        fn text() -> impl Strategy<Value = String> {
            let leaf = prop_oneof![
                Just("null".to_owned()),
                any::<bool>().prop_map(|value| value.to_string()),
                any::<i64>().prop_map(|value| value.to_string()),
                any::<u64>().prop_map(|value| value.to_string()),
                "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
                any::<String>().prop_map(|text| Json::from(text).to_string()),
                "\"([a-z\"/ ]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude0[0-9]){0,5}\"",
                "[-+0-9.eE]{1,6}",
                "[a-z]{1,5}",
            ];
            let whole = leaf.prop_recursive(4, 24, 4, |inner| {
                let entry = ("[a-c]{1,3}", inner.clone());
                let entry = entry.prop_map(|(key, value)| format!("\"{key}\" : {value}"));
                prop_oneof![
                    prop::collection::vec(inner, 0..4)
                        .prop_map(|values| format!("[{}]", values.join(" ,"))),
                    prop::collection::vec(entry, 0..4)
                        .prop_map(|entries| format!("{{{}}}", entries.join(",\n\t"))),
                ]
            });
            (
                whole,
                any::<prop::sample::Index>(),
                prop::bool::weighted(0.2),
            )
                .prop_map(|(mut text, at, cut)| {
                    let starts: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
                    if cut && !starts.is_empty() {
                        text.remove(*at.get(&starts));
                    }
                    text
                })
        }

        proptest! {
            #[test]
            fn reads_what_serde_json_reads(text in text()) {
                match (read(text.as_bytes()), serde_json::from_str::<Json>(&text)) {
                    (Ok((ours, duplicates)), Ok(theirs)) => {
                        prop_assert!(!duplicates.is_empty() || same(&ours, &theirs), "{ours:?}");
                    }
                    (Err(_), Err(_)) => {}
                    (ours, theirs) => {
                        let ours = ours.map(|(value, _)| value);
                        prop_assert!(false, "{ours:?} {theirs:?}");
                    }
                }
            }

            #[test]
            fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
                let theirs = serde_json::from_slice::<Json>(&bytes);
                prop_assert_eq!(read(&bytes).is_ok(), theirs.is_ok());
            }
        }
    }
}
