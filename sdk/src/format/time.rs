//! Times in a form that the configuration says.

use std::time::Duration;

use super::write::calendar;
use crate::config::{Problem, quoted};

/// A form of a time, as `strftime` has it and Envoy's `%START_TIME(…)%`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeForm(Box<[Part]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(char),
    Field(char),
    /// This many digits of the second's fraction.
    Fraction(usize),
}

/// `%s` is the second since 1970.
const FIELDS: &str = "YmdHMSsFTz";

impl TimeForm {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let unknown = || {
            Problem::new(format!("{} is not the form of a time", quoted(text))).help(
                "known: %Y %m %d %H %M %S, %F (%Y-%m-%d), %T (%H:%M:%S), %z (+0000), %s (seconds since 1970), \
                 %3f (milliseconds; 1 to 9 digits), %%",
            )
        };
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                if char.is_control() {
                    return Err(unknown());
                }
                parts.push(Part::Text(char));
                continue;
            }
            parts.push(match chars.next() {
                Some('%') => Part::Text('%'),
                Some('f') => Part::Fraction(9),
                Some(field) if FIELDS.contains(field) => Part::Field(field),
                Some(digits @ '1'..='9') if chars.next() == Some('f') => {
                    let digits = digits
                        .to_digit(10)
                        .and_then(|one| usize::try_from(one).ok());
                    Part::Fraction(digits.unwrap_or(9))
                }
                _ => return Err(unknown()),
            });
        }
        Ok(Self(parts.into()))
    }

    /// The time since 1970 in this form, in UTC.
    pub(super) fn write(&self, time: Duration) -> String {
        use std::fmt::Write as _;

        let ((year, month, day), (hour, minute, second)) = calendar(time);
        let mut out = String::new();
        for part in &self.0 {
            // A string takes whatever is written.
            let _ = match part {
                Part::Text(char) => {
                    out.push(*char);
                    Ok(())
                }
                Part::Fraction(digits) => {
                    let fraction = format!("{:09}", time.subsec_nanos());
                    out.push_str(fraction.get(..*digits).unwrap_or(&fraction));
                    Ok(())
                }
                Part::Field('Y') => write!(out, "{year:04}"),
                Part::Field('m') => write!(out, "{month:02}"),
                Part::Field('d') => write!(out, "{day:02}"),
                Part::Field('H') => write!(out, "{hour:02}"),
                Part::Field('M') => write!(out, "{minute:02}"),
                Part::Field('S') => write!(out, "{second:02}"),
                Part::Field('F') => write!(out, "{year:04}-{month:02}-{day:02}"),
                Part::Field('T') => write!(out, "{hour:02}:{minute:02}:{second:02}"),
                Part::Field('s') => write!(out, "{}", time.as_secs()),
                Part::Field(_) => write!(out, "+0000"),
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_times_as_asked() {
        let time = Duration::new(1_460_751_420, 310_000_001);
        for (form, text) in [
            ("%s", "1460751420"),
            ("%s%3f", "1460751420310"),
            ("%F %T.%f", "2016-04-15 20:17:00.310000001"),
            ("%Y/%m/%dT%H:%M:%S%z", "2016/04/15T20:17:00+0000"),
            ("100%%", "100%"),
        ] {
            assert_eq!(TimeForm::parse(form).unwrap().write(time), text, "{form}");
        }
        for form in ["%", "%q", "%3", "%0f", "%3s", "a\n"] {
            assert!(TimeForm::parse(form).is_err(), "{form}");
        }
    }
}
