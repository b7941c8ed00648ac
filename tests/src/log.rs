//! Envoy's log, line by line.

use std::fmt;

/// One entry of Envoy's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// `trace` to `critical`.
    pub level: String,
    /// Envoy's component, such as `wasm` or `main`.
    pub component: String,
    /// The text, which may run over several lines.
    pub message: String,
}

impl LogEntry {
    /// What a Wasm module logged itself, without Envoy's `wasm log NAME:` before it.
    pub fn from_module(&self) -> Option<&str> {
        if self.component != "wasm" {
            return None;
        }
        let rest = self.message.strip_prefix("wasm log")?;
        // `wasm log: text`, or `wasm log NAME ROOT_ID VM_ID: text`.
        let (_, text) = rest.split_once(": ").or_else(|| rest.split_once(':'))?;
        Some(text)
    }

    /// What a module logged itself in the VM of this id.
    pub fn from_vm(&self, vm_id: &str) -> Option<&str> {
        let text = self.from_module()?;
        let before = self
            .message
            .strip_suffix(text)?
            .trim_end_matches([':', ' ']);
        (before.rsplit(' ').next() == Some(vm_id)).then_some(text)
    }

    /// Whether it says that something is wrong enough to be looked at.
    pub fn is_error(&self) -> bool {
        matches!(self.level.as_str(), "error" | "critical")
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[{}][{}] {}", self.level, self.component, self.message)
    }
}

/// Reads a log in Envoy's default format, `[time][thread][level][component] [file:line] text`.
/// A line in another form goes on with the entry before it.
pub fn parse_log(log: &str) -> Vec<LogEntry> {
    let mut entries: Vec<LogEntry> = Vec::new();
    for line in log.lines() {
        match (parse_line(line), entries.last_mut()) {
            (Some(entry), _) => entries.push(entry),
            (None, Some(last)) => {
                last.message.push('\n');
                last.message.push_str(line);
            }
            (None, None) => {}
        }
    }
    entries
}

/// A log as it is, with only those of its entries.
pub(crate) fn entries_of(log: &str, mut wanted: impl FnMut(&LogEntry) -> bool) -> String {
    let mut is_wanted = true;
    let lines = log.lines().filter(|line| {
        if let Some(entry) = parse_line(line) {
            is_wanted = wanted(&entry);
        }
        is_wanted
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn parse_line(line: &str) -> Option<LogEntry> {
    let mut rest = line;
    let mut fields = [""; 4];
    for field in &mut fields {
        let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
        *field = inside;
        rest = after;
    }
    let [_time, thread, level, component] = fields;
    // A module's own text may begin with brackets; a thread is a number.
    thread.parse::<u64>().ok()?;
    let text = rest.strip_prefix(' ')?;
    let (_, message) = text.strip_prefix('[')?.split_once("] ")?;
    Some(LogEntry {
        level: level.to_owned(),
        component: component.to_owned(),
        message: message.to_owned(),
    })
}

/// The end of a text, at most so many lines.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    all[from..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[2026-01-01 10:00:00.000][42][error][wasm] [source/extensions/common/wasm/context.cc:1180] wasm log header-tag header-tag legation.header-tag: rules[0]: bad: worse
[2026-01-01 10:00:00.001][42][critical][main] [source/server/server.cc:422] error initializing config: two
lines
[2026-01-01 10:00:00.002][42][info][wasm] [source/extensions/common/wasm/context.cc:1171] wasm log: plain";

    #[test]
    fn reads_entries_of_one_and_of_several_lines() {
        let entries = parse_log(LOG);

        assert_eq!(entries.len(), 3);
        assert_eq!(entries[1].level, "critical");
        assert_eq!(entries[1].component, "main");
        assert_eq!(entries[1].message, "error initializing config: two\nlines");
    }

    #[test]
    fn strips_the_prefix_from_what_a_module_logged() {
        let entries = parse_log(LOG);

        assert_eq!(entries[0].from_module(), Some("rules[0]: bad: worse"));
        assert_eq!(entries[1].from_module(), None);
        assert_eq!(entries[2].from_module(), Some("plain"));
    }

    #[test]
    fn knows_the_vm_of_what_a_module_logged() {
        let entries = parse_log(LOG);

        let text = entries[0].from_vm("legation.header-tag");
        assert_eq!(text, Some("rules[0]: bad: worse"));
        assert_eq!(entries[0].from_vm("legation.header"), None);
        assert_eq!(entries[1].from_vm("two"), None);
        assert_eq!(entries[2].from_vm("plain"), None);
    }

    #[test]
    fn chosen_entries_are_whole_and_as_they_were() {
        let log = entries_of(LOG, |entry| entry.component == "main");

        assert!(log.starts_with("[2026-01-01 10:00:00.001][42]"), "{log}");
        assert!(
            log.ends_with("error initializing config: two\nlines"),
            "{log}"
        );
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
