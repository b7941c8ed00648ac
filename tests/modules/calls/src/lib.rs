//! A filter that uses one of the SDK's services in each request, as often as it is
//! told to. `services.rs`, beside this folder, says which ones are measured.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use deserr::Deserr;
use legation::attributes::REQUEST_HOST;
use legation::config::{Bounded, ConfigErrors};
use legation::foreign::{self, Hash};
use legation::http::HeaderName;
use legation::metrics::{Counter, Family, Gauge, Histogram};
use legation::shared::{Geometry, Leader, SharedError, SharedMap, SharedQueue, SharedValue};
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestBody, RequestHeaders, Result, clock,
    filter_state, random,
};

const ABSENT: &str = "x-absent";
/// The last of the headers that requests have for this filter: `x-field-1` to 20.
const LAST: &str = "x-field-20";
const FIELDS: usize = 20;
const NEW: HeaderName = HeaderName::from_static("x-new");
const VALUE: &str = "a value of middling length";

/// A key and a signature.
type Signed = (&'static [u8], &'static [u8]);

/// What is signed: by a key of RSA with 2048 bits, and by one on the curve P-256.
const TEXT: &[u8] = include_bytes!("../keys/text");
const RS256: Signed = (
    include_bytes!("../keys/rs256.der"),
    include_bytes!("../keys/rs256.signature"),
);
const ES256: Signed = (
    include_bytes!("../keys/es256.der"),
    include_bytes!("../keys/es256.signature"),
);

/// As much as the requests with a body have.
const BODY: usize = 64 * 1024;

/// Which service, and how often.
#[derive(Debug, Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
pub struct Config {
    call: Call,
    times: Bounded<0, 1_000>,
}

/// What of the SDK is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserr)]
#[deserr(error = ConfigErrors, rename_all = camelCase)]
pub enum Call {
    /// Nothing.
    Nothing,
    /// Looks for a header that is not there, alone.
    PeekAbsent,
    /// Looks for a header that is there, alone.
    PeekPresent,
    /// Reads a header, the first time by fetching them all.
    Get,
    /// Sets a header.
    Set,
    /// Appends to a header.
    Append,
    /// Removes a header that is there.
    Remove,
    /// Puts the same headers in the place of all.
    ReplaceAll,
    /// Reads an attribute.
    Attribute,
    /// Asks for the client's address.
    SourceIp,
    /// Asks for the time.
    Now,
    /// Draws 16 random bytes.
    Random,
    /// Counts.
    Increment,
    /// Sets a gauge.
    SetGauge,
    /// Records a value.
    Record,
    /// Looks up a counter by its tags.
    Tagged,
    /// Logs what nobody wants to see.
    LogBelow,
    /// Writes a line to the log.
    LogWritten,
    /// Reads a shared value.
    ValueGet,
    /// Sets a shared value.
    ValueSet,
    /// Changes a shared value.
    ValueUpdate,
    /// Changes the entry of a shared map.
    MapUpdate,
    /// Renews a lease.
    Lead,
    /// Puts something into a queue and takes it out.
    PushAndPop,
    /// Sets filter state.
    StateSet,
    /// Reads filter state.
    StateGet,
    /// Has the route chosen anew.
    ClearRouteCache,
    /// Checks a signature by RSA.
    VerifyRs256,
    /// Checks a signature on a curve.
    VerifyEs256,
    /// Compresses 1 KB.
    Compress,
    /// Answers in the upstream's place.
    Reply,
    /// Reads the whole body.
    ReadBody,
    /// Puts another in the body's place.
    ReplaceBody,
}

/// The filter.
#[derive(Debug)]
pub struct Calls {
    call: Call,
    times: usize,
    counter: Counter,
    gauge: Gauge,
    histogram: Histogram,
    family: Family<Counter, 2>,
    value: SharedValue<u64>,
    map: SharedMap<u64>,
    leader: Leader,
    queue: SharedQueue<u64>,
    fields: Vec<HeaderName>,
    kilobyte: Vec<u8>,
    body: Vec<u8>,
}

/// What a service needs that is not counted as its own.
struct Ready {
    now: SystemTime,
    headers: Vec<(String, Vec<u8>)>,
}

#[legation::filter]
impl HttpFilter for Calls {
    const NAME: &'static str = "calls";
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Self::new(&config, host).map_err(|error| ConfigErrors::of_document(error.to_string()))
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        if self.call == Call::Reply && self.times > 0 {
            return Ok(LocalReply::new(403).body("no\n").into());
        }
        let ready = self.ready(request)?;
        for n in 0..self.times {
            self.once(n, request, &ready)?;
        }
        Ok(Flow::Continue)
    }

    fn on_request_body(&self, (): &mut (), body: &mut RequestBody) -> Result<Flow> {
        if !body.is_end_of_stream() {
            return Ok(Flow::Pause);
        }
        check(body.size() == BODY, "the body has another size")?;
        for _ in 0..self.times {
            match self.call {
                Call::ReadBody => drop(black_box(body.read(0, BODY)?)),
                Call::ReplaceBody => body.replace(&self.body)?,
                _ => {}
            }
        }
        Ok(Flow::Continue)
    }
}

legation::register!(Calls);

impl Calls {
    fn new(config: &Config, host: &mut Configure) -> Result<Self, SharedError> {
        const GEOMETRY: Geometry = Geometry {
            buckets: 64,
            ways: 8,
        };
        let fields = (1..=FIELDS).map(|n| HeaderName::try_from(format!("x-field-{n}")));
        Ok(Self {
            call: config.call,
            times: usize::try_from(config.times.get()).unwrap_or_default(),
            counter: host.counter("counted"),
            gauge: host.gauge("shown"),
            histogram: host.histogram("recorded"),
            family: host.counter_family("tagged", ["reason", "issuer"]),
            value: SharedValue::new("calls.value"),
            map: SharedMap::open("calls.map", GEOMETRY)?,
            leader: Leader::new("calls.leader")?,
            queue: SharedQueue::register("calls.queue", 100)?,
            fields: fields.filter_map(Result::ok).collect(),
            kilobyte: b"{\"user\":\"alice\",\"id\":4711},".repeat(39),
            body: vec![b'x'; BODY],
        })
    }

    fn ready(&self, request: &mut RequestHeaders) -> Result<Ready> {
        let mut ready = Ready {
            now: SystemTime::UNIX_EPOCH,
            headers: Vec::new(),
        };
        match self.call {
            Call::Lead | Call::MapUpdate => ready.now = clock::now()?,
            Call::ReplaceAll => {
                let text = |name| String::from_utf8_lossy(name).into_owned();
                let all = request.headers().all()?;
                ready.headers = all
                    .map(|(name, value)| (text(name), value.to_vec()))
                    .collect();
            }
            Call::StateGet => filter_state::set("calls", VALUE)?,
            Call::ValueGet => self.value.set(&1)?,
            _ => {}
        }
        Ok(ready)
    }

    #[inline]
    fn once(&self, n: usize, request: &mut RequestHeaders, ready: &Ready) -> Result<()> {
        let headers = request.headers();
        match self.call {
            Call::Nothing | Call::Reply | Call::ReadBody | Call::ReplaceBody => {}
            Call::PeekAbsent => drop(black_box(headers.peek(ABSENT)?)),
            Call::PeekPresent => drop(black_box(headers.peek(LAST)?)),
            Call::Get => _ = black_box(headers.get(LAST)?),
            Call::Set => headers.set(&NEW, VALUE)?,
            Call::Append => headers.append(&NEW, VALUE)?,
            Call::Remove => {
                if let Some(name) = self.fields.get(n) {
                    headers.remove(name)?;
                }
            }
            Call::ReplaceAll => {
                let all = ready.headers.iter();
                headers.replace_all(all.map(|(name, value)| (name, value)))?;
            }
            Call::Attribute => drop(black_box(request.attribute(REQUEST_HOST)?)),
            Call::SourceIp => _ = black_box(request.source_ip()?),
            Call::Now => _ = black_box(clock::now()?),
            Call::Random => {
                let mut bytes = [0_u8; 16];
                random::fill(&mut bytes)?;
                black_box(bytes);
            }
            Call::Increment => self.counter.increment(),
            Call::SetGauge => self.gauge.set(1),
            Call::Record => self.histogram.record(1),
            Call::Tagged => _ = black_box(self.family.with(["expired", "https://issuer.example"])),
            Call::LogBelow => log::debug!(reason = "expired"; "token refused"),
            Call::LogWritten => log::info!(reason = "expired"; "token refused"),
            Call::ValueGet => _ = black_box(self.value.get()?),
            Call::ValueSet => self.value.set(&1)?,
            Call::ValueUpdate => {
                self.value.update(one_more)?;
            }
            Call::MapUpdate => {
                self.map.update(b"203.0.113.7", ready.now, one_more)?;
            }
            Call::Lead => {
                let leads = self.leader.try_lead(ready.now, Duration::from_mins(1))?;
                check(leads, "another one leads")?;
            }
            Call::PushAndPop => {
                self.queue.push(&1)?;
                check(self.queue.pop()? == Some(1), "the queue is empty")?;
            }
            Call::StateSet => filter_state::set("calls", VALUE)?,
            Call::StateGet => {
                let state = filter_state::get::<Vec<u8>>("calls")?;
                check(state.is_some(), "there is no state")?;
            }
            Call::ClearRouteCache => foreign::clear_route_cache()?,
            Call::VerifyRs256 => verify(RS256)?,
            Call::VerifyEs256 => verify(ES256)?,
            Call::Compress => drop(black_box(foreign::compress(&self.kilobyte)?)),
        }
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as updates want it")]
fn one_more(old: Option<u64>) -> Option<u64> {
    Some(old.unwrap_or(0).wrapping_add(1))
}

fn verify((key, signature): Signed) -> Result<()> {
    let verified = foreign::verify_signature(Hash::Sha256, key, signature, TEXT)?;
    check(verified, "the signature is wrong")
}

fn check(holds: bool, what: &'static str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::other(what))
    }
}
