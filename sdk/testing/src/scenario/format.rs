//! A scenario as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::value::{Body, Expected, ExpectedHeaders, Pairs};

/// A filter, its configuration, and what it does to requests.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The filter's name.
    pub filter: String,
    /// The filter's configuration: text as it is, anything else as its JSON.
    #[serde(default)]
    pub configuration: serde_json::Value,
    /// Environment variables of the VM.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// `allow_on_headers_stop_iteration` on the mock host, as the filter's shipped
    /// configuration of Envoy has it.
    #[serde(default)]
    pub allow_on_headers_stop_iteration: bool,
    /// The configuration is refused, with a line for each of these that has it
    /// in it.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Requests, one after another.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The file that it was read from; empty where it was none.
    #[serde(skip)]
    pub file: PathBuf,
}

/// A request, the upstream's answer, and what is expected.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it shows, as a sentence.
    pub name: String,
    /// What the client sends.
    #[serde(default)]
    pub request: RequestSpec,
    /// What the upstream answers.
    #[serde(default)]
    pub upstream: ResponseSpec,
    /// What is expected of the filter.
    pub expect: Expect,
}

/// What a client sends.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestSpec {
    /// GET, or POST where there is a body.
    pub method: Option<String>,
    /// `/`
    pub path: Option<String>,
    /// `example.com`
    pub authority: Option<String>,
    /// The headers.
    pub headers: Pairs,
    /// The body.
    pub body: Body,
    /// The trailers, which need HTTP/2.
    pub trailers: Pairs,
    /// Whether it is sent by HTTP/2.
    pub http2: bool,
}

impl RequestSpec {
    /// The method that is sent.
    pub fn method(&self) -> &str {
        let usual = if self.body.0.is_empty() {
            "GET"
        } else {
            "POST"
        };
        self.method.as_deref().unwrap_or(usual)
    }

    /// The path that is sent.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// The authority that is sent.
    pub fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or("example.com")
    }
}

/// What the upstream answers.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseSpec {
    /// 200
    pub status: Option<u16>,
    /// The headers.
    pub headers: Pairs,
    /// The body.
    pub body: Body,
    /// The trailers.
    pub trailers: Pairs,
}

impl ResponseSpec {
    /// The status that is answered.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(200)
    }
}

/// What is expected of a step. What is not said is not looked at.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The request as it arrives at the upstream.
    pub upstream: Option<Arrival<ExpectRequest>>,
    /// The response as it arrives at the client.
    pub response: Option<Arrival<ExpectResponse>>,
    /// By how much counters have grown since a step last looked at them.
    pub stats: BTreeMap<String, u64>,
    /// Pieces of lines that the filter writes to the log.
    pub log: Vec<String>,
    /// Pieces of lines that it does not write.
    pub no_log: Vec<String>,
}

/// Whether a message arrives, and how: written as what is expected of it, or as
/// `none`.
#[derive(Debug, Clone)]
pub enum Arrival<T> {
    /// It does not arrive, or not whole.
    None,
    /// It arrives.
    Message(T),
}

/// What is expected of the request that arrives at the upstream.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectRequest {
    /// The method.
    pub method: Option<Expected>,
    /// The path.
    pub path: Option<Expected>,
    /// The authority.
    pub authority: Option<Expected>,
    /// Headers, each with all its values.
    pub headers: ExpectedHeaders,
    /// Headers that are not there.
    pub absent: Vec<String>,
    /// The whole body.
    pub body: Option<Expected>,
    /// Trailers.
    pub trailers: ExpectedHeaders,
}

/// What is expected of the response that arrives at the client.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectResponse {
    /// The status.
    pub status: Option<u16>,
    /// Headers, each with all its values.
    pub headers: ExpectedHeaders,
    /// Headers that are not there.
    pub absent: Vec<String>,
    /// The whole body.
    pub body: Option<Expected>,
    /// Trailers.
    pub trailers: ExpectedHeaders,
    /// `grpc-status`, in the trailers or in the headers of an answer without
    /// a body.
    pub grpc_status: Option<u32>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Arrival<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ArrivalVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ArrivalVisitor<T> {
            type Value = Arrival<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("what is expected of the message, or `none`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Arrival<T>, E> {
                match text {
                    "none" => Ok(Arrival::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Arrival<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Arrival::Message)
            }
        }

        from.deserialize_any(ArrivalVisitor(std::marker::PhantomData))
    }
}

impl Scenario {
    /// Reads a scenario from its file. An error names the file and the line.
    pub fn load(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the scenario {}", file.display()))?;
        let mut scenario = Self::parse(&text).with_context(|| file.display().to_string())?;
        file.clone_into(&mut scenario.file);
        Ok(scenario)
    }

    /// Reads a scenario from its text.
    pub fn parse(text: &str) -> Result<Self> {
        // `n`, `yes` and `off` are text.
        let options = serde_saphyr::options! { strict_booleans: true };
        let scenario: Self = serde_saphyr::from_str_with_options(text, options)?;
        if scenario.steps.is_empty() == scenario.refused.is_empty() {
            bail!(
                "a scenario has either `steps`, or `refused` with the lines that say what is wrong \
                 with its configuration"
            );
        }
        Ok(scenario)
    }
}
