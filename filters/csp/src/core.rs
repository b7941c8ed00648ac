//! What both modules do: which rule, and which headers.

use std::time::Duration;

use legation::headers::HeadersMut;
use legation::http::HeaderName;
use legation::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES,
    LAST_MODIFIED,
};
use legation::{Configure, RequestHeaders, ResponseHeaders, Result, matcher};

use crate::asking;
use crate::config::{self, Config, ContentType, Existing, ExistingHeaders, Lint};
use crate::counts::Counts;
use crate::header_names::{CONTENT_DIGEST, CONTENT_MD5, DIGEST, REPORTING_ENDPOINTS, REPR_DIGEST};
use crate::html::Coding;
use crate::nonce::Nonce;
use crate::policy::{self, PolicyList, Severity, Template};
use crate::reporting::Reporting;
use crate::rules::{Pages, Rule, Sending, charset, essence};

/// How long a count may wait in the module before it shows on `/stats`.
pub(crate) const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// More of a path is not remembered with what its page uses.
const LONGEST_PATH: usize = 256;

/// Rules and what is counted of them.
pub(crate) struct Core {
    rules: Box<[Rule]>,
    /// Headers that tell upstreams of nonces: no client's own passes.
    nonce_headers: Box<[HeaderName]>,
    pub(crate) counts: Counts,
}

/// What is remembered of a request.
#[derive(Default)]
pub struct Seen {
    rule: Option<usize>,
    nonce: Option<Nonce>,
    is_secure: bool,
    is_head: bool,
    /// Where it was asked for, if its page is learned from.
    pub(crate) path: Box<str>,
}

/// A page that is to be looked at.
pub(crate) struct Looked {
    /// The number of its rule.
    pub(crate) rule: usize,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) coding: Coding,
    pub(crate) charset: Option<String>,
    /// Whether it is another after it.
    pub(crate) changes: bool,
}

impl Core {
    pub(crate) fn new(config: &mut Config, host: &mut Configure) -> Self {
        host.tick_every(COUNTS_EVERY);
        if let Some(prefix) = &config.stat_prefix.0 {
            host.stat_prefix(prefix.as_str());
        }
        let counts = Counts::new(host);
        let reporting = Reporting::of(config);
        let lint = config.lint;
        let rules = Rule::all(config, &reporting);
        if lint != Lint::Off {
            rules
                .iter()
                .enumerate()
                .for_each(|(index, rule)| log_findings(index, rule));
        }
        let mut nonce_headers: Vec<HeaderName> = Vec::new();
        for name in rules.iter().filter_map(|rule| rule.nonce_header.as_ref()) {
            if !nonce_headers.contains(name) {
                nonce_headers.push(name.clone());
            }
        }
        Self {
            rules: rules.into(),
            nonce_headers: nonce_headers.into(),
            counts,
        }
    }

    /// The rule that a request has, unless there is nothing to do.
    fn find(
        &self,
        request: &mut matcher::Request<'_, RequestHeaders>,
    ) -> Result<Option<(usize, &Rule)>> {
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.when.matches(request)? {
                return Ok((!rule.disabled).then_some((index, rule)));
            }
        }
        Ok(None)
    }

    /// Finds the rule, and readies the request for what the response is to be.
    /// Whether the response is awaited.
    pub(crate) fn on_request(&self, seen: &mut Seen, request: &mut RequestHeaders) -> Result<bool> {
        let mut known = matcher::Request::new(request);
        let mut found = self.find(&mut known)?;
        if found.is_none() {
            // What a server reads as the path of a page with a rule is one.
            for reading in known.other_readings()? {
                known.read_path_as(reading);
                found = found.or(self.find(&mut known)?);
            }
        }
        seen.rule = found.map(|(index, _)| index);
        let rule = found.map(|(_, rule)| rule);
        if rule.is_none() {
            self.counts.unmatched.add(1);
        }
        let told = rule.and_then(|rule| rule.nonce_header.as_ref());
        for name in self.nonce_headers.iter().filter(|name| Some(*name) != told) {
            request.headers().remove(name)?;
        }
        let Some(rule) = rule else { return Ok(false) };
        if let Some(name) = told {
            let nonce = Nonce::draw()?;
            request.headers().set(name, nonce.as_str())?;
            seen.nonce = Some(nonce);
        }
        if rule.pages != Pages::Pass {
            seen.is_head = request.method()? == Some(b"HEAD");
            asking::for_a_page(request, rule.pages == Pages::Change)?;
        }
        if rule.needs_tls() {
            // Where no more is read, for the price of the one.
            let scheme = request.headers().peek("x-forwarded-proto")?;
            seen.is_secure = scheme.as_deref() == Some(b"https");
        }
        if rule.learn {
            let path = request.path()?.unwrap_or_default();
            let end = path
                .iter()
                .position(|byte| matches!(byte, b'?' | b'#'))
                .unwrap_or(path.len());
            let path = path.get(..end.min(LONGEST_PATH)).unwrap_or_default();
            seen.path = String::from_utf8_lossy(path).into();
        }
        Ok(true)
    }

    /// Writes the response's headers. Gives what is to be looked for in its body.
    pub(crate) fn on_response(
        &self,
        seen: &mut Seen,
        response: &mut ResponseHeaders,
    ) -> Result<Option<Looked>> {
        let rule = seen
            .rule
            .and_then(|index| Some((index, self.rules.get(index)?)));
        let Some((index, rule)) = rule else {
            return Ok(None);
        };
        // Before anything is written: a header that was read alone is known until then.
        let has_policies = self.has_policies(rule, response)?;
        let content_type = if has_policies && rule.pages != Pages::Pass {
            response.headers().get(CONTENT_TYPE.as_str())?
        } else {
            None
        };
        let content_type = content_type.map(<[u8]>::to_vec).unwrap_or_default();
        write_headers(rule, seen.is_secure, response)?;
        if !has_policies {
            return Ok(None);
        }
        if rule.has_nonce && seen.nonce.is_none() {
            seen.nonce = Some(Nonce::draw()?);
        }
        // Before its `cache-control` is ours.
        let coding = if rule.pages == Pages::Pass {
            None
        } else {
            look(&content_type, response)?
        };
        self.write_policies(rule, seen.nonce, response)?;
        self.counts.policies.add(1);
        let Some(coding) = coding else {
            self.counts
                .not_rewritten
                .add((rule.pages != Pages::Pass).into());
            return Ok(None);
        };
        let has_body = !response.is_end_of_stream() && !seen.is_head;
        if rule.pages == Pages::Change {
            let headers = response.headers();
            for name in [
                ACCEPT_RANGES,
                CONTENT_LENGTH,
                ETAG,
                CONTENT_DIGEST,
                CONTENT_MD5,
                DIGEST,
                REPR_DIGEST,
            ] {
                remove_if_there(headers, &name)?;
            }
            if coding != Coding::Identity {
                headers.remove(&CONTENT_ENCODING)?;
            }
        }
        if !has_body {
            return Ok(None);
        }
        Ok(Some(Looked {
            rule: index,
            nonce: seen.nonce,
            coding,
            charset: charset(&content_type),
            changes: rule.pages == Pages::Change,
        }))
    }

    /// Whether a response is one that has policies. Of responses to most rules no more is read than
    /// their type.
    fn has_policies(&self, rule: &Rule, response: &mut ResponseHeaders) -> Result<bool> {
        if rule.policies.is_empty() {
            return Ok(false);
        }
        // A 304 freshens headers that were stored with a page and its nonce (RFC 9111,
        // section 3.2): a new one would not fit it.
        if rule.is_each_its_own() && is_without_content(response)? {
            return Ok(false);
        }
        if rule.takes_every_type() {
            return Ok(true);
        }
        if rule.reads_type_alone() {
            response.headers().read_alone(&CONTENT_TYPE)?;
        }
        match response.headers().get(CONTENT_TYPE.as_str())? {
            Some(content_type) if rule.is_for(content_type) => Ok(true),
            Some(_) => {
                self.counts.other_types.add(1);
                Ok(false)
            }
            // What has no type may be taken for a page; but of what a 304 freshens nobody
            // knows that it is one. It may be a worker's script.
            None => Ok(!is_without_content(response)?),
        }
    }

    /// Writes the policies, and keeps a page with a nonce out of caches.
    fn write_policies(
        &self,
        rule: &Rule,
        nonce: Option<Nonce>,
        response: &mut ResponseHeaders,
    ) -> Result<()> {
        let mut sends = false;
        let mut sends_nonce = false;
        let mut is_kept = false;
        for sending in &rule.policies {
            let name = &sending.header;
            if rule.existing_policy == Existing::Keep {
                // Ours is no reason to leave ours out.
                if !sending.is_second {
                    is_kept = response.headers().contains(name.as_str())?;
                }
                if is_kept {
                    self.counts.kept.add(1);
                    continue;
                }
            }
            sends = true;
            sends_nonce |= sending.template.has_nonce();
            // Nor to merge ours with ours: each is to be reported for itself.
            if rule.existing_policy == Existing::Merge
                && !sending.is_second
                && merge(sending, nonce, response)?
            {
                continue;
            }
            let made;
            let value = if let Some(fixed) = &sending.fixed {
                &**fixed
            } else {
                made = write(&sending.template, nonce)?;
                &made
            };
            let headers = response.headers();
            match rule.existing_policy {
                Existing::Replace | Existing::Keep if !sending.is_second => {
                    headers.set(name, value)?;
                }
                _ => headers.append(name, value)?,
            }
        }
        let headers = response.headers();
        if let Some(endpoints) = &rule.endpoints
            && sends
        {
            headers.append(&REPORTING_ENDPOINTS, endpoints)?;
        }
        if sends_nonce {
            headers.set(&CACHE_CONTROL, "no-store")?;
            for name in [ETAG, LAST_MODIFIED, EXPIRES] {
                remove_if_there(headers, &name)?;
            }
        }
        Ok(())
    }
}

/// Whether a response says nothing about what is shown: a 304, or one before the response itself.
fn is_without_content(response: &mut ResponseHeaders) -> Result<bool> {
    let status = response.status()?.unwrap_or_default();
    Ok(matches!(status, 100..=199 | 304))
}

/// Removes a header from headers that were read: most do not have it, and that is known without
/// a host call.
fn remove_if_there(headers: &mut HeadersMut, name: &HeaderName) -> Result<()> {
    if headers.contains(name.as_str())? {
        headers.remove(name)?;
    }
    Ok(())
}

/// Sends what both policies allow in one, where one can say it. `false`: nothing is
/// written.
fn merge(sending: &Sending, nonce: Option<Nonce>, response: &mut ResponseHeaders) -> Result<bool> {
    let headers = response.headers();
    let mut merged = sending.policy.clone();
    let mut is_alone = true;
    for theirs in headers.get_all(sending.header.as_str())? {
        let Ok(text) = str::from_utf8(theirs) else {
            return Ok(false);
        };
        for theirs in PolicyList::parse(text).0.policies() {
            is_alone = false;
            match policy::intersect(&merged, theirs) {
                Some(both) => merged = both,
                None => return Ok(false),
            }
        }
    }
    if is_alone {
        return Ok(false);
    }
    let value = write(&Template::new(&merged), nonce)?;
    headers.set(&sending.header, &value)?;
    Ok(true)
}

/// Whether a page can be looked at, and through which coding.
fn look(content_type: &[u8], response: &mut ResponseHeaders) -> Result<Option<Coding>> {
    let essence = essence(content_type);
    let is_page = ContentType::PAGES
        .iter()
        .any(|page| essence.eq_ignore_ascii_case(page.as_bytes()));
    // A part of a page cannot be told where it begins (RFC 9110, section 15.3.7).
    if !is_page || matches!(response.status()?, Some(204..=206)) {
        return Ok(None);
    }
    let headers = response.headers();
    // RFC 9111, section 5.2.2.6
    let is_no_transform =
        |directive: &[u8]| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform");
    let forbids = |value: &[u8]| value.split(|byte| *byte == b',').any(is_no_transform);
    if headers.get_all(CACHE_CONTROL.as_str())?.any(forbids) {
        return Ok(None);
    }
    let mut codings = headers.get_all(CONTENT_ENCODING.as_str())?;
    let coding = codings.next().unwrap_or(b"identity");
    Ok(match codings.next() {
        None => Coding::named(coding),
        Some(_) => None,
    })
}

/// Says what is weak in a rule's policies.
fn log_findings(index: usize, rule: &Rule) {
    let name = match &rule.name {
        Some(name) => name.to_string(),
        None => index.to_string(),
    };
    for Sending { header, policy, .. } in &rule.policies {
        for finding in config::findings(header, policy) {
            match finding.severity {
                Severity::High | Severity::Syntax | Severity::Medium => {
                    log::warn!(rule:% = name, header:%; "{finding}");
                }
                Severity::None => {}
                _ => log::info!(rule:% = name, header:%; "{finding}"),
            }
        }
    }
}

fn write(template: &Template, nonce: Option<Nonce>) -> Result<String> {
    let nonce = nonce.as_ref().map_or("", Nonce::as_str);
    let mut value = String::with_capacity(template.len(nonce.len(), &[]));
    template
        .write(nonce, &[], &mut value)
        .map_err(|error| legation::Error::other(error.to_string()))?;
    Ok(value)
}

/// The headers beside the policy.
fn write_headers(rule: &Rule, is_secure: bool, response: &mut ResponseHeaders) -> Result<()> {
    let headers = response.headers();
    for name in &rule.removed {
        headers.remove(name)?;
    }
    for sent in &rule.headers {
        if sent.needs_tls() && !is_secure {
            continue;
        }
        match rule.existing_headers {
            ExistingHeaders::Replace => headers.set(&sent.name, &sent.value)?,
            ExistingHeaders::Keep => {
                headers.add_if_absent(&sent.name, &sent.value)?;
            }
        }
    }
    Ok(())
}
