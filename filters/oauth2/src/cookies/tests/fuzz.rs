//! What comes from browsers, changed at random: nothing panics, and what was changed is
//! not taken.

#![expect(clippy::arithmetic_side_effects, reason = "counts of a test")]

use fastrand::Rng;
use legation::headers::without_cookies;
use serde_json::json;

use super::*;
use crate::flow::Flow;
use crate::place::{Callback, is_allowed_redirect};
use crate::seal::{Keyring, Purpose};
use crate::session::Session;

const BASE: &str = "__Host-flow";

/// What there is before anyone changes it.
struct World {
    keyring: Keyring,
    /// Three sessions: by the first key, by another, and by one that we do not have.
    sealed: Vec<String>,
    /// The cookies of three sessions, by their names.
    browsers: Vec<Vec<String>>,
    flows: Vec<Flow>,
    flow_cookies: Vec<String>,
    encoded: Vec<Vec<u8>>,
}

/// How much of it was taken.
#[derive(Debug, Default)]
struct Taken {
    texts: u32,
    cookies: u32,
    states: u32,
    callbacks: u32,
    sessions: u32,
    redirects: u32,
}

impl World {
    fn new() -> Self {
        let secrets: [&[u8]; 3] = [
            b"0123456789abcdef0123456789abcdef",
            b"another secret of more than 32 bytes",
            b"a secret that somebody else has, not us",
        ];
        let keyring = |secrets: &[&[u8]]| Keyring::new(secrets, "the-client").unwrap();
        let sessions = ["alice", "bob", "eve"].map(|subject| {
            let claims = json!({"sub": subject, "groups": ["staff", "staff", "staff"]});
            Session {
                subject: subject.into(),
                ends_at: 1_790_000_000,
                access_token: Some(format!("{subject}'s token").into()),
                claims: claims.as_object().unwrap().clone(),
                ..Session::default()
            }
        });
        let encoded = sessions.map(|session| session.encode());
        let sealed = [0, 1, 2].map(|user| {
            let keyring = keyring(&secrets[user..=user]);
            keyring
                .seal(Purpose::Session, NAME, &encoded[user])
                .unwrap()
        });
        // Chunks as short as nobody cuts them: it is quicker.
        let browsers = sealed.iter().map(|text| {
            let (first, rest) = text.split_at(text.len() / 3);
            let (second, third) = rest.split_at(rest.len() / 2);
            vec![
                format!("{NAME}.1={second}"),
                format!("{NAME}.2={third}"),
                format!("{NAME}=3{first}"),
            ]
        });
        let browsers = browsers.collect();
        let keyring = keyring(&secrets[..2]);
        let url = "https://app.example/";
        let flows = [1, 2, 3].map(|now| Flow::start(url, url, now).unwrap());
        let flow_cookies = flows.iter().map(|flow| {
            let sealed = flow.seal(&keyring, BASE).unwrap();
            format!("{}=1{sealed}", flow.cookie_name(BASE))
        });
        Self {
            flow_cookies: flow_cookies.collect(),
            flows: flows.into(),
            sealed: sealed.into(),
            browsers,
            encoded: encoded.into(),
            keyring,
        }
    }

    fn text(&self, random: &mut Rng, taken: &mut Taken) {
        let whole = pick(random, &self.sealed);
        let mut text = whole.clone().into_bytes();
        let changes = random.usize(0..4);
        change(random, &mut text, changes);
        let opened = self.keyring.open(Purpose::Session, NAME, &text);
        let ours = self.sealed[..2]
            .iter()
            .position(|ours| ours.as_bytes() == text);
        assert_eq!(opened.is_some(), ours.is_some(), "{}", text.escape_ascii());
        taken.texts += u32::from(opened.is_some());
    }

    fn cookies(&self, random: &mut Rng, taken: &mut Taken) {
        let mut cookies = pick(random, &self.browsers).clone();
        for _ in 0..random.usize(0..4) {
            if cookies.is_empty() {
                break;
            }
            let (at, other) = (random.usize(..cookies.len()), random.usize(..cookies.len()));
            match random.u8(..9) {
                0 => drop(cookies.remove(at)),
                1 => cookies.push(cookies[at].clone()),
                2 => cookies.swap(at, other),
                3 => {
                    let (name, _) = cookies[at].split_once('=').unwrap_or(("a", ""));
                    let (_, value) = cookies[other].split_once('=').unwrap_or(("", "b"));
                    cookies[at] = format!("{name}={value}");
                }
                4 => {
                    let browser = pick(random, &self.browsers);
                    cookies[at].clone_from(pick(random, browser));
                }
                5 => cookies.insert(at, pick(random, OTHERS).to_string()),
                _ => {
                    let mut bytes = std::mem::take(&mut cookies[at]).into_bytes();
                    change(random, &mut bytes, 1);
                    cookies[at] = String::from_utf8_lossy(&bytes).into_owned();
                }
            }
        }
        let separator = *pick(random, &["; ", ";", " ;  "]);
        let (one, other) = cookies.split_at(random.usize(..=cookies.len()));
        let headers = [one.join(separator), other.join(separator)];
        let jar = jar(&[&headers[0], &headers[1]]);
        let opened = jar.join(NAME).and_then(|value| {
            let opened = self.keyring.open(Purpose::Session, NAME, &value)?;
            Session::decode(&opened.plain)
        });
        // Ours, and all of it, and nothing else that is called so.
        let pairs = headers.iter().flat_map(|header| header.split(';'));
        let pairs = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let (name, value) = (name.trim_matches(WHITE), value.trim_matches(WHITE));
            is_called(name).then(|| format!("{name}={value}"))
        });
        let mut pairs = pairs.collect::<Vec<_>>();
        pairs.sort_unstable();
        let ours = self.browsers[..2]
            .iter()
            .position(|browser| *browser == pairs);
        let subject = opened.as_ref().map(|session| &*session.subject);
        assert_eq!(
            subject,
            ours.map(|user| ["alice", "bob"][user]),
            "{headers:?}"
        );
        taken.cookies += u32::from(ours.is_some());
        // Whatever it was, it is gone then.
        let lines = jar.clear_lines(NAME, &Attributes::default());
        let deleted = names(&lines);
        assert!(jar.names().all(|own| {
            let own = String::from_utf8_lossy(own);
            !is_called(&own) || deleted.contains(&(&own, true))
        }));
        let ours = OurCookies::new([NAME, BASE]);
        for header in &headers {
            let without = |header: &[u8]| without_cookies(header, |name| ours.contain(name));
            if let Some(rest) = without(header.as_bytes()) {
                assert!(without(&rest).is_none());
            }
        }
    }

    fn state(&self, random: &mut Rng, taken: &mut Taken) {
        let flow = pick(random, &self.flows);
        let mut state = flow.state().into_bytes();
        let mut header = self.flow_cookies.join("; ").into_bytes();
        let changes = random.usize(0..2);
        change(random, &mut state, changes);
        let changes = random.usize(0..3);
        let whole = header.clone();
        change(random, &mut header, changes);
        let jar = CookieJar::read(std::iter::once(&*header));
        let found = Flow::find(&jar, &self.keyring, BASE, &state);
        let expected = self
            .flows
            .iter()
            .find(|flow| flow.state().as_bytes() == state);
        match (&found, expected) {
            (Some((found, name)), Some(expected)) => {
                assert!(found == expected && *name == expected.cookie_name(BASE));
            }
            // The cookie was changed.
            (None, Some(_)) => assert!(header != whole, "{}", header.escape_ascii()),
            (None, None) => {}
            (Some(_), None) => panic!("{}", state.escape_ascii()),
        }
        taken.states += u32::from(found.is_some());
        crate::flow::too_many(&jar, &self.keyring, BASE, 2, 600);
    }

    fn session(&self, random: &mut Rng, taken: &mut Taken) {
        let mut bytes = pick(random, &self.encoded).clone();
        let changes = random.usize(0..4);
        change(random, &mut bytes, changes);
        if let Some(session) = Session::decode(&bytes) {
            assert!(Session::decode(&session.encode()) == Some(session));
            taken.sessions += 1;
        }
    }
}

/// Cookies of others.
const OTHERS: &[&str] = &[
    "a=b",
    "a",
    "",
    "=",
    "__Host-session",
    "__Host-session=",
    "__Host-session.3=a",
    "__Host-session.99=a",
    "__Host-session.100=a",
    "__Host-session.a=b",
    "__Host-session.abcdefgh=b",
    "__host-session=a",
    "\"__Host-session\"=a",
];

const WHITE: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

/// Whether a cookie is called as one of a session.
fn is_called(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(|rest| {
        let number = rest.strip_prefix('.').unwrap_or("0");
        let is_number = number.len() < 3 && number.bytes().all(|byte| byte.is_ascii_digit());
        rest.is_empty() || is_number && !number.starts_with('0') && !number.is_empty()
    })
}

fn pick<'a, T>(random: &mut Rng, all: &'a [T]) -> &'a T {
    &all[random.usize(..all.len())]
}

/// Changes some bytes.
fn change(random: &mut Rng, bytes: &mut Vec<u8>, changes: usize) {
    for _ in 0..changes {
        let at = random.usize(..=bytes.len());
        match random.u8(..5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.u8(..)),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            _ if at < bytes.len() => bytes[at] = *pick(random, b"A_-=;. 0123\"%\0\xff"),
            _ => {}
        }
    }
}

/// A text of these pieces, now and then of any byte.
fn soup(random: &mut Rng, pieces: &[&str], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.usize(..most) {
        if random.u8(..50) == 0 {
            out.push(random.u8(..));
        } else {
            out.extend_from_slice(pick(random, pieces).as_bytes());
        }
    }
    out
}

fn callback(random: &mut Rng, taken: &mut Taken) {
    const PIECES: &[&str] = &[
        "code=a",
        "state=b",
        "&iss=c",
        "code",
        "state",
        "error",
        "error_description",
        "iss",
        "=",
        "=",
        "=",
        "&",
        "&",
        "&",
        "a",
        "b+c",
        "%20",
        "%",
        "%6",
        "%00",
        "%c3%a4",
        "%63ode",
        "co%64e",
        "\"",
        "#",
        "?",
        ";",
        "/",
        "https%3A%2F%2Fidp.example",
        "ä",
    ];
    let mut path = b"/callback?".to_vec();
    path.extend(soup(random, PIECES, 16));
    let Ok(read) = Callback::read(&path) else {
        return;
    };
    let query = path.split(|byte| *byte == b'#').next().unwrap();
    let query = query.splitn(2, |byte| *byte == b'?').nth(1).unwrap();
    let all = |name: &str| {
        let values = form_urlencoded::parse(query).filter(|(own, _)| own == name);
        values
            .map(|(_, value)| value.into_owned())
            .collect::<Vec<_>>()
    };
    for (name, value) in [
        ("code", &read.code),
        ("state", &read.state),
        ("error", &read.error),
        ("iss", &read.iss),
    ] {
        let all = all(name);
        assert!(all.len() <= 1, "{}", path.escape_ascii());
        let there = all.into_iter().next().filter(|value| !value.is_empty());
        assert_eq!(*value, there, "{}", path.escape_ascii());
    }
    assert!(all("error_description").len() <= 1 && !(read.code.is_some() && read.error.is_some()));
    taken.callbacks += u32::from(read.code.is_some());
}

fn redirect(random: &mut Rng, taken: &mut Taken) {
    const PIECES: &[&str] = &[
        "https:",
        "http:",
        "HTTPS:",
        "javascript:",
        "/",
        "/",
        "//",
        "://",
        "\\",
        "\t",
        "\n",
        "\r",
        " ",
        "\0",
        "@",
        ":",
        ":443",
        ":80",
        ":8443",
        "?",
        "#",
        ".",
        "..",
        "%2f",
        "%5c",
        "%00",
        "app.example",
        "evil.example",
        "a.below.example",
        ".below.example",
        "[::1]",
        "user",
        "ä",
        "\u{ff0f}",
        "\u{3002}",
        "&",
        ";",
    ];
    let mut url = String::from_utf8_lossy(&soup(random, PIECES, 8)).into_owned();
    if random.bool() {
        let starts = ["https://", "https://app.example", "/"];
        url.insert_str(0, starts[random.usize(..starts.len())]);
    }
    let allowed = [".below.example", "other.example:8443"];
    if !is_allowed_redirect(&url, "https://app.example", &allowed) {
        return;
    }
    taken.redirects += 1;
    // As browsers read it (WHATWG URL, section 4.4): any slashes after the scheme.
    let seen = url.replace(['\t', '\n', '\r'], "").replace('\\', "/");
    let seen = seen
        .trim_matches(|character: char| character <= ' ')
        .to_ascii_lowercase();
    let rest = seen
        .strip_prefix("https:")
        .or_else(|| seen.strip_prefix("//"));
    let Some(rest) = rest else {
        assert!(seen.starts_with('/'), "{url:?}");
        return;
    };
    let rest = rest.trim_start_matches('/');
    let authority = rest.split(['/', '?', '#']).next().unwrap();
    let host = authority.rsplit('@').next().unwrap();
    let host = host.strip_suffix(":443").unwrap_or(host);
    assert!(!authority.contains('@'), "{url:?}");
    assert!(
        host == "app.example" || host.ends_with(".below.example"),
        "{url:?}"
    );
}

/// Tries so many cases.
fn run(cases: u32, seed: u64) {
    let world = World::new();
    let mut random = Rng::with_seed(seed);
    let mut taken = Taken::default();
    for case in 0..cases {
        match case % 6 {
            0 => world.text(&mut random, &mut taken),
            1 => world.cookies(&mut random, &mut taken),
            2 => world.state(&mut random, &mut taken),
            3 => world.session(&mut random, &mut taken),
            4 => callback(&mut random, &mut taken),
            _ => redirect(&mut random, &mut taken),
        }
    }
    println!("{cases} cases, seed {seed}, of which were unchanged, or right: {taken:?}");
    // What is right is among them.
    let Taken {
        texts,
        cookies,
        states,
        callbacks,
        sessions,
        redirects,
    } = taken;
    for count in [texts, cookies, states, callbacks, sessions, redirects] {
        assert!(count > cases / 1_000, "{count}");
    }
}

#[test]
fn twenty_thousand_cases() {
    run(20_000, 7);
}

mod soak {
    #[test]
    #[ignore = "takes some seconds"]
    fn a_million_cases() {
        super::run(1_000_000, fastrand::u64(..));
    }
}
