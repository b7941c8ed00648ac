//! Lets gRPC calls through by what a gRPC callout answers: a status that is even.

use std::time::Duration;

use legation::callout::{CalloutError, GrpcRequest};
use legation::config::{ConfigErrors, NoConfig};
use legation::http::HeaderName;
use legation::{Configure, Flow, GrpcStatus, HttpFilter, LocalReply};
use legation::{RequestHeaders, ResponseHeaders, Result};

/// The filter.
#[derive(Debug)]
pub struct GrpcAuthRandom;

#[legation::filter]
impl HttpFilter for GrpcAuthRandom {
    const NAME: &'static str = "grpc-auth-random";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let content_type = request.headers().get("content-type")?;
        if !content_type.is_some_and(|it| it.starts_with(b"application/grpc")) {
            let reply = LocalReply::new(503);
            return Ok(reply
                .body("Service accessible only to gRPC clients.\n")
                .into());
        }
        if request
            .path()?
            .is_some_and(|path| path.starts_with(b"/grpc.reflection"))
        {
            return Ok(Flow::Continue);
        }
        let callout = GrpcRequest::new("grpcbin", "grpcbin.GRPCBin", "RandomError", &());
        let granted = match callout.timeout(Duration::from_secs(1)).send::<()>().await {
            Ok(()) => true,
            Err(CalloutError::Grpc { status, .. }) => status % 2 == 0,
            Err(_) => false,
        };
        if granted {
            log::info!("Access granted.");
            return Ok(Flow::Continue);
        }
        log::info!("Access forbidden.");
        let reply = LocalReply::new(403).grpc_status(GrpcStatus::Aborted);
        Ok(reply.body("Aborted by Proxy-Wasm!").into())
    }

    // Of local replies too.
    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        let name = HeaderName::from_static("powered-by");
        response.headers().set(&name, "proxy-wasm")?;
        Ok(Flow::Continue)
    }
}

legation::register!(GrpcAuthRandom);
