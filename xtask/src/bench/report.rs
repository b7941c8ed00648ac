//! What a run found: as a table for people, and with every round as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::calm::{BUSY, Judged};
use super::cases::{Case, FLOOR};
use super::rounds::Sample;
use super::statistics::Summary;
use crate::terminal;

/// The circumstances of a run.
pub(super) struct Run {
    pub(super) envoy: String,
    pub(super) processor: String,
    pub(super) architecture: &'static str,
    pub(super) rounds: usize,
    /// How many times what it does at best the baseline may cost next to a sample that counts.
    pub(super) unrest: f64,
    pub(super) slice_ms: u128,
    /// Where requests were answered.
    pub(super) route: &'static str,
}

impl Run {
    /// Whether the machine was too busy for the numbers to mean much.
    pub(super) fn was_disturbed(&self) -> bool {
        self.unrest > BUSY
    }
}

/// One case's results.
pub(super) struct Measured {
    pub(super) case: Case,
    pub(super) samples: Vec<Judged>,
    /// How restless a sample may be that counts.
    pub(super) limit: f64,
    /// Bytes of its modules, if it has any.
    pub(super) modules: Option<usize>,
}

impl Measured {
    /// The samples that count: those that little disturbed.
    fn calm(&self) -> impl Iterator<Item = &Sample> {
        let calm = self.samples.iter();
        let calm = calm.filter(|judged| judged.is_calm(self.limit));
        calm.map(|judged| &judged.sample)
    }

    fn added(&self) -> Option<Summary> {
        Summary::of(self.calm().map(Sample::added))
    }

    /// What one time costs, of the many that a request does it.
    pub(super) fn a_time(&self) -> Option<Summary> {
        let times = f64::from(self.case.times);
        Summary::of(self.calm().map(|sample| sample.added() / times))
    }
}

/// What the baseline itself costs a request without a body to speak of.
fn baseline(measured: &[Measured]) -> Option<Summary> {
    let plain = measured.iter().filter(|measured| measured.case.body() == 0);
    let samples = plain.flat_map(Measured::calm);
    Summary::of(samples.map(Sample::baseline))
}

/// How many times the cost of the case `other` a case costs.
fn ratio(measured: &[Measured], case: &Measured, other: &str) -> Option<f64> {
    let other = measured
        .iter()
        .find(|measured| measured.case.name == other)?;
    let (cost, unit) = (case.added()?.median, other.added()?.median);
    // Below the method's resolution a ratio means nothing.
    (unit > 0.05).then(|| cost / unit)
}

/// The table.
pub(super) fn table(run: &Run, measured: &[Measured]) -> String {
    let mut rows = vec![
        [
            "case",
            "added µs",
            "middle half",
            "rounds",
            "× floor",
            "compared with",
            "module",
        ]
        .map(str::to_owned),
    ];
    rows.extend(measured.iter().map(|case| row(measured, case)));

    let whats = measured.iter().map(|measured| measured.case.what);
    lay_out(&rows, &[0, 5], whats) + &circumstances(run, measured)
}

/// The table of the SDK's services.
pub(super) fn services(run: &Run, measured: &[Measured]) -> String {
    let mut rows =
        vec![["service", "µs a time", "middle half", "times", "rounds"].map(str::to_owned)];
    rows.extend(measured.iter().map(|case| {
        let cost = case.a_time();
        [
            case.case.name.to_owned(),
            cost.map(|cost| format!("{:.3}", cost.median))
                .unwrap_or_default(),
            cost.map(|cost| format!("{:.3} … {:.3}", cost.low, cost.high))
                .unwrap_or_default(),
            case.case.times.to_string(),
            case.calm().count().to_string(),
        ]
    }));
    let whats = measured.iter().map(|measured| measured.case.what);
    lay_out(&rows, &[0], whats) + "\n" + &method(run)
}

/// Rows under each other, the first of them the columns' names; behind each other row a word
/// on what it is. `texts` are the columns that begin on the left; numbers end on the right.
fn lay_out<'a, const N: usize>(
    rows: &[[String; N]],
    texts: &[usize],
    whats: impl Iterator<Item = &'a str>,
) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for (row, what) in rows.iter().zip(std::iter::once("").chain(whats)) {
        let cells = row.iter().zip(widths).enumerate();
        let cells: Vec<_> = cells
            .map(|(column, (cell, width))| {
                if texts.contains(&column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        let line = format!("{}   {what}", cells.join("  "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn circumstances(run: &Run, measured: &[Measured]) -> String {
    let baseline = baseline(measured).map_or_else(String::new, |baseline| {
        format!(
            "\nAdded to the {:.1} µs (middle half {:.1} … {:.1}) that a request costs without a filter.\n",
            baseline.median, baseline.low, baseline.high
        )
    });
    baseline + &method(run)
}

/// How it was measured.
fn method(run: &Run) -> String {
    let warning = if run.was_disturbed() {
        "The machine was too busy for these numbers to mean much: try again.\n"
    } else {
        ""
    };
    format!(
        "CPU time of Envoy's worker, medians of the calmest of {} rounds; \
         the ratios hold from run to run, the times do not.\n{warning}\
         Envoy {} on {}; requests answered by {}.\n",
        run.rounds, run.envoy, run.processor, run.route
    )
}

fn row(measured: &[Measured], case: &Measured) -> [String; 7] {
    let times = |ratio: f64| format!("{ratio:.2} ×");
    let added = case.added();
    let peer = case.case.peer.and_then(|peer| {
        let ratio = ratio(measured, case, peer)?;
        Some(format!("{} {peer}", times(ratio)))
    });
    let floor = ratio(measured, case, FLOOR).map(times);
    // What a body costs grows with its size.
    let (floor, peer) = match case.case.body() {
        0 => (floor, peer),
        size => {
            let speed = added.and_then(|added| speed(size, added.median));
            let both: Vec<_> = speed.into_iter().chain(peer).collect();
            (None, Some(both.join(", ")))
        }
    };
    [
        case.case.name.to_owned(),
        added
            .map(|added| format!("{:.2}", added.median))
            .unwrap_or_default(),
        added
            .map(|added| format!("{:.2} … {:.2}", added.low, added.high))
            .unwrap_or_default(),
        case.calm().count().to_string(),
        floor.unwrap_or_default(),
        peer.unwrap_or_default(),
        case.modules.map(terminal::size).unwrap_or_default(),
    ]
}

/// Bytes a µs are MB a second.
fn speed(bytes: usize, micros: f64) -> Option<String> {
    let bytes = f64::from(u32::try_from(bytes).ok()?);
    (micros > 0.0).then(|| format!("{:.0} MB/s", bytes / micros))
}

fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    })
}

/// Everything, to the last round.
pub(super) fn json(run: &Run, measured: &[Measured]) -> Value {
    let summary = |summary: Option<Summary>| {
        summary.map(|s| json!({ "median": s.median, "low": s.low, "high": s.high }))
    };
    let cases: Vec<_> = measured
        .iter()
        .map(|case| {
            let rounds = case.samples.iter().map(|judged| {
                let sample = &judged.sample;
                json!({
                    "calm": judged.is_calm(case.limit),
                    "case": sample.case,
                    "baseline_before": sample.baseline_before,
                    "baseline_after": sample.baseline_after,
                })
            });

            json!({
                "name": case.case.name,
                "what": case.case.what,
                "added_us": summary(case.added()),
                "times": case.case.times,
                "a_time_us": summary(case.a_time()),
                "times_floor": ratio(measured, case, FLOOR),
                "peer": case.case.peer,
                "times_peer": case.case.peer.and_then(|peer| ratio(measured, case, peer)),
                "module_bytes": case.modules,
                "calm_rounds": case.calm().count(),
                "rounds_us": rounds.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "envoy": run.envoy,
        "processor": run.processor,
        "rounds": run.rounds,
        "unrest": run.unrest,
        "slice_ms": run.slice_ms,
        "route": run.route,
        "baseline_us": summary(baseline(measured)),
        "cases": cases,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::calm::judge;
    use super::*;

    pub(in super::super) fn run() -> Run {
        Run {
            envoy: "1.0.0".to_owned(),
            processor: "A Processor".to_owned(),
            architecture: "x86_64",
            rounds: 1,
            unrest: 1.1,
            slice_ms: 80,
            route: "Envoy itself",
        }
    }

    fn measured(name: &'static str, peer: Option<&'static str>, added: f64) -> Measured {
        let case = Case {
            name,
            what: "a case",
            peer,
            ..Case::default()
        };
        measured_case(case, added)
    }

    pub(in super::super) fn measured_case(case: Case, added: f64) -> Measured {
        let sample = Sample {
            case: 15.0 + added,
            baseline_before: 14.0,
            baseline_after: 16.0,
        };
        Measured {
            case,
            samples: vec![judge(sample, 15.0)],
            limit: 1.1,
            modules: Some(1_500),
        }
    }

    #[test]
    fn the_table_compares_each_case_with_the_floor_and_with_its_peer() {
        let measured = [
            measured("floor", None, 1.0),
            measured("tag", Some("lua"), 1.5),
            measured("lua", None, 3.0),
        ];

        let table = table(&run(), &measured);

        let line = table
            .lines()
            .find(|line| line.starts_with("tag"))
            .expect("a row");
        let cells: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            cells.join(" "),
            "tag 1.50 1.50 … 1.50 1 1.50 × 0.50 × lua 1.5 KB a case"
        );
        assert!(table.contains("15.0 µs"), "{table}");
    }

    #[test]
    fn a_body_is_told_by_its_speed_and_its_baseline_by_nothing() {
        let case = Case {
            name: "page",
            what: "a page",
            page: 5_000,
            ..Case::default()
        };
        let mut page = measured_case(case, 50.0);
        page.samples[0].sample.baseline_before = 1_000.0;
        page.samples[0].sample.baseline_after = 1_000.0;
        page.samples[0].sample.case = 1_050.0;

        let table = table(&run(), &[measured("floor", None, 1.0), page]);

        let line = table.lines().find(|line| line.starts_with("page"));
        let cells: Vec<_> = line.expect("a row").split_whitespace().collect();
        assert_eq!(
            cells.join(" "),
            "page 50.00 50.00 … 50.00 1 100 MB/s 1.5 KB a page"
        );
        assert!(
            table.contains("the 15.0 µs (middle half 15.0 … 15.0)"),
            "{table}"
        );
    }

    #[test]
    fn a_service_costs_its_share_of_the_request() {
        let case = Case {
            name: "now",
            what: "`clock::now`",
            times: 50,
            ..Case::default()
        };

        let table = services(&run(), &[measured_case(case, 5.0)]);

        let line = table.lines().nth(1).expect("a row");
        let cells: Vec<_> = line.split_whitespace().collect();
        assert_eq!(cells.join(" "), "now 0.100 0.100 … 0.100 50 1 `clock::now`");
        assert!(!table.contains("without a filter"), "{table}");
    }

    #[test]
    fn the_table_says_when_the_machine_was_busy() {
        let measured = [measured("floor", None, 1.0)];
        let busy = Run {
            unrest: 1.5,
            ..run()
        };

        assert!(!table(&run(), &measured).contains("too busy"));
        assert!(table(&busy, &measured).contains("too busy"));
    }

    #[test]
    fn a_case_is_not_compared_with_what_costs_nothing() {
        let measured = [
            measured("floor", None, 0.0),
            measured("tag", Some("lua"), 1.5),
        ];

        assert_eq!(ratio(&measured, &measured[1], "floor"), None);
        assert_eq!(ratio(&measured, &measured[1], "lua"), None);
    }

    #[test]
    fn the_json_has_every_round() {
        let json = json(&run(), &[measured("floor", None, 1.0)]);

        assert_eq!(json["cases"][0]["added_us"]["median"], 1.0);
        assert_eq!(json["cases"][0]["rounds_us"][0]["case"], 16.0);
        assert_eq!(json["baseline_us"]["median"], 15.0);
    }
}
