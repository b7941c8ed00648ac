use super::*;

fn bootstrap() -> Config {
    let root = json!({
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}},
        "static_resources": {
            "listeners": [{
                "name": "main",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": 10000}},
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "http_filters": [
                            wasm_filter("one", json!({"a": 1})),
                            {"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
                        ],
                    },
                }]}],
            }],
            "clusters": [
                {"name": "upstream", "type": "STRICT_DNS", "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": {"socket_address": {"address": "app.internal", "port_value": 8080}}}},
                ]}]}},
                {"name": "keys", "type": "STRICT_DNS", "load_assignment": {"cluster_name": "keys", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": {"socket_address": {"address": "keys.internal", "port_value": 443}}}},
                ]}]}},
            ],
        },
    });
    Config::from_value(root, "test.yaml")
}

fn with_module(config: Config) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.wasm");
    fs::write(&path, "").unwrap();
    (folder, config.module("one", &path))
}

fn http_filters(root: &Value) -> Vec<&str> {
    let filters = &root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        ["http_filters"];
    let filters = filters.as_array().unwrap().iter();
    filters
        .map(|filter| filter["name"].as_str().unwrap())
        .collect()
}

fn plugin(root: &Value) -> &Value {
    &root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
        [0]["typed_config"]["config"]
}

#[test]
fn changes_addresses_and_modules_and_nothing_else() {
    let (folder, config) = with_module(bootstrap());
    let mut expected = bootstrap().root;

    let root = config
        .endpoint("upstream", "127.0.0.1:4242".parse().unwrap())
        .to_value()
        .unwrap();

    let loopback =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    expected["admin"]["address"] = loopback(0);
    expected["static_resources"]["listeners"][0]["address"] = loopback(0);
    for (at, port) in [(0, 4242), (1, 1)] {
        expected["static_resources"]["clusters"][at]["load_assignment"]["endpoints"][0]["lb_endpoints"]
            [0]["endpoint"]["address"] = loopback(port);
    }
    let module = folder.path().join("one.wasm");
    expected["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        ["http_filters"][0]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] =
        module.to_str().unwrap().into();
    assert_eq!(root, expected);
}

#[test]
fn keeps_every_address_when_asked() {
    let (_folder, config) = with_module(bootstrap());

    let root = config.keep_addresses().to_value().unwrap();

    assert_eq!(root["admin"], bootstrap().root["admin"]);
    assert_eq!(
        root["static_resources"]["clusters"],
        bootstrap().root["static_resources"]["clusters"]
    );
}

#[test]
fn packs_a_configuration_as_text() {
    for (configuration, text) in [
        (json!({"a": 1}), "{\"a\":1}"),
        (json!("{ \"a\": 1 }"), "{ \"a\": 1 }"),
        (json!([1, 2]), "[1,2]"),
    ] {
        let (_folder, config) = with_module(bootstrap().configuration("one", configuration));

        let root = config.to_value().unwrap();

        let packed = &plugin(&root)["configuration"];
        assert_eq!(
            packed["@type"],
            "type.googleapis.com/google.protobuf.StringValue"
        );
        assert_eq!(packed["value"], text);
    }
}

#[test]
fn a_null_configuration_is_none() {
    let (_folder, config) = with_module(bootstrap().configuration("one", Value::Null));

    let root = config.to_value().unwrap();

    assert!(plugin(&root).get("configuration").is_none());
}

#[test]
fn filters_go_in_before_the_router_and_out_again() {
    let (_folder, config) = with_module(bootstrap());
    let config = config
        .insert_filter(json!({"name": "last"}))
        .insert_filter_before("one", json!({"name": "first"}));

    let root = config.to_value().unwrap();
    assert_eq!(http_filters(&root), ["first", "one", "last", "router"]);

    let root = config.remove_filter("first").to_value().unwrap();
    assert_eq!(http_filters(&root), ["one", "last", "router"]);
}

#[test]
fn settings_are_merged_and_variables_set() {
    let (_folder, config) = with_module(bootstrap());
    let config = config
        .hcm(&json!({"common_http_protocol_options": {"idle_timeout": "1s"}}))
        .header_limits(2_000, 200)
        .vm_environment("one", "POD", "a");

    let root = config.to_value().unwrap();

    let hcm =
        &root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(hcm["max_request_headers_kb"], 200);
    assert_eq!(
        hcm["common_http_protocol_options"],
        json!({"idle_timeout": "1s", "max_headers_count": 2000})
    );
    assert_eq!(
        plugin(&root)["vm_config"]["environment_variables"]["key_values"],
        json!({"POD": "a"})
    );
}

#[test]
fn a_change_to_what_is_not_there_says_what_is() {
    let config = bootstrap()
        .configuration("two", "x")
        .endpoint("upstraem", "127.0.0.1:1".parse().unwrap());

    let error = config.to_value().unwrap_err().to_string();

    assert!(
        error.contains("test.yaml has no HTTP filter `two`; it has: one, router"),
        "{error}"
    );
    assert!(
        error.contains("no cluster `upstraem`; it has: upstream, keys"),
        "{error}"
    );
}

#[test]
fn a_module_that_is_not_built_is_an_error_that_says_what_to_run() {
    let error = bootstrap().to_value().unwrap_err().to_string();

    assert!(error.contains("cargo xtask build"), "{error}");
}

#[test]
fn names_the_modules_it_loads() {
    assert_eq!(bootstrap().module_names(), ["one"]);
}
