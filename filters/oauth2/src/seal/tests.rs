use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const ONE: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER: &[u8] = b"another secret of more than 32 bytes";
const NAME: &str = "__Host-session";
const PURPOSES: [Purpose; 3] = [Purpose::Session, Purpose::Flow, Purpose::Attempts];

fn keyring(secrets: &[&[u8]]) -> Keyring {
    Keyring::new(secrets, "the-client").unwrap()
}

fn plain(opened: Option<Opened>) -> Option<Vec<u8>> {
    opened.map(|opened| opened.plain)
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_sealed_is_opened() {
    let keyring = keyring(&[ONE]);
    for length in [0, 1, 2, 3, 4, 100, 4_000, LARGEST_CONTENT] {
        let content = (0..=255).cycle().take(length).collect::<Vec<u8>>();
        for purpose in PURPOSES {
            let text = keyring.seal(purpose, NAME, &content).unwrap();
            let opened = keyring.open(purpose, NAME, text.as_bytes()).unwrap();
            assert!(opened.plain == content && opened.by_first_key, "{length}");
            assert_eq!(text.len(), ((length + OVERHEAD) * 4).div_ceil(3));
        }
    }
    let too_large = vec![0; LARGEST_CONTENT + 1];
    assert!(keyring.seal(Purpose::Session, NAME, &too_large).is_err());
}

/// Made by another implementation of XChaCha20-Poly1305 and HKDF: what browsers keep
/// outlives the version that sealed it.
#[wasm_bindgen_test(unsupported = test)]
fn the_format_stays_what_it_is() {
    let text = "AcUCUKsAAQIDBAUGBwgJCgsMDQ4PEBESExQVFheR_MEA2CO4siisPwkl_PH1LkyHo6a89R93QWwZlsRtjQ";
    let opened = keyring(&[ONE]).open(Purpose::Session, NAME, text.as_bytes());
    assert_eq!(plain(opened).unwrap(), b"who is signed in");
}

#[wasm_bindgen_test(unsupported = test)]
fn no_two_texts_are_alike() {
    let keyring = keyring(&[ONE]);
    let texts = (0..100).map(|_| keyring.seal(Purpose::Session, NAME, b"same").unwrap());
    assert_eq!(texts.collect::<std::collections::HashSet<_>>().len(), 100);
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_opens_for_another_purpose_name_or_client() {
    let one = keyring(&[ONE]);
    for purpose in PURPOSES {
        let text = one.seal(purpose, NAME, b"content").unwrap();
        let text = text.as_bytes();
        for other in PURPOSES {
            let opened = one.open(other, NAME, text);
            assert_eq!(opened.is_some(), other == purpose, "{purpose:?} {other:?}");
        }
        for name in [
            "",
            "session",
            "__Host-session.1",
            "__Host-sessio",
            "__host-session",
        ] {
            assert!(one.open(purpose, name, text).is_none(), "{name}");
        }
        for client in ["", "the-clien", "the-client ", "The-client"] {
            let other = Keyring::new(&[ONE], client).unwrap();
            assert!(other.open(purpose, NAME, text).is_none(), "{client}");
        }
    }
}

/// CVE-2023-35941: the same letters, otherwise divided.
#[wasm_bindgen_test(unsupported = test)]
fn parts_do_not_run_into_each_other() {
    let text = |client, name| {
        let keyring = Keyring::new(&[ONE], client).unwrap();
        keyring.seal(Purpose::Session, name, b"content").unwrap()
    };
    let open = |client, name, text: &str| {
        let keyring = Keyring::new(&[ONE], client).unwrap();
        keyring
            .open(Purpose::Session, name, text.as_bytes())
            .is_some()
    };
    let sealed = text("ab", "cd");
    assert!(open("ab", "cd", &sealed));
    for (client, name) in [("a", "bcd"), ("abc", "d"), ("abcd", ""), ("", "abcd")] {
        assert!(!open(client, name, &sealed), "{client}, {name}");
        assert!(!open("ab", "cd", &text(client, name)), "{client}, {name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_are_rotated() {
    let (old, both, new) = (keyring(&[OTHER]), keyring(&[ONE, OTHER]), keyring(&[ONE]));
    let by_old = old.seal(Purpose::Session, NAME, b"content").unwrap();
    let by_both = both.seal(Purpose::Session, NAME, b"content").unwrap();
    let open = |keyring: &Keyring, text: &str| {
        let opened = keyring.open(Purpose::Session, NAME, text.as_bytes());
        opened.map(|opened| opened.by_first_key)
    };
    assert_eq!(open(&old, &by_old), Some(true));
    assert_eq!(open(&both, &by_old), Some(false));
    assert_eq!(open(&new, &by_old), None);
    assert_eq!(open(&old, &by_both), None);
    assert_eq!(open(&both, &by_both), Some(true));
    assert_eq!(open(&new, &by_both), Some(true));
}

/// Which key it was sealed with is a hint, and no more.
#[wasm_bindgen_test(unsupported = test)]
fn a_key_that_only_has_the_id_of_another_opens_nothing() {
    let mut both = keyring(&[ONE, OTHER]);
    let old = keyring(&[OTHER])
        .seal(Purpose::Session, NAME, b"content")
        .unwrap();
    let id = both.keys[1].id;
    both.keys[0].id = id;
    let opened = both.open(Purpose::Session, NAME, old.as_bytes()).unwrap();
    assert!(!opened.by_first_key);
    let mut other = keyring(&[ONE]);
    other.keys[0].id = id;
    assert!(other.open(Purpose::Session, NAME, old.as_bytes()).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn every_letter_counts() {
    let keyring = keyring(&[ONE, OTHER]);
    let text = keyring
        .seal(Purpose::Session, NAME, b"who is signed in")
        .unwrap();
    let opens = |text: &[u8]| keyring.open(Purpose::Session, NAME, text).is_some();
    assert!(opens(text.as_bytes()));
    for at in 0..text.len() {
        for byte in 0..=u8::MAX {
            let mut other = text.clone().into_bytes();
            if other[at] != byte {
                other[at] = byte;
                assert!(!opens(&other), "{at}: {byte}");
            }
        }
        assert!(!opens(&text.as_bytes()[..at]), "the first {at}");
        assert!(!opens(&text.as_bytes()[at + 1..]), "without the first {at}");
        let mut other = text.clone();
        other.remove(at);
        assert!(!opens(other.as_bytes()), "without {at}");
        other.insert(at, 'A');
        let mut longer = text.clone();
        longer.insert(at, 'A');
        assert!(!opens(longer.as_bytes()), "one more at {at}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_bit_counts() {
    let keyring = keyring(&[ONE]);
    let text = keyring
        .seal(Purpose::Session, NAME, b"who is signed in")
        .unwrap();
    let whole = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut other = whole.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let other = BASE64_URL_SAFE_NO_PAD.encode(other);
        assert!(
            keyring
                .open(Purpose::Session, NAME, other.as_bytes())
                .is_none(),
            "{bit}"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_one_text_says_it() {
    let keyring = keyring(&[ONE]);
    for length in 0..3 {
        let text = keyring
            .seal(Purpose::Session, NAME, &vec![0; length])
            .unwrap();
        let standard = text.replace('-', "+").replace('_', "/");
        let mut others = vec![
            format!("{text}="),
            format!("{text}=="),
            format!(" {text}"),
            format!("{text} "),
            format!("{text}\n"),
            format!("\"{text}\""),
        ];
        if standard != text {
            others.push(standard);
        }
        // Bits that are left over.
        let (start, last) = text.split_at(text.len() - 1);
        others.extend(('A'..='z').map(|letter| format!("{start}{letter}")));
        others.retain(|other| other.as_bytes() != [start.as_bytes(), last.as_bytes()].concat());
        for other in others {
            assert!(
                keyring
                    .open(Purpose::Session, NAME, other.as_bytes())
                    .is_none(),
                "{other:?}"
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_never_sealed_is_not_opened() {
    let keyring = keyring(&[ONE]);
    for length in 0..200 {
        for byte in [0, 1, 2, 0xff] {
            let text = BASE64_URL_SAFE_NO_PAD.encode(vec![byte; length]);
            assert!(
                keyring
                    .open(Purpose::Session, NAME, text.as_bytes())
                    .is_none()
            );
        }
    }
    let huge = vec![b'A'; LONGEST_TEXT + 1];
    assert!(keyring.open(Purpose::Session, NAME, &huge).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn secrets_are_long_and_different() {
    let error = |secrets: &[&[u8]]| Keyring::new(secrets, "c").err();
    assert_eq!(error(&[]), Some(KeyringError::None));
    assert_eq!(
        error(&[&ONE[1..]]),
        Some(KeyringError::Short {
            index: 0,
            length: 31
        })
    );
    assert_eq!(
        error(&[ONE, b""]),
        Some(KeyringError::Short {
            index: 1,
            length: 0
        })
    );
    assert_eq!(
        error(&[ONE, OTHER, ONE]),
        Some(KeyringError::Repeated { index: 2 })
    );
    assert_eq!(error(&[ONE, OTHER]), None);
    let short = KeyringError::Short {
        index: 1,
        length: 8,
    }
    .to_string();
    assert!(
        short.starts_with("a secret has at least 32 bytes, got 8"),
        "{short}"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_are_not_shown() {
    assert_eq!(
        format!("{:?}", keyring(&[ONE, OTHER])),
        "Keyring(2 secrets)"
    );
}
