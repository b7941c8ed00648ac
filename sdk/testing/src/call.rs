//! A host call, and what the host may answer.

use std::fmt;

macro_rules! calls {
    ($($(#[$doc:meta])* $variant:ident $({ $($field:ident: $type:ty),* $(,)? })? = $name:literal,)*) => {
        /// A host call as the guest made it. Maps, buffers, streams and
        /// metrics are the numbers of the ABI.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the fields are the ABI's arguments")]
        pub enum Call<'a> {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $variant $({ $($field: $type),* })?,)*
        }

        impl Call<'_> {
            /// The ABI name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)*
                }
            }
        }

        /// The ABI name of every host call there is.
        pub const HOST_CALLS: &[&str] = &[$($name),*];
    };
}

calls! {
    Log { level: u32, message: &'a [u8] } = "proxy_log",
    LogLevel = "proxy_get_log_level",
    Now = "proxy_get_current_time_nanoseconds",
    SetTickPeriod { milliseconds: u32 } = "proxy_set_tick_period_milliseconds",
    Buffer { buffer: u32, start: usize, max_size: usize } = "proxy_get_buffer_bytes",
    SetBuffer { buffer: u32, start: usize, size: usize, data: &'a [u8] } = "proxy_set_buffer_bytes",
    Map { map: u32 } = "proxy_get_header_map_pairs",
    SetMap { map: u32, pairs: &'a [u8] } = "proxy_set_header_map_pairs",
    MapValue { map: u32, name: &'a [u8] } = "proxy_get_header_map_value",
    ReplaceMapValue { map: u32, name: &'a [u8], value: &'a [u8] } = "proxy_replace_header_map_value",
    AddMapValue { map: u32, name: &'a [u8], value: &'a [u8] } = "proxy_add_header_map_value",
    RemoveMapValue { map: u32, name: &'a [u8] } = "proxy_remove_header_map_value",
    Property { path: &'a [u8] } = "proxy_get_property",
    SetProperty { path: &'a [u8], value: &'a [u8] } = "proxy_set_property",
    SharedData { key: &'a [u8] } = "proxy_get_shared_data",
    SetSharedData { key: &'a [u8], value: &'a [u8], cas: u32 } = "proxy_set_shared_data",
    RegisterQueue { name: &'a [u8] } = "proxy_register_shared_queue",
    ResolveQueue { vm_id: &'a [u8], name: &'a [u8] } = "proxy_resolve_shared_queue",
    Dequeue { queue: u32 } = "proxy_dequeue_shared_queue",
    Enqueue { queue: u32, value: &'a [u8] } = "proxy_enqueue_shared_queue",
    ContinueStream { stream: u32 } = "proxy_continue_stream",
    CloseStream { stream: u32 } = "proxy_close_stream",
    LocalResponse {
        status: u32,
        details: &'a [u8],
        body: &'a [u8],
        headers: &'a [u8],
        grpc_status: i32,
    } = "proxy_send_local_response",
    HttpCall {
        upstream: &'a [u8],
        headers: &'a [u8],
        body: &'a [u8],
        trailers: &'a [u8],
        timeout: u32,
    } = "proxy_http_call",
    GrpcCall {
        upstream: &'a [u8],
        service: &'a [u8],
        method: &'a [u8],
        metadata: &'a [u8],
        message: &'a [u8],
        timeout: u32,
    } = "proxy_grpc_call",
    GrpcStream {
        upstream: &'a [u8],
        service: &'a [u8],
        method: &'a [u8],
        metadata: &'a [u8],
    } = "proxy_grpc_stream",
    GrpcSend { token: u32, message: &'a [u8], end_of_stream: bool } = "proxy_grpc_send",
    GrpcCancel { token: u32 } = "proxy_grpc_cancel",
    GrpcClose { token: u32 } = "proxy_grpc_close",
    GrpcStatus = "proxy_get_status",
    SetEffectiveContext { context: u32 } = "proxy_set_effective_context",
    Foreign { function: &'a [u8], arguments: &'a [u8] } = "proxy_call_foreign_function",
    Done = "proxy_done",
    DefineMetric { kind: u32, name: &'a [u8] } = "proxy_define_metric",
    Metric { metric: u32 } = "proxy_get_metric",
    RecordMetric { metric: u32, value: u64 } = "proxy_record_metric",
    IncrementMetric { metric: u32, offset: i64 } = "proxy_increment_metric",
}

/// What the host answers to a call: the real thing, or what a test would have
/// it say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The call does what it does, and says so.
    Real,
    /// The call does nothing and answers this status, whatever number it is.
    Status(u32),
    /// The call does what it does, and answers this status.
    RealBut(u32),
    /// Ok, and these bytes.
    Bytes(Vec<u8>),
    /// The real answer, its bytes cut to so many.
    CutTo(usize),
    /// Ok, and no bytes: the address null with the size 0.
    Null,
    /// Ok, the address null and yet a size.
    NullOfSize(usize),
    /// Ok, an address and the size 0.
    BlockOfNothing,
    /// Ok, and this number: a time, a log level, a metric, a token.
    Number(u64),
}

/// What goes back to the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) status: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) shape: Shape,
    pub(crate) number: u64,
}

/// How an answer's bytes are handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Plain,
    NullOfSize(usize),
    BlockOfNothing,
}

impl Served {
    pub(crate) fn status(status: u32) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn ok() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            ..Self::default()
        }
    }

    pub(crate) fn number(number: impl Into<u64>) -> Self {
        Self {
            number: number.into(),
            ..Self::default()
        }
    }

    pub(crate) fn of_shape(shape: Shape) -> Self {
        Self {
            shape,
            ..Self::default()
        }
    }
}

/// The statuses of the ABI that the host answers.
pub(crate) mod status {
    pub(crate) const OK: u32 = 0;
    pub(crate) const NOT_FOUND: u32 = 1;
    pub(crate) const BAD_ARGUMENT: u32 = 2;
    pub(crate) const SERIALIZATION_FAILURE: u32 = 3;
    pub(crate) const PARSE_FAILURE: u32 = 4;
    pub(crate) const EMPTY: u32 = 7;
    pub(crate) const CAS_MISMATCH: u32 = 8;
    pub(crate) const INTERNAL_FAILURE: u32 = 10;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
}

/// A callback of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the ABI's own")]
pub enum Callback {
    ContextCreate,
    Configure,
    Tick,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    HttpCallResponse,
    GrpcReceive,
    GrpcClose,
    Log,
    Done,
    Delete,
}

impl Callback {
    /// The ABI name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ContextCreate => "proxy_on_context_create",
            Self::Configure => "proxy_on_configure",
            Self::Tick => "proxy_on_tick",
            Self::RequestHeaders => "proxy_on_request_headers",
            Self::RequestBody => "proxy_on_request_body",
            Self::RequestTrailers => "proxy_on_request_trailers",
            Self::ResponseHeaders => "proxy_on_response_headers",
            Self::ResponseBody => "proxy_on_response_body",
            Self::ResponseTrailers => "proxy_on_response_trailers",
            Self::HttpCallResponse => "proxy_on_http_call_response",
            Self::GrpcReceive => "proxy_on_grpc_receive",
            Self::GrpcClose => "proxy_on_grpc_close",
            Self::Log => "proxy_on_log",
            Self::Done => "proxy_on_done",
            Self::Delete => "proxy_on_delete",
        }
    }

    /// Whether it shows a part of a message, which its result lets go on.
    pub(crate) fn is_of_message(self) -> bool {
        matches!(
            self,
            Self::RequestHeaders
                | Self::RequestBody
                | Self::RequestTrailers
                | Self::ResponseHeaders
                | Self::ResponseBody
                | Self::ResponseTrailers
        )
    }

    /// Whether it tells the answer to a callout.
    pub fn is_answer(self) -> bool {
        matches!(
            self,
            Self::HttpCallResponse | Self::GrpcReceive | Self::GrpcClose
        )
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A host call that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The ABI name.
    pub name: &'static str,
    /// The callback that made it.
    pub callback: Callback,
    /// The context that the callback was about.
    pub context: u32,
    /// The context that the call was about: another one where the guest has
    /// said so (`proxy_set_effective_context`).
    pub effective: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_host_calls_as_the_abi_has() {
        assert_eq!(HOST_CALLS.len(), 37);
    }
}
