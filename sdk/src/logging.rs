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
use std::fmt::{Display, Write};

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Metadata, Record};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::abi::{self, LogLevel, MapType};
use crate::format::trace_id;
use crate::headers::HeaderList;

/// How many bytes of an id from the request go into a log line.
const ID_LIMIT: usize = 128;

thread_local! {
    static FILTER: Cell<&'static str> = const { Cell::new("") };
    static RUNNING: Cell<Running> = const { Cell::new(Running::Filter) };
    /// Natively each thread is a worker of its own, with a level of its own.
    static LEVEL: Cell<LevelFilter> = const { Cell::new(LevelFilter::Off) };
}

/// Puts a filter's name on log lines, until dropped.
pub(crate) struct Named {
    outer: &'static str,
}

impl Named {
    pub(crate) fn enter(name: &'static str) -> Self {
        let outer = FILTER.replace(name);
        Self { outer }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        FILTER.set(self.outer);
    }
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
    Stream(Option<HeaderList>),
}

/// Marks whose callback runs, until dropped.
pub(crate) struct StreamScope {
    outer: Running,
}

impl StreamScope {
    pub(crate) fn enter(request: Option<HeaderList>) -> Self {
        Self {
            outer: RUNNING.replace(Running::Stream(request)),
        }
    }

    /// Marks that none runs, but something of the filter's own.
    pub(crate) fn leave() -> Self {
        Self {
            outer: RUNNING.replace(Running::Filter),
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
        let [request_id, traceparent] = request_ids();
        let line = Line {
            level: name,
            record,
            request_id: request_id.as_deref(),
            trace_id: traceparent.as_deref().and_then(trace_id_in),
        };
        if let Ok(line) = serde_json::to_vec(&line) {
            let _ = abi::log(level, &line);
        }
    }

    fn flush(&self) {}
}

/// The running request's `x-request-id` and `traceparent`.
fn request_ids() -> [Option<String>; 2] {
    with_request(|get| {
        ["x-request-id", "traceparent"].map(|name| {
            let mut value = get(name)?;
            value.truncate(ID_LIMIT);
            (!value.is_empty()).then(|| String::from_utf8_lossy(&value).into_owned())
        })
    })
}

/// Reads headers of the running request. There are none where no stream's callback runs.
pub(crate) fn with_request<T>(
    read: impl FnOnce(&mut dyn FnMut(&'static str) -> Option<Vec<u8>>) -> T,
) -> T {
    // Taken, so that a line written meanwhile finds nothing to borrow.
    let running = RUNNING.take();
    let mut is_gone = false;
    let values = read(&mut |name| match &running {
        Running::Filter => None,
        Running::Stream(Some(request)) => request.get(name).map(<[u8]>::to_vec),
        Running::Stream(None) if is_gone => None,
        Running::Stream(None) => {
            let value = abi::header_map_value(MapType::HttpRequestHeaders, name.as_bytes());
            // The host has the request's headers no more: it need not be asked for others.
            is_gone = value.is_err();
            value.ok()?
        }
    });
    RUNNING.set(running);
    values
}

fn trace_id_in(traceparent: &str) -> Option<&str> {
    let id = trace_id(traceparent.as_bytes())?;
    std::str::from_utf8(id).ok()
}

/// A line as the JSON object that it is written as.
struct Line<'a> {
    level: &'a str,
    record: &'a Record<'a>,
    request_id: Option<&'a str>,
    trace_id: Option<&'a str>,
}

impl Line<'_> {
    /// Whether this key is ours: no field of a caller's may hide it.
    fn owns(&self, key: &str) -> bool {
        match key {
            "level" | "filter" | "message" => true,
            "request_id" => self.request_id.is_some(),
            "trace_id" => self.trace_id.is_some(),
            _ => false,
        }
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("level", self.level)?;
        object.serialize_entry("filter", FILTER.get())?;
        object.serialize_entry("message", &text(self.record.args()))?;
        // A value that does not let itself be read is left out.
        let _ = self.record.key_values().visit(&mut Fields {
            line: self,
            object: &mut object,
        });
        if let Some(id) = self.request_id {
            object.serialize_entry("request_id", id)?;
        }
        if let Some(id) = self.trace_id {
            object.serialize_entry("trace_id", id)?;
        }
        object.end()
    }
}

/// As `to_string`, but what fails to show itself costs its rest, not a panic.
fn text(value: impl Display) -> String {
    let mut text = String::new();
    let _ = write!(text, "{value}");
    text
}

struct Fields<'a, M> {
    line: &'a Line<'a>,
    object: &'a mut M,
}

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for Fields<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if self.line.owns(key.as_str()) {
            return Ok(());
        }
        value.visit(Field {
            key: key.as_str(),
            object: self.object,
        })
    }
}

struct Field<'a, M> {
    key: &'a str,
    object: &'a mut M,
}

impl<M: SerializeMap> Field<'_, M> {
    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), kv::Error> {
        let put = self.object.serialize_entry(self.key, value);
        put.map_err(|_| kv::Error::msg("a field that cannot be written"))
    }
}

impl<M: SerializeMap> VisitValue<'_> for Field<'_, M> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.put(&text(value))
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.put(&())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.put(&value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.put(&value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.put(&value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.put(&value)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.put(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_trace_id_from_a_valid_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id_in(&format!("00-{id}-00f067aa0ba902b7-01")),
            Some(id)
        );
        for wrong in [
            "",
            "00",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id_in(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_field_of_a_callers_hides_one_of_ours() {
        struct Failing;

        impl Display for Failing {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("half")?;
                Err(std::fmt::Error)
            }
        }

        let failing = Failing;
        let fields: [(&str, Value<'_>); 9] = [
            ("level", "theirs".into()),
            ("request_id", "theirs".into()),
            ("trace_id", "theirs".into()),
            ("float", 0.1.into()),
            ("whole", 3.0.into()),
            ("endless", f64::INFINITY.into()),
            ("negative", (-1).into()),
            ("nothing", Value::null()),
            ("failing", Value::from_display(&failing)),
        ];
        let fields = fields.as_slice();
        let mut record = Record::builder();
        let record = record.key_values(&fields).build();
        let line = Line {
            level: "warn",
            record: &record,
            request_id: Some("a\"b"),
            trace_id: None,
        };

        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"level":"warn","filter":"","message":"","trace_id":"theirs","float":0.1,"whole":3.0,"endless":null,"negative":-1,"nothing":null,"failing":"half","request_id":"a\"b"}"#
        );
    }
}
