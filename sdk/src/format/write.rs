//! Values as header-safe text.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::attributes::Decoded;
use crate::config::decimal;

/// Appends at most `limit` bytes, whole characters where they are UTF-8, with
/// each control character but tab replaced by a space: RFC 9110, section 5.5,
/// has recipients do so, and to drop the byte instead would join what it parts.
pub(super) fn push_safe(out: &mut Vec<u8>, value: &[u8], limit: usize) {
    let start = out.len();
    out.extend_from_slice(cut(value, limit));
    for byte in out.iter_mut().skip(start) {
        if !is_safe(*byte) {
            *byte = b' ';
        }
    }
}

pub(super) const fn is_safe(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

fn cut(value: &[u8], limit: usize) -> &[u8] {
    let Some(mut short) = value.get(..limit) else {
        return value;
    };
    if value.get(limit).is_some_and(|byte| byte & 0xc0 == 0x80) {
        // The cut is inside a character of at most four bytes: take it out
        // whole, if it is one.
        let tail = short.iter().rev().take(3);
        let inside = tail.take_while(|byte| **byte & 0xc0 == 0x80).count();
        let before = short.len().saturating_sub(inside.saturating_add(1));
        if short.get(before).is_some_and(|byte| *byte >= 0xc0) {
            short = short.get(..before).unwrap_or_default();
        }
    }
    short
}

/// Takes off spaces at both ends, as a header's value has none.
pub(super) fn trim(out: &mut Vec<u8>, start: usize) {
    let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    while out.len() > start && out.last().is_some_and(is_space) {
        out.pop();
    }
    let leading = out
        .iter()
        .skip(start)
        .take_while(|byte| is_space(byte))
        .count();
    if leading > 0 {
        out.drain(start..start.saturating_add(leading));
    }
}

/// The text of an attribute's value.
pub(super) fn push_decoded(out: &mut Vec<u8>, value: Decoded<'_>, limit: usize) {
    match value {
        Decoded::Text(bytes) | Decoded::Bytes(bytes) => push_safe(out, bytes, limit),
        Decoded::Int(number) => push_safe(out, number.to_string().as_bytes(), limit),
        Decoded::Uint(number) => push_safe(out, number.to_string().as_bytes(), limit),
        Decoded::Bool(true) => push_safe(out, b"true", limit),
        Decoded::Bool(false) => push_safe(out, b"false", limit),
        Decoded::Double(number) => {
            let text = decimal(number).unwrap_or_default();
            push_safe(out, text.as_bytes(), limit);
        }
        Decoded::Duration(nanoseconds) => push_safe(out, seconds(nanoseconds).as_bytes(), limit),
        Decoded::Timestamp(time) => push_safe(out, rfc3339(time).as_bytes(), limit),
    }
}

/// `1.5s`, as protobuf's JSON has it.
fn seconds(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let length = Duration::from_nanos(nanoseconds.unsigned_abs());
    let mut text = format!("{sign}{}.{:09}", length.as_secs(), length.subsec_nanos());
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text.push('s');
    text
}

/// `2016-04-15T20:17:00.310Z`, as Envoy's `%START_TIME%`.
fn rfc3339(time: Duration) -> String {
    let ((year, month, day), (hour, minute, second)) = calendar(time);
    let milliseconds = time.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Year, month and day, and hour, minute and second, in UTC.
pub(super) fn calendar(time: Duration) -> ((u64, u64, u64), (u64, u64, u64)) {
    const DAY: u64 = 86_400;
    let seconds = time.as_secs();
    let rest = seconds % DAY;
    (
        date(seconds / DAY),
        (rest / 3_600, rest / 60 % 60, rest % 60),
    )
}

/// The Gregorian date of a day counted from 1970: 400 years have 146,097 days,
/// and counting from March puts the leap day last.
fn date(days: u64) -> (u64, u64, u64) {
    // 719,468 days from March of the year 0 to 1970.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leaps = (day_of_era / 36_524).saturating_sub(day_of_era / 146_096);
    let year_of_era = day_of_era
        .saturating_sub(day_of_era / 1_460)
        .saturating_add(leaps)
        / 365;
    let before_year = year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era / 4)
        .saturating_sub(year_of_era / 100);
    let day_of_year = day_of_era.saturating_sub(before_year);
    // Months from March are 30.6 days long.
    let march_month = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    let before_month = march_month.saturating_mul(153).saturating_add(2) / 5;
    let day = day_of_year.saturating_sub(before_month).saturating_add(1);
    let (month, next_year) = match march_month {
        0..=9 => (march_month.saturating_add(3), 0),
        _ => (march_month.saturating_sub(9), 1),
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year_of_era)
        .saturating_add(next_year);
    (year, month, day)
}

/// The address of `10.0.0.1:80` or `[::1]:80`, masked where a length is given.
pub(super) fn without_port(address: &[u8], mask: Option<u8>) -> Option<String> {
    let text = std::str::from_utf8(address).ok()?;
    let Some(length) = mask else {
        // What is no IP address has no port.
        return Some(ip(text).map_or_else(|| text.to_owned(), |ip| ip.to_string()));
    };
    let net = ipnet::IpNet::new(ip(text)?, length).ok()?;
    Some(net.trunc().to_string())
}

pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    match text.parse::<SocketAddr>() {
        Ok(address) => Some(address.ip()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_times_as_rfc3339() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, 1_000_000, "2000-02-29T00:00:00.001Z"),
            (1_460_751_420, 310_999_999, "2016-04-15T20:17:00.310Z"),
            (4_107_542_399, 0, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
            (9_223_372_036, 854_775_807, "2262-04-11T23:47:16.854Z"),
        ] {
            assert_eq!(rfc3339(Duration::new(seconds, nanoseconds)), text);
        }
    }

    #[test]
    fn writes_durations_in_seconds() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1_500_000_000, "1.5s"),
            (1, "0.000000001s"),
            (-20_000_000_000, "-20s"),
            (i64::MIN, "-9223372036.854775808s"),
        ] {
            assert_eq!(seconds(nanoseconds), text);
        }
    }

    #[test]
    fn cuts_between_characters() {
        for (text, limit, kept) in [
            ("abc", 5, "abc"),
            ("abc", 2, "ab"),
            ("aé", 2, "a"),
            ("aé", 3, "aé"),
            ("a€b", 3, "a"),
            ("a😀b", 4, "a"),
            ("a😀b", 5, "a😀"),
        ] {
            assert_eq!(
                cut(text.as_bytes(), limit),
                kept.as_bytes(),
                "{text} {limit}"
            );
        }
        assert_eq!(cut(&[0x80; 9], 5), [0x80; 5]);
    }

    #[test]
    fn takes_ports_off_addresses() {
        for (address, mask, text) in [
            ("10.1.10.23:80", None, Some("10.1.10.23")),
            ("10.1.10.23", None, Some("10.1.10.23")),
            ("[2001:db8::1]:80", None, Some("2001:db8::1")),
            ("10.1.10.23:80", Some(16), Some("10.1.0.0/16")),
            ("[2001:db8:1:2:3::4]:1", Some(64), Some("2001:db8:1:2::/64")),
            ("/run/envoy.sock", None, Some("/run/envoy.sock")),
            ("/run/envoy.sock", Some(8), None),
            ("10.1.10.23:80", Some(64), None),
        ] {
            assert_eq!(without_port(address.as_bytes(), mask).as_deref(), text);
        }
    }
}
