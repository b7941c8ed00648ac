//! The outside service that judges requests, in the names of Envoy's own filter `ext_authz`.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{
    Bounded, BoundedDuration, ConfigErrors, Given, HeaderName, HeaderValue, NonEmpty, OrderedMap,
    Problem, Schema, exactly_one, string,
};
use legation::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use legation::matcher::StringMatch;
use legation::resilience::{
    CircuitBreakerConfig, EnvoyGrpc, HttpServiceConfig, HttpUri, RetryPolicyConfig,
};

use super::elsewhere::{
    ClearRouteCache, FilterEnabled, GoogleGrpc, IncludePeerCertificate, StatPrefix,
    TransportApiVersion,
};

type Timeout = BoundedDuration<10, 300_000>;

/// As in Envoy.
const TIMEOUT: Option<Timeout> = Timeout::from_millis(200);
const STATUS_ON_ERROR: u16 = 403;
/// What is taken of an answer, headers aside.
const MAX_RESPONSE_BYTES: Option<Bounded<1, 33_554_432>> = Bounded::new(262_144);

/// The outside service that judges requests.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check -> ConfigErrors)]
#[schema(readme = "The outside check")]
pub struct ExtAuthz {
    /// Where it is, if it is asked over gRPC.
    #[deserr(default)]
    grpc_service: Given<GrpcService>,
    /// Where it is, if it is asked over HTTP.
    #[deserr(default)]
    http_service: Given<HttpService>,
    /// What it is shown of the body.
    pub with_request_body: WithRequestBody,
    /// Whether requests go on that it has no answer to.
    #[deserr(default)]
    pub failure_mode_allow: bool,
    #[deserr(default)]
    status_on_error: Given<StatusOnError>,
    /// The headers that it is shown.
    #[deserr(default)]
    pub allowed_headers: Given<Patterns>,
    /// The headers that it is not shown, whatever `allowed_headers` says.
    #[deserr(default)]
    pub disallowed_headers: Given<Patterns>,
    /// What it is told beside, over gRPC.
    #[deserr(default)]
    pub context_extensions: OrderedMap<String, String>,
    #[deserr(default)]
    retry_policy: Given<RetryPolicyConfig>,
    #[deserr(default)]
    circuit_breaker: Given<CircuitBreakerConfig>,
    #[deserr(default, rename = "transport_api_version")]
    _transport_api_version: TransportApiVersion,
    #[deserr(default, rename = "include_peer_certificate")]
    _include_peer_certificate: IncludePeerCertificate,
    #[deserr(default, rename = "clear_route_cache")]
    _clear_route_cache: ClearRouteCache,
    #[deserr(default, rename = "filter_enabled")]
    _filter_enabled: FilterEnabled,
    #[deserr(default, rename = "stat_prefix")]
    _stat_prefix: StatPrefix,
}

/// A service that is asked over gRPC.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct GrpcService {
    /// By one of Envoy's clusters.
    envoy_grpc: EnvoyGrpc,
    /// How long a request waits for it: 200 ms unless given.
    #[deserr(default)]
    timeout: Given<Timeout>,
    /// Headers that each call has.
    #[deserr(default)]
    pub initial_metadata: NonEmpty<HeaderToAdd>,
    #[deserr(default, rename = "google_grpc")]
    _google_grpc: GoogleGrpc,
}

/// A service that is asked over HTTP.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct HttpService {
    /// Where it is, and how long a request waits for it: 200 ms unless given.
    server_uri: HttpUri,
    /// What stands before the request's own path.
    #[deserr(default)]
    path_prefix: Given<PathPrefix>,
    /// What it is told beside.
    #[deserr(default)]
    pub authorization_request: Given<AuthorizationRequest>,
    /// What goes on of its answer.
    #[deserr(default)]
    pub authorization_response: Given<AuthorizationResponse>,
}

/// What a service is told over HTTP beside the request.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct AuthorizationRequest {
    /// Headers, in the place of the request's own of these names.
    pub headers_to_add: NonEmpty<HeaderToAdd>,
}

/// Which headers of an answer over HTTP go on.
#[derive(Debug, Clone, Default, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are Envoy's own")]
pub struct AuthorizationResponse {
    /// To the upstream, in the place of the request's.
    #[deserr(default)]
    pub allowed_upstream_headers: Given<Patterns>,
    /// To the upstream, beside the request's.
    #[deserr(default)]
    pub allowed_upstream_headers_to_append: Given<Patterns>,
    /// To the client, of a refusal: all unless given.
    #[deserr(default)]
    pub allowed_client_headers: Given<Patterns>,
    /// To the client, in the upstream's response.
    #[deserr(default)]
    pub allowed_client_headers_on_success: Given<Patterns>,
}

/// What a service is shown of the body.
#[derive(Debug, Clone, Copy, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct WithRequestBody {
    /// How many bytes at most. Longer bodies are refused, unless a part is enough.
    max_request_bytes: Bounded<1, 16_777_216>,
    /// Whether it judges longer ones by their beginning.
    #[deserr(default)]
    pub allow_partial_message: bool,
    /// Whether it is shown as bytes, and not as text. Over gRPC.
    #[deserr(default)]
    pub pack_as_bytes: bool,
}

/// A header that is sent.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields, validate = check_header -> ConfigErrors)]
pub struct HeaderToAdd {
    /// Its name.
    pub key: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

#[derive(Debug, Clone, Copy, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct StatusOnError {
    /// The code: 403 unless given.
    code: Bounded<400, 599>,
}

/// Names of headers, in lower case.
#[derive(Debug, Clone, Deserr, Schema)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Patterns {
    /// What a name is: one of these.
    patterns: NonEmpty<StringMatch>,
}

impl Patterns {
    /// Whether a name, in lower case, is one of these.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }
}

/// The beginning of a path.
#[derive(Debug, Clone, PartialEq, Eq, Schema)]
#[schema({ "type": "string", "pattern": r"^/[^?#\s]*$" })]
struct PathPrefix(Box<str>);

impl Deserr<ConfigErrors> for PathPrefix {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let text = string(value, location, "the beginning of a path")?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if text.starts_with('/') && text.bytes().all(is_plain) {
            return Ok(Self(text.into()));
        }
        let problem = Problem::new("a path begins with `/`, without a query or white space")
            .help("such as `/check`, which makes `/check/orders?id=1` of `/orders?id=1`");
        Err(ConfigErrors::at(location, problem))
    }
}

fn check_header(header: HeaderToAdd, at: ValuePointerRef<'_>) -> Result<HeaderToAdd, ConfigErrors> {
    if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&header.key) {
        let problem = Problem::new("where a message ends is Envoy's to say");
        return Err(ConfigErrors::at(at.push_key("key"), problem));
    }
    Ok(header)
}

fn check(check: ExtAuthz, at: ValuePointerRef<'_>) -> Result<ExtAuthz, ConfigErrors> {
    exactly_one(
        at,
        &[
            ("grpc_service", check.grpc_service.0.is_some()),
            ("http_service", check.http_service.0.is_some()),
        ],
    )?;
    if check.http().is_some() {
        let over_http = "it is said over gRPC only: a request over HTTP has no place for it";
        if check.with_request_body.pack_as_bytes {
            let at = at.push_key("with_request_body");
            let problem = Problem::new(over_http)
                .help("leave it out: over HTTP a body is always shown as it is");
            return Err(ConfigErrors::at(at.push_key("pack_as_bytes"), problem));
        }
        if !check.context_extensions.is_empty() {
            let problem = Problem::new(over_http)
                .help("`http_service.authorization_request.headers_to_add` tells it in headers");
            return Err(ConfigErrors::at(at.push_key("context_extensions"), problem));
        }
    }
    Ok(check)
}

impl ExtAuthz {
    /// Where it is, if it is asked over gRPC.
    pub fn grpc(&self) -> Option<&GrpcService> {
        self.grpc_service.0.as_ref()
    }

    /// Where it is, if it is asked over HTTP.
    pub fn http(&self) -> Option<&HttpService> {
        self.http_service.0.as_ref()
    }

    /// Where it is, and how long it may take.
    pub fn service(&self) -> HttpServiceConfig {
        let (cluster, timeout) = match (self.grpc(), self.http()) {
            (Some(grpc), _) => (grpc.envoy_grpc.cluster(), grpc.timeout.0),
            (None, Some(http)) => (
                http.server_uri.cluster().as_str(),
                http.server_uri.timeout(),
            ),
            (None, None) => ("", None),
        };
        HttpServiceConfig::of_cluster(cluster)
            .with_timeout(timeout.or(TIMEOUT))
            .with_max_response_bytes(MAX_RESPONSE_BYTES)
            .with_retry_policy(self.retry_policy.0.clone())
            .with_circuit_breaker(self.circuit_breaker.0.clone())
    }

    /// The status of requests that are refused as there is no answer.
    pub fn status_on_error(&self) -> u16 {
        let status = self.status_on_error.0;
        let status = status.and_then(|status| u16::try_from(status.code.get()).ok());
        status.unwrap_or(STATUS_ON_ERROR)
    }
}

impl GrpcService {
    /// What it is called, where that is not its cluster's name.
    pub fn authority(&self) -> Option<&str> {
        self.envoy_grpc.authority()
    }
}

impl HttpService {
    /// What stands before the request's own path.
    pub fn path_prefix(&self) -> &str {
        self.path_prefix.0.as_ref().map_or("", |prefix| &prefix.0)
    }
}

impl WithRequestBody {
    /// How many bytes are shown at most.
    pub fn max_request_bytes(&self) -> usize {
        usize::try_from(self.max_request_bytes.get()).unwrap_or(usize::MAX)
    }
}
