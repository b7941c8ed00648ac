//! What becomes of a session whose cookies somebody has changed.

use super::*;
use crate::seal::{Keyring, Purpose};

const ONE: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER: &[u8] = b"another secret of more than 32 bytes";

fn keyring(secret: &[u8]) -> Keyring {
    Keyring::new(&[secret], "the-client").unwrap()
}

/// The cookies that a user's browser sends.
fn cookies(keyring: &Keyring, content: &[u8]) -> Vec<String> {
    let text = keyring.seal(Purpose::Session, NAME, content).unwrap();
    let lines = jar(&[]).set_lines(NAME, &text, &Attributes::default(), None);
    let sent = sent(&lines.unwrap());
    sent.split("; ").map(str::to_owned).collect()
}

/// The content that a request with these cookies has.
fn opened(keyring: &Keyring, cookies: &[String]) -> Option<Vec<u8>> {
    let header = cookies.join("; ");
    let value = jar(&[&header]).join(NAME)?.into_owned();
    Some(keyring.open(Purpose::Session, NAME, &value)?.plain)
}

fn name(cookie: &str) -> &str {
    cookie.split_once('=').unwrap().0
}

/// A cookie of this name with the value of another.
fn renamed(cookie: &str, name: &str) -> String {
    format!("{name}={}", cookie.split_once('=').unwrap().1)
}

/// What is sealed for one user: 3 cookies.
fn alice() -> Vec<u8> {
    b"alice ".repeat(1_400)
}

/// And for another: as many.
fn bob() -> Vec<u8> {
    b"bob ".repeat(2_100)
}

#[wasm_bindgen_test(unsupported = test)]
fn whole_cookies_open() {
    let keyring = keyring(ONE);
    for content in [alice(), bob()] {
        let cookies = cookies(&keyring, &content);
        assert_eq!(cookies.len(), 3);
        assert!(opened(&keyring, &cookies) == Some(content));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn chunks_that_are_dropped_repeated_or_swapped_are_no_session() {
    let keyring = keyring(ONE);
    let whole = cookies(&keyring, &alice());
    for at in 0..whole.len() {
        let mut dropped = whole.clone();
        dropped.remove(at);
        assert!(opened(&keyring, &dropped).is_none(), "without {at}");
        let mut twice = whole.clone();
        twice.push(whole[at].clone());
        assert!(opened(&keyring, &twice).is_none(), "twice {at}");
        for other in (0..whole.len()).filter(|other| *other != at) {
            let mut swapped = whole.clone();
            swapped[at] = renamed(&whole[other], name(&whole[at]));
            assert!(opened(&keyring, &swapped).is_none(), "{other} as {at}");
            swapped[other] = renamed(&whole[at], name(&whole[other]));
            assert!(opened(&keyring, &swapped).is_none(), "{other} and {at}");
        }
        let mut more = whole.clone();
        more.push(renamed(&whole[at], "__Host-session.3"));
        assert!(opened(&keyring, &more).is_none(), "{at} once more");
    }
}

/// The number of chunks is not sealed: a lie about it makes another text.
#[wasm_bindgen_test(unsupported = test)]
fn a_wrong_number_of_chunks_is_no_session() {
    let keyring = keyring(ONE);
    let whole = cookies(&keyring, &alice());
    let rest = whole[0].strip_prefix("__Host-session=3").unwrap();
    for count in 0..=9 {
        for kept in 1..=whole.len() {
            let mut cookies = whole[..kept].to_vec();
            cookies[0] = format!("{NAME}={count}{rest}");
            let is_whole = count == 3 && kept == 3;
            assert_eq!(
                opened(&keyring, &cookies).is_some(),
                is_whole,
                "{count} of {kept}"
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_chunk_cut_short_is_no_session() {
    let keyring = keyring(ONE);
    let whole = cookies(&keyring, &alice());
    for at in 0..whole.len() {
        let start = name(&whole[at]).len() + 1;
        for length in (start..whole[at].len())
            .rev()
            .take(100)
            .chain(start..start + 100)
        {
            let mut cut = whole.clone();
            cut[at].truncate(length);
            assert!(opened(&keyring, &cut).is_none(), "{at}: {length}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn chunks_of_two_users_are_nobodys_session() {
    for other in [ONE, OTHER] {
        let (one, other) = (keyring(ONE), keyring(other));
        let (alices, bobs) = (cookies(&one, &alice()), cookies(&other, &bob()));
        let all = (1_u32 << alices.len()) - 1;
        for of_bob in 0..=all {
            let pairs = alices.iter().zip(&bobs).enumerate();
            let mixed = pairs.map(|(at, (alice, bob))| {
                let chunk = if of_bob & 1 << at == 0 { alice } else { bob };
                chunk.clone()
            });
            let mixed = mixed.collect::<Vec<_>>();
            let by_one = opened(&one, &mixed).filter(|content| *content != bob());
            assert_eq!(by_one.is_some(), of_bob == 0, "{of_bob:b}");
            let by_other = opened(&other, &mixed).filter(|content| *content != alice());
            assert_eq!(by_other.is_some(), of_bob == all, "{of_bob:b}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_of_another_key_client_name_or_purpose_is_none() {
    let (one, other) = (keyring(ONE), keyring(OTHER));
    assert!(opened(&one, &cookies(&other, &alice())).is_none());
    let client = Keyring::new(&[ONE], "another-client").unwrap();
    assert!(opened(&one, &cookies(&client, &alice())).is_none());
    let sealed = |purpose, name| {
        let text = one.seal(purpose, name, b"admin").unwrap();
        opened(&one, &[format!("{NAME}=1{text}")])
    };
    assert!(sealed(Purpose::Session, NAME).is_some());
    assert!(sealed(Purpose::Session, "session").is_none());
    assert!(sealed(Purpose::Flow, NAME).is_none());
}

/// CVE-2022-29226: what nobody sealed is nothing, however it looks.
#[wasm_bindgen_test(unsupported = test)]
fn a_session_that_nobody_sealed_is_none() {
    let keyring = keyring(ONE);
    for value in [
        "",
        "1",
        "1e30",
        "1eyJhbGciOiJub25lIn0.e30.",
        "1AQAAAAA",
        "admin",
        "1admin",
    ] {
        let cookies = [format!("{NAME}={value}")];
        assert!(opened(&keyring, &cookies).is_none(), "{value}");
    }
}
