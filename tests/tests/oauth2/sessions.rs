//! The session's cookie: tampered with, cut into chunks, sealed anew.

use anyhow::{Context, Result};
use legation_tests::Request;
use legation_tests::visitor::{Step, Visitor};
use serde_json::{Value, json};

use super::{
    Described, HOST, SESSION, Site, assert_sent_to_sign_in, at, fetch, parts, shared, site,
};

/// The cookies of the session, chunk by chunk.
fn chunks(visitor: &Visitor) -> Vec<(String, String)> {
    let own = visitor
        .jar()
        .kept()
        .filter(|one| one.name.starts_with(SESSION));
    own.map(|one| (one.name.clone(), one.value.clone()))
        .collect()
}

/// A browser that has these cookies alone.
fn with(site: &Site, cookies: &[(String, String)]) -> Visitor {
    let mut visitor = site.visitor();
    for (name, value) in cookies {
        visitor.jar_mut().put(HOST, name, value);
    }
    visitor
}

/// What an attacker may tell from an answer: all but what is random in it.
fn shape(step: &Step) -> String {
    let mut names: Vec<_> = step.response.headers.iter().map(|(name, _)| name).collect();
    names.sort();
    let body = match step.response.json() {
        Ok(mut value) => {
            value["request_id"] = Value::Null;
            value.to_string()
        }
        Err(_) => step.response.text(),
    };
    format!("{} {names:?} {body}", step.response.status)
}

/// Claims that make a session too long for one cookie, and do not shrink.
fn large(bytes: usize) -> Value {
    let mut text = String::new();
    let mut state = 88_172_645_463_325_252_u64;
    while text.len() < bytes {
        // xorshift: it looks random, and is the same every time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    json!(text)
}

pub(crate) fn sites() -> Vec<Described> {
    let secrets = |secrets: &[&str]| {
        let of = |secret: &&str| json!({"inline_string": format!("{secret} of at least 32 bytes")});
        let secrets: Vec<_> = secrets.iter().map(of).collect();
        json!({"credentials": {"cookie_secrets": secrets}})
    };
    let (old, new) = ("the old secret", "the new secret");
    let mut all = vec![
        site("sealed", json!({})),
        site("sealed-otherwise", secrets(&["another secret"])),
        site("keys-before", secrets(&[old])),
        site("keys-between", secrets(&[new, old])),
        site("keys-after", secrets(&[new])),
    ];
    let configs = |session: Value, flow: Value| json!({"session": session, "flow": flow});
    for (name, more) in [
        ("chunks", json!({})),
        ("set-plain", json!({})),
        (
            "set-domain",
            json!({"credentials": {"cookie_domain": "localhost"}}),
        ),
        (
            "set-path",
            json!({
                "cookie_configs": configs(
                    json!({"path": "/app", "same_site": "STRICT"}),
                    json!({"same_site": "NONE", "partitioned": true}),
                ),
                "redirect_path": "/app/callback",
                "redirect_uri": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/app/callback",
                "signout_path": "/app/signout",
            }),
        ),
        (
            "set-insecure",
            json!({"cookie_configs": configs(json!({"secure": false}), json!({"secure": false}))}),
        ),
    ] {
        let mut own = json!({"claim_to_headers": [
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-large", "claim_name": "large"},
        ]});
        super::merge(&mut own, &more);
        all.push(site(name, own).told(|provider| {
            provider.change(|it| {
                it.claims.insert("large".to_owned(), large(9_000));
            });
        }));
    }
    all
}

#[test]
fn cve_2026_47775_a_changed_cookie_is_no_session_and_all_are_refused_alike() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("sealed");
    let alice = site.signed_in()?;
    let good = alice.jar().get(SESSION).context("a session")?.value.clone();
    let mut visitor = site.visitor();
    let refused = |visitor: &mut Visitor, value: &str| -> Result<String> {
        visitor.jar_mut().put(HOST, SESSION, value);
        let step = visitor.send(at("/"), fetch("GET"))?;
        assert_eq!(step.response.status, 401, "{value} is let in:\n{step}");
        Ok(shape(&step))
    };
    let usual = refused(&mut visitor, "1x")?;
    // Every letter, by one bit of it.
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = match bytes[at] {
            b'A' => b'B',
            b'0'..=b'9' => b'A',
            other => other ^ 1,
        };
        let changed = String::from_utf8(bytes)?;
        let letters = changed
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';');
        if letters {
            assert_eq!(refused(&mut visitor, &changed)?, usual, "at {at}");
        }
    }
    for length in (0..good.len()).step_by(7) {
        assert_eq!(
            refused(&mut visitor, &good[..length])?,
            usual,
            "{length} letters"
        );
    }
    for longer in ["A", "=", "==", "AAAA", ".", " "] {
        if !longer.trim().is_empty() {
            assert_eq!(
                refused(&mut visitor, &format!("{good}{longer}"))?,
                usual,
                "{longer}"
            );
        }
    }
    // Two of one name, of which one is good.
    for cookies in [
        format!("{SESSION}={good}; {SESSION}=1x"),
        format!("{SESSION}=1x; {SESSION}={good}"),
        format!("{SESSION}={good}; {SESSION}={good}"),
    ] {
        let request = fetch("GET").header("cookie", cookies);
        let step = site.visitor().send(at("/"), request)?;
        assert_eq!(step.response.status, 401, "{step}");
    }
    // Of another secret.
    let other = gateway.site("sealed-otherwise").signed_in()?;
    let value = other.jar().get(SESSION).context("a session")?.value.clone();
    assert_eq!(refused(&mut visitor, &value)?, usual);
    // It was good all the time.
    visitor.jar_mut().put(HOST, SESSION, &good);
    assert_eq!(visitor.send(at("/"), fetch("GET"))?.response.status, 200);
    gateway.assert_well()
}

#[test]
fn a_session_beyond_four_kilobytes_is_cut_and_put_together() -> Result<()> {
    let gateway = shared()?;
    let site = gateway.site("chunks");
    let sign_in = |bytes: usize, user: &str| {
        site.provider.change(|it| {
            it.claims.insert("large".to_owned(), large(bytes));
            it.subject = user.to_owned();
        });
        site.visitor().clone().visit(at("/")).map(|_| ())?;
        site.signed_in()
    };
    let alice = sign_in(10_000, "alice")?;
    assert_eq!(alice.refused(), [""; 0]);
    let own = chunks(&alice);
    assert!((2..=8).contains(&own.len()), "{} chunks", own.len());
    let mut visitor = with(site, &own);
    let arrived = gateway.arrived(&visitor.go(at("/"))?)?;
    assert_eq!(
        arrived.headers.text("x-large").map(|it| it.len()),
        Some(10_000)
    );
    assert!(!arrived.headers.contains("cookie"), "{arrived}");

    // HTTP/2 has a header for each cookie.
    let mut request = Request::get("/").host(HOST).id("chunks by HTTP/2");
    for (name, value) in &own {
        request = request.header("cookie", format!("{name}={value}"));
    }
    let request = request.header("cookie", "theirs=1");
    let response = legation_tests::Client::http2(site.address).send(request)?;
    assert_eq!(response.status, 200, "{response}");
    let arrived = gateway.stage.upstream().with_id("chunks by HTTP/2");
    let arrived = arrived.context("it arrived")?;
    assert_eq!(arrived.headers.all("cookie"), [b"theirs=1"]);

    let refused = |what: &str, cookies: &[(String, String)]| -> Result<()> {
        let step = with(site, cookies).send(at("/"), fetch("GET"))?;
        assert_eq!(step.response.status, 401, "{what}: {step}");
        Ok(())
    };
    let bob = chunks(&sign_in(10_000, "bob")?);
    assert_eq!(bob.len(), own.len());
    for number in 0..own.len() {
        let mut less = own.clone();
        less.remove(number);
        refused("a chunk is missing", &less)?;
        let mut mixed = own.clone();
        mixed[number].1.clone_from(&bob[number].1);
        refused("a chunk is another's", &mixed)?;
        let mut swapped = own.clone();
        let next = (number + 1) % own.len();
        swapped[number].1.clone_from(&own[next].1);
        swapped[next].1.clone_from(&own[number].1);
        refused("two chunks are swapped", &swapped)?;
        let mut cut = own.clone();
        cut[number].1.pop();
        refused("a chunk is cut", &cut)?;
    }
    let mut more = own.clone();
    more.push((format!("{SESSION}.{}", own.len()), own[1].1.clone()));
    refused("a chunk too many", &more)?;

    // A smaller one leaves nothing of the larger one.
    site.provider.change(|it| {
        it.claims.clear();
        it.subject = "alice".to_owned();
    });
    let mut visitor = alice.clone();
    let first = visitor.jar().get(SESSION).context("a session")?.clone();
    visitor.jar_mut().replace(&first.name, "1x");
    assert_eq!(visitor.visit(at("/"))?.response.status, 200);
    assert_eq!(chunks(&visitor).len(), 1);

    // What no browser would keep is told, once, and nobody is sent round and round.
    site.provider.change(|it| {
        it.claims.insert("large".to_owned(), large(60_000));
    });
    let mut visitor = site.visitor();
    let back = site.callback(&mut visitor, "/")?;
    let step = visitor.go(&back)?;
    assert!(step.response.status >= 400, "{step}");
    assert!(chunks(&visitor).is_empty());
    site.provider.change(|it| it.claims.clear());
    site.signed_in()?;
    gateway.assert_well()
}

#[test]
fn keys_are_rotated_without_signing_anybody_out() -> Result<()> {
    let gateway = shared()?;
    let mut visitor = gateway.site("keys-before").signed_in()?;
    let sealed = chunks(&visitor);
    let between = gateway.site("keys-between");
    visitor = visitor.knows(HOST, between.address);
    let step = visitor.go(at("/"))?;
    assert_eq!(step.response.status, 200, "{step}");
    let line = step.set_cookie(SESSION)?;
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age="] {
        assert!(line.contains(attribute), "{line}");
    }
    assert_ne!(parts(&line)?.1, sealed[0].1);
    // Once, and then no more.
    assert!(visitor.go(at("/"))?.set_cookies().is_empty());
    let after = gateway.site("keys-after");
    visitor = visitor.knows(HOST, after.address);
    assert_eq!(visitor.go(at("/"))?.response.status, 200);
    assert_sent_to_sign_in(&with(after, &sealed).go(at("/"))?, &after.provider)?;
    gateway.assert_well()
}

#[test]
fn cookies_are_set_as_configured_and_all_are_cleared() -> Result<()> {
    // CVE-2025-55162: with another path and a domain they go by those alone.
    let gateway = shared()?;
    for (name, page, sign_out, prefix, session_has, flow_has) in [
        (
            "set-plain",
            "/",
            "/signout",
            "__Host-",
            "; SameSite=Lax",
            "; SameSite=Lax",
        ),
        (
            "set-domain",
            "/",
            "/signout",
            "__Secure-",
            "; Domain=localhost",
            "; Domain=localhost",
        ),
        (
            "set-path",
            "/app/x",
            "/app/signout",
            "__",
            "; Path=/app;",
            "; Partitioned",
        ),
        (
            "set-insecure",
            "/",
            "/signout",
            "",
            "; HttpOnly",
            "; HttpOnly",
        ),
    ] {
        let site = gateway.site(name);
        let mut visitor = site.visitor();
        visitor.jar_mut().put(HOST, "theirs", "1");
        let first = visitor.go(at(page))?;
        let flow = first.set_cookies().join("\n");
        assert!(flow.contains(flow_has), "{name}: {flow}");
        // Another sign-in that is never ended.
        let step = visitor.visit(at(page))?;
        assert_eq!(step.response.status, 200, "{name}: {step}");
        assert_eq!(visitor.refused(), [""; 0], "{name}");
        let own: Vec<_> = visitor
            .jar()
            .kept()
            .filter(|one| one.name != "theirs")
            .cloned()
            .collect();
        let sessions: Vec<_> = own.iter().filter(|one| one.name.contains("sess")).collect();
        assert!(sessions.len() >= 2, "{name}: {sessions:?}");
        assert!(
            own.iter().any(|one| one.name.contains("flow")),
            "{name}: {own:?}"
        );
        for one in &own {
            assert!(one.name.starts_with(prefix), "{name}: {one:?}");
            assert_eq!(one.secure, name != "set-insecure", "{name}: {one:?}");
            assert!(one.http_only, "{name}: {one:?}");
        }
        let lines: Vec<_> = visitor.steps().iter().flat_map(Step::set_cookies).collect();
        let set = lines
            .iter()
            .filter(|line| line.starts_with(&sessions[0].name));
        assert!(set.clone().count() >= 1, "{name}");
        for line in set {
            assert!(line.contains(session_has), "{name}: {line}");
        }

        let out = visitor.send(at(sign_out), Request::get("/"))?;
        assert!(out.response.status < 400, "{name}: {out}");
        let left: Vec<_> = visitor.jar().kept().map(|one| one.name.clone()).collect();
        assert_eq!(left, ["theirs"], "{name}: {out}");
        assert_sent_to_sign_in(&visitor.go(at(page))?, &site.provider)?;
    }
    gateway.assert_well()
}
