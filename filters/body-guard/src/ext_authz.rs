//! The outside service that judges requests: asked over gRPC as
//! `envoy.service.auth.v3.Authorization`, or over HTTP, as Envoy's own filter `ext_authz` asks.

mod answer;
mod question;
mod wire;

use std::collections::BTreeMap;

use legation::callout::CalloutError;
use legation::http::{HeaderName, HeaderValue};
use legation::resilience::{HttpService, Repeat, Trouble};
use legation::{Configure, RequestHeaders, Result};

use crate::config::{self, HeaderToAdd, Patterns};
use crate::counts::ExtAuthzCounts;
use answer::Useless;
pub(crate) use answer::{Answer, Change};
use question::Showing;
pub(crate) use question::Shown;
use wire::CheckResponse;

/// The service.
#[derive(Debug)]
pub(crate) struct ExtAuthz {
    service: HttpService,
    protocol: Protocol,
    showing: Showing,
    /// How many bytes of a body it is shown at most, and whether it judges longer ones by these.
    pub(crate) max_request_bytes: usize,
    pub(crate) allow_partial_message: bool,
    pub(crate) failure_mode_allow: bool,
    pub(crate) status_on_error: u16,
    trouble: Trouble,
}

/// How it is asked.
#[derive(Debug)]
enum Protocol {
    Grpc(Grpc),
    Http(Http),
}

#[derive(Debug)]
struct Grpc {
    authority: Box<str>,
    pack_as_bytes: bool,
    context_extensions: BTreeMap<String, String>,
    metadata: Headers,
}

#[derive(Debug)]
struct Http {
    path_prefix: Box<str>,
    headers_to_add: Headers,
    upstream_headers: Option<Patterns>,
    upstream_headers_to_append: Option<Patterns>,
    client_headers: Option<Patterns>,
    client_headers_on_success: Option<Patterns>,
}

type Headers = Box<[(HeaderName, HeaderValue)]>;

/// The service is of no help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// It did not answer, or that it has failed, or what is no answer at all.
    NoAnswer,
    /// It answered what cannot be done or taken. What it would have said is not known, and no
    /// request goes on by that.
    Invalid,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Callout(#[from] CalloutError),
    #[error("the answer is none: {0}")]
    Answer(#[from] Useless),
}

impl Failure {
    fn kind(&self) -> Failed {
        match self {
            Self::Callout(CalloutError::TooLarge { .. })
            | Self::Answer(Useless::Change | Useless::TooLarge) => Failed::Invalid,
            Self::Callout(_) | Self::Answer(Useless::Unclear | Useless::Failed) => Failed::NoAnswer,
        }
    }
}

impl ExtAuthz {
    /// Defines the statistics of the service: ten host calls.
    pub(crate) fn new(config: &config::ExtAuthz, host: &mut Configure) -> Self {
        let body = &config.with_request_body;
        let protocol = if let Some(http) = config.http() {
            Protocol::Http(Http::new(http))
        } else {
            Protocol::Grpc(Grpc::new(config))
        };
        Self {
            service: HttpService::new(&config.service(), host),
            protocol,
            showing: Showing {
                allowed: config.allowed_headers.0.clone(),
                disallowed: config.disallowed_headers.0.clone(),
            },
            max_request_bytes: body.max_request_bytes(),
            allow_partial_message: body.allow_partial_message,
            failure_mode_allow: config.failure_mode_allow,
            status_on_error: config.status_on_error(),
            trouble: Trouble::default(),
        }
    }

    /// Asks the service about a request: one callout.
    ///
    /// The error outside is the host's, which could not say what the request is.
    pub(crate) async fn ask(
        &self,
        request: &mut RequestHeaders,
        body: &Shown<'_>,
        counts: &ExtAuthzCounts,
    ) -> Result<Result<Answer, Failed>> {
        let cluster = self.service.cluster();
        // A check is one however often it is made: that it is a POST says nothing of that.
        let answer = match &self.protocol {
            Protocol::Grpc(grpc) => {
                let call = question::grpc(cluster, grpc, &self.showing, request, body)?;
                let sent = self.service.send_grpc::<CheckResponse>(call, Repeat::Safe);
                sent.await
                    .map_err(Failure::from)
                    .and_then(|answer| Ok(Answer::try_from(answer)?))
            }
            Protocol::Http(http) => {
                let call = question::http(cluster, http, &self.showing, request, body)?;
                let sent = self.service.send_as(call, Repeat::Safe);
                sent.await
                    .map_err(Failure::from)
                    .and_then(|answer| Ok(Answer::of_http(answer, http)?))
            }
        };
        Ok(match answer {
            Ok(answer) => {
                if self.trouble.ends() {
                    log::info!("the outside check answers again");
                }
                let tally = match answer {
                    Answer::Ok(_) => &counts.ok,
                    Answer::Denied(_) => &counts.denied,
                };
                tally.add(1);
                Ok(answer)
            }
            Err(error) => {
                let failed = error.kind();
                let tally = match failed {
                    Failed::NoAnswer => &counts.error,
                    Failed::Invalid => &counts.invalid,
                };
                tally.add(1);
                log::log!(self.trouble.begins(), error:%; "the outside check is of no help");
                Err(failed)
            }
        })
    }
}

impl Grpc {
    fn new(config: &config::ExtAuthz) -> Self {
        let grpc = config.grpc();
        let authority = grpc.and_then(config::GrpcService::authority);
        Self {
            authority: authority.unwrap_or_default().into(),
            pack_as_bytes: config.with_request_body.pack_as_bytes,
            context_extensions: config.context_extensions.iter().cloned().collect(),
            metadata: grpc
                .map(|grpc| headers(&grpc.initial_metadata))
                .unwrap_or_default(),
        }
    }
}

impl Http {
    fn new(http: &config::HttpService) -> Self {
        let added = http.authorization_request.0.as_ref();
        let allowed = http.authorization_response.0.clone().unwrap_or_default();
        Self {
            path_prefix: http.path_prefix().into(),
            headers_to_add: added
                .map(|added| headers(&added.headers_to_add))
                .unwrap_or_default(),
            upstream_headers: allowed.allowed_upstream_headers.0,
            upstream_headers_to_append: allowed.allowed_upstream_headers_to_append.0,
            client_headers: allowed.allowed_client_headers.0,
            client_headers_on_success: allowed.allowed_client_headers_on_success.0,
        }
    }
}

fn headers(given: &[HeaderToAdd]) -> Headers {
    let headers = given.iter();
    headers
        .map(|header| ((*header.key).clone(), (*header.value).clone()))
        .collect()
}

/// Whether a header is about one connection or says where a message ends, or whom it is for: none of
/// these is passed on from one message to another.
fn is_of_one_hop(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 11] = [
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-envoy-upstream-service-time",
    ];
    NAMES.contains(&name)
}
