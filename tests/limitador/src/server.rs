//! gRPC: one method, over HTTP/2 without TLS.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;

use crate::limiter::Limiter;
use crate::messages::Question;

const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

const OK: u16 = 0;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;

/// Serves until it is killed.
pub(crate) async fn serve(limiter: Limiter, port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    println!("{}", listener.local_addr()?);
    let limiter = Arc::new(limiter);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let limiter = Arc::clone(&limiter);
        let service = service_fn(move |request| respond(Arc::clone(&limiter), request));
        let connection = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

async fn respond(
    limiter: Arc<Limiter>,
    request: Request<Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let (message, status) = answer(&limiter, request).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    let body = Full::new(message).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    Ok(response)
}

/// The message that goes back, and gRPC's status.
async fn answer(limiter: &Limiter, request: Request<Incoming>) -> (Bytes, u16) {
    if request.uri().path() != METHOD {
        return (Bytes::new(), UNIMPLEMENTED);
    }
    let question = match question(request).await {
        Ok(question) => question,
        Err(error) => {
            eprintln!("{error:?}");
            return (Bytes::new(), INTERNAL);
        }
    };
    match limiter.judge(question).await {
        Ok(answer) => (frame(&answer.encode_to_vec()), OK),
        Err(error) => {
            eprintln!("{error:?}");
            (Bytes::new(), UNAVAILABLE)
        }
    }
}

async fn question(request: Request<Incoming>) -> Result<Question> {
    let body = request.into_body().collect().await?.to_bytes();
    let (head, message) = body.split_at_checked(5).context("no message")?;
    ensure!(head.first() == Some(&0), "a compressed message");
    Ok(Question::decode(message)?)
}

/// A message as gRPC sends it: behind a byte that says it is not compressed, and its length.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len().saturating_add(5));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}
