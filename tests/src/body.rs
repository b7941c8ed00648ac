//! The body of a request or an answer, as a script of what is sent when.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;

use crate::headers::Headers;

/// What hyper's client and servers here send.
pub(crate) type Outgoing = BoxBody<Bytes, anyhow::Error>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) steps: Vec<Step>,
    pub(crate) trailers: Headers,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Data(Bytes),
    Wait(Duration),
    /// The connection (the stream, in HTTP/2) is cut off here.
    Cut,
}

impl Body {
    pub(crate) fn push(&mut self, data: impl AsRef<[u8]>) {
        let data = Bytes::copy_from_slice(data.as_ref());
        self.steps.push(Step::Data(data));
    }

    /// All its data, for printing.
    pub(crate) fn data(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for step in &self.steps {
            if let Step::Data(data) = step {
                all.extend_from_slice(data);
            }
        }
        all
    }

    /// A body whose length is known goes out at once; any other by a task.
    pub(crate) fn into_outgoing(self) -> Result<Outgoing> {
        let trailers = self.trailers.to_map()?;
        match (self.steps.as_slice(), trailers.is_empty()) {
            ([], true) => Ok(known_length(Bytes::new())),
            ([Step::Data(data)], true) => Ok(known_length(data.clone())),
            _ => Ok(streamed(self.steps, trailers)),
        }
    }
}

fn known_length(data: Bytes) -> Outgoing {
    Full::new(data).map_err(|never| match never {}).boxed()
}

fn streamed(steps: Vec<Step>, trailers: HeaderMap) -> Outgoing {
    let (sender, frames) = mpsc::channel(1);
    tokio::spawn(async move {
        for step in steps {
            let sent = match step {
                Step::Data(data) => sender.send(Ok(Frame::data(data))).await,
                Step::Wait(time) => {
                    tokio::time::sleep(time).await;
                    Ok(())
                }
                Step::Cut => {
                    let error = anyhow!("cut off, as the script says");
                    sender.send(Err(error)).await.ok();
                    return;
                }
            };
            if sent.is_err() {
                // The other side has gone; nobody is left to send to.
                return;
            }
        }
        if !trailers.is_empty() {
            sender.send(Ok(Frame::trailers(trailers))).await.ok();
        }
    });
    Frames(frames).boxed()
}

/// A body as it is sent. The channel of `http-body-util` has two ways out, and now
/// and then ends by the one while its last frame is still in the other.
struct Frames(mpsc::Receiver<Result<Frame<Bytes>>>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = anyhow::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.0.poll_recv(context)
    }
}

/// What came of a body.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Headers,
    /// Why it ended before its end.
    pub(crate) broken: Option<hyper::Error>,
}

/// Reads a body as far as it goes.
pub(crate) async fn read(mut body: Incoming) -> Read {
    let mut read = Read::default();
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                read.broken = Some(error);
                break;
            }
        };
        match frame.into_data() {
            Ok(data) => read.data.extend_from_slice(&data),
            Err(other) => {
                if let Some(trailers) = other.trailers_ref() {
                    read.trailers = Headers::from(trailers);
                }
            }
        }
    }
    read
}
