use std::collections::HashSet;

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::cookies::Attributes;

const BASE: &str = "__Host-flow";
const URL: &str = "https://app.example/a?b=c";
const REDIRECT_URI: &str = "https://app.example/callback";
const LIFETIME: u64 = 600;

fn keyring() -> Keyring {
    Keyring::new(&[b"0123456789abcdef0123456789abcdef"], "the-client").unwrap()
}

fn start(now: u64) -> Flow {
    Flow::start(URL, REDIRECT_URI, now).unwrap()
}

fn jar(header: &str) -> CookieJar<'_> {
    CookieJar::read(std::iter::once(header.as_bytes()))
}

/// The cookies of some sign-ins, as a browser sends them.
fn cookies<'a>(flows: impl IntoIterator<Item = &'a Flow>) -> String {
    let keyring = keyring();
    let cookies = flows.into_iter().map(|flow| {
        let (name, value) = (flow.cookie_name(BASE), flow.seal(&keyring, BASE).unwrap());
        let lines = jar("").set_lines(&name, &value, &Attributes::default(), Some(LIFETIME));
        lines.unwrap()[0].split(';').next().unwrap().to_owned()
    });
    cookies.collect::<Vec<_>>().join("; ")
}

fn is_base64url(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[wasm_bindgen_test(unsupported = test)]
fn no_two_sign_ins_share_a_secret() {
    let flows = (0..100).map(start).collect::<Vec<_>>();
    let texts = flows.iter().flat_map(|flow| {
        [
            flow.state(),
            flow.nonce(),
            flow.verifier(),
            flow.challenge(),
        ]
    });
    let texts = texts.collect::<HashSet<_>>();
    assert_eq!(texts.len(), 400);
    // 256 bits each, in letters that need no escape.
    assert!(
        texts
            .iter()
            .all(|text| text.len() == 43 && is_base64url(text))
    );
}

/// RFC 7636, appendix B.
#[wasm_bindgen_test(unsupported = test)]
fn the_challenge_is_that_of_the_standard() {
    let mut flow = start(0);
    flow.verifier = [
        116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37,
        77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
    ];
    assert_eq!(
        flow.verifier(),
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    assert_eq!(
        flow.challenge(),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sign_in_comes_back_as_it_was() {
    let flow = start(1_790_000_000);
    let name = flow.cookie_name(BASE);
    let sealed = flow.seal(&keyring(), BASE).unwrap();
    let opened = Flow::open(&keyring(), &name, sealed.as_bytes()).unwrap();
    assert!(
        opened == flow && &*opened.original_url == URL && &*opened.redirect_uri == REDIRECT_URI
    );
    assert_eq!(opened.started_at, 1_790_000_000);
    assert!(Flow::open(&keyring(), BASE, sealed.as_bytes()).is_none());
    assert!(Flow::open(&keyring(), &start(0).cookie_name(BASE), sealed.as_bytes()).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sign_in_fits_into_one_cookie_with_the_longest_urls() {
    let url = format!(
        "https://app.example/{}",
        "a".repeat(place::LONGEST_URL - 20)
    );
    let redirect_uri = format!(
        "https://app.example/{}",
        "b".repeat(LONGEST_REDIRECT_URI - 20)
    );
    let flow = Flow::start(&url, &redirect_uri, u64::MAX).unwrap();
    let value = flow.seal(&keyring(), BASE).unwrap();
    let attributes = Attributes {
        domain: Some("a".repeat(100).into()),
        partitioned: true,
        ..Attributes::default()
    };
    let lines = jar("").set_lines(&flow.cookie_name(BASE), &value, &attributes, Some(u64::MAX));
    assert_eq!(lines.unwrap().len(), 1);
    assert!(Flow::start(&format!("{url}a"), &redirect_uri, 0).is_err());
    assert!(Flow::start(&url, &format!("{redirect_uri}b"), 0).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn each_tab_finds_its_own() {
    let flows = (0..5).map(start).collect::<Vec<_>>();
    let header = cookies(&flows);
    let jar = jar(&header);
    for flow in &flows {
        let (found, name) = Flow::find(&jar, &keyring(), BASE, flow.state().as_bytes()).unwrap();
        assert!(found == *flow && name == flow.cookie_name(BASE));
    }
    let other = start(0);
    assert!(Flow::find(&jar, &keyring(), BASE, other.state().as_bytes()).is_none());
    // Started elsewhere: CVE-2023-27496, and a callback that somebody else was sent.
    assert!(
        Flow::find(
            &CookieJar::read(std::iter::empty()),
            &keyring(),
            BASE,
            flows[0].state().as_bytes()
        )
        .is_none()
    );
    for state in ["", "a", &flows[0].nonce(), &flows[0].verifier()] {
        assert!(Flow::find(&jar, &keyring(), BASE, state.as_bytes()).is_none());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cookie_under_the_name_of_another_sign_in_is_none() {
    let (mine, theirs) = (start(0), start(0));
    let value = theirs.seal(&keyring(), BASE).unwrap();
    let header = format!("{}=1{value}", mine.cookie_name(BASE));
    for flow in [&mine, &theirs] {
        assert!(Flow::find(&jar(&header), &keyring(), BASE, flow.state().as_bytes()).is_none());
    }
    // Two states of one mark are two.
    let name = mine.cookie_name(BASE);
    let sealed = keyring().seal(Purpose::Flow, &name, &theirs.encode());
    let sealed = sealed.unwrap();
    assert!(Flow::open(&keyring(), &name, sealed.as_bytes()).is_some());
    let header = format!("{name}=1{sealed}");
    assert!(Flow::find(&jar(&header), &keyring(), BASE, mine.state().as_bytes()).is_none());
    // Nor does a sign-in pass for a session, or a session for a sign-in.
    let sealed = keyring()
        .seal(Purpose::Session, &name, &mine.encode())
        .unwrap();
    assert!(Flow::open(&keyring(), &name, sealed.as_bytes()).is_none());
    let sealed = mine.seal(&keyring(), BASE).unwrap();
    assert!(
        keyring()
            .open(Purpose::Session, &name, sealed.as_bytes())
            .is_none()
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_of_one_other_letter_is_not_ours() {
    let flow = start(0);
    let state = flow.state();
    assert!(flow.is_for(state.as_bytes()));
    for at in 0..state.len() {
        let mut other = state.clone().into_bytes();
        other[at] ^= 1;
        assert!(!flow.is_for(&other));
        assert!(!flow.is_for(&state.as_bytes()[..at]));
    }
    assert!(!flow.is_for(format!("{state}=").as_bytes()));
    assert!(!flow.is_for(format!("{state}A").as_bytes()));
}

#[wasm_bindgen_test(unsupported = test)]
fn it_is_over_after_its_lifetime() {
    let flow = start(1_000);
    for (now, expected) in [
        (1_000, false),
        (1_599, false),
        (1_600, true),
        (u64::MAX, true),
        (401, false),
        (400, true),
        (0, true),
    ] {
        assert_eq!(flow.is_over(now, LIFETIME), expected, "{now}");
    }
    assert!(flow.is_over(1_000, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_browser_has_eight_at_most() {
    let now = 1_000;
    let flows = (0..12)
        .map(|number| start(now - number))
        .collect::<Vec<_>>();
    let names = |flows: &[Flow]| {
        flows
            .iter()
            .map(|flow| flow.cookie_name(BASE))
            .collect::<HashSet<_>>()
    };
    let gone = |header: &str| {
        let gone = too_many(&jar(header), &keyring(), BASE, now, LIFETIME);
        gone.into_iter().collect::<HashSet<_>>()
    };
    assert_eq!(gone(""), HashSet::new());
    assert_eq!(gone(&cookies(&flows[..7])), HashSet::new());
    // The oldest make room.
    assert_eq!(gone(&cookies(&flows[..8])), names(&flows[7..8]));
    assert_eq!(gone(&cookies(&flows)), names(&flows[7..]));
    // Those that are over count for nothing, nor do those of others.
    let over = start(now - LIFETIME);
    let all = cookies(flows[..7].iter().chain([&over]));
    assert_eq!(gone(&all), names(std::slice::from_ref(&over)));
    let foreign = "__Host-flow.abcdefgh=1abc; __Host-flow.ABCDEFGH.1=x; __Host-flow.short=1; other.abcdefgh=1";
    let expected = ["__Host-flow.abcdefgh", "__Host-flow.ABCDEFGH"].map(str::to_owned);
    assert_eq!(
        gone(&format!("{foreign}; {}", cookies(&flows[..7]))),
        expected.into()
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_flood_of_sign_ins_is_deleted_unread() {
    let cookies = (0..400).map(|number| format!("{BASE}.{number:08}=1abc"));
    let header = cookies.collect::<Vec<_>>().join("; ");
    assert_eq!(
        too_many(&jar(&header), &keyring(), BASE, 0, LIFETIME).len(),
        400
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_sign_in_is_refused() {
    let bytes = start(5).encode();
    assert!(Flow::decode(&bytes).is_some());
    for length in 0..bytes.len() {
        assert!(Flow::decode(&bytes[..length]).is_none());
    }
    assert!(Flow::decode(&[&bytes[..], b"\0"].concat()).is_none());
    assert!(Flow::decode(&[b"\x02", &bytes[1..]].concat()).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_secret_is_shown() {
    assert_eq!(format!("{:?}", start(7)), "Flow { started_at: 7, .. }");
}
