//! The steps that a request asks for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use legation::callout::{CalloutError, GrpcRequest, HttpRequest, HttpResponse};
use legation::http::Method;
use legation::{Error, Result, clock};

/// What to wait for, or to do.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// `http CLUSTER PATH [MILLISECONDS]`: a callout.
    Http(Box<HttpRequest>),
    /// `both CLUSTER PATH PATH`: two callouts at the same time.
    Both(Box<HttpRequest>, Box<HttpRequest>),
    /// `race CLUSTER PATH MILLISECONDS`: a callout, or a time.
    Race(Box<HttpRequest>, Duration),
    /// `grpc CLUSTER METHOD [MILLISECONDS]`: a call of the service `test.Service`.
    Grpc(Box<GrpcRequest>),
    /// `sleep MILLISECONDS`
    Sleep(Duration),
    /// `buffer BYTES`: the whole body.
    Buffer(usize),
    /// `spawn CLUSTER PATH`: a callout of the plugin's.
    Spawn(String, String),
    /// `reply STATUS`, with what came of the steps so far.
    Reply(u16),
    /// `fail`
    Fail,
    /// `memory`: how many pages the module has.
    Memory,
}

/// What is sent to the service, and comes back.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(string, tag = "1")]
    text: String,
}

impl Step {
    /// Reads steps as a request writes them.
    pub(crate) fn read(text: &str) -> Result<Vec<Self>> {
        let steps = text.split(';').map(str::trim);
        let steps = steps.filter(|step| !step.is_empty());
        steps
            .map(|step| Self::read_one(step).ok_or_else(|| Error::other(format!("`{step}`?"))))
            .collect()
    }

    fn read_one(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let kind = words.next()?;
        let words = words.collect::<Vec<_>>();
        Some(match (kind, words.as_slice()) {
            ("http", [cluster, path]) => Self::Http(Box::new(get(cluster, path))),
            ("http", [cluster, path, time]) => {
                Self::Http(Box::new(get(cluster, path).timeout(milliseconds(time)?)))
            }
            // A body, and bytes that are no text in a header and a trailer.
            ("post", [cluster, path, body]) => {
                let request = HttpRequest::new(*cluster, &Method::POST, *path)
                    .authority("other.example")
                    .header("x-bytes", b"a\xff\x80".to_vec())
                    .body(*body)
                    .trailer("x-trailer", b"t\xff".to_vec());
                Self::Http(Box::new(request))
            }
            ("header", [cluster, name, value]) => {
                Self::Http(Box::new(get(cluster, "/").header(*name, *value)))
            }
            ("line-break", [cluster]) => {
                Self::Http(Box::new(get(cluster, "/").header("x-a", "b\r\nx-c: d")))
            }
            ("atmost", [cluster, path, bytes]) => {
                let bytes = bytes.parse().ok()?;
                Self::Http(Box::new(get(cluster, path).max_response_bytes(bytes)))
            }
            ("both", [cluster, one, other]) => {
                Self::Both(Box::new(get(cluster, one)), Box::new(get(cluster, other)))
            }
            ("race", [cluster, path, time]) => {
                Self::Race(Box::new(get(cluster, path)), milliseconds(time)?)
            }
            ("grpc", [cluster, method]) => Self::Grpc(Box::new(call(cluster, method))),
            ("grpc", [cluster, method, time]) => {
                let call = call(cluster, method).timeout(milliseconds(time)?);
                Self::Grpc(Box::new(call))
            }
            ("sleep", [time]) => Self::Sleep(milliseconds(time)?),
            ("buffer", [bytes]) => Self::Buffer(bytes.parse().ok()?),
            ("spawn", [cluster, path]) => Self::Spawn((*cluster).into(), (*path).into()),
            ("reply", [status]) => Self::Reply(status.parse().ok()?),
            ("fail", []) => Self::Fail,
            ("memory", []) => Self::Memory,
            _ => return None,
        })
    }

    /// Takes the step; what came of it, in as many headers as it has parts.
    pub(crate) async fn take(&self) -> Result<Vec<Vec<u8>>> {
        Ok(match self {
            Self::Http(request) => vec![shown(request.send().await)],
            Self::Both(one, other) => {
                let (one, other) = both(one.send(), other.send()).await;
                vec![shown(one), shown(other)]
            }
            Self::Race(request, time) => {
                let answer = first(request.send(), clock::sleep(*time)).await;
                vec![answer.map_or_else(|| b"too late".to_vec(), shown)]
            }
            Self::Grpc(request) => {
                let answer = request.send::<Message>().await;
                vec![match answer {
                    Ok(message) => format!("grpc {}", message.text).into_bytes(),
                    Err(error) => failed(&error),
                }]
            }
            Self::Sleep(time) => {
                let before = clock::now()?;
                clock::sleep(*time).await?;
                let slept = clock::now()?.duration_since(before).unwrap_or_default();
                vec![format!("slept {}", slept.as_millis()).into_bytes()]
            }
            Self::Memory => vec![format!("pages {}", memory_pages()).into_bytes()],
            Self::Fail => return Err(Error::other("asked to fail")),
            Self::Buffer(_) | Self::Spawn(..) | Self::Reply(_) => {
                return Err(Error::other("not here"));
            }
        })
    }
}

fn get(cluster: &str, path: &str) -> HttpRequest {
    HttpRequest::get(cluster, path)
}

fn call(cluster: &str, method: &str) -> GrpcRequest {
    let message = Message {
        text: "asked".to_owned(),
    };
    GrpcRequest::new(cluster, "test.Service", method, &message)
        .metadata("x-metadata", b"m\xff".to_vec())
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

/// `200 BODY`, and the header `x-answer` and the trailer `x-trailer` if there are.
fn shown(answer: Result<HttpResponse, CalloutError>) -> Vec<u8> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return failed(&error),
    };
    let mut shown = answer.status().to_string().into_bytes();
    shown.push(b' ');
    match answer.body() {
        body if body.len() > 200 => shown.extend(body.len().to_string().into_bytes()),
        body => shown.extend(body),
    }
    for value in [answer.header("x-answer"), answer.trailer("x-trailer")]
        .into_iter()
        .flatten()
    {
        shown.push(b' ');
        shown.extend(value);
    }
    shown
}

fn failed(error: &CalloutError) -> Vec<u8> {
    format!("{error:?}").into_bytes()
}

fn memory_pages() -> usize {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_size::<0>();
    #[cfg(not(target_family = "wasm"))]
    return 0;
}

/// Both futures' outcomes.
async fn both<A: Future, B: Future>(one: A, other: B) -> (A::Output, B::Output) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(outcome) = one.as_mut().poll(context)
        {
            first = Some(outcome);
        }
        if second.is_none()
            && let Poll::Ready(outcome) = other.as_mut().poll(context)
        {
            second = Some(outcome);
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// The first future's outcome, unless the other is ready before.
async fn first<A: Future>(one: A, other: impl Future) -> Option<A::Output> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => other.as_mut().poll(context).map(|_| None),
    })
    .await
}
