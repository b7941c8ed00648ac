use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use legation::config;
use serde_json::{Map, Value as Json, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The least that is a configuration, with this besides: at the top, and, by
/// `credentials`, within that.
fn document(more: &Json) -> Json {
    let mut document = json!({
        "issuer": "https://login.example",
        "openid_configuration": {"cluster": "login"},
        "credentials": {
            "client_id": "gateway",
            "client_secret": {"inline_string": "hush"},
            "cookie_secrets": [{"inline_string": SECRET}]
        }
    });
    for (name, value) in more.as_object().unwrap() {
        let place = &mut document[name];
        match (place.as_object_mut(), value.as_object()) {
            (Some(place), Some(value)) if name == "credentials" => place.extend(value.clone()),
            _ => *place = value.clone(),
        }
    }
    document
}

/// Without keys: GitHub and the like.
fn plain(more: &Json) -> Json {
    let mut document = document(more);
    let members = document.as_object_mut().unwrap();
    members.remove("issuer");
    members.remove("openid_configuration");
    for (name, value) in [
        (
            "authorization_endpoint",
            json!("https://a.example/authorize"),
        ),
        ("token_endpoint", endpoint("https://a.example/token")),
        ("userinfo_endpoint", endpoint("https://a.example/user")),
    ] {
        members.entry(name).or_insert(value);
    }
    document
}

fn endpoint(uri: &str) -> Json {
    json!({"uri": uri, "cluster": "login"})
}

fn parse(document: &Json) -> Result<Config, String> {
    let environment: BTreeMap<String, String> =
        [("BASE", "https://app.example"), ("SHORT", "short")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    config::parse_in(document.to_string().as_bytes(), Rc::new(environment))
        .map_err(|errors| errors.to_string())
}

fn read(more: &Json) -> Config {
    parse(&document(more)).unwrap_or_else(|errors| panic!("{more}: {errors}"))
}

/// That each of these is refused, at this field and with these words, and for nothing
/// else.
fn refused(cases: &[(Json, &str, &str)], whole: fn(&Json) -> Json) {
    for (more, field, told) in cases {
        let errors = parse(&whole(more)).unwrap_err();
        assert!(
            errors.starts_with(&format!("{field}: ")) && errors.contains(told),
            "{more}\n{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{more}\n{errors}");
        assert!(
            !errors.contains("hush") && !errors.contains(SECRET),
            "{errors}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_least_is_enough_and_the_rest_is_as_the_readme_says() {
    let config = read(&json!({}));

    assert_eq!(config.redirect_path.as_str(), "/callback");
    assert_eq!(config.signout_path, None);
    assert_eq!(config.back_channel_path, None);
    assert!(config.post_logout_redirect_uri.is_none());
    assert_eq!(config.default_expires_in(), Duration::from_hours(1));
    assert!(config.use_refresh_token);
    let week = Duration::from_hours(7 * 24);
    assert_eq!(config.default_refresh_token_expires_in(), week);
    assert_eq!(config.refresh_before_expiry(), Duration::from_secs(30));
    assert_eq!(config.session_lifetime(), None);
    assert_eq!(config.flow_lifetime(), Duration::from_mins(10));
    assert_eq!(config.session_cache_size(), 1_000);
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.groups_claim.to_string(), "groups");
    assert!(!config.forward_bearer_token);
    assert!(!config.preserve_authorization_header);
    assert!(config.forward_id_token.is_none());
    assert!(!config.use_userinfo());
    let cookies = config.cookies();
    assert_eq!(&*cookies.session.name, "__Host-oauth2_session");
    assert_eq!(&*cookies.flow.name, "__Host-oauth2_flow");
    assert_eq!(&*cookies.attempts.name, "__Host-oauth2_flow_attempts");
}

/// All that may be written.
const EVERYTHING: &str = r#"{
    "authorization_endpoint": "https://login.example/authorize",
    "token_endpoint": {"uri": "https://login.example/token", "cluster": "login"},
    "userinfo_endpoint": {"cluster": "login", "timeout": "2s"},
    "pushed_authorization_request_endpoint": {"cluster": "login"},
    "end_session_endpoint": "https://login.example/end",
    "retry_policy": {"num_retries": 1},
    "circuit_breaker": {"consecutive_failures": 5},
    "auth_type": "BASIC_AUTH",
    "auth_scopes": ["openid", "email"],
    "resources": ["https://api.example"],
    "authorization_parameters": {"prompt": "login"},
    "use_userinfo": true,
    "use_pushed_authorization_requests": true,
    "id_token": {"allowed_algorithms": ["RS256"], "clock_skew_seconds": 5, "max_age": "8h"},
    "credentials": {"cookie_domain": "example.com", "cookie_names": {"session": "s", "flow": "f"}},
    "redirect_uri": "https://%REQ(:authority)%/oauth2/callback",
    "redirect_path": "/oauth2/callback",
    "signout_path": "/oauth2/sign-out",
    "post_logout_redirect_uri": "https://%REQ(:authority)%/bye",
    "back_channel_logout": {"path": "/oauth2/logout"},
    "allowed_redirect_domains": ["app.example.com", ".example.com", "*.b.example.com:8443"],
    "forward_bearer_token": true,
    "forward_id_token": {"header": "x-id-token"},
    "claim_to_headers": [
        {"header_name": "x-user", "claim_name": "email"},
        {"header_name": "x-roles", "claim_path": ["realm_access", "roles"], "list_separator": " "}
    ],
    "pass_through_matcher": [{"path": "/healthz"}],
    "allow_failed_matcher": {"path": {"prefix": "/catalogue"}},
    "deny_redirect_matcher": [{"path": {"prefix": "/api/"}}],
    "rules": [
        {"match": {"path": {"prefix": "/public/"}}, "disabled": true},
        {"match": {"path": {"prefix": "/admin/"}}, "allowed_groups": ["admins"]},
        {"required_claims": [{"claim_name": "tenant", "equals": "a"}]}
    ],
    "allowed_groups": ["staff"],
    "groups_claim": "realm_access.roles",
    "allowed_emails": ["ann@example.org"],
    "allowed_email_domains": ["example.com", ".example.com"],
    "required_claims": [{"claim_name": "acr", "in": ["2", "3"]}],
    "bypass_cors_preflight": true,
    "default_expires_in": "300s",
    "use_refresh_token": true,
    "default_refresh_token_expires_in": "24h",
    "refresh_before_expiry": "0s",
    "session_lifetime": "12h",
    "csrf_token_expires_in": "300s",
    "code_verifier_token_expires_in": "200s",
    "cookie_configs": {
        "session": {"same_site": "NONE", "path": "/", "partitioned": true, "secure": true},
        "flow": {"same_site": "DISABLED"}
    },
    "session_cache": {"size": 0},
    "mode": "report",
    "stat_prefix": "edge"
}"#;

#[wasm_bindgen_test(unsupported = test)]
fn everything_is_taken_that_the_readme_names() {
    let config = read(&serde_json::from_str(EVERYTHING).unwrap());

    assert_eq!(config.flow_lifetime(), Duration::from_secs(200));
    assert_eq!(config.refresh_before_expiry(), Duration::ZERO);
    assert_eq!(config.session_lifetime(), Some(Duration::from_hours(12)));
    assert_eq!(config.session_cache_size(), 0);
    assert_eq!(config.cookies().session.name.as_ref(), "__Secure-s");
    assert_eq!(
        config.cookies().attempts.name.as_ref(),
        "__Secure-f_attempts"
    );
    assert_eq!(config.rules.len(), 3);
    assert!(config.use_userinfo());
}

#[wasm_bindgen_test(unsupported = test)]
fn plain_oauth_asks_for_users_and_for_no_openid() {
    let config = parse(&plain(&json!({"auth_scopes": ["read:user"]}))).unwrap();
    assert!(config.use_userinfo());
    assert_eq!(config.provider.scopes().collect::<Vec<_>>(), ["read:user"]);
    refused(
        &[
            (
                json!({"back_channel_logout": {}}),
                "back_channel_logout",
                "there are no keys to verify logout tokens with",
            ),
            (
                json!({"forward_id_token": {"header": "x-id-token"}}),
                "forward_id_token",
                "there are no ID tokens in plain OAuth 2.0",
            ),
        ],
        plain,
    );
    let mut without = plain(&json!({}));
    without.as_object_mut().unwrap().remove("userinfo_endpoint");
    assert!(
        parse(&without)
            .unwrap_err()
            .starts_with("userinfo_endpoint: is missing")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn openid_is_among_the_scopes_where_there_are_keys() {
    refused(
        &[(
            json!({"auth_scopes": ["email"]}),
            "auth_scopes",
            "`openid` is missing",
        )],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_called_otherwise_in_envoys_own_filter_is_told() {
    let of = |name: &str, value: Json| Json::Object(Map::from_iter([(name.to_owned(), value)]));
    let credentials = |name: &str| json!({"credentials": of(name, json!({"name": "sds"}))});
    let names = |name: &str| json!({"credentials": {"cookie_names": of(name, json!("A"))}});
    let configs = |name: &str| json!({"cookie_configs": of(name, json!({"same_site": "LAX"}))});
    let mut cases = vec![
        (
            of("config", json!({})),
            "config".to_owned(),
            "one level higher",
        ),
        (
            of(
                "redirect_path_matcher",
                json!({"path": {"exact": "/callback"}}),
            ),
            "redirect_path_matcher".to_owned(),
            "is `redirect_path` here",
        ),
        (
            of("signout_path", json!({"path": {"exact": "/signout"}})),
            "signout_path".to_owned(),
            "write it as a text, such as `/signout`",
        ),
        (
            of("disable_refresh_token_set_cookie", json!(true)),
            "disable_refresh_token_set_cookie".to_owned(),
            "`use_refresh_token: false`",
        ),
        (
            of("disable_token_encryption", json!(true)),
            "disable_token_encryption".to_owned(),
            "always sealed",
        ),
        (
            credentials("token_secret"),
            "credentials.token_secret".to_owned(),
            "is `client_secret` here",
        ),
        (
            credentials("hmac_secret"),
            "credentials.hmac_secret".to_owned(),
            "is `cookie_secrets` here",
        ),
    ];
    for name in [
        "disable_access_token_set_cookie",
        "disable_id_token_set_cookie",
    ] {
        cases.push((
            of(name, json!(true)),
            name.to_owned(),
            "a token that nothing needs",
        ));
    }
    for name in [
        "bearer_token",
        "oauth_hmac",
        "oauth_expires",
        "id_token",
        "refresh_token",
    ] {
        let field = format!("credentials.cookie_names.{name}");
        cases.push((names(name), field, "write `session: NAME`"));
        let name = format!("{name}_cookie_config");
        let field = format!("cookie_configs.{name}");
        cases.push((configs(&name), field, "write `session: {…}`"));
    }
    for name in ["oauth_nonce", "code_verifier"] {
        let field = format!("credentials.cookie_names.{name}");
        cases.push((names(name), field, "write `flow: NAME`"));
        let name = format!("{name}_cookie_config");
        let field = format!("cookie_configs.{name}");
        cases.push((configs(&name), field, "write `flow: {…}`"));
    }
    for (more, field, told) in cases {
        refused(&[(more, field.as_str(), told)], document);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_misspelt_field_is_told_what_was_meant() {
    refused(
        &[
            (
                json!({"redirect_url": "https://a.example/callback"}),
                "redirect_url",
                "did you mean `redirect_uri`?",
            ),
            (
                json!({"cookie_configs": {"sesion": {}}}),
                "cookie_configs.sesion",
                "did you mean `session`?",
            ),
            (
                json!({"rules": [{"allowed_group": ["a"]}]}),
                "rules[0].allowed_group",
                "did you mean `allowed_groups`?",
            ),
            (
                json!({"cookie_configs": {"session": {"same_site": "lax"}}}),
                "cookie_configs.session.same_site",
                "did you mean `LAX`?",
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn secrets_are_there_and_long_enough() {
    refused(
        &[
            (
                json!({"credentials": {"cookie_secrets": [{"inline_string": SECRET}, {"inline_string": "short"}]}}),
                "credentials.cookie_secrets[1]",
                "at least 32 bytes, got 5",
            ),
            (
                json!({"credentials": {"cookie_secrets": [{"environment_variable": "SHORT"}]}}),
                "credentials.cookie_secrets[0]",
                "at least 32 bytes, got 5",
            ),
            (
                json!({"credentials": {"cookie_secrets": []}}),
                "credentials.cookie_secrets",
                "an empty list",
            ),
            (
                json!({"credentials": {"cookie_secrets": [{"environment_variable": "NONE"}]}}),
                "credentials.cookie_secrets[0].environment_variable",
                "`NONE` is not set",
            ),
            (
                json!({"credentials": {"client_secret": {"environment_variable": "NONE"}}}),
                "credentials.client_secret.environment_variable",
                "`NONE` is not set",
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_redirect_path_is_that_of_the_redirect_uri() {
    for (more, expected) in [
        (json!({}), "/callback"),
        (json!({"redirect_path": "/a/b"}), "/a/b"),
        (json!({"redirect_uri": "https://app.example/a/b"}), "/a/b"),
        (
            json!({"redirect_uri": "https://%REQ(:authority)%/a/b"}),
            "/a/b",
        ),
        (
            json!({"redirect_uri": "%REQ(x-forwarded-proto?:scheme)%://%REQ(:authority)%/a"}),
            "/a",
        ),
        (json!({"redirect_uri": "%ENVIRONMENT(BASE)%/c"}), "/c"),
        (
            json!({"redirect_uri": "https://a.example/%REQ(x-tenant)%/c", "redirect_path": "/c"}),
            "/c",
        ),
        (json!({"redirect_uri": "%REQ(x-callback)%"}), "/callback"),
        (
            json!({"redirect_uri": "https://%REQ(x-callback)%"}),
            "/callback",
        ),
    ] {
        assert_eq!(read(&more).redirect_path.as_str(), expected, "{more}");
    }
    let told = "nobody takes them in";
    refused(
        &[
            (
                json!({"redirect_uri": "https://app.example/a", "redirect_path": "/b"}),
                "redirect_uri",
                told,
            ),
            (
                json!({"redirect_uri": "https://app.example"}),
                "redirect_uri",
                told,
            ),
            (
                json!({"redirect_uri": "https://app.example/"}),
                "redirect_uri",
                told,
            ),
            (
                json!({"redirect_uri": "https://app.example/a;b"}),
                "redirect_uri",
                told,
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_redirect_uri_is_a_url() {
    let refuse = |uri: &str, told: &str| {
        for field in ["redirect_uri", "post_logout_redirect_uri"] {
            let more =
                json!({field: uri, "signout_path": "/signout", "redirect_path": "/callback"});
            refused(&[(more, field, told)], document);
        }
    };
    for uri in [
        "app.example/callback",
        "/callback",
        "ftp://app.example/callback",
        "https:///callback",
        "javascript://a/callback",
        "",
    ] {
        refuse(uri, "begins with https:// or http:// and has a host");
    }
    refuse("https://app.example/callback?a=b", "without a query");
    refuse("https://app.example/callback#a", "without a query");
    refuse(
        "https://a@app.example/callback",
        "characters that such a URL does not have",
    );
    refuse(
        "https://app.example/\u{e4}/callback",
        "characters that such a URL",
    );
    refuse(
        "https://app.example/a b/callback",
        "characters that such a URL",
    );
    refuse("https://%RESP(x-host)%/callback", "nothing of its response");
    refuse("https://%REQ(:authority)/callback", "column 9: ");
}

#[wasm_bindgen_test(unsupported = test)]
fn our_own_paths_are_paths_and_each_is_another() {
    let told = "is not a path of the filter's own";
    for path in [
        "/", "", "a", "/a/../b", "//a", "/a?b", "/a#b", "/a;b", "/a%20b", "/a b", "/%61", "/\u{e4}",
    ] {
        for (more, field) in [
            (json!({"redirect_path": path}), "redirect_path"),
            (json!({"signout_path": path}), "signout_path"),
            (
                json!({"back_channel_logout": {"path": path}}),
                "back_channel_logout.path",
            ),
        ] {
            refused(&[(more, field, told)], document);
        }
    }
    let path = read(&json!({"back_channel_logout": {}})).back_channel_path;
    assert_eq!(path.unwrap().as_str(), "/backchannel-logout");
    refused(
        &[
            (
                json!({"signout_path": "/callback"}),
                "signout_path",
                "is the path of `redirect_path`",
            ),
            (
                json!({"redirect_uri": "https://app.example/a", "signout_path": "/a"}),
                "signout_path",
                "is the path of `redirect_path`",
            ),
            (
                json!({"back_channel_logout": {"path": "/callback"}}),
                "back_channel_logout",
                "is the path of `redirect_path`",
            ),
            (
                json!({"signout_path": "/out", "back_channel_logout": {"path": "/out"}}),
                "back_channel_logout",
                "is the path of `signout_path`",
            ),
            (
                json!({"post_logout_redirect_uri": "https://app.example/bye"}),
                "post_logout_redirect_uri",
                "there is no `signout_path`",
            ),
            (
                json!({"end_session_endpoint": "https://login.example/end"}),
                "end_session_endpoint",
                "there is no `signout_path`",
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn browsers_are_sent_back_to_hosts_alone() {
    for (domain, told) in [
        ("", "is not a host"),
        ("*", "a `*` stands for whole names alone"),
        ("*example.com", "a `*` stands for whole names alone"),
        ("https://app.example.com", "without scheme and path"),
        ("app.example.com/a", "without scheme and path"),
        ("app..example.com", "is not a host"),
        ("app.example.com:", "is not a host"),
        ("app.example.com:0", "is not a host"),
        ("app.example.com:70000", "is not a host"),
        ("b\u{fc}cher.example", "is not a host"),
        ("user@app.example.com", "is not a host"),
        (".com", "anyone's hosts"),
        ("*.com", "anyone's hosts"),
    ] {
        let more = json!({"allowed_redirect_domains": ["app.example.com", domain]});
        refused(&[(more, "allowed_redirect_domains[1]", told)], document);
    }
    let unreached = "cookies of the one host are not sent to the other";
    let at = |uri: &str, domain: &str| json!({"redirect_uri": uri, "allowed_redirect_domains": [domain]});
    for (uri, domain) in [
        ("https://login.example.com/callback", "app.example.com"),
        ("https://example.com/callback", ".example.com"),
        ("https://example.com/callback", "*.example.com"),
    ] {
        let field = "allowed_redirect_domains[0]";
        refused(&[(at(uri, domain), field, unreached)], document);
        let mut with_domain = at(uri, domain);
        with_domain["credentials"] = json!({"cookie_domain": "example.com"});
        read(&with_domain);
        with_domain["allowed_redirect_domains"] = json!(["app.example.org"]);
        refused(&[(with_domain, field, unreached)], document);
    }
    read(&at(
        "https://app.example.com/callback",
        "App.example.com:8443",
    ));
    let config = read(&json!({"allowed_redirect_domains": ["App.Example.com", "localhost:8080"]}));
    let domains = config.allowed_redirect_domains.iter();
    assert_eq!(
        domains.map(RedirectDomain::as_str).collect::<Vec<_>>(),
        ["app.example.com", "localhost:8080"]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn cookies_are_such_as_browsers_keep_and_send() {
    let session = |config: Json| json!({"cookie_configs": {"session": config}});
    let flow = |config: Json| json!({"cookie_configs": {"flow": config}});
    let unless_secure = "browsers drop such a cookie unless it is `secure`";
    let without_tls = "browsers keep no such cookie of a site without TLS";
    refused(
        &[
            (
                json!({"cookie_configs": {"flow": {"same_site": "STRICT"}}}),
                "cookie_configs.flow.same_site",
                "browsers would not send it when they come back",
            ),
            (
                session(json!({"same_site": "NONE", "secure": false})),
                "cookie_configs.session.same_site",
                unless_secure,
            ),
            (
                flow(json!({"partitioned": true, "secure": false})),
                "cookie_configs.flow.partitioned",
                unless_secure,
            ),
            (
                session(json!({"path": "app"})),
                "cookie_configs.session.path",
                "not the path of a cookie",
            ),
            (
                session(json!({"path": "/a;b"})),
                "cookie_configs.session.path",
                "not the path of a cookie",
            ),
            (
                flow(json!({"path": "/app"})),
                "cookie_configs.flow.path",
                "would not be sent to `/callback`",
            ),
            (
                flow(json!({"path": "/call"})),
                "cookie_configs.flow.path",
                "would not be sent to `/callback`",
            ),
            (
                flow(json!({"path": "/callback"})),
                "cookie_configs.flow.path",
                "is sent where this one is not",
            ),
            (
                json!({"signout_path": "/signout", "cookie_configs": {"session": {"path": "/app"}}}),
                "cookie_configs.session.path",
                "would not be sent to `/signout`",
            ),
            (
                json!({
                    "redirect_uri": "http://app.example/callback",
                    "cookie_configs": {"flow": {"secure": false}}
                }),
                "cookie_configs.session",
                without_tls,
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn cookies_have_names_and_domains_of_their_own() {
    refused(
        &[
            (
                json!({
                    "redirect_uri": "https://app.example.com/callback",
                    "credentials": {"cookie_domain": "app.example"}
                }),
                "credentials.cookie_domain",
                "browsers keep no cookie of it for `app.example.com`",
            ),
            (
                json!({
                    "redirect_uri": "https://anexample.com/callback",
                    "credentials": {"cookie_domain": "example.com"}
                }),
                "credentials.cookie_domain",
                "browsers keep no cookie of it for `anexample.com`",
            ),
            (
                json!({"credentials": {"cookie_domain": "https://example.com"}}),
                "credentials.cookie_domain",
                "is not a domain",
            ),
            (
                json!({"credentials": {"cookie_names": {"session": "oauth2_flow"}}}),
                "credentials.cookie_names",
                "would be taken for one that belongs to",
            ),
            (
                json!({"credentials": {"cookie_names": {"session": "oauth2_flow_attempts"}}}),
                "credentials.cookie_names",
                "would be taken for one that belongs to",
            ),
            (
                json!({"credentials": {"cookie_names": {"session": "a", "flow": "a.12345678"}}}),
                "credentials.cookie_names",
                "would be taken for one that belongs to",
            ),
            (
                json!({"credentials": {"cookie_names": {"session": "a.12345678", "flow": "a"}}}),
                "credentials.cookie_names",
                "would be taken for one that belongs to",
            ),
            (
                json!({"credentials": {"cookie_names": {"session": "__Host-a"}}}),
                "credentials.cookie_names.session",
                "a prefix is put before the name by itself",
            ),
            (
                json!({"credentials": {"cookie_names": {"session": "a", "flow": "a"}}}),
                "credentials.cookie_names.flow",
                "`session` has the same name",
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn cookies_are_named_by_what_browsers_make_of_them() {
    for (more, session, flow) in [
        (json!({}), "__Host-oauth2_session", "__Host-oauth2_flow"),
        (
            json!({"credentials": {"cookie_domain": ".Example.com"}}),
            "__Secure-oauth2_session",
            "__Secure-oauth2_flow",
        ),
        (
            json!({"cookie_configs": {"session": {"path": "/app"}}}),
            "__Secure-oauth2_session",
            "__Host-oauth2_flow",
        ),
        (
            json!({"cookie_configs": {"session": {"secure": false}}}),
            "oauth2_session",
            "__Host-oauth2_flow",
        ),
        (
            json!({"credentials": {"cookie_names": {"session": "s"}}}),
            "__Host-s",
            "__Host-oauth2_flow",
        ),
        // Browsers take what is on their own machine for safe.
        (
            json!({"redirect_uri": "http://localhost:8080/callback"}),
            "__Host-oauth2_session",
            "__Host-oauth2_flow",
        ),
        (
            json!({"redirect_uri": "http://[::1]:8080/callback"}),
            "__Host-oauth2_session",
            "__Host-oauth2_flow",
        ),
        (
            json!({
                "redirect_uri": "http://app.example/callback",
                "cookie_configs": {"session": {"secure": false}, "flow": {"secure": false}}
            }),
            "oauth2_session",
            "oauth2_flow",
        ),
    ] {
        let cookies = read(&more).cookies();
        assert_eq!(&*cookies.session.name, session, "{more}");
        assert_eq!(&*cookies.flow.name, flow, "{more}");
        assert!(cookies.session.attributes.fit(session), "{more}");
        assert!(cookies.flow.attributes.fit(flow), "{more}");
    }
    let config = read(&json!({
        "credentials": {"cookie_domain": ".Example.com"},
        "redirect_uri": "https://app.example.com/callback",
        "cookie_configs": {"session": {"same_site": "STRICT"}}
    }));
    let attributes = config.cookies().session.attributes;
    assert_eq!(attributes.domain.as_deref(), Some("example.com"));
    assert_eq!(attributes.same_site, SameSite::Strict);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_header_has_one_meaning() {
    let claim = |name: &str| json!({"header_name": name, "claim_name": "sub"});
    refused(
        &[
            (
                json!({"preserve_authorization_header": true, "forward_bearer_token": true}),
                "preserve_authorization_header",
                "does not go with `forward_bearer_token`",
            ),
            (
                json!({"forward_bearer_token": true, "forward_id_token": {"header": "Authorization"}}),
                "forward_id_token.header",
                "`forward_bearer_token` says what is in `authorization`",
            ),
            (
                json!({"preserve_authorization_header": true, "forward_id_token": {"header": "authorization"}}),
                "forward_id_token.header",
                "`preserve_authorization_header` says what is in `authorization`",
            ),
            (
                json!({"claim_to_headers": [claim("x-user"), claim("X-User")]}),
                "claim_to_headers[1].header_name",
                "another claim goes into this header already",
            ),
            (
                json!({"claim_to_headers": [claim("x-user"), claim("x_user")]}),
                "claim_to_headers[1].header_name",
                "another claim goes into this header already",
            ),
            (
                json!({"claim_to_headers": [claim("x-id")], "forward_id_token": {"header": "x-id"}}),
                "claim_to_headers[0].header_name",
                "the ID token goes into this header already",
            ),
            (
                json!({"claim_to_headers": [claim("authorization")]}),
                "claim_to_headers[0].header_name",
                "no claim goes into `authorization`",
            ),
            (
                json!({"claim_to_headers": [claim("cookie")]}),
                "claim_to_headers[0].header_name",
                "`cookie` may not be set",
            ),
            (
                json!({"claim_to_headers": [{"header_name": "x-user"}]}),
                "claim_to_headers[0]",
                "one of these must be given: claim_name, claim_path",
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn rules_are_reached_and_leave_somebody_to_sign_in() {
    let nobody = "nobody would ever sign in";
    refused(
        &[
            (
                json!({"rules": [{"allowed_groups": ["a"]}, {"match": {"path": "/b"}}]}),
                "rules[1]",
                "rules[0] takes every request",
            ),
            (json!({"rules": [{"disabled": true}]}), "rules[0]", nobody),
            (
                json!({"rules": [{"match": {"path": "/a"}, "disabled": true}, {"disabled": true}]}),
                "rules[1]",
                nobody,
            ),
            (
                json!({"rules": [{"match": {"path": "/a"}, "disabled": true, "allowed_groups": ["a"]}]}),
                "rules[0].allowed_groups",
                "the rule is `disabled`, and demands something",
            ),
            (
                json!({"rules": [{"match": {"path": "/a"}, "disabled": true, "required_claims": [{"claim_name": "a", "exists": true}]}]}),
                "rules[0].required_claims",
                "the rule is `disabled`, and demands something",
            ),
            (json!({"rules": []}), "rules", "an empty list"),
            (
                json!({"pass_through_matcher": [{"path": "/a"}, {}]}),
                "pass_through_matcher[1]",
                nobody,
            ),
            (
                json!({"pass_through_matcher": []}),
                "pass_through_matcher",
                "an empty list",
            ),
            (
                json!({"pass_through_matcher": [{"name": ":method"}]}),
                "pass_through_matcher[0].name",
                "unknown field",
            ),
        ],
        document,
    );
    // All but the front door.
    read(&json!({"rules": [{"match": {"path": "/door"}}, {"disabled": true}]}));
}

#[wasm_bindgen_test(unsupported = test)]
fn who_may_come_in_is_said_without_doubt() {
    for (domain, told) in [
        ("*", "this would let everybody in"),
        ("@example.com", "expected a domain, got an address"),
        ("example", "not a domain"),
        ("*.com", "not a domain"),
        ("", "not a domain"),
        ("ex ample.com", "not a domain"),
        ("*@example.com", "expected a domain, got an address"),
    ] {
        let more = json!({"allowed_email_domains": [domain]});
        refused(&[(more, "allowed_email_domains[0]", told)], document);
    }
    for email in [
        "example.com",
        "@example.com",
        "a@",
        "a@b@example.com",
        "\"a\"@example.com",
        "a b@example.com",
        "a@[10.0.0.1]",
        "",
        "a,b@example.com",
    ] {
        let more = json!({"rules": [{"allowed_emails": [email]}]});
        let told = "is not an e-mail address";
        refused(&[(more, "rules[0].allowed_emails[0]", told)], document);
    }
    refused(
        &[
            (
                json!({"groups_claim": "roles"}),
                "groups_claim",
                "nothing looks at the groups",
            ),
            (
                json!({"groups_claim": "a..b", "allowed_groups": ["a"]}),
                "groups_claim",
                "the name of a claim is missing",
            ),
            (
                json!({"allowed_groups": [""]}),
                "allowed_groups[0]",
                "must not be empty",
            ),
            (
                json!({"allowed_groups": "a"}),
                "allowed_groups",
                "expected a list",
            ),
            (
                json!({"allowed_groups": []}),
                "allowed_groups",
                "an empty list",
            ),
            (
                json!({"required_claims": [{"claim_name": "a"}]}),
                "required_claims[0]",
                "one of these must be given: equals",
            ),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn numbers_and_times_are_in_their_ranges() {
    let lifetime = "allowed are 1s to 9600h";
    let flow = "allowed are 10s to 1h";
    for (field, wrong, told) in [
        ("default_expires_in", "0s", lifetime),
        ("default_expires_in", "9601h", lifetime),
        ("default_refresh_token_expires_in", "0s", lifetime),
        ("session_lifetime", "500ms", lifetime),
        ("refresh_before_expiry", "2h", "allowed are 0s to 1h"),
        ("csrf_token_expires_in", "9s", flow),
        ("code_verifier_token_expires_in", "61m", flow),
    ] {
        let more = Json::Object(Map::from_iter([(field.to_owned(), wrong.into())]));
        refused(&[(more, field, told)], document);
    }
    refused(
        &[
            (
                json!({"session_cache": {"size": 100_001}}),
                "session_cache.size",
                "allowed are 0 to 100000",
            ),
            (
                json!({"default_expires_in": 3600}),
                "default_expires_in",
                "expected a duration with its unit",
            ),
            (
                json!({"use_refresh_token": false, "refresh_before_expiry": "10s"}),
                "refresh_before_expiry",
                "is not used with `use_refresh_token: false`",
            ),
            (
                json!({"use_refresh_token": false, "default_refresh_token_expires_in": "10s"}),
                "default_refresh_token_expires_in",
                "is not used with `use_refresh_token: false`",
            ),
            (
                json!({"session_lifetime": null}),
                "session_lifetime",
                "null",
            ),
            (json!({"mode": "shadow"}), "mode", "unknown value"),
            (json!({"stat_prefix": "a b"}), "stat_prefix", "a prefix is"),
        ],
        document,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn all_mistakes_are_told_at_once() {
    let errors = parse(&document(&json!({
        "redirect_uri": "https://app.example/a",
        "redirect_path": "/b",
        "signout_path": "/b",
        "forward_bearer_token": true,
        "preserve_authorization_header": true,
        "rules": [{}, {"match": {"path": "/a"}}],
        "cookie_configs": {"flow": {"path": "/x"}},
        "auth_scopes": ["email"]
    })))
    .unwrap_err();
    let mut fields: Vec<_> = errors
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "auth_scopes",
            "cookie_configs.flow.path",
            "preserve_authorization_header",
            "redirect_uri",
            "rules[1]",
            "signout_path",
        ]
    );
    // Those within fields come first: what does not go together is told of what is read.
    let errors = parse(&json!({"redirect_path": "x", "mode": "y", "zzz": 1})).unwrap_err();
    assert_eq!(errors.lines().count(), 4, "{errors}");
    assert!(errors.contains("credentials: "), "{errors}");
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_secret_is_in_debugging_text() {
    let config = format!("{:?}", read(&json!({})));
    assert!(
        !config.contains("hush") && !config.contains(SECRET),
        "{config}"
    );
}
