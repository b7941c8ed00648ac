//! The filters to choose from, as a type: pairs of a filter and the rest.

use std::future::Future;
use std::pin::pin;

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::config::ConfigErrors;
use crate::configure::Configure;
use crate::error::{Error, Result};
use crate::filter::{Callbacks, Flow, HttpFilter};
use crate::logging::Named;
use crate::phase::{
    RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
    StreamLog,
};
use crate::runtime::at_once;

/// One of the first filter's things, or of the rest's.
#[doc(hidden)]
pub enum Other<First, Rest> {
    First(First),
    Rest(Rest),
}

/// There is none: the end of the pairs.
#[doc(hidden)]
pub enum Never {}

macro_rules! callbacks {
    ($($callback:ident($message:ident);)*) => {
        $(
            #[doc(hidden)]
            fn $callback(
                filter: &Self::Filter,
                stream: &mut Self::Stream,
                message: &mut $message,
            ) -> impl Future<Output = Result<Flow>>;
        )*
    };
    (pair: $($callback:ident($message:ident);)*) => {
        $(async fn $callback(
            filter: &Self::Filter,
            stream: &mut Self::Stream,
            message: &mut $message,
        ) -> Result<Flow> {
            match (filter, stream) {
                (Other::First(filter), Other::First(stream)) => {
                    let flow = named(First::NAME, filter.$callback(stream, message)).await;
                    flow.map_err(|error| error.of(First::NAME))
                }
                (Other::Rest(filter), Other::Rest(stream)) => {
                    Rest::$callback(filter, stream, message).await
                }
                _ => Err(mismatch()),
            }
        })*
    };
    (none: $($callback:ident($message:ident);)*) => {
        $(async fn $callback(filter: &Never, _: &mut Never, _: &mut $message) -> Result<Flow> {
            match *filter {}
        })*
    };
}

/// A set of filters, written by [`filters!`](crate::filters).
pub trait FilterSet: Sized + 'static {
    #[doc(hidden)]
    type Filter;
    #[doc(hidden)]
    type Stream: 'static;
    #[doc(hidden)]
    type Config;
    #[doc(hidden)]
    const CALLBACKS: Callbacks;
    #[doc(hidden)]
    const AWAITS: Callbacks;
    /// Whether any of them may answer at once.
    #[doc(hidden)]
    const AT_ONCE: bool;

    #[doc(hidden)]
    fn names(names: &mut Vec<&'static str>);

    /// The configuration of the filter of this name, if there is one.
    #[doc(hidden)]
    fn config<V: IntoValue>(
        name: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Option<Result<Self::Config, ConfigErrors>>;

    #[doc(hidden)]
    fn config_name(config: &Self::Config) -> &'static str;

    #[doc(hidden)]
    fn configure(config: Self::Config, host: &mut Configure) -> Result<Self::Filter, ConfigErrors>;

    #[doc(hidden)]
    fn name(filter: &Self::Filter) -> &'static str;

    #[doc(hidden)]
    fn stream(filter: &Self::Filter) -> Self::Stream;

    /// What needs no waiting of a filter's callback for the request's headers. `None`: the
    /// callback is to be made.
    #[doc(hidden)]
    fn on_request_headers_at_once(
        filter: &Self::Filter,
        stream: &mut Self::Stream,
        message: &mut RequestHeaders,
    ) -> Option<Result<Flow>>;

    callbacks! {
        on_request_headers(RequestHeaders);
        on_request_body(RequestBody);
        on_request_trailers(RequestTrailers);
        on_response_headers(ResponseHeaders);
        on_response_body(ResponseBody);
        on_response_trailers(ResponseTrailers);
    }

    #[doc(hidden)]
    fn on_log(filter: &Self::Filter, stream: &mut Self::Stream, log: &mut StreamLog);

    #[doc(hidden)]
    fn on_done(filter: &Self::Filter, stream: &mut Self::Stream);

    #[doc(hidden)]
    fn on_tick(filter: &Self::Filter) -> impl Future<Output = ()>;
}

impl FilterSet for () {
    type Filter = Never;
    type Stream = Never;
    type Config = Never;
    const CALLBACKS: Callbacks = Callbacks::NONE;
    const AWAITS: Callbacks = Callbacks::NONE;
    const AT_ONCE: bool = false;

    fn names(_: &mut Vec<&'static str>) {}

    fn config<V: IntoValue>(
        _: &str,
        _: Value<V>,
        _: ValuePointerRef<'_>,
    ) -> Option<Result<Never, ConfigErrors>> {
        None
    }

    fn config_name(config: &Never) -> &'static str {
        match *config {}
    }

    fn configure(config: Never, _: &mut Configure) -> Result<Never, ConfigErrors> {
        match config {}
    }

    fn name(filter: &Never) -> &'static str {
        match *filter {}
    }

    fn stream(filter: &Never) -> Never {
        match *filter {}
    }

    fn on_request_headers_at_once(
        filter: &Never,
        _: &mut Never,
        _: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        match *filter {}
    }

    callbacks! { none:
        on_request_headers(RequestHeaders);
        on_request_body(RequestBody);
        on_request_trailers(RequestTrailers);
        on_response_headers(ResponseHeaders);
        on_response_body(ResponseBody);
        on_response_trailers(ResponseTrailers);
    }

    fn on_log(filter: &Never, _: &mut Never, _: &mut StreamLog) {
        match *filter {}
    }

    fn on_done(filter: &Never, _: &mut Never) {
        match *filter {}
    }

    async fn on_tick(filter: &Never) {
        match *filter {}
    }
}

impl<First: HttpFilter, Rest: FilterSet> FilterSet for (First, Rest) {
    type Filter = Other<First, Rest::Filter>;
    type Stream = Other<First::Stream, Rest::Stream>;
    type Config = Other<First::Config, Rest::Config>;
    const CALLBACKS: Callbacks = First::CALLBACKS.and(Rest::CALLBACKS);
    const AWAITS: Callbacks = First::AWAITS.and(Rest::AWAITS);
    const AT_ONCE: bool = First::AT_ONCE || Rest::AT_ONCE;

    fn names(names: &mut Vec<&'static str>) {
        names.push(First::NAME);
        Rest::names(names);
    }

    fn config<V: IntoValue>(
        name: &str,
        value: Value<V>,
        location: ValuePointerRef<'_>,
    ) -> Option<Result<Self::Config, ConfigErrors>> {
        if name == First::NAME {
            let config = First::Config::deserialize_from_value(value, location);
            Some(config.map(Other::First))
        } else {
            let config = Rest::config(name, value, location)?;
            Some(config.map(Other::Rest))
        }
    }

    fn config_name(config: &Self::Config) -> &'static str {
        match config {
            Other::First(_) => First::NAME,
            Other::Rest(config) => Rest::config_name(config),
        }
    }

    fn configure(config: Self::Config, host: &mut Configure) -> Result<Self::Filter, ConfigErrors> {
        match config {
            Other::First(config) => First::configure(config, host).map(Other::First),
            Other::Rest(config) => Rest::configure(config, host).map(Other::Rest),
        }
    }

    fn name(filter: &Self::Filter) -> &'static str {
        match filter {
            Other::First(_) => First::NAME,
            Other::Rest(filter) => Rest::name(filter),
        }
    }

    fn stream(filter: &Self::Filter) -> Self::Stream {
        match filter {
            Other::First(_) => Other::First(First::Stream::default()),
            Other::Rest(filter) => Other::Rest(Rest::stream(filter)),
        }
    }

    fn on_request_headers_at_once(
        filter: &Self::Filter,
        stream: &mut Self::Stream,
        message: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        match (filter, stream) {
            (Other::First(filter), Other::First(stream)) => {
                let _name = Named::enter(First::NAME);
                let flow = if First::AWAITS.contains(Callbacks::REQUEST_HEADERS) {
                    filter.on_request_headers_at_once(stream, message)
                } else {
                    at_once(filter.on_request_headers(stream, message))
                };
                flow.map(|flow| flow.map_err(|error| error.of(First::NAME)))
            }
            (Other::Rest(filter), Other::Rest(stream)) => {
                Rest::on_request_headers_at_once(filter, stream, message)
            }
            _ => Some(Err(mismatch())),
        }
    }

    callbacks! { pair:
        on_request_headers(RequestHeaders);
        on_request_body(RequestBody);
        on_request_trailers(RequestTrailers);
        on_response_headers(ResponseHeaders);
        on_response_body(ResponseBody);
        on_response_trailers(ResponseTrailers);
    }

    fn on_log(filter: &Self::Filter, stream: &mut Self::Stream, log: &mut StreamLog) {
        match (filter, stream) {
            (Other::First(filter), Other::First(stream)) => {
                let _name = Named::enter(First::NAME);
                filter.on_log(stream, log);
            }
            (Other::Rest(filter), Other::Rest(stream)) => Rest::on_log(filter, stream, log),
            _ => {}
        }
    }

    fn on_done(filter: &Self::Filter, stream: &mut Self::Stream) {
        match (filter, stream) {
            (Other::First(filter), Other::First(stream)) => {
                let _name = Named::enter(First::NAME);
                filter.on_done(stream);
            }
            (Other::Rest(filter), Other::Rest(stream)) => Rest::on_done(filter, stream),
            _ => {}
        }
    }

    async fn on_tick(filter: &Self::Filter) {
        match filter {
            Other::First(filter) => named(First::NAME, filter.on_tick()).await,
            Other::Rest(filter) => Rest::on_tick(filter).await,
        }
    }
}

/// Runs a future with its filter's name on log lines.
async fn named<T>(name: &'static str, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let _name = Named::enter(name);
        future.as_mut().poll(context)
    })
    .await
}

/// A filter is asked with the stream of another: a mistake in this module.
fn mismatch() -> Error {
    Error::other("a stream does not belong to its filter")
}
