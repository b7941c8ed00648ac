//! The SDK's services whose cost is counted and measured: what the table in
//! `sdk/README.md` has. The tests of the module `calls` count host calls by it, and
//! `cargo xtask bench --services` measures by it.

/// One service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// As the table calls it.
    pub(crate) what: &'static str,
    /// Short, for `--only`.
    pub(crate) name: &'static str,
    /// The module that uses it.
    pub(crate) module: &'static str,
    /// What that module is told to do; nothing, where it has no configuration.
    pub(crate) call: Option<&'static str>,
    /// How often it does so in a request.
    pub(crate) times: u32,
    /// What the same request does without the service.
    pub(crate) beside: Beside,
    /// Bytes of the request's body.
    pub(crate) body: usize,
    /// The status of the answer.
    pub(crate) status: u16,
}

/// What a service's cost is the difference to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside {
    /// The module, doing nothing.
    Nothing,
    /// The module, doing the same fewer times.
    Times(u32),
    /// Another module.
    Module(&'static str),
}

const CALLS: Service = Service {
    what: "",
    name: "",
    module: "calls",
    call: None,
    times: 1,
    beside: Beside::Nothing,
    body: 0,
    status: 200,
};

const AWAITED: Service = Service {
    module: "calls-awaited",
    ..CALLS
};

const fn sync(what: &'static str, name: &'static str, call: &'static str, times: u32) -> Service {
    Service {
        what,
        name,
        call: Some(call),
        times,
        ..CALLS
    }
}

const fn awaited(
    what: &'static str,
    name: &'static str,
    call: &'static str,
    times: u32,
) -> Service {
    Service {
        what,
        name,
        call: Some(call),
        times,
        ..AWAITED
    }
}

const fn with_body(service: Service) -> Service {
    Service {
        beside: Beside::Times(0),
        body: 64 * 1024,
        ..service
    }
}

/// In the table's order.
pub(crate) const SERVICES: &[Service] = &[
    sync("`headers.peek`, absent", "peek-absent", "peekAbsent", 50),
    sync("`headers.peek`, there", "peek-present", "peekPresent", 50),
    sync("the first read of headers, about 30", "fetch", "get", 1),
    Service {
        beside: Beside::Times(1),
        ..sync("`headers.get`, after that", "get", "get", 101)
    },
    sync("`headers.set`", "set", "set", 20),
    sync("`headers.append`", "append", "append", 10),
    sync("`headers.remove`", "remove", "remove", 20),
    Service {
        beside: Beside::Times(0),
        ..sync(
            "`headers.replace_all`, about 30",
            "replace-all",
            "replaceAll",
            10,
        )
    },
    sync("`request.attribute`", "attribute", "attribute", 50),
    sync("`request.source_ip`", "source-ip", "sourceIp", 50),
    sync("`clock::now`", "now", "now", 50),
    sync("`random::fill`, 16 bytes", "random", "random", 50),
    sync("`Counter::increment`", "counter", "increment", 100),
    sync("`Gauge::set`", "gauge", "setGauge", 100),
    sync("`Histogram::record`", "histogram", "record", 100),
    sync("`Family::with`, seen before", "family", "tagged", 100),
    sync("log line below the level", "log-below", "logBelow", 100),
    sync("log line, written", "log-written", "logWritten", 5),
    with_body(sync("`body.read`, 64 KB", "body-read", "readBody", 10)),
    with_body(sync(
        "`body.replace`, 64 KB",
        "body-replace",
        "replaceBody",
        10,
    )),
    with_body(awaited(
        "`buffer_body`, 64 KB",
        "buffer-body",
        "bufferBody",
        1,
    )),
    Service {
        status: 403,
        ..sync("local reply, beside the router's own", "reply", "reply", 1)
    },
    sync("`filter_state::set`", "state-set", "stateSet", 50),
    Service {
        beside: Beside::Times(0),
        ..sync("`filter_state::get`", "state-get", "stateGet", 50)
    },
    Service {
        beside: Beside::Times(0),
        ..sync("`SharedValue::get`", "shared-get", "valueGet", 50)
    },
    sync("`SharedValue::set`", "shared-set", "valueSet", 50),
    sync("`SharedValue::update`", "shared-update", "valueUpdate", 50),
    sync("`SharedMap::update`, there", "shared-map", "mapUpdate", 50),
    sync("`Leader::try_lead`, leading", "leader", "lead", 50),
    sync("`SharedQueue::push` and `pop`", "queue", "pushAndPop", 20),
    sync(
        "`foreign::clear_route_cache`",
        "clear-route-cache",
        "clearRouteCache",
        50,
    ),
    sync(
        "`foreign::verify_signature`, RS256",
        "verify-rs256",
        "verifyRs256",
        5,
    ),
    sync(
        "`foreign::verify_signature`, ES256",
        "verify-es256",
        "verifyEs256",
        5,
    ),
    sync("`foreign::compress`, 1 KB", "compress", "compress", 10),
    Service {
        what: "`async fn` that awaits nothing, beside `fn`",
        name: "async",
        module: "quiet-async",
        beside: Beside::Module("quiet"),
        ..CALLS
    },
    awaited(
        "`FetchCache::get_or_fetch`, kept",
        "fetch-cache",
        "fetched",
        50,
    ),
    awaited(
        "`HttpRequest::send`, there and back",
        "http-callout",
        "http",
        1,
    ),
    awaited(
        "`GrpcRequest::send`, there and back",
        "grpc-callout",
        "grpc",
        1,
    ),
];
