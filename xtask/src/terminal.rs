//! What the commands print: headings, notes, errors, and spinners while something
//! takes its time. Plain text where standard output is no terminal.

use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default().bold();

/// The text in a style; the style goes where the output is no terminal.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The title of a stretch of output.
pub(crate) fn heading(text: impl Display) {
    println!("\n{}", styled(BOLD, format_args!("── {text} ──")));
}

/// One line of news, behind a verb such as `Pruned`, in cargo's manner.
pub(crate) fn status(verb: &str, text: impl Display) {
    eprintln!("{GOOD}{verb:>12}{GOOD:#} {text}");
}

pub(crate) fn warning(text: impl Display) {
    eprintln!("{WARN}warning{WARN:#}: {text}");
}

/// Prints an error and what caused it, a line each.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("{BAD}error{BAD:#}: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {}", cause.to_string().replace('\n', "\n  "));
    }
}

/// Something that may take its time: a spinner on a terminal, a line elsewhere.
pub(crate) struct Wait {
    bar: Option<ProgressBar>,
    text: String,
    began: Instant,
}

impl Wait {
    pub(crate) fn begin(text: impl Into<String>) -> Self {
        let text = text.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}");
            let bar = ProgressBar::new_spinner();
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(text.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            eprintln!("{text} …");
        }
        Self {
            bar,
            text,
            began: Instant::now(),
        }
    }

    /// Ends well: leaves one line that tells how long it took.
    pub(crate) fn done(self) {
        let took = duration(self.began.elapsed());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{GOOD}✓{GOOD:#} {} {DIM}({took}){DIM:#}", self.text);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A length of time as a person says it: `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// A size in bytes as a person says it: `812 B`, `70.1 KB`, `1.24 MB`.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.2} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_times_and_sizes_as_people_do() {
        assert_eq!(duration(Duration::from_millis(412)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(12)), "12 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(size(812), "812 B");
        assert_eq!(size(70_120), "70.1 KB");
        assert_eq!(size(1_240_000), "1.24 MB");
    }
}
