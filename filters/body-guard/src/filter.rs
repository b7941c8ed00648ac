//! When things happen.

use std::ops::ControlFlow;
use std::time::Duration;

use legation::attributes::RESPONSE_CODE_DETAILS;
use legation::config::ConfigErrors;
use legation::headers::HeadersMut;
use legation::http::HeaderName;
use legation::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_RANGE,
    RANGE, UPGRADE,
};
use legation::{
    Configure, Error, Flow, HttpFilter, RequestBody, RequestHeaders, ResponseBody, ResponseHeaders,
    ResponseTrailers, Result,
};

use crate::config::Config;
use crate::counts::{Counts, Direction};
use crate::ext_authz::{Answer, Change, ExtAuthz, Failed, Shown};
use crate::guard::{Guard, Once, Reader, Said};
use crate::refusal::{Reason, Refusal};
use crate::rules::{self, Found, Rule};

/// How long a count may wait in the module before it shows on `/stats`.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// What a body is of, that are no more true of another: RFC 9530, and what came before it.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// The filter. Made once for each configuration, on each worker.
pub struct BodyGuard {
    rules: Box<[Rule]>,
    counts: Counts,
}

/// What is remembered of a request while it and its response pass.
#[derive(Default)]
pub struct Stream {
    rule: Option<usize>,
    is_head: bool,
    is_grpc: bool,
    /// A body that is measured or read while it flows.
    request: Option<Reader>,
    response: Option<Reader>,
    /// What the outside check has responses get.
    response_headers: Vec<Change>,
}

#[legation::filter]
impl HttpFilter for BodyGuard {
    const NAME: &'static str = "body-guard";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = Stream;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        // A request that is read goes nowhere before all of it is.
        host.allow_on_headers_stop_iteration(true);
        host.tick_every(COUNTS_EVERY);
        if let Some(prefix) = &config.stat_prefix.0 {
            host.stat_prefix(prefix.as_str());
        }
        Ok(Self {
            counts: Counts::new(host),
            rules: Rule::all(&config, host),
        })
    }

    fn on_request_headers_at_once(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        self.look_at_request(stream, request).transpose()
    }

    async fn on_request_headers(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let Some((rule, guard)) = self
            .rule(stream)
            .and_then(|rule| Some((rule, rule.request.as_ref()?)))
        else {
            return Ok(Flow::Continue);
        };
        let read = match stream.request.take() {
            Some(reader) => self.read(stream, rule, guard, reader, request).await?,
            // There is none.
            None => ControlFlow::Continue(Read::default()),
        };
        let read = match read {
            ControlFlow::Continue(read) => read,
            ControlFlow::Break(flow) => return Ok(flow),
        };
        if let Some(service) = &rule.ext_authz
            && let Some(flow) = self.ask(stream, rule, service, &read, request).await?
        {
            return Ok(flow);
        }
        if !read.body.is_empty() {
            self.counts.passed(Direction::Request, read.redacted);
        }
        Ok(stream.after_request(rule))
    }

    fn on_request_body(&self, stream: &mut Stream, request: &mut RequestBody) -> Result<Flow> {
        let Some((rule, reader)) = self.rule(stream).zip(stream.request.as_mut()) else {
            return Ok(Flow::Continue);
        };
        if let Err(refusal) = reader.pass(request.size()) {
            stream.request = None;
            return Ok(self.refuse_request(stream, rule, &refusal));
        }
        if request.is_end_of_stream() {
            let is_empty = reader.is_empty();
            stream.request = None;
            if is_empty && let Some(guard) = &rule.request {
                let refused = self.without_body(stream, rule, guard);
                return Ok(refused.unwrap_or(stream.after_request(rule)));
            }
            self.counts.passed(Direction::Request, 0);
        }
        Ok(Flow::Continue)
    }

    fn on_response_headers(
        &self,
        stream: &mut Stream,
        response: &mut ResponseHeaders,
    ) -> Result<Flow> {
        for change in stream.response_headers.drain(..) {
            change.make(response.headers())?;
        }
        let Some((rule, guard)) = self
            .rule(stream)
            .and_then(|rule| Some((rule, rule.response.as_ref()?)))
        else {
            return Ok(Flow::Finish);
        };
        if is_local(response)? {
            return Ok(Flow::Finish);
        }
        let status = response.status()?.unwrap_or_default();
        let has_body = !response.is_end_of_stream() && !stream.is_head;
        // RFC 9110, sections 15.2, 15.3.5 and 15.4.5
        if matches!(status, 100..=199 | 204 | 304) {
            return Ok(stream.without_response_body(response));
        }
        let is_partial = status == 206 && guard.reads;
        let looked = if is_partial && has_body {
            let detail = "a part of a body cannot be read";
            Err(Refusal::new(Reason::Partial, detail))
        } else {
            guard.look(&said(response.headers(), has_body)?)
        };
        let reader = match looked {
            Ok(reader) => reader,
            // The answer to a HEAD has nothing to be refused for.
            Err(_) if !has_body => return Ok(stream.without_response_body(response)),
            Err(refusal) => return Ok(self.refuse_response(stream, rule, &refusal)),
        };
        if rule.is_enforced && reader.changes {
            let headers = response.headers();
            for name in [CONTENT_LENGTH, ETAG, ACCEPT_RANGES] {
                remove_if_there(headers, &name)?;
            }
            remove_digests(headers)?;
            if reader.is_decoded {
                headers.remove(&CONTENT_ENCODING)?;
            }
        }
        if !has_body {
            return Ok(stream.without_response_body(response));
        }
        stream.response = Some(reader);
        Ok(Flow::Continue)
    }

    fn on_response_body(&self, stream: &mut Stream, response: &mut ResponseBody) -> Result<Flow> {
        let Some((rule, reader)) = self.rule(stream).zip(stream.response.as_mut()) else {
            return Ok(Flow::Finish);
        };
        let is_last = response.is_end_of_stream();
        if reader.measures_only() {
            if let Err(refusal) = reader.pass(response.size()) {
                return Ok(self.refuse_response(stream, rule, &refusal));
            }
            if is_last {
                self.counts.passed(Direction::Response, 0);
            }
            return Ok(Flow::Continue);
        }
        let piece = response.read(0, response.size())?;
        if piece.len() != response.size() {
            return Err(Error::other("the host gave less of a body than there is"));
        }
        let mut out = Vec::with_capacity(piece.len());
        let read = reader.push(&piece, &mut out);
        let read = match read {
            Ok(()) if is_last => reader.finish(&mut out).map(Some),
            Ok(()) => Ok(None),
            Err(refusal) => Err(refusal),
        };
        let changes = reader.changes && rule.is_enforced;
        match read {
            Ok(None) => {}
            Ok(Some(redacted)) => {
                stream.response = None;
                self.counts.passed(Direction::Response, redacted);
            }
            Err(refusal) => return Ok(self.refuse_response(stream, rule, &refusal)),
        }
        if changes && out != piece {
            response.replace(&out)?;
        }
        Ok(Flow::Continue)
    }

    fn on_response_trailers(&self, stream: &mut Stream, _: &mut ResponseTrailers) -> Result<Flow> {
        let Some((rule, mut reader)) = self.rule(stream).zip(stream.response.take()) else {
            return Ok(Flow::Continue);
        };
        let mut out = Vec::new();
        let read = reader.finish(&mut out);
        // Nothing can be added to the body any more: what is missing is seen to be missing.
        let read = read.and_then(|redacted| {
            if reader.changes && !out.is_empty() {
                let detail = "trailers follow a text whose last line has no end";
                return Err(Refusal::new(Reason::Trailers, detail));
            }
            Ok(redacted)
        });
        match read {
            Ok(redacted) => self.counts.passed(Direction::Response, redacted),
            Err(refusal) => return Ok(self.refuse_response(stream, rule, &refusal)),
        }
        Ok(Flow::Continue)
    }

    fn on_tick(&self) {
        self.counts.flush();
    }
}

/// A request's body, when all of it is here.
#[derive(Default)]
struct Read {
    /// As it was read, with nothing in it that does not pass.
    body: Vec<u8>,
    /// How many values and places were redacted.
    redacted: u64,
    /// Whether it came compressed.
    is_decoded: bool,
}

impl Stream {
    /// Where a request goes that may go on.
    fn after_request(&self, rule: &Rule) -> Flow {
        if rule.response.is_some() || !self.response_headers.is_empty() {
            Flow::Continue
        } else {
            Flow::Finish
        }
    }

    /// Where a response goes that has no body. By HTTP/2 an upstream may send one all the same: it
    /// does not pass unread.
    fn without_response_body(&mut self, response: &ResponseHeaders) -> Flow {
        if response.is_end_of_stream() {
            return Flow::Finish;
        }
        self.response = Some(Reader::of_nothing());
        Flow::Continue
    }
}

impl BodyGuard {
    fn rule(&self, stream: &Stream) -> Option<&Rule> {
        self.rules.get(stream.rule?)
    }

    /// Looks at a request's headers. `None` where its body is to be read before it goes on.
    fn look_at_request(
        &self,
        stream: &mut Stream,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        let found = rules::find(&self.rules, request)?;
        let (index, is_ambiguous) = match found {
            Found::No => {
                self.counts.unmatched.add(1);
                return Ok(Some(Flow::Finish));
            }
            Found::One(index) => (index, false),
            Found::Ambiguous(index) => (index, true),
        };
        let Some(rule) = self.rules.get(index) else {
            return Err(Error::other("a rule that is none"));
        };
        stream.rule = Some(index);
        stream.is_head = request.method()? == Some(b"HEAD");
        stream.is_grpc = request.is_grpc()?;
        if is_ambiguous {
            let detail =
                "servers read the path in more ways than one, and different rules are for these";
            let refusal = Refusal::new(Reason::AmbiguousPath, detail);
            return Ok(Some(self.refuse_request(stream, rule, &refusal)));
        }
        let is_connect = request.method()? == Some(b"CONNECT");
        if is_connect || request.headers().contains(UPGRADE.as_str())? {
            let detail = "what follows an upgrade cannot be read";
            let refusal = Refusal::new(Reason::Upgrade, detail);
            return Ok(Some(self.refuse_request(stream, rule, &refusal)));
        }
        if rule.is_enforced && rule.response.as_ref().is_some_and(|guard| guard.reads) {
            ask_for_what_can_be_read(request.headers())?;
        }
        let Some(guard) = &rule.request else {
            return Ok(Some(Flow::Continue));
        };
        if request.is_end_of_stream() {
            let refused = self.without_body(stream, rule, guard);
            let is_asked = refused.is_none() && rule.ext_authz.is_some();
            return Ok((!is_asked).then(|| refused.unwrap_or(stream.after_request(rule))));
        }
        let reader = match guard.look(&said(request.headers(), true)?) {
            Ok(reader) => reader,
            Err(refusal) => return Ok(Some(self.refuse_request(stream, rule, &refusal))),
        };
        // Of what is asked about nothing goes on, whatever its type is.
        let is_held = !reader.measures_only() || rule.ext_authz.is_some();
        stream.request = Some(reader);
        Ok((!is_held).then_some(Flow::Continue))
    }

    /// What becomes of a request that has no body, where there must be one.
    fn without_body(&self, stream: &mut Stream, rule: &Rule, guard: &Guard) -> Option<Flow> {
        guard.required.then(|| {
            let refusal = Refusal::new(Reason::Missing, "the request has no body");
            self.refuse_request(stream, rule, &refusal)
        })
    }

    /// Reads the body of a request when all of it is here.
    async fn read(
        &self,
        stream: &mut Stream,
        rule: &Rule,
        guard: &Guard,
        mut reader: Reader,
        request: &mut RequestHeaders,
    ) -> Result<ControlFlow<Flow, Read>> {
        let max_bytes = guard.max_bytes.unwrap_or(u64::MAX);
        let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let body = match request.buffer_body(most).await {
            Ok(body) => body,
            Err(Error::BodyTooLarge { .. }) => {
                let refusal = Refusal::too_large(max_bytes);
                return Ok(ControlFlow::Break(
                    self.refuse_request(stream, rule, &refusal),
                ));
            }
            Err(error) => return Err(error),
        };
        if body.is_empty() {
            return Ok(match self.without_body(stream, rule, guard) {
                Some(flow) => ControlFlow::Break(flow),
                None => ControlFlow::Continue(Read::default()),
            });
        }
        let mut out = Vec::with_capacity(body.len());
        let read = reader.push(&body, &mut out);
        let redacted = match read.and_then(|()| reader.finish(&mut out)) {
            Ok(redacted) => redacted,
            Err(refusal) => {
                return Ok(ControlFlow::Break(
                    self.refuse_request(stream, rule, &refusal),
                ));
            }
        };
        if rule.is_enforced && out != body {
            let headers = request.headers();
            if reader.is_decoded {
                headers.remove(&CONTENT_ENCODING)?;
            }
            remove_digests(headers)?;
            request.replace_body(&out)?;
        }
        Ok(ControlFlow::Continue(Read {
            body: out,
            redacted,
            is_decoded: reader.is_decoded,
        }))
    }

    /// Asks who else judges a request. `None`: it goes on.
    ///
    /// In report mode too it is shown what our own rules have left of the body: what must not
    /// leave here does not go to whoever judges it either.
    async fn ask(
        &self,
        stream: &mut Stream,
        rule: &Rule,
        service: &ExtAuthz,
        read: &Read,
        request: &mut RequestHeaders,
    ) -> Result<Option<Flow>> {
        let most = service.max_request_bytes;
        let bytes = match read.body.get(..most) {
            None => &*read.body,
            Some(part) if service.allow_partial_message || part.len() == read.body.len() => part,
            Some(_) => {
                let most = u64::try_from(most).unwrap_or(u64::MAX);
                let refusal = Refusal::too_large(most);
                return Ok(Some(self.refuse_request(stream, rule, &refusal)));
            }
        };
        let shown = Shown {
            bytes,
            whole: read.body.len(),
            is_decoded: read.is_decoded,
        };
        let counts = &self.counts.ext_authz;
        match service.ask(request, &shown, counts).await? {
            Ok(Answer::Ok(allowed)) => {
                if rule.is_enforced {
                    allowed.change(request.headers())?;
                    stream.response_headers = allowed.response;
                }
                Ok(None)
            }
            Ok(Answer::Denied(denied)) => {
                let detail = "the outside check denies it";
                let refusal = Refusal::new(Reason::ExtAuthzDenied, detail);
                let flow = self.refuse_request(stream, rule, &refusal);
                Ok(Some(if rule.is_enforced {
                    denied.reply(stream.is_grpc).into()
                } else {
                    flow
                }))
            }
            Err(Failed::NoAnswer) if service.failure_mode_allow => {
                counts.failure_mode_allowed.add(1);
                Ok(None)
            }
            Err(Failed::NoAnswer | Failed::Invalid) => {
                let refusal = Refusal::unchecked(service.status_on_error);
                Ok(Some(self.refuse_request(stream, rule, &refusal)))
            }
        }
    }

    /// What becomes of a request that breaks a rule.
    fn refuse_request(&self, stream: &mut Stream, rule: &Rule, refusal: &Refusal) -> Flow {
        self.tell(rule, Direction::Request, refusal);
        if rule.is_enforced {
            // Its answer is ours.
            stream.rule = None;
            return refusal.reply(stream.is_grpc).into();
        }
        stream.after_request(rule)
    }

    /// What becomes of a response that breaks a rule. When its headers are gone it ends as one that was
    /// cut off.
    fn refuse_response(&self, stream: &mut Stream, rule: &Rule, refusal: &Refusal) -> Flow {
        self.tell(rule, Direction::Response, refusal);
        stream.response = None;
        if rule.is_enforced {
            refusal.bad_gateway().into()
        } else {
            Flow::Finish
        }
    }

    fn tell(&self, rule: &Rule, direction: Direction, refusal: &Refusal) {
        let is_enforced = rule.is_enforced;
        self.counts.refused(direction, refusal.reason, is_enforced);
        let rule = &*rule.name;
        let direction = direction.as_str();
        let reason = refusal.reason.as_str();
        let detail = &*refusal.sentence();
        if is_enforced {
            log::info!(rule, direction, reason, detail; "refused for its body");
        } else {
            log::info!(rule, direction, reason, detail; "would be refused for its body");
        }
    }
}

/// What headers say of a body.
fn said(headers: &mut HeadersMut, has_body: bool) -> Result<Said> {
    Ok(Said {
        // What a HEAD's answer would have is no body's length here.
        length: if has_body {
            headers.get(CONTENT_LENGTH.as_str())?.map(<[u8]>::to_vec)
        } else {
            None
        },
        media_type: once(headers, &CONTENT_TYPE)?,
        coding: once(headers, &CONTENT_ENCODING)?,
    })
}

/// A header that may stand once.
fn once(headers: &mut HeadersMut, name: &HeaderName) -> Result<Once> {
    let mut values = headers.get_all(name.as_str())?;
    Ok(match (values.next(), values.next()) {
        (None, _) => Once::Absent,
        (Some(value), None) => Once::Value(value.to_vec()),
        (Some(_), Some(_)) => Once::Repeated,
    })
}

/// Asks for a whole body, and one that is not compressed: its masks are looked for in it.
fn ask_for_what_can_be_read(headers: &mut HeadersMut) -> Result<()> {
    if headers.contains(ACCEPT_ENCODING.as_str())? {
        headers.set(&ACCEPT_ENCODING, "identity")?;
    }
    for name in [RANGE, IF_RANGE] {
        remove_if_there(headers, &name)?;
    }
    Ok(())
}

/// Whether a response is none of the upstream's: Envoy's own, or another filter's.
fn is_local(response: &ResponseHeaders) -> Result<bool> {
    let details = response.attribute(RESPONSE_CODE_DETAILS)?;
    Ok(details.is_some_and(|details| !details.is_empty() && details != b"via_upstream"))
}

fn remove_digests(headers: &mut HeadersMut) -> Result<()> {
    DIGESTS
        .iter()
        .try_for_each(|name| remove_if_there(headers, name))
}

/// Removes a header from headers that were read: most do not have it, and that is known without
/// a host call.
fn remove_if_there(headers: &mut HeadersMut, name: &HeaderName) -> Result<()> {
    if headers.contains(name.as_str())? {
        headers.remove(name)?;
    }
    Ok(())
}
