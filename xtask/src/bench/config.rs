//! The one Envoy's configuration: a listener for the baseline and one for each case.

use serde_json::{Value, json};

/// Where a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Route {
    /// By Envoy itself: the least besides the filters, so the least noise.
    #[default]
    Direct,
    /// By an upstream: what some of Envoy's own filters insist on.
    Upstream,
}

/// The cluster of the upstream.
pub(super) const UPSTREAM: &str = "upstream";
/// The same upstream, spoken to by HTTP/2.
pub(super) const UPSTREAM_GRPC: &str = "upstream-grpc";

/// The cluster of the provider of sign-ins.
pub(super) const PROVIDER: &str = "provider";

/// Requests to this path are answered with the header `PROOF`.
pub(super) const PROOF_PATH: &str = "/proof";
/// In the answer: what left the chain of filters in a request header.
pub(super) const PROOF: &str = "x-proof";

/// A listener of the configuration.
pub(super) struct Listener {
    pub(super) name: String,
    /// What stands before the router in `http_filters`.
    pub(super) filters: Vec<Value>,
    /// The request header that `PROOF_PATH` shows.
    pub(super) proof: String,
    pub(super) route: Route,
}

/// Envoy's whole configuration, but for the clusters of the upstream. Every port is for the
/// system to choose.
pub(super) fn bootstrap(listeners: &[Listener], secrets: &Value) -> Value {
    let listeners: Vec<_> = listeners.iter().map(to_config).collect();
    json!({ "static_resources": { "listeners": listeners, "secrets": secrets } })
}

fn to_config(listener: &Listener) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    });
    let mut filters = listener.filters.clone();
    filters.push(router);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                  .http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": listener.name,
        "codec_type": "HTTP1",
        "http_filters": filters,
        "route_config": {
            "name": "all",
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": routes(listener),
            }],
        },
    });
    json!({
        "name": listener.name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }],
        }],
    })
}

fn routes(listener: &Listener) -> Vec<Value> {
    let ok = json!({ "status": 200, "body": { "inline_string": "ok\n" } });
    let shown = json!({ "key": PROOF, "value": format!("%REQ({})%", listener.proof) });
    let all = json!({ "prefix": "/" });
    vec![
        json!({
            "match": { "path": PROOF_PATH },
            "direct_response": ok,
            "response_headers_to_add": [{ "header": shown }],
        }),
        match listener.route {
            Route::Direct => json!({ "match": all, "direct_response": ok }),
            Route::Upstream => json!({ "match": all, "route": { "cluster": UPSTREAM } }),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(route: Route) -> Listener {
        Listener {
            name: "case".to_owned(),
            filters: vec![json!({ "name": "a-filter" })],
            proof: "x-tag".to_owned(),
            route,
        }
    }

    fn manager(config: &Value) -> &Value {
        &config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    }

    #[test]
    fn the_router_stands_behind_the_filters() {
        let config = bootstrap(&[listener(Route::Direct)], &json!([]));

        let filters = &manager(&config)["http_filters"];
        assert_eq!(filters[0]["name"], "a-filter");
        assert_eq!(filters[1]["name"], "envoy.filters.http.router");
    }

    #[test]
    fn the_proof_shows_the_request_header() {
        let config = bootstrap(&[listener(Route::Direct)], &json!([]));

        let routes = &manager(&config)["route_config"]["virtual_hosts"][0]["routes"];
        let header = &routes[0]["response_headers_to_add"][0]["header"];
        assert_eq!(routes[0]["match"]["path"], PROOF_PATH);
        assert_eq!(header["value"], "%REQ(x-tag)%");
    }

    #[test]
    fn requests_go_to_an_upstream_where_that_is_asked_for() {
        let config = bootstrap(&[listener(Route::Upstream)], &json!([]));

        let routes = &manager(&config)["route_config"]["virtual_hosts"][0]["routes"];
        assert_eq!(routes[1]["route"]["cluster"], UPSTREAM);
    }
}
