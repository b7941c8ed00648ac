//! The host's side of the proxy-wasm ABI 0.2.1, as symbols that a natively
//! linked filter calls. Every function here turns addresses into slices, asks
//! the host of the callback that is running, and writes its answer.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::slice;

use crate::allocations;
use crate::call::{Call, Served, Shape, status};
use crate::machine;

unsafe extern "C" {
    /// Defined by the crate `proxy-wasm`: what a host has a module allocate its
    /// answers by.
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// What the guest gave as an argument.
///
/// # Safety
///
/// `data` is null or points to `size` bytes that live as long as the call.
unsafe fn given<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { slice::from_raw_parts(data, size) }
}

/// Hands an answer's bytes to the guest.
///
/// # Safety
///
/// `data` and `size` are where the guest wants its answer.
unsafe fn give(served: &Served, data: *mut *mut u8, size: *mut usize) -> u32 {
    if served.status != status::OK {
        return served.status;
    }
    let (block, length) = match served.shape {
        Shape::NullOfSize(size) => (ptr::null_mut(), size),
        Shape::BlockOfNothing => (NonNull::dangling().as_ptr(), 0),
        Shape::Plain if served.bytes.is_empty() => (ptr::null_mut(), 0),
        Shape::Plain => {
            let length = served.bytes.len();
            let block = {
                let _scope = allocations::for_answer();
                // SAFETY: any size may be asked for.
                unsafe { proxy_on_memory_allocate(length) }
            };
            // SAFETY: the block is new and has that many bytes.
            unsafe { ptr::copy_nonoverlapping(served.bytes.as_ptr(), block, length) };
            (block, length)
        }
    };
    // SAFETY: as the caller promises.
    unsafe {
        data.write(block);
        size.write(length);
    }
    status::OK
}

/// Hands a number to the guest.
///
/// # Safety
///
/// `to` is where the guest wants its answer.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a 32-bit answer has 32 bits"
)]
unsafe fn give_u32(served: &Served, to: *mut u32) -> u32 {
    if served.status == status::OK {
        // SAFETY: as the caller promises.
        unsafe { to.write(served.number as u32) };
    }
    served.status
}

/// Hands a number to the guest.
///
/// # Safety
///
/// `to` is where the guest wants its answer.
unsafe fn give_u64(served: &Served, to: *mut u64) -> u32 {
    if served.status == status::OK {
        // SAFETY: as the caller promises.
        unsafe { to.write(served.number) };
    }
    served.status
}

/// Makes the call and passes on what becomes of it.
fn ask<T>(call: Call<'_>, answer: impl FnOnce(&Served) -> T) -> T {
    let _scope = allocations::by_host();
    answer(&machine::call(call))
}

fn status_of(served: &Served) -> u32 {
    served.status
}

/// What an argument is to the guest: `bytes` are two, address and size.
macro_rules! parameter {
    (bytes) => { *const u8 };
    ($type:ident) => { $type };
}

macro_rules! argument {
    // SAFETY: as of the function.
    (bytes $data:ident $size:ident) => {
        unsafe { given($data, $size) }
    };
    ($type:ident $value:ident) => {
        $value
    };
}

/// Defines the symbols: arguments, what comes back beside the status, and the
/// call that it is.
macro_rules! symbols {
    ($($name:ident($($type:ident $argument:ident $($size:ident)?),*) $(-> $answer:ident)? = $call:expr;)*) => {
        $(symbols!(@one $name [$($type $argument $($size)?),*] [$($answer)?] $call);)*
    };
    (@one $name:ident [$($type:ident $argument:ident $($size:ident)?),*] [] $call:expr) => {
        /// # Safety
        ///
        /// The guest keeps the ABI's contract.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: parameter!($type) $(, $size: usize)?),*) -> u32 {
            $(let $argument = argument!($type $argument $($size)?);)*
            ask($call, status_of)
        }
    };
    (@one $name:ident [$($type:ident $argument:ident $($size:ident)?),*] [bytes] $call:expr) => {
        /// # Safety
        ///
        /// The guest keeps the ABI's contract.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            $($argument: parameter!($type), $($size: usize,)?)*
            answer: *mut *mut u8,
            answer_size: *mut usize,
        ) -> u32 {
            $(let $argument = argument!($type $argument $($size)?);)*
            // SAFETY: as of the function.
            ask($call, |served| unsafe { give(served, answer, answer_size) })
        }
    };
    (@one $name:ident [$($type:ident $argument:ident $($size:ident)?),*] [number] $call:expr) => {
        /// # Safety
        ///
        /// The guest keeps the ABI's contract.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            $($argument: parameter!($type), $($size: usize,)?)*
            answer: *mut u32,
        ) -> u32 {
            $(let $argument = argument!($type $argument $($size)?);)*
            // SAFETY: as of the function.
            ask($call, |served| unsafe { give_u32(served, answer) })
        }
    };
    (@one $name:ident [$($type:ident $argument:ident),*] [long_number] $call:expr) => {
        /// # Safety
        ///
        /// The guest keeps the ABI's contract.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type,)* answer: *mut u64) -> u32 {
            // SAFETY: as of the function.
            ask($call, |served| unsafe { give_u64(served, answer) })
        }
    };
}

symbols! {
    proxy_log(u32 level, bytes message size) = Call::Log { level, message };
    proxy_get_log_level() -> number = Call::LogLevel;
    proxy_get_current_time_nanoseconds() -> long_number = Call::Now;
    proxy_set_tick_period_milliseconds(u32 milliseconds) = Call::SetTickPeriod { milliseconds };

    proxy_get_buffer_bytes(u32 buffer, usize start, usize max_size) -> bytes =
        Call::Buffer { buffer, start, max_size };
    proxy_set_buffer_bytes(u32 buffer, usize start, usize size, bytes data data_size) =
        Call::SetBuffer { buffer, start, size, data };

    proxy_get_header_map_pairs(u32 map) -> bytes = Call::Map { map };
    proxy_set_header_map_pairs(u32 map, bytes pairs size) = Call::SetMap { map, pairs };
    proxy_get_header_map_value(u32 map, bytes name name_size) -> bytes =
        Call::MapValue { map, name };
    proxy_replace_header_map_value(u32 map, bytes name name_size, bytes value value_size) =
        Call::ReplaceMapValue { map, name, value };
    proxy_add_header_map_value(u32 map, bytes name name_size, bytes value value_size) =
        Call::AddMapValue { map, name, value };
    proxy_remove_header_map_value(u32 map, bytes name name_size) =
        Call::RemoveMapValue { map, name };

    proxy_get_property(bytes path path_size) -> bytes = Call::Property { path };
    proxy_set_property(bytes path path_size, bytes value value_size) =
        Call::SetProperty { path, value };

    proxy_set_shared_data(bytes key key_size, bytes value value_size, u32 cas) =
        Call::SetSharedData { key, value, cas };
    proxy_register_shared_queue(bytes name name_size) -> number = Call::RegisterQueue { name };
    proxy_resolve_shared_queue(bytes vm_id vm_id_size, bytes name name_size) -> number =
        Call::ResolveQueue { vm_id, name };
    proxy_dequeue_shared_queue(u32 queue) -> bytes = Call::Dequeue { queue };
    proxy_enqueue_shared_queue(u32 queue, bytes value value_size) =
        Call::Enqueue { queue, value };

    proxy_continue_stream(u32 stream) = Call::ContinueStream { stream };
    proxy_close_stream(u32 stream) = Call::CloseStream { stream };
    proxy_send_local_response(
        u32 status,
        bytes details details_size,
        bytes body body_size,
        bytes headers headers_size,
        i32 grpc_status
    ) = Call::LocalResponse { status, details, body, headers, grpc_status };

    proxy_http_call(
        bytes upstream upstream_size,
        bytes headers headers_size,
        bytes body body_size,
        bytes trailers trailers_size,
        u32 timeout
    ) -> number = Call::HttpCall { upstream, headers, body, trailers, timeout };
    proxy_grpc_call(
        bytes upstream upstream_size,
        bytes service service_size,
        bytes method method_size,
        bytes metadata metadata_size,
        bytes message message_size,
        u32 timeout
    ) -> number = Call::GrpcCall { upstream, service, method, metadata, message, timeout };
    proxy_grpc_stream(
        bytes upstream upstream_size,
        bytes service service_size,
        bytes method method_size,
        bytes metadata metadata_size
    ) -> number = Call::GrpcStream { upstream, service, method, metadata };
    proxy_grpc_send(u32 token, bytes message message_size, bool end_of_stream) =
        Call::GrpcSend { token, message, end_of_stream };
    proxy_grpc_cancel(u32 token) = Call::GrpcCancel { token };
    proxy_grpc_close(u32 token) = Call::GrpcClose { token };

    proxy_set_effective_context(u32 context) = Call::SetEffectiveContext { context };
    proxy_call_foreign_function(bytes function function_size, bytes arguments arguments_size) -> bytes =
        Call::Foreign { function, arguments };
    proxy_done() = Call::Done;

    proxy_define_metric(u32 kind, bytes name name_size) -> number =
        Call::DefineMetric { kind, name };
    proxy_get_metric(u32 metric) -> long_number = Call::Metric { metric };
    proxy_record_metric(u32 metric, u64 value) = Call::RecordMetric { metric, value };
    proxy_increment_metric(u32 metric, i64 offset) = Call::IncrementMetric { metric, offset };
}

/// # Safety
///
/// The guest keeps the ABI's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    value: *mut *mut u8,
    value_size: *mut usize,
    cas: *mut u32,
) -> u32 {
    // SAFETY: as of the function.
    let key = unsafe { given(key, key_size) };
    ask(Call::SharedData { key }, |served| {
        // SAFETY: as of the function.
        unsafe {
            give_u32(served, cas);
            give(served, value, value_size)
        }
    })
}

/// # Safety
///
/// The guest keeps the ABI's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_status(
    code: *mut u32,
    message: *mut *mut u8,
    message_size: *mut usize,
) -> u32 {
    ask(Call::GrpcStatus, |served| {
        // SAFETY: as of the function.
        unsafe {
            give_u32(served, code);
            give(served, message, message_size)
        }
    })
}
