use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

#[cfg(not(target_arch = "wasm32"))]
mod random;

pub(super) fn claims(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(claims) => claims,
        _ => panic!("no object"),
    }
}

/// One as providers give them: 3 KB of tokens.
pub(super) fn session() -> Session {
    let letters = |length: usize, seed: u64| -> Box<str> {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut state = seed;
        let letter = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(alphabet[usize::try_from(state >> 58).unwrap()])
        };
        (0..length).map(letter).collect::<String>().into()
    };
    Session {
        subject: "248289761001".into(),
        session_id: Some("08a5019c-17e1-4977-8f42-65a12843ea02".into()),
        signed_in_at: 1_790_000_000,
        ends_at: 1_790_604_800,
        access_token: Some(letters(1_200, 1)),
        access_expires_at: 1_790_003_600,
        refresh_token: Some(letters(800, 2)),
        refresh_expires_at: 1_790_604_800,
        id_token: Some(letters(1_000, 3)),
        claims: claims(json!({
            "sub": "248289761001",
            "email": "jane@example.com",
            "email_verified": true,
            "name": "Jane Döe",
            "groups": ["admins", "staff", "on-call"],
            "nested": {"deep": [1, -2, 3.5, null]},
        })),
        told: vec!["groups".into(), "name".into()],
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_comes_back_as_it_was() {
    let whole = session();
    assert!(Session::decode(&whole.encode()) == Some(whole.clone()));
    let empty = Session::default();
    assert!(Session::decode(&empty.encode()) == Some(empty));
    // Each of the texts alone, and empty, which is not the same as none.
    for which in 0..8 {
        let mut session = Session {
            ends_at: u64::MAX,
            ..Session::default()
        };
        let place = match which % 4 {
            0 => &mut session.session_id,
            1 => &mut session.access_token,
            2 => &mut session.refresh_token,
            _ => &mut session.id_token,
        };
        *place = Some(if which < 4 { "text" } else { "" }.into());
        assert!(
            Session::decode(&session.encode()) == Some(session),
            "{which}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_is_deflated_where_that_is_smaller() {
    let small = Session {
        subject: "q7Rk0vZpXw".into(),
        signed_in_at: 0x1b7e_93a5_c2d8_4f60,
        ends_at: 0x8d31_f07c_5ea9_62b4,
        access_expires_at: 0x4ac6_e815_9f3b_d072,
        refresh_expires_at: 0xe259_7d4f_a180_36cb,
        ..Session::default()
    };
    assert_eq!(small.encode()[0], version::PLAIN);
    let large = Session {
        access_token: Some("abc".repeat(1_000).into()),
        ..Session::default()
    };
    assert_eq!(large.encode()[0], version::DEFLATED);
    assert!(large.encode().len() < 200);
    // Letters of base64 have six bits each.
    let whole = session().encode();
    assert_eq!(whole[0], version::DEFLATED);
    assert!(whole.len() < 2_700, "{}", whole.len());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_is_bounded_when_it_is_inflated() {
    let of = |length: usize| Session {
        access_token: Some("a".repeat(length).into()),
        ..Session::default()
    };
    let rest = 13;
    let most = usize::try_from(LARGEST).unwrap() - rest;
    assert!(Session::decode(&of(most).encode()).is_some());
    assert!(Session::decode(&of(most + 1).encode()).is_none());
    // A bomb: 64 MiB in 64 KiB.
    let bomb = of(64 << 20).encode();
    assert_eq!(bomb[0], version::DEFLATED);
    assert!(bomb.len() < 70_000 && Session::decode(&bomb).is_none());
    assert!(inflate(&bomb[1..]).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_session_is_refused() {
    let small = Session {
        subject: "s".into(),
        ..Session::default()
    };
    let plain = small.encode();
    let whole = session().encode();
    for bytes in [&plain, &whole] {
        for length in 0..bytes.len() {
            assert!(Session::decode(&bytes[..length]).is_none(), "{length}");
        }
        let more = [&bytes[..], b"\0"].concat();
        assert!(Session::decode(&more).is_none());
        for version in (0..=u8::MAX).filter(|version| *version != bytes[0]) {
            let mut other = bytes.clone();
            other[0] = version;
            assert!(Session::decode(&other).is_none(), "{version}");
        }
    }
    for (problem, rest) in [
        (
            "a number that is too large",
            &b"\x01s\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\0\0\0\0"[..],
        ),
        (
            "a number that is written longer",
            b"\x01s\x80\0\0\0\0\0\0\0\0\0",
        ),
        ("a text that is no text", b"\x01\xff\0\0\0\0\0\0\0\0\0"),
        ("neither there nor not", b"\x01s\0\0\0\0\x02\0\0\0\0"),
        ("a length beyond the end", b"\x7fs\0\0\0\0\0\0\0\0\0"),
        (
            "a giant length",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01s",
        ),
        ("claims that are no object", b"\x01s\0\0\0\0\0\0\0\0\x021 "),
        ("claims that are no JSON", b"\x01s\0\0\0\0\0\0\0\0\x02{,"),
    ] {
        let bytes = [&[version::PLAIN], rest].concat();
        assert!(Session::decode(&bytes).is_none(), "{problem}");
    }
    let right = [&[version::PLAIN], &b"\x01s\0\0\0\0\0\0\0\0\x02{}"[..]].concat();
    assert!(Session::decode(&right) == Some(small));
    let more = [&right[..], b"\0"].concat();
    assert!(Session::decode(&more).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn it_is_over_when_it_ends() {
    let session = Session {
        ends_at: 100,
        ..Session::default()
    };
    assert!(!session.is_over(99));
    assert!(session.is_over(100));
    assert!(session.is_over(u64::MAX));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_secret_is_shown() {
    let session = session();
    let shown = format!("{session:?}");
    for hidden in [
        &session.access_token,
        &session.refresh_token,
        &session.id_token,
    ] {
        assert!(!shown.contains(&**hidden.as_ref().unwrap()));
    }
    assert!(
        !shown.contains("248289761001") && !shown.contains("jane"),
        "{shown}"
    );
    assert!(shown.contains("ends_at: 1790604800"), "{shown}");
}
