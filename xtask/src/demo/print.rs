//! What was sent beside what arrived, and what was answered beside what came back.

use anstream::println;
use anstyle::Style;
use anyhow::Result;
use legation_tests::{Exchange, ID_HEADER};

use super::shows::{self, Promise, Show};
use crate::terminal::{BAD, DIM, GOOD};

/// How wide a column is: two of them fit a terminal of 80.
const WIDTH: usize = 37;

/// A line of a column, and how it is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    mark: char,
    text: String,
    style: Style,
}

pub(super) fn exchange(show: &Show, sent: &str, exchange: &Exchange) {
    arrival(show, sent, exchange);
    println!();
    answer(show, exchange);
}

fn arrival(show: &Show, sent: &str, exchange: &Exchange) {
    let (sent, sent_body) = lines(sent);
    let arrived = match &exchange.received {
        Some(received) => {
            let arrived = received.to_string().replacen(" HTTP/1.1\n", "\n", 1);
            let (arrived, body) = lines(&arrived);
            let promised = promised(show, Promise::arriving_line);
            let mut changes = changes(&sent, &arrived, &promised);
            changes.extend(unchanged(&body));
            changes
        }
        None => vec![plain("(nothing: Envoy answered by itself)", DIM)],
    };
    let sent = [sent, sent_body].concat();
    beside("sent", &unchanged(&sent), "arrived upstream", &arrived);
}

fn answer(show: &Show, exchange: &Exchange) {
    let (back, body) = lines(&exchange.response.to_string());
    let promised = promised(show, Promise::returning_line);
    let Some(received) = &exchange.received else {
        let mut back = changes(&[], &back, &promised);
        back.extend(unchanged(&body));
        let nothing = [plain("(nothing)", DIM)];
        return beside("upstream answered", &nothing, "came back", &back);
    };
    let answered = shows::upstream_answer(received);
    let page = answered.iter().position(String::is_empty);
    let head = answered.get(..page.unwrap_or(answered.len()));
    let mut back = changes(head.unwrap_or_default(), &back, &promised);
    // Another body says what arrived, which stands above.
    if let Some(page) = page.and_then(|page| answered.get(page..)) {
        back.extend(body_changes(page, &body));
    }
    beside(
        "upstream answered",
        &unchanged(&answered),
        "came back",
        &back,
    );
}

/// Says which promises were kept, and why others were not; gives how many of each.
pub(super) fn outcomes(promises: impl IntoIterator<Item = Result<String>>) -> (usize, usize) {
    let (mut kept, mut broken) = (0, 0);
    for promise in promises {
        match promise {
            Ok(promise) => {
                kept += 1;
                println!("  {GOOD}✓{GOOD:#} {promise}");
            }
            Err(error) => {
                broken += 1;
                println!("  {BAD}✗{BAD:#} {error:#}");
            }
        }
    }
    (kept, broken)
}

/// The lines that a show promises to see.
fn promised(show: &Show, line: fn(Promise) -> Option<String>) -> Vec<String> {
    show.promises.iter().copied().filter_map(line).collect()
}

/// The first lines of a message, without the header that the demo itself adds, and
/// from the empty line on those of its body.
fn lines(message: &str) -> (Vec<String>, Vec<String>) {
    let (head, body) = message.split_once("\n\n").unwrap_or((message, ""));
    let head = head
        .lines()
        .filter(|line| !line.starts_with(ID_HEADER))
        .map(str::to_owned);
    let gap = (!body.is_empty()).then_some("");
    let body = gap.into_iter().chain(body.lines()).map(str::to_owned);
    (head.collect(), body.collect())
}

fn plain(text: &str, style: Style) -> Line {
    Line {
        mark: ' ',
        text: text.to_owned(),
        style,
    }
}

fn unchanged(lines: &[String]) -> Vec<Line> {
    lines.iter().map(|line| plain(line, Style::new())).collect()
}

/// What became of lines: those that stayed, those that went, those that were promised,
/// and what Envoy adds by itself.
fn changes(before: &[String], after: &[String], promised: &[String]) -> Vec<Line> {
    let mut changes = Vec::new();
    for line in before {
        if after.contains(line) {
            changes.push(plain(line, Style::new()));
        } else {
            changes.push(Line {
                mark: '-',
                text: line.clone(),
                style: BAD,
            });
        }
    }
    let added = after.iter().filter(|line| !before.contains(line));
    let (promised, others): (Vec<_>, Vec<_>) = added.partition(|line| promised.contains(line));
    changes.extend(promised.into_iter().map(|line| Line {
        mark: '+',
        text: line.clone(),
        style: GOOD,
    }));
    changes.extend(others.into_iter().map(|line| plain(line, DIM)));
    changes
}

/// What became of a body, each of whose lines stays where it is.
fn body_changes(before: &[String], after: &[String]) -> Vec<Line> {
    let marked = |line: &String| {
        if before.contains(line) {
            plain(line, Style::new())
        } else {
            Line {
                mark: '+',
                text: line.clone(),
                style: GOOD,
            }
        }
    };
    after.iter().map(marked).collect()
}

fn beside(left_title: &str, left: &[Line], right_title: &str, right: &[Line]) {
    println!("    {DIM}{left_title:<WIDTH$}{DIM:#}   {DIM}{right_title}{DIM:#}");
    for row in 0..left.len().max(right.len()) {
        let row = format!("  {} {}", cell(left.get(row)), cell(right.get(row)));
        println!("{}", row.trim_end());
    }
}

/// A line in a column: as wide as the column, whatever it holds.
fn cell(line: Option<&Line>) -> String {
    let Some(Line { mark, text, style }) = line else {
        return " ".repeat(WIDTH + 2);
    };
    let text = fitted(text);
    let room = " ".repeat(WIDTH.saturating_sub(text.chars().count()));
    format!("{style}{mark} {text}{style:#}{room}")
}

fn fitted(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let kept: String = text.chars().take(WIDTH - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_promised_header_stands_out_among_what_envoy_adds() {
        let before = strings(&["GET /", "x-tag: forged"]);
        let after = strings(&["x-request-id: 7", "x-tag: good", "GET /"]);

        let changes = changes(&before, &after, &strings(&["x-tag: good"]));

        let shown: Vec<_> = changes.iter().map(|c| (c.mark, c.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (' ', "GET /"),
                ('-', "x-tag: forged"),
                ('+', "x-tag: good"),
                (' ', "x-request-id: 7"),
            ]
        );
    }

    #[test]
    fn what_changed_in_a_body_stands_out_in_its_place() {
        let before = strings(&["{", "  \"card\": \"4111\"", "}"]);
        let after = strings(&["{", "  \"card\": \"*\"", "}"]);

        let marks: String = body_changes(&before, &after)
            .iter()
            .map(|it| it.mark)
            .collect();

        assert_eq!(marks, " + ");
    }

    #[test]
    fn the_demos_own_header_is_not_shown() {
        let message = format!("POST /\n{ID_HEADER}: auto-1\nhost: a\n\none\n");

        let (head, body) = lines(&message);

        assert_eq!(head, ["POST /", "host: a"]);
        assert_eq!(body, ["", "one"]);
    }

    #[test]
    fn a_long_line_is_cut_to_the_column() {
        let text = fitted(&"x".repeat(100));

        assert_eq!(text.chars().count(), WIDTH);
        assert!(text.ends_with('…'));
    }
}
