//! What the service says of a request, and what of it is done.

use legation::callout::HttpResponse;
use legation::headers::HeadersMut;
use legation::http::{HeaderName, HeaderValue};
use legation::{LocalReply, Result};

use super::wire::{self, CheckResponse};
use super::{Http, is_of_one_hop};

/// Which status a refusal has for which the service gives none.
const FORBIDDEN: u16 = 403;

/// So many headers of an answer are taken, and so many bytes of them: what Envoy takes in a
/// request, unless it is told otherwise.
const MOST_HEADERS: usize = 100;
const MOST_BYTES: usize = 60 * 1024;

/// Names of headers that are taken off the request, over HTTP.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok(Allowed),
    Denied(Denied),
}

/// What goes on with a request that is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    request: Vec<Change>,
    remove: Vec<HeaderName>,
    /// What the response gets.
    pub(crate) response: Vec<Change>,
}

/// What the client gets of a request that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

/// A header that is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    name: HeaderName,
    value: HeaderValue,
    how: How,
}

/// `HeaderAppendAction`, and what there was before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Behind the value that is there, if one is.
    JoinIfExists,
    AppendIfExistsOrAdd,
    AddIfAbsent,
    OverwriteIfExistsOrAdd,
    OverwriteIfExists,
}

/// Why an answer is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Useless {
    /// Nothing is said.
    #[error("it says neither yes nor no")]
    Unclear,
    /// The service says that it has none.
    #[error("it says that it has failed")]
    Failed,
    /// It would have something done to the request that is not done here.
    #[error("it asks for a change that may not be made")]
    Change,
    /// There is more of it than is taken.
    #[error("it has too many headers")]
    TooLarge,
}

impl Change {
    /// Makes the change.
    pub(crate) fn make(&self, headers: &mut HeadersMut) -> Result<()> {
        let (name, value) = (&self.name, &self.value);
        match self.how {
            How::JoinIfExists => {
                let there = headers.get_all(name.as_str())?.collect::<Vec<_>>();
                if there.is_empty() {
                    return Ok(());
                }
                let joined = [&there.join(&b','), value.as_bytes()].join(&b',');
                headers.set(name, joined)
            }
            How::AppendIfExistsOrAdd => headers.append(name, value),
            How::AddIfAbsent => headers.add_if_absent(name, value).map(drop),
            How::OverwriteIfExistsOrAdd => headers.set(name, value),
            How::OverwriteIfExists => headers.overwrite_if_exists(name, value).map(drop),
        }
    }
}

impl Allowed {
    /// Makes the changes of the request.
    pub(crate) fn change(&self, headers: &mut HeadersMut) -> Result<()> {
        for change in &self.request {
            change.make(headers)?;
        }
        for name in &self.remove {
            if headers.contains(name.as_str())? {
                headers.remove(name)?;
            }
        }
        Ok(())
    }

    /// Whether it is more than Envoy would take.
    fn check(self) -> Result<Self, Useless> {
        let changes = self.request.iter().chain(&self.response);
        let changes = changes.map(|change| (&change.name, &change.value));
        if is_too_much(changes) || self.remove.len() > MOST_HEADERS {
            return Err(Useless::TooLarge);
        }
        Ok(self)
    }
}

impl Denied {
    /// The answer to the request.
    pub(crate) fn reply(self, is_grpc: bool) -> LocalReply {
        let mut reply = LocalReply::new(self.status)
            .body(self.body)
            .details("body_guard_ext_authz_denied");
        for (name, value) in self.headers {
            // A gRPC answer has a type of its own.
            if !(is_grpc && name == "content-type") {
                reply = reply.header(name.as_str(), value.as_bytes());
            }
        }
        reply
    }

    /// A refusal is one whatever is wrong with it: without headers, where there are too many.
    fn new(status: Option<u16>, headers: Vec<(HeaderName, HeaderValue)>, body: Vec<u8>) -> Self {
        let too_many = is_too_much(headers.iter().map(|(name, value)| (name, value)));
        Self {
            // What is none of a whole answer's is `403`.
            status: status
                .filter(|status| (200..=599).contains(status))
                .unwrap_or(FORBIDDEN),
            headers: if too_many { Vec::new() } else { headers },
            body,
        }
    }
}

fn is_too_much<'a>(headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> bool {
    let (count, bytes) = headers.fold((0_usize, 0_usize), |(count, bytes), (name, value)| {
        let size = name.as_str().len().saturating_add(value.len());
        (count.saturating_add(1), bytes.saturating_add(size))
    });
    count > MOST_HEADERS || bytes > MOST_BYTES
}

impl TryFrom<CheckResponse> for Answer {
    type Error = Useless;

    fn try_from(response: CheckResponse) -> Result<Self, Useless> {
        let code = response.status.map(|status| status.code);
        if response.error_response.is_some() {
            return Err(Useless::Failed);
        }
        // What says both is a refusal.
        if code.is_some_and(|code| code != 0) || response.denied_response.is_some() {
            return Ok(Self::denied(response.denied_response.unwrap_or_default()));
        }
        // The empty message, which is any number of things gone wrong.
        if code.is_none() && response.ok_response.is_none() {
            return Err(Useless::Unclear);
        }
        let ok = response.ok_response.unwrap_or_default();
        if !ok.query_parameters_to_set.is_empty() || !ok.query_parameters_to_remove.is_empty() {
            return Err(Useless::Change);
        }
        let changes = |given: Vec<wire::HeaderValueOption>| {
            let changes = given.into_iter().map(Change::try_from);
            changes.collect::<Result<Vec<_>, _>>()
        };
        let remove = ok.headers_to_remove.iter();
        let remove = remove.filter_map(|name| removable(name.as_bytes()));
        let allowed = Allowed {
            request: changes(ok.headers)?,
            remove: remove.collect(),
            response: changes(ok.response_headers_to_add)?
                .into_iter()
                .map(Change::of_response)
                .collect(),
        };
        allowed.check().map(Self::Ok)
    }
}

/// A name that may be taken off a request. As in Envoy, others are left where they are.
fn removable(name: &[u8]) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(name.trim_ascii()).ok()?;
    (!is_of_one_hop(name.as_str().as_bytes())).then_some(name)
}

impl TryFrom<wire::HeaderValueOption> for Change {
    type Error = Useless;

    fn try_from(given: wire::HeaderValueOption) -> Result<Self, Useless> {
        let header = given.header.ok_or(Useless::Change)?;
        let how = match (given.append, given.append_action) {
            (Some(append), _) if append.value => How::JoinIfExists,
            // Where nothing is said what a client sent does not stay beside it: as Envoy 1.40 has it.
            (Some(_), _) | (None, 0 | 2) => How::OverwriteIfExistsOrAdd,
            (None, 1) => How::AddIfAbsent,
            (None, 3) => How::OverwriteIfExists,
            _ => return Err(Useless::Change),
        };
        let value = if header.raw_value.is_empty() {
            header.value.into_bytes()
        } else {
            header.raw_value
        };
        // That of a pseudo-header is none: where a request goes is not the service's to say.
        let name = HeaderName::from_bytes(header.key.as_bytes()).map_err(|_| Useless::Change)?;
        if is_of_one_hop(name.as_str().as_bytes()) {
            return Err(Useless::Change);
        }
        let value = HeaderValue::from_bytes(&value).map_err(|_| Useless::Change)?;
        Ok(Self { name, value, how })
    }
}

impl Change {
    /// As it is meant for a response, which has no header of a client's to be joined.
    fn of_response(self) -> Self {
        let how = match self.how {
            How::JoinIfExists => How::AppendIfExistsOrAdd,
            how => how,
        };
        Self { how, ..self }
    }
}

impl Answer {
    fn denied(denied: wire::DeniedHttpResponse) -> Self {
        let code = denied.status.map(|status| status.code);
        let headers = denied.headers.into_iter();
        // The request goes nowhere: what cannot be sent is left out.
        let headers = headers.filter_map(|header| Change::try_from(header).ok());
        Self::Denied(Denied::new(
            code.and_then(|code| u16::try_from(code).ok()),
            headers.map(|header| (header.name, header.value)).collect(),
            denied.body,
        ))
    }

    /// Of an answer over HTTP.
    pub(super) fn of_http(response: HttpResponse, http: &Http) -> Result<Self, Useless> {
        let status = response.status();
        if status >= 500 {
            return Err(Useless::Failed);
        }
        let own = response.headers().all().filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name).ok()?;
            let name = (!is_of_one_hop(name.as_str().as_bytes())).then_some(name)?;
            Some((name, HeaderValue::from_bytes(value).ok()?))
        });
        if status != 200 {
            let always = ["www-authenticate", "location"];
            let own = own.filter(|(name, _)| name != TO_REMOVE);
            let headers = own.filter(|(name, _)| {
                let is_in = http.client_headers.as_ref();
                is_in.is_none_or(|allowed| allowed.matches(name.as_str().as_bytes()))
                    || always.contains(&name.as_str())
            });
            let headers = headers.collect();
            let denied = Denied::new(Some(status), headers, response.into_body());
            return Ok(Self::Denied(denied));
        }
        let mut allowed = Allowed::default();
        for (name, value) in own {
            let is_in = |patterns: &Option<crate::config::Patterns>| {
                let patterns = patterns.as_ref();
                patterns.is_some_and(|patterns| patterns.matches(name.as_str().as_bytes()))
            };
            let change = |how| Change {
                name: name.clone(),
                value: value.clone(),
                how,
            };
            if name == TO_REMOVE {
                let names = value.as_bytes().split(|byte| *byte == b',');
                allowed.remove.extend(names.filter_map(removable));
                continue;
            }
            if is_in(&http.upstream_headers) {
                // Of a name that comes twice, the second stands beside the first.
                let is_there = allowed.request.iter().any(|change| change.name == name);
                allowed.request.push(change(if is_there {
                    How::AppendIfExistsOrAdd
                } else {
                    How::OverwriteIfExistsOrAdd
                }));
            }
            if is_in(&http.upstream_headers_to_append) {
                allowed.request.push(change(How::AppendIfExistsOrAdd));
            }
            if is_in(&http.client_headers_on_success) {
                allowed.response.push(change(How::AppendIfExistsOrAdd));
            }
        }
        allowed.check().map(Self::Ok)
    }
}
