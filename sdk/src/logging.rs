//! Log lines as JSON, through the [`log`] crate.
//!
//! `log::warn!(reason = "expired"; "token refused")` in a callback writes one
//! line to Envoy's log (component `wasm`):
//!
//! ```json
//! {"level":"warn","filter":"jwt-auth","message":"token refused","reason":"expired","request_id":"…","trace_id":"…"}
//! ```
//!
//! `request_id` is the request's `x-request-id`, `trace_id` the one in its
//! `traceparent` (W3C Trace Context), both only where the request carries them.
//! Envoy drops the request's headers when they have gone on: in later callbacks
//! (but `on_log`) the ids are known if
//! [`on_request_headers`](crate::HttpFilter::on_request_headers) read any header.
//!
//! A line whose level is off costs one comparison: no formatting, no host
//! call. The level is Envoy's own for the component `wasm`
//! (`--component-log-level wasm:debug`, or `/logging?wasm=debug` on the admin
//! port); it is read when a filter is configured, on each tick, and after every
//! 1,024 streams. Never log a secret.

use std::cell::Cell;

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Metadata, Record};
use serde_json::{Map, Value as Json};

use crate::abi::{self, LogLevel, MapType};
use crate::headers::RequestCopy;

/// How many bytes of an id from the request go into a log line.
const ID_LIMIT: usize = 128;

thread_local! {
    static FILTER: Cell<&'static str> = const { Cell::new("") };
    static RUNNING: Cell<Running> = const { Cell::new(Running::Filter) };
    /// Natively each thread is a worker of its own, with a level of its own.
    static LEVEL: Cell<LevelFilter> = const { Cell::new(LevelFilter::Off) };
}

struct Logger;

/// Makes `log`'s macros and panics write to the host. Safe to repeat.
pub(crate) fn install(filter: &'static str) {
    FILTER.set(filter);
    // A second call finds the logger in place, and that is well.
    let first = log::set_logger(&Logger).is_ok();
    // Natively a panic is a test's, and belongs on its terminal.
    if first && cfg!(target_family = "wasm") {
        std::panic::set_hook(Box::new(|panic| {
            let _ = abi::log(LogLevel::Critical, panic.to_string().as_bytes());
        }));
    }
    refresh_level();
}

/// Takes over the host's level. One host call.
pub(crate) fn refresh_level() {
    let level = match abi::log_level() {
        Ok(0) => LevelFilter::Trace,
        Ok(1) => LevelFilter::Debug,
        Ok(3) => LevelFilter::Warn,
        Ok(4) => LevelFilter::Error,
        Ok(5..) => LevelFilter::Off,
        // A host that does not tell gets what people usually want to see.
        Ok(2) | Err(_) => LevelFilter::Info,
    };
    LEVEL.set(level);
    if cfg!(target_family = "wasm") {
        log::set_max_level(level);
    } else {
        log::set_max_level(LevelFilter::Trace);
    }
}

/// Whose callback runs.
#[derive(Default)]
enum Running {
    /// The filter's own: no request is near.
    #[default]
    Filter,
    /// A stream's. Its request is this copy, or is the host's to ask for.
    Stream(Option<RequestCopy>),
}

/// Marks that a stream's callback runs, until dropped.
pub(crate) struct StreamScope {
    outer: Running,
}

impl StreamScope {
    pub(crate) fn enter(request: Option<RequestCopy>) -> Self {
        Self {
            outer: RUNNING.replace(Running::Stream(request)),
        }
    }
}

impl Drop for StreamScope {
    fn drop(&mut self) {
        RUNNING.set(std::mem::take(&mut self.outer));
    }
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LEVEL.get()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (name, level) = match record.level() {
            Level::Error => ("error", LogLevel::Error),
            Level::Warn => ("warn", LogLevel::Warn),
            Level::Info => ("info", LogLevel::Info),
            Level::Debug => ("debug", LogLevel::Debug),
            Level::Trace => ("trace", LogLevel::Trace),
        };
        let mut line = Map::new();
        // A value that does not let itself be read is left out. First, so that
        // no key of a caller's hides one of ours.
        let _ = record.key_values().visit(&mut Fields(&mut line));
        put(&mut line, "level", name);
        put(&mut line, "filter", FILTER.get());
        put(&mut line, "message", &record.args().to_string());
        // Taken, so that a line written meanwhile finds nothing to borrow.
        let running = RUNNING.take();
        if let Running::Stream(request) = &running {
            if let Some(id) = request_header(request.as_ref(), "x-request-id") {
                put(&mut line, "request_id", &id);
            }
            let parent = request_header(request.as_ref(), "traceparent");
            if let Some(id) = parent.as_deref().and_then(trace_id) {
                put(&mut line, "trace_id", id);
            }
        }
        RUNNING.set(running);
        let _ = abi::log(level, Json::Object(line).to_string().as_bytes());
    }

    fn flush(&self) {}
}

fn put(line: &mut Map<String, Json>, key: &str, value: &str) {
    line.insert(key.to_owned(), Json::from(value));
}

fn request_header(request: Option<&RequestCopy>, name: &str) -> Option<String> {
    let mut value = match request {
        Some(request) => request.get(name)?.to_vec(),
        None => abi::header_map_value(MapType::HttpRequestHeaders, name.as_bytes()).ok()??,
    };
    value.truncate(ID_LIMIT);
    (!value.is_empty()).then(|| String::from_utf8_lossy(&value).into_owned())
}

/// `version-TRACEID-parentid-flags`, each of hexadecimal digits of fixed number.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let valid = id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    valid.then_some(id)
}

struct Fields<'a>(&'a mut Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = Json::Null;
        value.visit(Field(&mut json))?;
        self.0.insert(key.as_str().to_owned(), json);
        Ok(())
    }
}

struct Field<'a>(&'a mut Json);

impl VisitValue<'_> for Field<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        *self.0 = Json::from(value.to_string());
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        *self.0 = Json::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        *self.0 = Json::from(value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        *self.0 = Json::from(value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        *self.0 = Json::from(value);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        *self.0 = Json::from(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_trace_id_from_a_valid_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        for wrong in [
            "",
            "00",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(wrong), None, "{wrong}");
        }
    }
}
