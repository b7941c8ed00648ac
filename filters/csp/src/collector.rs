//! Takes reports in.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use legation::http::Method;
use legation::metrics::{Counter, Family, Tally};
use legation::{Configure, LocalReply, RequestHeaders, Result, clock};

use crate::config;
use crate::learning::Learning;
use crate::report::{self, Report};

/// What is done with reports.
pub(crate) struct Collector {
    path: Box<str>,
    max_bytes: usize,
    max_per_second: u32,
    /// The second that reports are counted in, and how many are left of it.
    second: Cell<(u64, u32)>,
    reports: Family<Counter, 2>,
    malformed: Tally,
    dropped: Tally,
}

impl Collector {
    pub(crate) fn new(config: &config::Collector, host: &mut Configure) -> Self {
        Self {
            path: config.path.as_str().into(),
            max_bytes: config.max_bytes(),
            max_per_second: config.max_reports_per_second(),
            second: Cell::new((0, 0)),
            reports: host.counter_family("reports", ["directive", "disposition"]),
            malformed: Tally::new(host.counter("reports_malformed")),
            dropped: Tally::new(host.counter("reports_dropped")),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn flush(&self) {
        self.malformed.flush();
        self.dropped.flush();
    }

    /// Answers what needs no body.
    pub(crate) fn answer_at_once(request: &mut RequestHeaders) -> Result<Option<LocalReply>> {
        let method = request.method()?.unwrap_or_default();
        if method == Method::POST.as_str().as_bytes() {
            return Ok(None);
        }
        // The Reporting API asks other origins first.
        let reply = if method == Method::OPTIONS.as_str().as_bytes() {
            LocalReply::new(204)
                .header("access-control-allow-origin", "*")
                .header("access-control-allow-methods", "POST")
                .header("access-control-allow-headers", "content-type")
                .header("access-control-max-age", "86400")
        } else {
            LocalReply::new(405)
                .header("allow", "POST, OPTIONS")
                .body("reports are sent by POST\n")
        };
        Ok(Some(reply.details("csp_collector")))
    }

    /// Reads a request's reports, and answers it.
    pub(crate) async fn take(
        &self,
        request: &mut RequestHeaders,
        learning: Option<&Learning>,
    ) -> Result<LocalReply> {
        let body = request.buffer_body(self.max_bytes).await?;
        let Some(reports) = report::read(&body) else {
            self.malformed.add(1);
            return Ok(LocalReply::new(400)
                .body("not a report of a content security policy\n")
                .details("csp_report_malformed"));
        };
        for report in reports {
            if !self.has_room()? {
                self.dropped.add(1);
                continue;
            }
            self.count(&report);
            if let Some(learning) = learning {
                learning.note_report(&report);
            }
        }
        Ok(LocalReply::new(204).details("csp_report_taken"))
    }

    fn count(&self, report: &Report) {
        let directive = report.counted_directive();
        let disposition = if report.is_enforced {
            "enforce"
        } else {
            "report"
        };
        self.reports.with([directive, disposition]).increment();
        let Report {
            blocked,
            document,
            sample,
            ..
        } = report;
        log::info!(directive, disposition, blocked:%, document:%, sample:%; "a policy was violated");
    }

    /// Whether one more report is read in this second.
    fn has_room(&self) -> Result<bool> {
        let since = clock::now()?.duration_since(SystemTime::UNIX_EPOCH);
        let now = since.unwrap_or(Duration::ZERO);
        let (second, left) = match self.second.get() {
            (second, left) if second == now.as_secs() => (second, left),
            _ => (now.as_secs(), self.max_per_second),
        };
        self.second.set((second, left.saturating_sub(1)));
        Ok(left > 0)
    }
}
