//! What users write about where a configuration is.

use std::time::Duration;

use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};

use crate::config::object::fields;
use crate::config::{Bounded, BoundedDuration, ConfigErrors, MISSING, Problem};
use crate::resilience::{HttpServiceConfig, HttpUri, RetryPolicyConfig};

pub(super) const FIELD: &str = "remote_config";

const FIELDS: [&str; 5] = [
    "http_uri",
    "refresh_delay",
    "retry_policy",
    "max_response_bytes",
    "initial",
];

/// 100 ms to 1 day.
pub(super) type RefreshDelay = BoundedDuration<100, 86_400_000>;
/// 1 KiB to 8 MiB.
pub(super) type MaxResponseBytes = Bounded<1_024, 8_388_608>;

const REFRESH_DELAY: Duration = Duration::from_secs(30);
const MAX_RESPONSE_BYTES: i64 = 1_048_576;

/// `remote_config`: where a filter's configuration is fetched, in the names of Envoy's `RemoteDataSource` and
/// `ApiConfigSource`.
///
/// | field | default | range | |
/// |---|---|---|---|
/// | `http_uri` | required | | [`HttpUri`]; its `timeout` is for all tries of a fetch |
/// | `refresh_delay` | `30s` | 100 ms to 1 day | between fetches, less up to a tenth by chance; less than 200 ms is as 200 ms |
/// | `retry_policy` | one try | | [`RetryPolicyConfig`], within one fetch |
/// | `max_response_bytes` | 1048576 | 1024 to 8388608 | larger documents are refused |
/// | `initial` | none | the filter's options | in effect until the first good document; without it requests are refused |
///
/// After a fetch that failed the next one comes sooner, unless it would come then anyway: after 1 s, and twice as
/// long for each that fails in a row.
#[derive(Debug)]
pub struct RemoteConfig<C> {
    pub(crate) http_uri: HttpUri,
    refresh_delay: Option<RefreshDelay>,
    retry_policy: Option<RetryPolicyConfig>,
    max_response_bytes: Option<MaxResponseBytes>,
    pub(crate) initial: Option<C>,
}

impl<C> RemoteConfig<C> {
    pub(crate) fn refresh_delay(&self) -> Duration {
        let given = self.refresh_delay;
        given.map_or(REFRESH_DELAY, BoundedDuration::get)
    }

    pub(crate) fn service(&self) -> HttpServiceConfig {
        let bytes = self
            .max_response_bytes
            .map_or(MAX_RESPONSE_BYTES, Bounded::get);
        HttpServiceConfig::of_uri(&self.http_uri)
            .with_retry_policy(self.retry_policy.clone())
            .with_max_response_bytes(Bounded::new(bytes))
    }
}

impl<C: Deserr<ConfigErrors>> Deserr<ConfigErrors> for RemoteConfig<C> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut http_uri = None;
        let mut has_uri = false;
        let (mut refresh_delay, mut retry_policy) = (None, None);
        let (mut max_response_bytes, mut initial) = (None, None);
        let mut errors = None;
        let read = fields(value, location, &FIELDS, &mut |name, value, location| {
            match name {
                "http_uri" => {
                    has_uri = true;
                    http_uri = Some(HttpUri::deserialize_from_value(value, location)?);
                }
                "refresh_delay" => {
                    refresh_delay = Some(RefreshDelay::deserialize_from_value(value, location)?);
                }
                "retry_policy" => {
                    let policy = RetryPolicyConfig::deserialize_from_value(value, location)?;
                    retry_policy = Some(policy);
                }
                "max_response_bytes" => {
                    let bytes = MaxResponseBytes::deserialize_from_value(value, location)?;
                    max_response_bytes = Some(bytes);
                }
                _ => initial = Some(C::deserialize_from_value(value, location)?),
            }
            Ok(())
        });
        if let Err(error) = read {
            ConfigErrors::add(&mut errors, error);
        }
        if !has_uri {
            let problem = Problem::new(MISSING).help("say where the configuration is");
            let missing = ConfigErrors::at(location.push_key("http_uri"), problem);
            ConfigErrors::add(&mut errors, missing);
        }
        match (errors, http_uri) {
            (None, Some(http_uri)) => Ok(Self {
                http_uri,
                refresh_delay,
                retry_policy,
                max_response_bytes,
                initial,
            }),
            (Some(errors), _) => Err(errors),
            (None, None) => Err(ConfigErrors::at(location, MISSING)),
        }
    }
}

/// What users write for a filter: its options, or where they are.
pub(crate) enum Written<C> {
    Here(C),
    There(Box<RemoteConfig<C>>),
}

impl<C: Deserr<ConfigErrors>> Deserr<ConfigErrors> for Written<C> {
    fn deserialize_from_value<V: IntoValue>(
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Result<Self, ConfigErrors> {
        let Value::Map(mut map) = value else {
            return C::deserialize_from_value(value, location).map(Self::Here);
        };
        let Some(remote) = map.remove(FIELD) else {
            return C::deserialize_from_value(Value::<V>::Map(map), location).map(Self::Here);
        };
        let mut errors = None;
        for (key, _) in map.into_iter() {
            let problem = Problem::new("the configuration is fetched: it does not stand here too")
                .help("put it into `remote_config.initial`, or leave `remote_config` out");
            let error = ConfigErrors::at(location.push_key(&key), problem);
            ConfigErrors::add(&mut errors, error);
        }
        let at = location.push_key(FIELD);
        match RemoteConfig::deserialize_from_value(remote.into_value(), at) {
            Ok(remote) => ConfigErrors::check(errors, Self::There(Box::new(remote))),
            Err(error) => {
                ConfigErrors::add(&mut errors, error);
                Err(errors.unwrap_or_else(|| ConfigErrors::at(at, MISSING)))
            }
        }
    }
}
