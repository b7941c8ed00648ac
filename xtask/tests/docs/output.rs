//! What a page shows as the answer, compared with the answer.

/// A line that stands for any number of lines; in a line, for any text.
const ANY: char = '…';

/// Whether the text is what is shown.
pub(crate) fn shows(shown: &str, text: &str) -> bool {
    let shown: Vec<_> = shown.trim_end().lines().map(str::trim_end).collect();
    let text: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    lines(&shown, &text)
}

fn lines(shown: &[&str], text: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else {
        return text.is_empty();
    };
    if first.trim() == ANY.to_string() {
        return (0..=text.len()).any(|skipped| lines(rest, &text[skipped..]));
    }
    match text.split_first() {
        Some((line, others)) => same(first, line) && lines(rest, others),
        None => false,
    }
}

fn same(shown: &str, line: &str) -> bool {
    match shown.split_once(ANY) {
        None => shown == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| same(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::shows;

    #[test]
    fn an_ellipsis_stands_for_text_or_lines() {
        assert!(shows("a\nb", "a\nb\n"));
        assert!(!shows("a", "a\nb"));
        assert!(shows("a\n…\nd", "a\nb\nc\nd"));
        assert!(shows("a\n  …\nb", "a\nb"));
        assert!(!shows("a\n…\nd", "a\nb\nc"));
        assert!(shows("x: 1…", "x: 123"));
        assert!(shows("x: …3", "x: 123"));
        assert!(!shows("x: …4", "x: 123"));
    }
}
