//! What is refused, each with all that is said of it.

/// What is written, and what is said of it.
type Refused = &'static [(&'static str, &'static [&'static str])];

pub(super) const ACTION: Refused = &[
    (
        "{}",
        &[
            "rate_limits[0].actions[0]: one of these must be given: source_cluster, destination_cluster, request_headers, query_parameters, remote_address, masked_remote_address, remote_address_match, generic_key, header_value_match, query_parameter_value_match, metadata, jwt_claim, cookie, path_template, method, format",
        ],
    ),
    (
        r#"{"generic_key":{"descriptor_value":"a"},"method":{}}"#,
        &[
            "rate_limits[0].actions[0]: only one of these may be given: source_cluster, destination_cluster, request_headers, query_parameters, remote_address, masked_remote_address, remote_address_match, generic_key, header_value_match, query_parameter_value_match, metadata, jwt_claim, cookie, path_template, method, format",
        ],
    ),
    (
        r#""remote_address""#,
        &[
            "rate_limits[0].actions[0]: expected an object with one of source_cluster, destination_cluster, request_headers, query_parameters, remote_address, masked_remote_address, remote_address_match, generic_key, header_value_match, query_parameter_value_match, metadata, jwt_claim, cookie, path_template, method, format, got a string",
        ],
    ),
    (
        r#"{"remote_adress":{}}"#,
        &[
            "rate_limits[0].actions[0].remote_adress: unknown field; did you mean `remote_address`? (known: source_cluster, destination_cluster, request_headers, query_parameters, remote_address, masked_remote_address, remote_address_match, generic_key, header_value_match, query_parameter_value_match, metadata, jwt_claim, cookie, path_template, method, format)",
        ],
    ),
    (
        r#"{"dynamic_metadata":{}}"#,
        &[
            "rate_limits[0].actions[0].dynamic_metadata: `dynamic_metadata` is deprecated; write `metadata`, which reads the same unless told otherwise",
        ],
    ),
    (
        r#"{"extension":{}}"#,
        &[
            "rate_limits[0].actions[0].extension: a module cannot use Envoy's extensions; `format` takes what Envoy's format strings can say",
        ],
    ),
    (
        r#"{"source_cluster":{"name":"a"}}"#,
        &["rate_limits[0].actions[0].source_cluster.name: unknown field; no field is known here"],
    ),
    (
        r#"{"destination_cluster":null}"#,
        &["rate_limits[0].actions[0].destination_cluster: expected an object, got null"],
    ),
    (
        r#"{"remote_address":[]}"#,
        &["rate_limits[0].actions[0].remote_address: expected an object, got a list"],
    ),
    (
        r#"{"request_headers":{}}"#,
        &[
            "rate_limits[0].actions[0].request_headers.header_name: missing field",
            "rate_limits[0].actions[0].request_headers.descriptor_key: missing field",
        ],
    ),
    (
        r#"{"request_headers":{"header_name":"x a","descriptor_key":""}}"#,
        &[
            r#"rate_limits[0].actions[0].request_headers.header_name: "x a" is not the name of a header; names are letters, digits and !#$%&'*+-.^_`|~"#,
            "rate_limits[0].actions[0].request_headers.descriptor_key: must not be empty",
        ],
    ),
    (
        r#"{"request_headers":{"header_name":"x-a","descriptor_ky":"a","skip_if_absent":"yes"}}"#,
        &[
            "rate_limits[0].actions[0].request_headers.descriptor_ky: unknown field; did you mean `descriptor_key`? (known: header_name, descriptor_key, skip_if_absent)",
            r#"rate_limits[0].actions[0].request_headers.skip_if_absent: expected `true` or `false`, got the string "yes""#,
        ],
    ),
    (
        r#"{"query_parameters":{"query_parameter_name":"","descriptor_key":1}}"#,
        &[
            "rate_limits[0].actions[0].query_parameters.query_parameter_name: must not be empty",
            "rate_limits[0].actions[0].query_parameters.descriptor_key: expected a string, got the number 1",
        ],
    ),
    (
        r#"{"masked_remote_address":{"v4_prefix_mask_len":33,"v6_prefix_mask_len":129}}"#,
        &[
            "rate_limits[0].actions[0].masked_remote_address.v4_prefix_mask_len: out of range: 33, allowed are 0 to 32",
            "rate_limits[0].actions[0].masked_remote_address.v6_prefix_mask_len: out of range: 129, allowed are 0 to 128",
        ],
    ),
    (
        r#"{"remote_address_match":{"descriptor_value":"in"}}"#,
        &["rate_limits[0].actions[0].remote_address_match.cidrs: missing field"],
    ),
    (
        r#"{"remote_address_match":{"descriptor_value":"in","cidrs":[]}}"#,
        &[
            "rate_limits[0].actions[0].remote_address_match.cidrs: an empty list; name at least one, or leave the field out",
        ],
    ),
    (
        r#"{"remote_address_match":{"descriptor_value":"in","cidrs":["10.0.0.0/33","a"],"address_matcher":{}}}"#,
        &[
            r#"rate_limits[0].actions[0].remote_address_match.cidrs[0]: "10.0.0.0/33" is not an address or a network; write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32"#,
            r#"rate_limits[0].actions[0].remote_address_match.cidrs[1]: "a" is not an address or a network; write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32"#,
            "rate_limits[0].actions[0].remote_address_match.address_matcher: ranges are written as `cidrs` here; write `cidrs: [10.0.0.0/8]`, and `invert_match` beside it",
        ],
    ),
    (
        r#"{"generic_key":{"descriptor_value":""}}"#,
        &["rate_limits[0].actions[0].generic_key.descriptor_value: must not be empty"],
    ),
    (
        r#"{"generic_key":{"descriptor_value":"%RESP(x-a)%"}}"#,
        &[
            "rate_limits[0].actions[0].generic_key.descriptor_value: it cannot be made from the response; there is none yet when a request is limited",
        ],
    ),
    (
        r#"{"generic_key":{"descriptor_value":"100%"}}"#,
        &[
            "rate_limits[0].actions[0].generic_key.descriptor_value: column 4: a percent sign without an operator; a plain percent sign is `%%`",
        ],
    ),
    (
        r#"{"generic_key":{"descriptor_value":"a","descriptor_key":"","default_value":""}}"#,
        &[
            "rate_limits[0].actions[0].generic_key.descriptor_key: must not be empty",
            "rate_limits[0].actions[0].generic_key.default_value: must not be empty",
        ],
    ),
    (
        r#"{"header_value_match":{"descriptor_value":"a"}}"#,
        &["rate_limits[0].actions[0].header_value_match.headers: missing field"],
    ),
    (
        r#"{"header_value_match":{"descriptor_value":"a","headers":[]}}"#,
        &[
            "rate_limits[0].actions[0].header_value_match.headers: an empty list; name at least one, or leave the field out",
        ],
    ),
    (
        r#"{"header_value_match":{"descriptor_value":"a","headers":[{"name":"x-a","exct":"b"}],"expect_match":1}}"#,
        &[
            "rate_limits[0].actions[0].header_value_match.headers[0].exct: unknown field; did you mean `exact`? (known: name, ignore_case, invert_match, exact, prefix, suffix, contains, regex, present, range)",
            "rate_limits[0].actions[0].header_value_match.expect_match: expected `true` or `false`, got the number 1",
        ],
    ),
    (
        r#"{"query_parameter_value_match":{"descriptor_value":"a","query_parameters":[{"exact":"b"}]}}"#,
        &[
            "rate_limits[0].actions[0].query_parameter_value_match.query_parameters[0].name: missing field",
        ],
    ),
    (
        r#"{"metadata":{"descriptor_key":"a"}}"#,
        &["rate_limits[0].actions[0].metadata.metadata_key: missing field"],
    ),
    (
        r#"{"metadata":{"descriptor_key":"a","metadata_key":{"key":"n","path":[]}}}"#,
        &[
            "rate_limits[0].actions[0].metadata.metadata_key.path: an empty list; name at least one, or leave the field out",
        ],
    ),
    (
        r#"{"metadata":{"descriptor_key":"a","metadata_key":{"key":"","path":[{"key":"b"}]},"source":"ROUTE"}}"#,
        &[
            "rate_limits[0].actions[0].metadata.metadata_key: a name in it is empty",
            r#"rate_limits[0].actions[0].metadata.source: unknown value "ROUTE"; did you mean `ROUTE_ENTRY`? (known: DYNAMIC, ROUTE_ENTRY)"#,
        ],
    ),
    (
        r#"{"metadata":{"descriptor_key":"a","metadata_key":{"key":"'\"","path":[{"key":"b"}]}}}"#,
        &[
            "rate_limits[0].actions[0].metadata.metadata_key: a name in it holds a NUL byte or both kinds of quotation marks",
        ],
    ),
    (
        r#"{"jwt_claim":{"claim":"a..b","filter_state":"wasm.user"}}"#,
        &[
            "rate_limits[0].actions[0].jwt_claim.descriptor_key: missing field",
            "rate_limits[0].actions[0].jwt_claim.claim: the name of a claim is missing",
            "rate_limits[0].actions[0].jwt_claim.filter_state: the name is given without `wasm.`; write what `payload_in_filter_state` of jwt-auth says",
        ],
    ),
    (
        r#"{"jwt_claim":{"claim":[],"filter_state":"request","descriptor_key":"a"}}"#,
        &[
            "rate_limits[0].actions[0].jwt_claim.claim: an empty list; name at least one, or leave the field out",
            "rate_limits[0].actions[0].jwt_claim.filter_state: `request` is an attribute of Envoy's and no name for a filter's state",
        ],
    ),
    (
        r#"{"jwt_claim":{"claim":1,"filter_state":"","descriptor_key":"a"}}"#,
        &[
            "rate_limits[0].actions[0].jwt_claim.claim: expected the name of a claim, or a list of names, got the number 1",
            "rate_limits[0].actions[0].jwt_claim.filter_state: the name of a filter's state is empty or holds a NUL byte",
        ],
    ),
    (
        r#"{"cookie":{"name":"a b","descriptor_key":"a"}}"#,
        &[r#"rate_limits[0].actions[0].cookie.name: "a b" is not the name of a cookie"#],
    ),
    (
        r#"{"cookie":{"name":"","descriptor_key":"a"}}"#,
        &["rate_limits[0].actions[0].cookie.name: must not be empty"],
    ),
    (
        r#"{"path_template":{"template":"users/{id}"}}"#,
        &[
            r#"rate_limits[0].actions[0].path_template.template: a template begins with `/`, got "users/{id}""#,
        ],
    ),
    (
        r#"{"path_template":{"template":["/a/{id}","/b"],"capture":"id"}}"#,
        &[
            "rate_limits[0].actions[0].path_template.capture: template 2 has no `{id}`; each of them needs the part whose text is to be the value",
        ],
    ),
    (
        r#"{"path_template":{"template":"/a//b"}}"#,
        &[
            r"rate_limits[0].actions[0].path_template.template: never matches: paths are compared in normal form; no `//`, no `.` or `..` segments, no `\`; letters, digits and -._~ not escaped, what may not stand in a path escaped in upper case (`%C3%A9` for `é`, `%20` for a space)",
        ],
    ),
    (
        r#"{"path_template":{"template":[]}}"#,
        &[
            "rate_limits[0].actions[0].path_template.template: an empty list; name at least one, or leave the field out",
        ],
    ),
    (
        r#"{"method":{"name":"a"}}"#,
        &["rate_limits[0].actions[0].method.name: unknown field; known: descriptor_key"],
    ),
    (
        r#"{"format":{"format":"%REQ(x-a%","descriptor_key":"a"}}"#,
        &["rate_limits[0].actions[0].format.format: column 1: `REQ(` is not closed by `)`"],
    ),
    (
        r#"{"format":{"format":"%RESPONSE_CODE%","descriptor_key":"a"}}"#,
        &[
            "rate_limits[0].actions[0].format.format: it cannot be made from the response; there is none yet when a request is limited",
        ],
    ),
];

pub(super) const RATE_LIMIT: Refused = &[
    (
        r#""hits_addend":{}"#,
        &["rate_limits[0].hits_addend: one of these must be given: number, format"],
    ),
    (
        r#""hits_addend":{"number":1,"format":"%REQ(x-a)%"}"#,
        &["rate_limits[0].hits_addend: only one of these may be given: number, format"],
    ),
    (
        r#""hits_addend":{"number":1000001}"#,
        &["rate_limits[0].hits_addend.number: out of range: 1000001, allowed are 0 to 1000000"],
    ),
    (
        r#""hits_addend":{"format":"5"}"#,
        &[
            "rate_limits[0].hits_addend.format: it is the same for all requests; write `number: 5`, or take the number from the request: `%REQ(x-cost)%`",
        ],
    ),
    (
        r#""hits_addend":{"format":"%RESP(x-a)%"}"#,
        &[
            "rate_limits[0].hits_addend.format: it cannot be made from the response; there is none yet when a request is limited",
        ],
    ),
    (
        r#""hits_addend":{"number":1,"is_negative_hits":true}"#,
        &["rate_limits[0].hits_addend.is_negative_hits: hits are not given back; leave it out"],
    ),
    (
        r#""stage":0"#,
        &[
            "rate_limits[0].stage: a module has no stages; have the filter twice, each with its own `rate_limits`",
        ],
    ),
    (
        r#""disable_key":"a""#,
        &[
            "rate_limits[0].disable_key: a module has no runtime to look a key up in; take the rate limit out, or narrow it by `match`",
        ],
    ),
    (
        r#""apply_on_stream_done":false"#,
        &[
            "rate_limits[0].apply_on_stream_done: hits are counted when a request begins, not when it ends; leave it out",
        ],
    ),
    (
        r#""x_ratelimit_option":"OFF""#,
        &[
            "rate_limits[0].x_ratelimit_option: headers are switched on for all limits together; set `enable_x_ratelimit_headers` at the top",
        ],
    ),
    (
        r#""limit":{"requests_per_unit":5,"unit":"MINUTE"}"#,
        &[
            "rate_limits[0].limit: it is for a rate limit service, and none is asked; leave it out, or give a `rate_limit_service`",
        ],
    ),
    (
        r#""limit":{"dynamic_metadata":{}}"#,
        &[
            "rate_limits[0].limit.requests_per_unit: missing field",
            "rate_limits[0].limit.unit: missing field",
            "rate_limits[0].limit.dynamic_metadata: a limit is not read from metadata; write it: `limit: {requests_per_unit: 5, unit: MINUTE}`",
        ],
    ),
    (
        r#""limit":{"rate_limit":{}}"#,
        &[
            "rate_limits[0].limit.requests_per_unit: missing field",
            "rate_limits[0].limit.unit: missing field",
            "rate_limits[0].limit.rate_limit: a limit is written without `rate_limit` here; write `limit: {requests_per_unit: 5, unit: MINUTE}`",
        ],
    ),
    (
        r#""limit":{"requests_per_unit":5,"unit":"WEEK"}"#,
        &[
            r#"rate_limits[0].limit.unit: unknown value "WEEK"; known: SECOND, MINUTE, HOUR, DAY, MONTH, YEAR"#,
        ],
    ),
    (
        r#""match":{"pth":"/"}"#,
        &[
            "rate_limits[0].match.pth: unknown field; did you mean `path`? (known: path, method, host, headers, query, cookies, source_ip, percentage, all, any, not)",
        ],
    ),
];

pub(super) const TOP: Refused = &[
    (
        "{}",
        &[
            "configuration: nothing is limited; give a limit for all requests (`token_bucket`, …), or `descriptors` with theirs, or a `rate_limit_service`",
        ],
    ),
    (
        r#"{"descriptors":[]}"#,
        &["descriptors: an empty list; name at least one, or leave the field out"],
    ),
    (
        r#"{"token_buckt":{}}"#,
        &[
            "token_buckt: unknown field; did you mean `token_bucket`? (known: stat_prefix, mode, rate_limit_service, rate_limits, descriptors, token_bucket, fixed_window, sliding_window, concurrency, limits, always_consume_default_token_bucket, filter_enabled, filter_enforced, status, response_headers_to_add, request_headers_to_add_when_not_enforced, rate_limited_as_resource_exhausted, enable_retry_after_header, enable_x_ratelimit_headers, enable_ratelimit_headers, local_rate_limit_per_downstream_connection, max_dynamic_descriptors, lease, xff_num_trusted_hops, domain, timeout, failure_mode_deny, status_on_error, disable_x_envoy_ratelimited_header, stage, vh_rate_limits, local_cluster_rate_limit)",
        ],
    ),
    (
        r#"{"token_bucket":{}}"#,
        &[
            "token_bucket.max_tokens: missing field",
            "token_bucket.fill_interval: missing field",
        ],
    ),
    (
        r#"{"token_bucket":{"max_tokens":0,"tokens_per_fill":0,"fill_interval":"0s"}}"#,
        &[
            "token_bucket.max_tokens: out of range: 0, allowed are 1 to 4294967295",
            "token_bucket.tokens_per_fill: out of range: 0, allowed are 1 to 4294967295",
            "token_bucket.fill_interval: out of range: 0s, allowed are 1ms to 8784h",
        ],
    ),
    (
        r#"{"token_bucket":{"max_tokens":4294967296,"fill_interval":"8785h"}}"#,
        &[
            "token_bucket.max_tokens: out of range: 4294967296, allowed are 1 to 4294967295",
            "token_bucket.fill_interval: out of range: 8785h, allowed are 1ms to 8784h",
        ],
    ),
    (
        r#"{"token_bucket":{"max_tokens":1,"fill_interval":1}}"#,
        &[
            r#"token_bucket.fill_interval: expected a duration with its unit, such as "1.5s" or "250ms", got the number 1"#,
        ],
    ),
    (
        r#"{"fixed_window":{"requests":0,"window":"1ns"}}"#,
        &[
            "fixed_window.requests: out of range: 0, allowed are 1 to 4294967295",
            "fixed_window.window: out of range: 1ns, allowed are 1ms to 8784h",
        ],
    ),
    (
        r#"{"sliding_window":{"requests":1.5,"windw":"1s"}}"#,
        &[
            "sliding_window.requests: expected a whole number from 1 to 4294967295, got the number 1.5",
            "sliding_window.windw: unknown field; did you mean `window`? (known: requests, window)",
        ],
    ),
    (
        r#"{"concurrency":{"max":0}}"#,
        &["concurrency.max: out of range: 0, allowed are 1 to 4294967295"],
    ),
    (
        r#"{"token_bucket":{"max_tokens":1,"fill_interval":"1s"},"limits":[{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "configuration: only one of these may be given: token_bucket, limits; several limits are a list under `limits`",
        ],
    ),
    (
        r#"{"limits":[]}"#,
        &["limits: an empty list; name at least one, or leave the field out"],
    ),
    (
        r#"{"limits":[{"token_bucket":{"max_tokens":1,"fill_interval":"1s"},"concurrency":{"max":1}}]}"#,
        &[
            "limits[0]: only one of these may be given: token_bucket, fixed_window, sliding_window, concurrency",
        ],
    ),
    (
        r#"{"limits":[{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &["limits: 5 limits, at most 4 are allowed"],
    ),
    (
        r#"{"limits":[{"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"concurrency":{"max":1}}]}"#,
        &[
            "limits[1]: `concurrency` stands alone; give it a descriptor of its own, with one entry more, such as a `generic_key`",
        ],
    ),
    (
        r#"{"limits":[{"leaky_bucket":{}}]}"#,
        &[
            "limits[0].leaky_bucket: unknown field; known: token_bucket, fixed_window, sliding_window, concurrency",
        ],
    ),
    (
        r#"{"token_bucket":null}"#,
        &["token_bucket: null; give a value, or leave the field out"],
    ),
];

pub(super) const BESIDE: Refused = &[
    (
        r#""mode":"enforced""#,
        &[r#"mode: unknown value "enforced"; did you mean `enforce`? (known: enforce, report)"#],
    ),
    (
        r#""stat_prefix":"a b""#,
        &[
            "stat_prefix: a prefix is 1 to 64 characters: words of A-Z, a-z, 0-9, `_` and `-`, joined by `.`",
        ],
    ),
    (
        r#""domain":"edge""#,
        &["domain: it is said of the rate limit service; write it under `rate_limit_service`"],
    ),
    (
        r#""timeout":"20ms","failure_mode_deny":true,"status_on_error":{"code":500},"disable_x_envoy_ratelimited_header":true"#,
        &[
            "timeout: it is said of the rate limit service; write it under `rate_limit_service`",
            "failure_mode_deny: it is said of the rate limit service; write it under `rate_limit_service`",
            "status_on_error: it is said of the rate limit service; write it under `rate_limit_service`",
            "disable_x_envoy_ratelimited_header: it is said of the rate limit service; write it under `rate_limit_service`",
        ],
    ),
    (
        r#""status":{"code":399}"#,
        &["status.code: out of range: 399, allowed are 400 to 599"],
    ),
    (
        r#""status":429"#,
        &["status: expected an object, got the number 429"],
    ),
    (
        r#""filter_enabled":101"#,
        &["filter_enabled: out of range: a percentage is from 0 to 100, got 101"],
    ),
    (
        r#""filter_enabled":{"default_value":{"numerator":101}}"#,
        &[
            "filter_enabled.default_value.numerator: more than all requests; the denominator is HUNDRED unless given, and the numerator no larger",
        ],
    ),
    (
        r#""filter_enforced":{"default_value":{"numerator":5,"denominator":"THOUSAND"}}"#,
        &[
            r#"filter_enforced.default_value.denominator: unknown value "THOUSAND"; did you mean `TEN_THOUSAND`? (known: HUNDRED, TEN_THOUSAND, MILLION)"#,
        ],
    ),
    (
        r#""filter_enforced":{"default_value":{"numerator":5},"runtime_key":"a"}"#,
        &[
            "filter_enforced.runtime_key: a module has no runtime to look a key up in; `default_value` is what goes",
        ],
    ),
    (
        r#""filter_enabled":{"numerator":5}"#,
        &[
            "filter_enabled.default_value: missing field",
            "filter_enabled.numerator: unknown field; known: default_value, runtime_key",
        ],
    ),
    (
        r#""max_dynamic_descriptors":0"#,
        &["max_dynamic_descriptors: out of range: 0, allowed are 1 to 10000000"],
    ),
    (
        r#""lease":{}"#,
        &["lease.size: missing field", "lease.max_age: missing field"],
    ),
    (
        r#""lease":{"size":0,"max_age":"1ms"}"#,
        &[
            "lease.size: out of range: 0, allowed are 1 to 1000000",
            "lease.max_age: out of range: 1ms, allowed are 10ms to 1m",
        ],
    ),
    (
        r#""xff_num_trusted_hops":-1"#,
        &["xff_num_trusted_hops: out of range: -1, allowed are 0 to 100"],
    ),
    (
        r#""stage":1"#,
        &["stage: a module has no stages; have the filter twice, each with its own `rate_limits`"],
    ),
    (
        r#""vh_rate_limits":"INCLUDE""#,
        &[
            "vh_rate_limits: a module does not see the rate limits of routes; write them here, with a `match` each",
        ],
    ),
    (
        r#""local_cluster_rate_limit":{}"#,
        &[
            "local_cluster_rate_limit: a module does not know how many Envoys there are; share a limit among them by a rate-limit service",
        ],
    ),
    (
        r#""enable_x_ratelimit_headers":"DRAFT_03""#,
        &[r#"enable_x_ratelimit_headers: unknown value "DRAFT_03"; known: OFF, DRAFT_VERSION_03"#],
    ),
    (
        r#""enable_ratelimit_headers":"DRAFT_VERSION_03""#,
        &[
            r#"enable_ratelimit_headers: unknown value "DRAFT_VERSION_03"; did you mean `DRAFT_VERSION_10`? (known: OFF, DRAFT_VERSION_10)"#,
        ],
    ),
    (
        r#""response_headers_to_add":[]"#,
        &["response_headers_to_add: an empty list; name at least one, or leave the field out"],
    ),
    (
        r#""response_headers_to_add":[{"header":{"key":":status","value":"a"}}]"#,
        &[
            r#"response_headers_to_add[0].header.key: ":status" is a pseudo-header, not a header; it is part of the request line (method, path, host) and is not reached this way"#,
        ],
    ),
    (
        r#""response_headers_to_add":[{"header":{"key":"Content-Length","value":"%RESP(x-a)%"}}]"#,
        &[
            "response_headers_to_add[0].header.key: `content-length` may not be set; it says where the message ends, which Envoy alone knows",
            "response_headers_to_add[0].header.value: it cannot be made from the response; there is none yet when a request is limited",
        ],
    ),
    (
        r#""request_headers_to_add_when_not_enforced":[{"header":{"key":"x-a","value":"a","raw_value":"YQ=="},"append":true,"append_action":"OVERWRITE"}]"#,
        &[
            "request_headers_to_add_when_not_enforced[0].header.raw_value: a header is written as text; use `value`",
            "request_headers_to_add_when_not_enforced[0].append: `append` is deprecated; `append_action: APPEND_IF_EXISTS_OR_ADD` adds, `OVERWRITE_IF_EXISTS_OR_ADD` replaces",
            r#"request_headers_to_add_when_not_enforced[0].append_action: unknown value "OVERWRITE"; did you mean `OVERWRITE_IF_EXISTS_OR_ADD`? (known: APPEND_IF_EXISTS_OR_ADD, ADD_IF_ABSENT, OVERWRITE_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS)"#,
        ],
    ),
    (
        r#""response_headers_to_add":[{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}},{"header":{"key":"x-a","value":"a"}}]"#,
        &["response_headers_to_add: 11 headers, at most 10 are allowed"],
    ),
];

pub(super) const ACROSS: Refused = &[
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[]}]}"#,
        &["descriptors[0].entries: an empty list; name at least one, or leave the field out"],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":""},{"value":"a"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[0].entries[0].key: must not be empty",
            "descriptors[0].entries[1].key: missing field",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"path_template"},{"key":"remote_address"}],"shadow_mode":true}]}"#,
        &[
            "descriptors[0]: the descriptor has no limit; give it one of token_bucket, fixed_window, sliding_window, concurrency or limits",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"},"concurrency":{"max":1}}]}"#,
        &[
            "descriptors[0]: only one of these may be given: token_bucket, concurrency; several limits are a list under `limits`",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"name":"Login","entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[0].name: a name is 1 to 64 characters from a-z, 0-9, `_` and `-`; it becomes part of a counter's name, and clients are told it",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"name":"default","entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &["descriptors[0].name: `default` is the limit at the top; take another name"],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"entries":[{"key":"path_template","value":""},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[1].entries: descriptors[0] has the same entries; several limits for them are a list under `limits`",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"name":"a","entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}},{"name":"a","entries":[{"key":"generic_key"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[1].name: another descriptor is called `a`; each is counted under its name: give each its own",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"remote_address"},{"key":"path_template"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[0].entries: none of `rate_limits` makes such a descriptor; rate_limits[0] has its keys in another order",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"generic_key","value":"some"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[0].entries: none of `rate_limits` makes such a descriptor; the keys are those of rate_limits[1], and a value is another there",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[0].entries: none of `rate_limits` makes such a descriptor; the keys and their order must be those of one's actions: path_template, remote_address; generic_key",
        ],
    ),
    (
        r#"{"descriptors":[{"entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}]}"#,
        &[
            "descriptors[0].entries: none of `rate_limits` makes such a descriptor; add one whose actions have these keys, in this order",
        ],
    ),
    (
        r#"{"lease":{"size":10,"max_age":"1s"},"concurrency":{"max":1}}"#,
        &[
            "lease: `concurrency` cannot be leased; leave the lease out, or have the filter twice, once with `concurrency` alone",
        ],
    ),
    (
        r#"{"token_bucket":{"max_tokens":1,"fill_interval":"1s"},"concurrency":{"max":1},"rate_limit_service":{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge"}}"#,
        &[
            "configuration: only one of these may be given: token_bucket, concurrency; several limits are a list under `limits`",
            "rate_limit_service: the service is never asked; say by `rate_limits` what it is asked about",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"path_template"},{"key":"remote_address"}],"concurrency":{"max":1}}],"lease":{"size":10,"max_age":"1s"}}"#,
        &[
            "lease: `concurrency` cannot be leased; leave the lease out, or have the filter twice, once with `concurrency` alone",
        ],
    ),
    (
        r#"{"rate_limits":[{"actions":[{"path_template":{"template":"/a/**"}},{"remote_address":{}}]},{"actions":[{"generic_key":{"descriptor_value":"all"}}]}],"descriptors":[{"entries":[{"key":"path_template"},{"key":"remote_address"}],"token_bucket":{"max_tokens":1,"fill_interval":"1s"}}],"always_consume_default_token_bucket":true}"#,
        &[
            "always_consume_default_token_bucket: there is no limit at the top that could be consumed; give one, such as `token_bucket`, or leave this out",
        ],
    ),
];

/// Of a `rate_limit_service` that is asked about all requests.
pub(super) const SERVICE: Refused = &[
    (
        "{}",
        &[
            "rate_limit_service.grpc_service: missing field",
            "rate_limit_service.domain: missing field",
        ],
    ),
    (
        r#""limits""#,
        &["rate_limit_service: expected an object, got a string"],
    ),
    (
        r#"{"grpc_servce":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge"}"#,
        &[
            "rate_limit_service.grpc_servce: unknown field; did you mean `grpc_service`? (known: grpc_service, domain, timeout, failure_mode_deny, status_on_error, disable_x_envoy_ratelimited_header, deny_cache, retry_policy, circuit_breaker, transport_api_version, request_type)",
        ],
    ),
    (
        r#"{"grpc_service":{"google_grpc":{}},"domain":"edge"}"#,
        &[
            "rate_limit_service.grpc_service.envoy_grpc: missing field",
            "rate_limit_service.grpc_service.google_grpc: a module speaks gRPC through Envoy's clusters; write `envoy_grpc: {cluster_name: NAME}`",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{}},"domain":"edge"}"#,
        &["rate_limit_service.grpc_service.envoy_grpc.cluster_name: missing field"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits","authority":"user:word@limits.example"}},"domain":"edge"}"#,
        &[
            "rate_limit_service.grpc_service.envoy_grpc.authority: not a host, or a host and a port; write what the service is called, such as `limits.example`",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits","authority":"outbound|8081||limits"}},"domain":"edge"}"#,
        &[
            "rate_limit_service.grpc_service.envoy_grpc.authority: not a host, or a host and a port; write what the service is called, such as `limits.example`",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":""}},"domain":"edge"}"#,
        &[
            "rate_limit_service.grpc_service.envoy_grpc.cluster_name: the name of a cluster must not be empty, nor begin or end with a space",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits","max_receive_message_length":1}},"domain":"edge"}"#,
        &[
            "rate_limit_service.grpc_service.envoy_grpc.max_receive_message_length: unknown field; known: cluster_name, authority",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":""}"#,
        &["rate_limit_service.domain: must not be empty"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","timeout":"9ms"}"#,
        &["rate_limit_service.timeout: out of range: 9ms, allowed are 10ms to 5m"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","timeout":"301s"}"#,
        &["rate_limit_service.timeout: out of range: 301s, allowed are 10ms to 5m"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","timeout":20}"#,
        &[
            r#"rate_limit_service.timeout: expected a duration with its unit, such as "1.5s" or "250ms", got the number 20"#,
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"},"timeout":"20ms"},"domain":"edge","timeout":"20ms"}"#,
        &[
            "rate_limit_service.timeout: the time is given twice; `timeout` of the service and of its `grpc_service` are the same: give one",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","failure_mode_deny":"yes"}"#,
        &[
            r#"rate_limit_service.failure_mode_deny: expected `true` or `false`, got the string "yes""#,
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","status_on_error":500}"#,
        &["rate_limit_service.status_on_error: expected an object, got the number 500"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","status_on_error":{"code":200}}"#,
        &["rate_limit_service.status_on_error.code: out of range: 200, allowed are 400 to 599"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","status_on_error":{}}"#,
        &["rate_limit_service.status_on_error.code: missing field"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","disable_x_envoy_ratelimited_header":1}"#,
        &[
            "rate_limit_service.disable_x_envoy_ratelimited_header: expected `true` or `false`, got the number 1",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","deny_cache":{}}"#,
        &["rate_limit_service.deny_cache.max_age: missing field"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","deny_cache":{"max_age":"25h"}}"#,
        &["rate_limit_service.deny_cache.max_age: out of range: 25h, allowed are 0s to 24h"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","transport_api_version":"V3","request_type":"both"}"#,
        &[
            "rate_limit_service.transport_api_version: there is one version, V3; leave it out",
            "rate_limit_service.request_type: whether a request is internal is not looked at; leave it out, or narrow `rate_limits` by `match`",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","retry_policy":{"num_retries":1000}}"#,
        &["rate_limit_service.retry_policy.num_retries: out of range: 1000, allowed are 0 to 10"],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","circuit_breaker":{"treshold":1}}"#,
        &[
            "rate_limit_service.circuit_breaker.treshold: unknown field; known: consecutive_failures, failure_ratio, cool_down, half_open_requests",
        ],
    ),
    (
        r#"{"grpc_service":{"envoy_grpc":{"cluster_name":"limits"}},"domain":"edge","stat_prefix":"a"}"#,
        &[
            "rate_limit_service.stat_prefix: unknown field; known: grpc_service, domain, timeout, failure_mode_deny, status_on_error, disable_x_envoy_ratelimited_header, deny_cache, retry_policy, circuit_breaker, transport_api_version, request_type",
        ],
    ),
];
