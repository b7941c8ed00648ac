//! Notes what pages use, and proposes a policy.
//!
//! Everything that was seen stands in one value that all workers share. It is written when
//! something new is seen, which after the first visits of a site is seldom.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use legation::http::Method;
use legation::matcher::{self, Matcher};
use legation::metrics::Tally;
use legation::shared::{Json, SharedValue};
use legation::{Configure, LocalReply, RequestHeaders, Result};
use serde_json::json;

use crate::config;
use crate::html::{Seen, What};
use crate::policy::{Directive, Keyword, Name, Policy};
use crate::report::Report;

/// A longer sample of a script tells no more.
const LONGEST_SAMPLE: usize = 80;

/// Something that a page uses: a directive, the source that allows it, the page and a sample.
///
/// As texts, which the shared value is made of.
type Entry = [String; 4];

/// What was seen.
pub(crate) struct Learning {
    path: Box<str>,
    allow: Matcher,
    max_entries: usize,
    shared: SharedValue<Json<Vec<Entry>>>,
    /// What this worker need not ask the others about again.
    known: RefCell<HashSet<(String, String)>>,
    /// Whether there is no room for more.
    is_full: Cell<bool>,
    /// What there was no room for.
    dropped: Tally,
}

impl Learning {
    pub(crate) fn new(config: config::Learning, scope: &str, host: &mut Configure) -> Self {
        Self {
            max_entries: config.max_entries(),
            path: config.path.as_str().into(),
            allow: config.allow,
            shared: SharedValue::new(format!("csp.{scope}.learned")),
            known: RefCell::default(),
            is_full: Cell::default(),
            dropped: Tally::new(host.counter("learned_dropped")),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn flush(&self) {
        self.dropped.flush();
    }

    /// Notes what a page holds.
    pub(crate) fn note_page(&self, seen: &Seen, page: &str) {
        let uses = seen.sightings.iter().filter(|sighting| !sighting.nonced);
        let uses = uses.filter_map(|sighting| {
            let (source, sample) = match &sighting.what {
                What::Hash(hash) => (format!("'{hash}'"), ""),
                What::Source { expression, url } => (expression.to_string(), &**url),
                // By its hash it would run wherever it stood: a person is to look at it.
                What::Url(_) | What::Unreadable => return None,
            };
            Some(entry(&sighting.directive, source, page, sample))
        });
        self.note(uses.collect());
        self.dropped.add(seen.more.into());
    }

    /// Notes what a browser reports to be blocked.
    pub(crate) fn note_report(&self, report: &Report) {
        let Report {
            directive,
            blocked,
            document,
            sample,
            ..
        } = report;
        if let Some(source) = reported_source(directive, blocked, document) {
            self.note(vec![entry(directive, source, document, sample)]);
        }
    }

    /// Notes what is used, in one look at what all workers know; in none where this one knows
    /// all of it, or that there is no room: nothing that was noted goes again.
    fn note(&self, mut uses: Vec<Entry>) {
        let known = self.known.take();
        uses.retain(|[directive, source, ..]| {
            !known.contains(&(directive.clone(), source.clone()))
        });
        self.known.replace(known);
        if uses.is_empty() {
            return;
        }
        let mut without_room = uses.len();
        if !self.is_full.get() {
            let updated = self.shared.update(|old| {
                let Json(mut entries) = old.unwrap_or(Json(Vec::new()));
                let before = entries.len();
                without_room = 0;
                for one in &uses {
                    if entries.iter().any(|entry| entry[..2] == one[..2]) {
                        continue;
                    }
                    if entries.len() >= self.max_entries {
                        without_room = without_room.saturating_add(1);
                    } else {
                        entries.push(one.clone());
                    }
                }
                self.is_full.set(entries.len() >= self.max_entries);
                (entries.len() > before).then_some(Json(entries))
            });
            if let Err(error) = updated {
                self.dropped
                    .add(u64::try_from(uses.len()).unwrap_or(u64::MAX));
                log::warn!(error:%; "what a page uses was not noted");
                return;
            }
        }
        self.dropped
            .add(u64::try_from(without_room).unwrap_or(u64::MAX));
        let mut known = self.known.take();
        if known.len() >= self.max_entries.saturating_mul(2) {
            known.clear();
        }
        known.extend(
            uses.into_iter()
                .map(|[directive, source, ..]| (directive, source)),
        );
        self.known.replace(known);
    }

    /// The proposal, for whom it is meant. Others are told that there is nothing.
    pub(crate) fn answer(&self, request: &mut RequestHeaders) -> Result<LocalReply> {
        let is_read =
            matches!(request.method()?, Some(method) if method == Method::GET.as_str().as_bytes());
        let is_allowed = self.allow.matches(&mut matcher::Request::new(request))?;
        if !is_read || !is_allowed {
            return Ok(LocalReply::new(404).details("csp_learning_denied"));
        }
        let entries = match self.shared.get() {
            Ok(entries) => entries.map(|Json(entries)| entries).unwrap_or_default(),
            Err(error) => {
                log::error!(error:%; "what was learned cannot be read");
                return Ok(LocalReply::new(500).details("csp_learning_unreadable"));
            }
        };
        let seen: Vec<_> = entries
            .iter()
            .map(|[directive, source, page, sample]| {
                json!({"directive": directive, "source": source, "page": page, "sample": sample})
            })
            .collect();
        let body = json!({
            "policy": proposal(&entries).to_string(),
            "is_full": entries.len() >= self.max_entries,
            "seen": seen,
        });
        Ok(LocalReply::new(200)
            .header("content-type", "application/json")
            .header("cache-control", "no-store")
            .body(body.to_string())
            .details("csp_learning"))
    }
}

fn entry(directive: &Name, source: String, page: &str, sample: &str) -> Entry {
    let end = sample.floor_char_boundary(LONGEST_SAMPLE);
    let sample = sample.get(..end).unwrap_or_default();
    [
        directive.as_str().to_owned(),
        source,
        page.to_owned(),
        sample.to_owned(),
    ]
}

/// The policy that allows what was seen and nothing else.
fn proposal(entries: &[Entry]) -> Policy {
    // What no page can do without a directive of its own (`base-uri`, `form-action` and
    // `frame-ancestors` do not fall back to `default-src`).
    let mut directives: Vec<(Name, Vec<&str>)> = [
        Name::DefaultSrc,
        Name::BaseUri,
        Name::FormAction,
        Name::FrameAncestors,
        Name::ObjectSrc,
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for [directive, source, ..] in entries {
        // It would allow what an attacker writes into a page as well.
        if source == Keyword::UnsafeInline.as_str() {
            continue;
        }
        let name = Name::parse(directive);
        match directives.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sources)) => sources.push(source),
            None => directives.push((name, vec![source])),
        }
    }
    let directives = directives.into_iter().filter_map(|(name, mut sources)| {
        // One that is none must not take the directive, and so its restriction, along.
        sources.retain(|source| Directive::new(name.as_str(), &[source]).is_ok());
        let is_hash = |source: &&str| source.starts_with("'sha");
        let is_of_attributes = matches!(name, Name::ScriptSrcAttr | Name::StyleSrcAttr);
        if is_of_attributes && sources.iter().any(is_hash) {
            sources.push(Keyword::UnsafeHashes.as_str());
        }
        if sources.is_empty() {
            sources.push(Keyword::None.as_str());
        }
        sources.sort_unstable();
        sources.dedup();
        Directive::new(name.as_str(), &sources).ok()
    });
    Policy::new(directives.collect()).unwrap_or_default()
}

/// The source that would allow what a browser reports. `None` where there is none, and where
/// somebody has made the report up: nothing but a source may get into the proposal, and only
/// into directives that have sources.
fn reported_source(directive: &Name, blocked: &str, document: &str) -> Option<String> {
    let source = match blocked {
        "inline" => "'unsafe-inline'".to_owned(),
        "eval" => "'unsafe-eval'".to_owned(),
        "wasm-eval" => "'wasm-unsafe-eval'".to_owned(),
        url => match (origin(url), origin(document)) {
            (Some(theirs), Some(own)) if theirs == own => "'self'".to_owned(),
            (Some(theirs), _) => theirs.to_owned(),
            // `data`, `data:`, or `blob:https://a.example/1`
            (None, _) => format!("{}:", url.split(':').next().unwrap_or_default()),
        },
    };
    let is_one = Directive::new(directive.as_str(), &[&source])
        .is_ok_and(|directive| directive.sources().is_some());
    is_one.then_some(source)
}

/// `https://a.example:8443` of a URL of that host.
fn origin(url: &str) -> Option<&str> {
    let scheme = url.find(':')?;
    url.get(scheme..)?.strip_prefix("://")?;
    let authority = scheme.saturating_add(3);
    let rest = url.get(authority..)?;
    let end = rest.find('/').unwrap_or(rest.len());
    url.get(..authority.saturating_add(end))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn entry(directive: &str, source: &str) -> Entry {
        [directive, source, "/", ""].map(str::to_owned)
    }

    fn proposed(entries: &[(&str, &str)]) -> String {
        let entries: Vec<Entry> = entries
            .iter()
            .map(|(directive, source)| entry(directive, source))
            .collect();
        proposal(&entries).to_string()
    }

    const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

    #[wasm_bindgen_test(unsupported = test)]
    fn where_nothing_was_seen_nothing_is_allowed() {
        assert_eq!(proposed(&[]), NOTHING);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_was_seen_is_allowed_where_it_was_seen() {
        for (seen, expected) in [
            (
                &[
                    ("img-src", "https://b.example"),
                    ("img-src", "'self'"),
                    ("img-src", "data:"),
                ][..],
                "; img-src 'self' data: https://b.example",
            ),
            (&[("script-src-elem", "'self'")], "; script-src-elem 'self'"),
            // In an attribute a hash does nothing alone (CSP3, section 6.7.3.2).
            (
                &[(
                    "script-src-attr",
                    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
                )],
                "; script-src-attr 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'unsafe-hashes'",
            ),
            // It would allow what an attacker writes as well.
            (&[("style-src-attr", "'unsafe-inline'")], ""),
            // What is known to be seen twice.
            (
                &[("font-src", "'self'"), ("font-src", "'self'")],
                "; font-src 'self'",
            ),
        ] {
            assert_eq!(proposed(seen), format!("{NOTHING}{expected}"));
        }
        assert_eq!(
            proposed(&[("base-uri", "'self'"), ("default-src", "'self'")]),
            NOTHING
                .replace("default-src 'none'", "default-src 'self'")
                .replace("base-uri 'none'", "base-uri 'self'")
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_source_takes_no_directive_along() {
        for source in [
            "a b:",
            "x;:",
            "https://a.example;script-src",
            "",
            "'none':",
            "ä:",
        ] {
            assert_eq!(proposed(&[("default-src", source)]), NOTHING, "{source}");
            assert_eq!(
                proposed(&[("default-src", source), ("default-src", "'self'")]),
                NOTHING.replace("default-src 'none'", "default-src 'self'"),
                "{source}"
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_reported_url_is_the_source_that_allows_it() {
        const PAGE: &str = "https://shop.example/cart";
        for (blocked, source) in [
            ("inline", Some("'unsafe-inline'")),
            ("eval", Some("'unsafe-eval'")),
            ("wasm-eval", Some("'wasm-unsafe-eval'")),
            ("https://shop.example/a.js", Some("'self'")),
            ("https://shop.example", Some("'self'")),
            (
                "https://shop.example:8443/a.js",
                Some("https://shop.example:8443"),
            ),
            ("https://cdn.example/a/b.js", Some("https://cdn.example")),
            ("wss://live.example/", Some("wss://live.example")),
            ("data", Some("data:")),
            ("data:", Some("data:")),
            ("blob:https://shop.example/1", Some("blob:")),
            ("", None),
            (":", None),
            ("trusted types", None),
            ("'none'", None),
            ("x; script-src *", None),
            ("https://a.example; script-src *", None),
            ("https://", None),
            ("https:///a", None),
        ] {
            let found = reported_source(&Name::ScriptSrc, blocked, PAGE);
            assert_eq!(found.as_deref(), source, "{blocked}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_report_gets_into_no_directive_without_sources() {
        for directive in [
            Name::ReportUri,
            Name::ReportTo,
            Name::Sandbox,
            Name::TrustedTypes,
            Name::RequireTrustedTypesFor,
            Name::UpgradeInsecureRequests,
            Name::parse("made-up"),
        ] {
            for blocked in ["https://evil.example/", "inline", "data"] {
                let found = reported_source(&directive, blocked, "https://a.example/");
                assert_eq!(found, None, "{directive} {blocked}");
            }
        }
    }
}
