//! A filter that shows foreign functions, state that others read and metrics
//! with tags.
//!
//! Its configuration says what it sets and reads on every request (`x-value` has
//! another value, in hex); what it reads goes upstream in headers. A path `/foreign/FUNCTION` calls a foreign function
//! with what stands in headers, and answers what came of it.

use std::fmt::Debug;
use std::fmt::Write as _;

use deserr::Deserr;
use legation::attributes::FromAttribute;
use legation::config::ConfigErrors;
use legation::filter_state::{self, Kind, LifeSpan, Property};
use legation::foreign::{self, Expression, Function, Hash};
use legation::http::HeaderName;
use legation::metrics::{Counter, Family, Gauge, Histogram};
use legation::{Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, Result};

/// What a test configures.
#[derive(Debug, Default, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    #[deserr(default)]
    declare: Vec<Declared>,
    #[deserr(default)]
    set: Vec<Pair>,
    #[deserr(default)]
    set_envoy: Vec<Pair>,
    #[deserr(default)]
    get: Vec<String>,
    #[deserr(default)]
    objects: Vec<String>,
    #[deserr(default)]
    metadata: Vec<Field>,
    #[deserr(default)]
    clear_route_cache: bool,
    #[deserr(default)]
    expression: Option<String>,
    #[deserr(default)]
    stat_prefix: Option<String>,
    #[deserr(default)]
    provider: Option<String>,
    #[deserr(default)]
    combinations: Option<u64>,
    #[deserr(default)]
    tag: Option<String>,
}

#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Field {
    namespace: String,
    path: Vec<String>,
    /// `text`, `number` or `flag`.
    kind: String,
}

#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Declared {
    name: String,
    #[deserr(default)]
    text: bool,
    #[deserr(default)]
    read_only: bool,
    #[deserr(default)]
    connection: bool,
}

/// The filter.
#[derive(Debug)]
pub struct State {
    config: Config,
    declared: String,
    expression: Option<Expression>,
    requests: Counter,
    provided: Option<(Counter, Gauge, Histogram)>,
    refused: Family<Counter, 2>,
    latency: Family<Histogram, 1>,
    open: Family<Gauge, 1>,
}

#[legation::filter]
impl HttpFilter for State {
    const NAME: &'static str = "state";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        if let Some(prefix) = &config.stat_prefix {
            host.stat_prefix(prefix);
        }
        let mut declared = String::new();
        for property in &config.declare {
            // Writing to a string does not fail.
            let _ = write!(declared, "{:?} ", declare(property));
        }
        let expression = config.expression.as_deref().map(Expression::new);
        if let Some(Err(error)) = &expression {
            log::error!(error:%; "no expression");
        }
        if let Some(tag) = &config.tag {
            host.counter_with_tags("tagged", &[(tag, "1")]);
        }
        let refused = host.counter_family("refused", ["reason", "issuer"]);
        let combinations = config.combinations.map(usize::try_from);
        Ok(Self {
            declared,
            expression: expression.and_then(Result::ok),
            requests: host.counter("requests"),
            provided: config.provider.as_deref().map(|provider| {
                let tags = [("reason", "static"), ("provider", provider)];
                (
                    host.counter_with_tags("provided", &tags),
                    host.gauge_with_tags("open", &tags),
                    host.histogram_with_tags("path_bytes", &tags),
                )
            }),
            refused: match combinations {
                Some(Ok(combinations)) => refused.at_most(combinations),
                _ => refused,
            },
            latency: host.histogram_family("latency_ms", ["reason"]),
            open: host.gauge_family("waiting", ["reason"]),
            config,
        })
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        self.requests.increment();
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        if let Some(function) = path.strip_prefix("/foreign/") {
            let said = self.call(function, request)?;
            return Ok(LocalReply::new(200).body(said).into());
        }
        if path == "/count" {
            self.count(request)?;
        }
        let sets = request.headers().get("x-skip-set")?.is_none();
        for Pair { name, value } in self.config.set.iter().filter(|_| sets) {
            let given = request.headers().get("x-value")?.map(<[u8]>::to_vec);
            let given = given.and_then(|digits| hex(&String::from_utf8_lossy(&digits)));
            let set = filter_state::set(name, given.unwrap_or_else(|| value.clone().into()));
            note(request, "set", name, set)?;
        }
        for Pair { name, value } in &self.config.set_envoy {
            let set = filter_state::set_envoy(name, value, LifeSpan::Request);
            note(request, "envoy", name, set)?;
        }
        for name in &self.config.get {
            note(request, "get", name, filter_state::get::<String>(name))?;
        }
        for key in &self.config.objects {
            let object = filter_state::object::<Vec<u8>>(key);
            let object = object.map(|found| found.map(|bytes| bytes.escape_ascii().to_string()));
            note(request, "object", key, object)?;
        }
        for field in &self.config.metadata {
            match field.kind.as_str() {
                "number" => metadata::<f64>(request, field)?,
                "flag" => metadata::<bool>(request, field)?,
                _ => metadata::<String>(request, field)?,
            }
        }
        if let Some(expression) = &self.expression {
            note(request, "is", "true", expression.evaluate::<bool>())?;
        }
        if self.config.clear_route_cache {
            foreign::clear_route_cache()?;
        }
        Ok(Flow::Continue)
    }
}

impl State {
    fn call(&self, function: &str, request: &mut RequestHeaders) -> Result<String> {
        let mut given = |name: &str| -> Result<Vec<u8>> {
            let text = request.headers().get(name)?.unwrap_or_default();
            hex(&String::from_utf8_lossy(text)).ok_or(Error::other("not in hex"))
        };
        let (key, data) = (given("x-key")?, given("x-data")?);
        let signature = given("x-signature")?;
        let text = String::from_utf8_lossy(&data).into_owned();
        let hash = match request.headers().get("x-hash")? {
            Some(b"512") => Hash::Sha512,
            Some(b"384") => Hash::Sha384,
            _ => Hash::Sha256,
        };
        Ok(match function {
            "verify" => format!(
                "{:?}",
                foreign::verify_signature(hash, &key, &signature, &data)
            ),
            "sign" => bytes(foreign::sign(hash, &key, &data)),
            "compress" => bytes(foreign::compress(&data)),
            "uncompress" => bytes(foreign::uncompress(&data, 1_000)),
            "clear" => format!("{:?}", foreign::clear_route_cache()),
            "expression" => match Expression::new(&text) {
                Ok(expression) => {
                    let value = bytes(expression.evaluate::<Vec<u8>>());
                    expression.delete()?;
                    value
                }
                Err(error) => error.to_string(),
            },
            "declared" => self.declared.clone(),
            "supported" => {
                let functions = [
                    Function::VerifySignature,
                    Function::Sign,
                    Function::Compress,
                    Function::Uncompress,
                    Function::SetEnvoyFilterState,
                    Function::ClearRouteCache,
                    Function::DeclareProperty,
                    Function::ExprCreate,
                    Function::ExprEvaluate,
                    Function::ExprDelete,
                ];
                let there = functions.iter().filter(|function| function.is_supported());
                there
                    .map(|function| function.name())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            other => format!("{:?}", foreign::call(other, &data)),
        })
    }

    fn count(&self, request: &mut RequestHeaders) -> Result<()> {
        let headers = request.headers();
        let reason = headers.get("x-reason")?.unwrap_or_default().to_vec();
        let issuer = headers.get("x-issuer")?.unwrap_or_default().to_vec();
        self.refused.with([&reason, &issuer]).increment();
        self.latency.with([&reason]).record(7);
        self.open.with([&reason]).set(3);
        if let Some((counter, gauge, histogram)) = self.provided {
            counter.add(2);
            gauge.set(5);
            histogram.record(6);
        }
        Ok(())
    }
}

fn declare(property: &Declared) -> Result<bool> {
    filter_state::declare(&Property {
        name: &property.name,
        kind: if property.text {
            Kind::Text
        } else {
            Kind::Bytes
        },
        life_span: if property.connection {
            LifeSpan::Connection
        } else {
            LifeSpan::default()
        },
        read_only: property.read_only,
    })
}

fn metadata<T: FromAttribute + Debug>(request: &mut RequestHeaders, field: &Field) -> Result<()> {
    let path: Vec<_> = field.path.iter().map(String::as_str).collect();
    let found = filter_state::metadata::<T>(&field.namespace, &path);
    note(request, "metadata", &path.join("-"), found)
}

/// Sends what came of it upstream: `x-WHAT-NAME: Ok(…)`.
fn note<T: Debug, E: ToString>(
    request: &mut RequestHeaders,
    what: &str,
    name: &str,
    result: Result<T, E>,
) -> Result<()> {
    if request.headers().get("x-quiet")?.is_some() {
        return Ok(());
    }
    let name = name.replace('_', "-");
    let name = HeaderName::try_from(format!("x-{what}-{name}"));
    let name = name.map_err(|_| Error::other("no name for a header"))?;
    let value = match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    };
    request.headers().set(&name, value)
}

fn bytes<E: ToString>(result: Result<Vec<u8>, E>) -> String {
    match result {
        Ok(bytes) => bytes.iter().fold(String::new(), |mut digits, byte| {
            // Writing to a string does not fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        }),
        Err(error) => error.to_string(),
    }
}

/// `None` where the text is not in hexadecimal form.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| match two {
            [high, low] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                u8::try_from(digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?).ok()
            }
            _ => None,
        })
        .collect()
}

legation::register!(State);
