//! A filter that talks to an upstream by its service, and says in its reply what
//! came of it. A request's path says how:
//!
//! - `/send/PATH` sends the same method to `/PATH`; `/repeat/PATH` says that it may
//!   be repeated;
//! - `/grpc/METHOD` makes a gRPC call, which may be repeated;
//! - `/cached/PATH` asks for `/PATH` unless it is known.

use std::time::Duration;

use deserr::Deserr;
use legation::callout::{CalloutError, HttpResponse};
use legation::config::ConfigErrors;
use legation::http::Method;
use legation::resilience::{
    FetchCache, FetchSettings, Fetched, HttpService, HttpServiceConfig, Repeat,
};
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result};

/// What a test configures.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    service: HttpServiceConfig,
}

/// The filter.
#[derive(Debug)]
pub struct Services {
    service: HttpService,
    known: FetchCache<String, String>,
}

/// The one message there is.
#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

#[legation::filter]
impl HttpFilter for Services {
    const NAME: &'static str = "services";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let settings = FetchSettings {
            ttl: Duration::from_millis(1),
            stale_if_error: Duration::from_mins(1),
            ..FetchSettings::default()
        };
        Ok(Self {
            service: HttpService::new(&config.service, host),
            known: FetchCache::new(settings),
        })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"")).into_owned();
        let path = text(request.path()?);
        let method = request
            .method()?
            .and_then(|method| Method::from_bytes(method).ok());
        let method = method.unwrap_or(Method::GET);
        let service = &self.service;
        let answer = if let Some(path) = path.strip_prefix("/send") {
            told(service.send(service.request(&method, path)).await)
        } else if let Some(path) = path.strip_prefix("/repeat") {
            let request = service.request(&method, path);
            told(service.send_as(request, Repeat::Safe).await)
        } else if let Some(method) = path.strip_prefix("/grpc/") {
            let text = "hello".to_owned();
            let call = service.grpc("test.Service", method, &Note { text });
            match service.send_grpc::<Note>(call, Repeat::Safe).await {
                Ok(Note { text }) => text,
                Err(error) => format!("{error:?}"),
            }
        } else if let Some(path) = path.strip_prefix("/cached") {
            self.known(path).await
        } else {
            return Ok(Flow::Continue);
        };
        Ok(LocalReply::new(200).body(answer).into())
    }
}

impl Services {
    async fn known(&self, path: &str) -> String {
        let fetch = || {
            let request = self.service.get(path);
            let service = self.service.clone();
            async move {
                let answer = service.send(request).await?;
                match answer.status() {
                    200 => Ok(Fetched::new(told(Ok(answer)))),
                    status => Err(CalloutError::Malformed(format!("status {status}"))),
                }
            }
        };
        match self.known.get_or_fetch(path, fetch).await {
            Ok(text) => text.to_string(),
            Err(error) => format!("{error:?}"),
        }
    }
}

fn told(answer: Result<HttpResponse, CalloutError>) -> String {
    match answer {
        Ok(answer) => {
            let body = String::from_utf8_lossy(answer.body());
            format!("{} {body}", answer.status())
        }
        Err(error) => format!("{error:?}"),
    }
}

legation::register!(Services);
