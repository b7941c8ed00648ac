//! Connects a filter to Envoy.
//!
//! A module has two doors to the same [`Runtime`]:
//!
//! - the exports of the `proxy-wasm` crate, all of which call through its
//!   dispatcher. A module straight from `cargo build` is entered here;
//! - entry points of our own under names that start with `legation_`, which go
//!   to the filter without a detour. `cargo xtask build` gives those that the
//!   custom section `legation.exports` lists their ABI names, and drops the
//!   crate's exports with all that only they needed. Envoy spends about 0.2 µs
//!   on each callback that a module exports, used or not: this is the door for
//!   production.

#![cfg_attr(not(target_os = "wasi"), allow(dead_code))]

use std::marker::PhantomData;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::filter::{Callbacks, HttpFilter};
use crate::runtime::Runtime;

/// Makes a module of a filter: one line at the end of its `lib.rs`.
///
/// ```
/// # use legation::{Configure, HttpFilter};
/// # use legation::config::{ConfigErrors, NoConfig};
/// struct Quiet;
///
/// #[legation::filter]
/// impl HttpFilter for Quiet {
///     const NAME: &'static str = "quiet";
///     type Config = NoConfig;
///     type Stream = ();
///
///     fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
///         Ok(Self)
///     }
/// }
///
/// legation::register!(Quiet);
/// ```
#[macro_export]
macro_rules! register {
    ($filter:ty) => {
        const _: () = {
            #[cfg(target_os = "wasi")]
            $crate::__module!($filter);
        };
    };
}

/// A module: a type of its own, so that the filter may be another crate's.
#[doc(hidden)]
pub trait Registered: 'static {
    type Filter: HttpFilter;

    fn with_runtime<T>(call: impl FnOnce(&Runtime<Self::Filter>) -> T) -> T;
}

/// The ABI names of the entry points, each with the callbacks that need it.
const ENTRY_POINTS: [(&str, Callbacks); 16] = [
    ("_initialize", Callbacks::NONE),
    ("proxy_on_configure", Callbacks::NONE),
    ("proxy_on_context_create", Callbacks::CREATE),
    ("proxy_on_delete", Callbacks::DELETE),
    ("proxy_on_tick", Callbacks::TICK),
    ("proxy_on_request_headers", Callbacks::REQUEST_HEADERS),
    ("proxy_on_request_body", Callbacks::REQUEST_BODY),
    ("proxy_on_request_trailers", Callbacks::REQUEST_TRAILERS),
    ("proxy_on_response_headers", Callbacks::RESPONSE_HEADERS),
    ("proxy_on_response_body", Callbacks::RESPONSE_BODY),
    ("proxy_on_response_trailers", Callbacks::RESPONSE_TRAILERS),
    ("proxy_on_done", Callbacks::DONE),
    ("proxy_on_log", Callbacks::LOG),
    ("proxy_on_http_call_response", Callbacks::ANSWERS),
    ("proxy_on_grpc_receive", Callbacks::ANSWERS),
    ("proxy_on_grpc_close", Callbacks::ANSWERS),
];

/// Size of the section `legation.exports` of a filter with these callbacks.
#[doc(hidden)]
#[must_use]
pub const fn section_size(callbacks: Callbacks) -> usize {
    let mut entries: &[(&str, Callbacks)] = &ENTRY_POINTS;
    let mut size = 0_usize;
    while let [(name, needed), rest @ ..] = entries {
        if callbacks.contains(*needed) {
            size = size.saturating_add(name.len()).saturating_add(1);
        }
        entries = rest;
    }
    size
}

/// The section `legation.exports`: a line for each entry point needed.
#[doc(hidden)]
#[must_use]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs in the compiler only, where a panic is a build error"
)]
pub const fn section<const SIZE: usize>(callbacks: Callbacks) -> [u8; SIZE] {
    let mut section = [b'\n'; SIZE];
    let mut at = 0;
    let mut entry = 0;
    while entry < ENTRY_POINTS.len() {
        let (name, needed) = ENTRY_POINTS[entry];
        if callbacks.contains(needed) {
            let mut byte = 0;
            while byte < name.len() {
                section[at] = name.as_bytes()[byte];
                at += 1;
                byte += 1;
            }
            at += 1;
        }
        entry += 1;
    }
    section
}

/// The two doors. Only ever expanded by [`register!`](crate::register).
#[doc(hidden)]
#[macro_export]
macro_rules! __module {
    ($filter:ty) => {
        use $crate::register::Registered as _;

        ::std::thread_local! {
            static RUNTIME: $crate::runtime::Runtime<$filter> =
                $crate::runtime::Runtime::default();
        }

        struct Module;

        impl $crate::register::Registered for Module {
            type Filter = $filter;

            fn with_runtime<T>(
                call: impl ::core::ops::FnOnce(&$crate::runtime::Runtime<$filter>) -> T,
            ) -> T {
                RUNTIME.with(call)
            }
        }

        const CALLBACKS: $crate::Callbacks = $crate::runtime::Runtime::<$filter>::CALLBACKS;

        #[allow(unsafe_code)]
        #[used]
        #[unsafe(link_section = "legation.exports")]
        static SECTION: [u8; $crate::register::section_size(CALLBACKS)] =
            $crate::register::section(CALLBACKS);

        #[allow(unsafe_code)]
        unsafe extern "C" {
            safe fn __wasm_call_ctors();
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn _initialize() {
            __wasm_call_ctors();
            $crate::register::use_dispatcher::<Module>();
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn legation__initialize() {
            __wasm_call_ctors();
        }

        $crate::__entry_points! {
            Module:
            legation_proxy_on_context_create => on_context_create(id: u32, root: u32);
            legation_proxy_on_configure => on_configure(root: u32, size: usize) -> bool;
            legation_proxy_on_tick => on_tick(root: u32);
            legation_proxy_on_done => on_done(id: u32) -> bool;
            legation_proxy_on_log => on_log(id: u32);
            legation_proxy_on_delete => on_delete(id: u32);
            legation_proxy_on_http_call_response => on_http_call_response(
                id: u32, token: u32, headers: usize, body: usize, trailers: usize
            );
            legation_proxy_on_grpc_receive => on_grpc_receive(id: u32, token: u32, size: usize);
            legation_proxy_on_grpc_close => on_grpc_close(id: u32, token: u32, status: u32);
            legation_proxy_on_request_body =>
                on_request_body(id: u32, size: usize, end: bool) -> u32;
            legation_proxy_on_response_body =>
                on_response_body(id: u32, size: usize, end: bool) -> u32;
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn legation_proxy_on_request_headers(id: u32, _: usize, end: bool) -> u32 {
            Module::with_runtime(|runtime| runtime.on_request_headers(id, end))
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn legation_proxy_on_request_trailers(id: u32, _: usize) -> u32 {
            Module::with_runtime(|runtime| runtime.on_request_trailers(id))
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn legation_proxy_on_response_headers(id: u32, _: usize, end: bool) -> u32 {
            Module::with_runtime(|runtime| runtime.on_response_headers(id, end))
        }

        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn legation_proxy_on_response_trailers(id: u32, _: usize) -> u32 {
            Module::with_runtime(|runtime| runtime.on_response_trailers(id))
        }
    };
}

/// The entry points that pass on just what they get.
#[doc(hidden)]
#[macro_export]
macro_rules! __entry_points {
    ($module:ty: $($name:ident => $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn $name($($argument: $type),*) $(-> $result)? {
                <$module>::with_runtime(|runtime| runtime.$method($($argument),*))
            }
        )*
    };
}

/// Has the `proxy-wasm` crate's dispatcher pass its callbacks to the filter.
#[doc(hidden)]
pub fn use_dispatcher<M: Registered>() {
    proxy_wasm::set_root_context(|id| {
        M::with_runtime(|runtime| runtime.on_context_create(id, 0));
        Box::new(DispatchedRoot::<M>(id, PhantomData))
    });
}

/// A plugin's configuration, to the dispatcher.
struct DispatchedRoot<M: Registered>(u32, PhantomData<M>);

impl<M: Registered> Drop for DispatchedRoot<M> {
    fn drop(&mut self) {
        M::with_runtime(|runtime| runtime.on_delete(self.0));
    }
}

impl<M: Registered> Context for DispatchedRoot<M> {}

impl<M: Registered> RootContext for DispatchedRoot<M> {
    fn on_configure(&mut self, size: usize) -> bool {
        if !M::Filter::AWAITS.is_empty() {
            // It panics on an answer to a callout that it did not make itself.
            crate::logging::install(M::Filter::NAME);
            log::error!(
                "configuration refused: the filter makes callouts, and its module is as \
                 `cargo build` left it; take the one that `cargo xtask build` makes"
            );
            return false;
        }
        M::with_runtime(|runtime| {
            runtime.takes_no_answers();
            runtime.on_configure(self.0, size)
        })
    }

    fn on_tick(&mut self) {
        M::with_runtime(|runtime| runtime.on_tick(self.0));
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        M::with_runtime(|runtime| runtime.on_context_create(id, self.0));
        Some(Box::new(DispatchedStream::<M>(id, PhantomData)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// A stream, to the dispatcher.
struct DispatchedStream<M: Registered>(u32, PhantomData<M>);

impl<M: Registered> Drop for DispatchedStream<M> {
    fn drop(&mut self) {
        M::with_runtime(|runtime| runtime.on_delete(self.0));
    }
}

impl<M: Registered> DispatchedStream<M> {
    /// Makes a callback, if the filter has it.
    fn call(
        &self,
        callback: Callbacks,
        call: impl FnOnce(&Runtime<M::Filter>, u32) -> u32,
    ) -> Action {
        if !Runtime::<M::Filter>::CALLBACKS.contains(callback) {
            return Action::Continue;
        }
        match M::with_runtime(|runtime| call(runtime, self.0)) {
            0 => Action::Continue,
            _ => Action::Pause,
        }
    }
}

impl<M: Registered> Context for DispatchedStream<M> {
    fn on_done(&mut self) -> bool {
        !M::Filter::CALLBACKS.contains(Callbacks::DONE)
            || M::with_runtime(|runtime| runtime.on_done(self.0))
    }
}

impl<M: Registered> HttpContext for DispatchedStream<M> {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        self.call(Callbacks::REQUEST_HEADERS, |runtime, id| {
            runtime.on_request_headers(id, end)
        })
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.call(Callbacks::REQUEST_BODY, |runtime, id| {
            runtime.on_request_body(id, size, end)
        })
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.call(Callbacks::REQUEST_TRAILERS, |runtime, id| {
            runtime.on_request_trailers(id)
        })
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        self.call(Callbacks::RESPONSE_HEADERS, |runtime, id| {
            runtime.on_response_headers(id, end)
        })
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.call(Callbacks::RESPONSE_BODY, |runtime, id| {
            runtime.on_response_body(id, size, end)
        })
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.call(Callbacks::RESPONSE_TRAILERS, |runtime, id| {
            runtime.on_response_trailers(id)
        })
    }

    fn on_log(&mut self) {
        if M::Filter::CALLBACKS.contains(Callbacks::LOG) {
            M::with_runtime(|runtime| runtime.on_log(self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<const SIZE: usize>(callbacks: Callbacks) -> String {
        String::from_utf8(section::<SIZE>(callbacks).to_vec()).unwrap()
    }

    #[test]
    fn the_section_names_what_a_filter_needs_and_nothing_else() {
        const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS.and(Callbacks::LOG);
        assert_eq!(
            lines::<{ section_size(CALLBACKS) }>(CALLBACKS),
            "_initialize\nproxy_on_configure\nproxy_on_request_headers\nproxy_on_log\n"
        );
    }

    #[test]
    fn the_section_of_a_filter_that_remembers_names_contexts() {
        const CALLBACKS: Callbacks = Callbacks::CREATE.and(Callbacks::DELETE);
        assert_eq!(
            lines::<{ section_size(CALLBACKS) }>(CALLBACKS),
            "_initialize\nproxy_on_configure\nproxy_on_context_create\nproxy_on_delete\n"
        );
    }
}
