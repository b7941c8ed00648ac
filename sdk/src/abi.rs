//! The proxy-wasm ABI 0.2.1 as safe functions: the one place with `unsafe`.
//!
//! The wrappers of the `proxy-wasm` crate panic on a status they do not
//! expect and on text that is not UTF-8, and read statuses into an enum that
//! lacks some of them. These take every status as a number, deal in bytes,
//! and return errors.
//!
//! Every function here is exactly one host call.

#![allow(unsafe_code)]

use std::ptr;

pub(crate) use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, StreamType};

use crate::error::{HostError, Reason, Status};

type Answer<T> = Result<T, HostError>;

#[cfg_attr(target_arch = "wasm32", link(wasm_import_module = "env"))]
unsafe extern "C" {
    safe fn proxy_get_current_time_nanoseconds(nanoseconds: &mut u64) -> u32;
    safe fn proxy_get_log_level(level: &mut u32) -> u32;
    safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    safe fn proxy_continue_stream(stream: u32) -> u32;
    safe fn proxy_close_stream(stream: u32) -> u32;
    safe fn proxy_grpc_cancel(token: u32) -> u32;
    safe fn proxy_set_effective_context(id: u32) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
    safe fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    safe fn proxy_get_metric(id: u32, value: &mut u64) -> u32;
    fn proxy_log(level: u32, message: *const u8, message_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        replaced: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, queue: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        queue: *mut u32,
    ) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, value: *const u8, value_size: usize) -> u32;
    fn proxy_http_call(
        upstream: *const u8,
        upstream_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_grpc_call(
        upstream: *const u8,
        upstream_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_get_status(code: *mut u32, message: *mut *mut u8, message_size: *mut usize) -> u32;
    fn proxy_call_foreign_function(
        function: *const u8,
        function_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

const fn check(call: &'static str, status: u32) -> Answer<()> {
    match Status(status) {
        Status::OK => Ok(()),
        status => Err(HostError::status(call, status)),
    }
}

/// Calls a function that answers with bytes. The host has the module allocate
/// them (`proxy_on_memory_allocate`) and hands over address and size.
fn bytes(
    call: &'static str,
    ask: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Answer<Option<Vec<u8>>> {
    let mut data = ptr::null_mut();
    let mut size = 0_usize;
    match Status(ask(&raw mut data, &raw mut size)) {
        Status::OK if data.is_null() || size == 0 => Ok(Some(Vec::new())),
        // SAFETY: the host got this block from `proxy_on_memory_allocate`,
        // which leaks a boxed slice of exactly `size` bytes of the global
        // allocator, and gives it up with this answer.
        Status::OK => {
            let block = ptr::slice_from_raw_parts_mut(data, size);
            Ok(Some(unsafe { Box::from_raw(block) }.into_vec()))
        }
        Status::NOT_FOUND | Status::EMPTY => Ok(None),
        status => Err(HostError::status(call, status)),
    }
}

pub(crate) fn log(level: LogLevel, message: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `message` during the call only.
    check("proxy_log", unsafe {
        proxy_log(level as u32, message.as_ptr(), message.len())
    })
}

pub(crate) fn log_level() -> Answer<u32> {
    let mut level = 0;
    check("proxy_get_log_level", proxy_get_log_level(&mut level))?;
    Ok(level)
}

pub(crate) fn now_nanoseconds() -> Answer<u64> {
    let mut nanoseconds = 0;
    check(
        "proxy_get_current_time_nanoseconds",
        proxy_get_current_time_nanoseconds(&mut nanoseconds),
    )?;
    Ok(nanoseconds)
}

pub(crate) fn set_tick_period(milliseconds: u32) -> Answer<()> {
    check(
        "proxy_set_tick_period_milliseconds",
        proxy_set_tick_period_milliseconds(milliseconds),
    )
}

/// Lets go on what a callback held.
pub(crate) fn continue_stream(stream: StreamType) -> Answer<()> {
    check(
        "proxy_continue_stream",
        proxy_continue_stream(stream as u32),
    )
}

pub(crate) fn close_stream(stream: StreamType) -> Answer<()> {
    check("proxy_close_stream", proxy_close_stream(stream as u32))
}

/// Whether a context exists. From here to the end of the callback, host calls
/// are about that one, if it does.
///
/// A host that does not know how to tell has them all.
pub(crate) fn has_context(id: u32) -> bool {
    !matches!(
        Status(proxy_set_effective_context(id)),
        Status::BAD_ARGUMENT | Status::NOT_FOUND
    )
}

pub(crate) fn define_metric(kind: MetricType, name: &str) -> Answer<u32> {
    let mut id = 0;
    // SAFETY: the host reads `name` and writes `id` during the call only.
    check("proxy_define_metric", unsafe {
        proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id)
    })?;
    Ok(id)
}

pub(crate) fn record_metric(id: u32, value: u64) -> Answer<()> {
    check("proxy_record_metric", proxy_record_metric(id, value))
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Answer<()> {
    check("proxy_increment_metric", proxy_increment_metric(id, offset))
}

pub(crate) fn metric(id: u32) -> Answer<u64> {
    let mut value = 0;
    check("proxy_get_metric", proxy_get_metric(id, &mut value))?;
    Ok(value)
}

/// `None` where the buffer does not exist or holds nothing at `start`.
pub(crate) fn buffer(kind: BufferType, start: usize, max_size: usize) -> Answer<Option<Vec<u8>>> {
    // SAFETY: the host writes both answers during the call only.
    bytes("proxy_get_buffer_bytes", |data, size| unsafe {
        proxy_get_buffer_bytes(kind as u32, start, max_size, data, size)
    })
}

pub(crate) fn set_buffer(
    kind: BufferType,
    start: usize,
    replaced: usize,
    data: &[u8],
) -> Answer<()> {
    // SAFETY: the host reads `data` during the call only.
    check("proxy_set_buffer_bytes", unsafe {
        proxy_set_buffer_bytes(kind as u32, start, replaced, data.as_ptr(), data.len())
    })
}

/// The whole map in the ABI's form, for [`crate::headers`] to read.
pub(crate) fn header_map_pairs(map: MapType) -> Answer<Option<Vec<u8>>> {
    // SAFETY: the host writes both answers during the call only.
    bytes("proxy_get_header_map_pairs", |data, size| unsafe {
        proxy_get_header_map_pairs(map as u32, data, size)
    })
}

pub(crate) fn set_header_map_pairs(map: MapType, pairs: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `pairs` during the call only.
    check("proxy_set_header_map_pairs", unsafe {
        proxy_set_header_map_pairs(map as u32, pairs.as_ptr(), pairs.len())
    })
}

pub(crate) fn header_map_value(map: MapType, name: &[u8]) -> Answer<Option<Vec<u8>>> {
    // SAFETY: the host reads `name` and writes both answers during the call only.
    bytes("proxy_get_header_map_value", |data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

pub(crate) fn replace_header_map_value(map: MapType, name: &[u8], value: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `name` and `value` during the call only.
    check("proxy_replace_header_map_value", unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

pub(crate) fn add_header_map_value(map: MapType, name: &[u8], value: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `name` and `value` during the call only.
    check("proxy_add_header_map_value", unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removing what is not there is not an error.
pub(crate) fn remove_header_map_value(map: MapType, name: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `name` during the call only.
    let status = unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    match Status(status) {
        Status::NOT_FOUND => Ok(()),
        _ => check("proxy_remove_header_map_value", status),
    }
}

/// `path` has its segments joined by NUL bytes.
pub(crate) fn property(path: &[u8]) -> Answer<Option<Vec<u8>>> {
    // SAFETY: the host reads `path` and writes both answers during the call only.
    bytes("proxy_get_property", |data, size| unsafe {
        proxy_get_property(path.as_ptr(), path.len(), data, size)
    })
}

/// An attribute whose type is not known beforehand, such as metadata. Where it is something
/// that the host cannot write out, as null is, there is none.
pub(crate) fn written_property(path: &[u8]) -> Answer<Option<Vec<u8>>> {
    match property(path) {
        Err(HostError {
            reason: Reason::Status(Status::SERIALIZATION_FAILURE),
            ..
        }) => Ok(None),
        read => read,
    }
}

/// `path` has its segments joined by NUL bytes.
pub(crate) fn set_property(path: &[u8], value: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `path` and `value` during the call only.
    check("proxy_set_property", unsafe {
        proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len())
    })
}

/// A shared value and the number of its version, which is never 0.
pub(crate) fn shared_data(key: &[u8]) -> Answer<Option<(Vec<u8>, u32)>> {
    let mut cas = 0;
    let value = bytes("proxy_get_shared_data", |data, size| {
        // SAFETY: the host reads `key` and writes the answers during the call only.
        unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) }
    })?;
    Ok(value.map(|value| (value, cas)))
}

/// Sets a shared value if its version is still `cas`; with 0, whatever it is.
/// Whether it was set.
pub(crate) fn set_shared_data(key: &[u8], value: &[u8], cas: u32) -> Answer<bool> {
    // SAFETY: the host reads `key` and `value` during the call only.
    let status =
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    match Status(status) {
        Status::CAS_MISMATCH => Ok(false),
        _ => check("proxy_set_shared_data", status).map(|()| true),
    }
}

/// The queue of this name of this module's VM, made if it is not there.
pub(crate) fn register_shared_queue(name: &[u8]) -> Answer<u32> {
    let mut queue = 0;
    // SAFETY: the host reads `name` and writes `queue` during the call only.
    check("proxy_register_shared_queue", unsafe {
        proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue)
    })?;
    Ok(queue)
}

/// The queue of this name of a VM, if there is one.
pub(crate) fn resolve_shared_queue(vm_id: &[u8], name: &[u8]) -> Answer<Option<u32>> {
    let mut queue = 0;
    // SAFETY: the host reads the names and writes `queue` during the call only.
    let status = unsafe {
        proxy_resolve_shared_queue(
            vm_id.as_ptr(),
            vm_id.len(),
            name.as_ptr(),
            name.len(),
            &raw mut queue,
        )
    };
    match Status(status) {
        Status::NOT_FOUND => Ok(None),
        _ => check("proxy_resolve_shared_queue", status).map(|()| Some(queue)),
    }
}

/// `None` where the queue is empty, or not there.
pub(crate) fn dequeue_shared_queue(queue: u32) -> Answer<Option<Vec<u8>>> {
    // SAFETY: the host writes both answers during the call only.
    bytes("proxy_dequeue_shared_queue", |data, size| unsafe {
        proxy_dequeue_shared_queue(queue, data, size)
    })
}

pub(crate) fn enqueue_shared_queue(queue: u32, value: &[u8]) -> Answer<()> {
    // SAFETY: the host reads `value` during the call only.
    check("proxy_enqueue_shared_queue", unsafe {
        proxy_enqueue_shared_queue(queue, value.as_ptr(), value.len())
    })
}

/// `headers` and `trailers` are in the ABI's form. The call's token.
pub(crate) fn http_call(
    upstream: &[u8],
    headers: &[u8],
    body: &[u8],
    trailers: &[u8],
    timeout_milliseconds: u32,
) -> Answer<u32> {
    let mut token = 0;
    // SAFETY: the host reads the slices and writes `token` during the call only.
    check("proxy_http_call", unsafe {
        proxy_http_call(
            upstream.as_ptr(),
            upstream.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// `metadata` is in the ABI's form. The call's token.
pub(crate) fn grpc_call(
    upstream: &[u8],
    service: &[u8],
    method: &[u8],
    metadata: &[u8],
    message: &[u8],
    timeout_milliseconds: u32,
) -> Answer<u32> {
    let mut token = 0;
    // SAFETY: the host reads the slices and writes `token` during the call only.
    check("proxy_grpc_call", unsafe {
        proxy_grpc_call(
            upstream.as_ptr(),
            upstream.len(),
            service.as_ptr(),
            service.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            timeout_milliseconds,
            &raw mut token,
        )
    })?;
    Ok(token)
}

pub(crate) fn grpc_cancel(token: u32) -> Answer<()> {
    check("proxy_grpc_cancel", proxy_grpc_cancel(token))
}

/// The status of the gRPC call whose end is told, and its message.
pub(crate) fn grpc_status() -> Answer<(u32, Vec<u8>)> {
    let mut code = 0;
    // SAFETY: the host writes the answers during the call only.
    let message = bytes("proxy_get_status", |data, size| unsafe {
        proxy_get_status(&raw mut code, data, size)
    })?;
    Ok((code, message.unwrap_or_default()))
}

/// `None` where the host has no function of this name.
pub(crate) fn call_foreign_function(function: &[u8], arguments: &[u8]) -> Answer<Option<Vec<u8>>> {
    // SAFETY: the host reads the slices and writes both answers during the call only.
    bytes("proxy_call_foreign_function", |data, size| unsafe {
        proxy_call_foreign_function(
            function.as_ptr(),
            function.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

/// `headers` is in the ABI's form. A `grpc_status` below zero has the host
/// derive one from `status`.
pub(crate) fn send_local_response(
    status: u16,
    details: &str,
    body: &[u8],
    headers: &[u8],
    grpc_status: i32,
) -> Answer<()> {
    // SAFETY: the host reads the four slices during the call only.
    check("proxy_send_local_response", unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}
