use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use super::{Expected, Observed, Scenario, Stage, Started, Step, run};
use crate::headers::HeaderList;
use crate::message::Message;

const WHOLE: &str = r#"
filter: some-filter
configuration: { rules: [1] }
environment: { POD: blue-1 }
steps:
- name: shows everything
  request:
    method: PUT
    path: /x?y=1
    authority: a.example
    headers: { x-a: "1", x-b: [one, { hex: "ff 00" }] }
    body: [one, { repeat: ab, times: 2 }]
    trailers: [[x-t, "1"], [x-t, "2"]]
    http2: true
  upstream:
    status: 404
    headers: [[set-cookie, a=1], [set-cookie, b=2]]
    body: text
  expect:
    upstream:
      path: { prefix: /x }
      headers: { x-a: "1", x-b: [{ contains: n }, { any: true }] }
      absent: [x-c]
    response: none
    stats: { some_filter.requests: 1 }
    log: [a piece]
- name: is short
  expect: { upstream: none }
"#;

#[test]
fn every_field_is_read() {
    let scenario = Scenario::parse(WHOLE).unwrap();

    let step = &scenario.steps[0];
    assert_eq!(scenario.configuration["rules"][0], 1);
    assert_eq!(step.request.method(), "PUT");
    let headers: Vec<_> = step
        .request
        .headers
        .0
        .iter()
        .map(|(name, value)| (name.as_str(), value.0.as_slice()))
        .collect();
    assert_eq!(
        headers,
        [("x-a", &b"1"[..]), ("x-b", b"one"), ("x-b", b"\xff\0")]
    );
    assert_eq!(step.request.body.0[1].0, b"abab");
    assert_eq!(step.request.trailers.0.len(), 2);
    assert_eq!(step.upstream.headers.0[1].1.0, b"b=2");
    assert_eq!(step.expect.stats["some_filter.requests"], 1);
    let short = &scenario.steps[1];
    assert_eq!((short.request.method(), short.request.path()), ("GET", "/"));
    assert_eq!(short.upstream.status(), 200);
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (text, told) in [
        ("filter: a\nstepz: []\n", "unknown field `stepz`"),
        ("filter: a\n", "either `steps`, or `refused`"),
        (
            "filter: a\nsteps:\n- name: b\n  expect: { upstream: { header: {} } }\n",
            "unknown field `header`",
        ),
        (
            "filter: a\nsteps:\n- name: b\n  request: { headers: { x: { hex: f } } }\n  expect: {}\n",
            "pairs of hexadecimal digits",
        ),
        (
            "filter: a\nsteps:\n- name: b\n  request: { headers: { x: { any: true } } }\n  expect: {}\n",
            "only what is expected may be left open",
        ),
        (
            "filter: a\nsteps:\n- name: b\n  request: { headers: { x: 1 } }\n  expect: {}\n",
            "in quotes",
        ),
        (
            "filter: a\nsteps:\n- name: b\n  expect: { response: nothing }\n",
            "`none`",
        ),
    ] {
        let error = Scenario::parse(text).unwrap_err().to_string();
        assert!(error.contains(told), "{text}\n{error}");
        let line = text.lines().count();
        let has_line = !text.contains("- name") || error.contains("line");
        assert!(has_line, "{text} ({line} lines)\n{error}");
    }
}

#[test]
fn an_error_names_the_file() {
    let folder = std::env::temp_dir().join(format!("legation-scenarios-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("wrong.yaml");
    std::fs::write(&file, "filter: a\nsteps:\n- nam: b\n").unwrap();

    let error = format!("{:?}", Scenario::load(&file).unwrap_err());

    std::fs::remove_dir_all(&folder).unwrap();
    assert!(error.contains("wrong.yaml"), "{error}");
    assert!(error.contains("nam"), "{error}");
}

#[test]
fn what_is_expected_fits_or_does_not() {
    let text = |text: &str| super::Bytes(text.as_bytes().to_vec());
    for (expected, fits, does_not) in [
        (Expected::Exactly(text("ab")), "ab", "abc"),
        (Expected::Contains(text("b")), "abc", "ac"),
        (Expected::Prefix(text("a")), "ab", "ba"),
        (Expected::Suffix(text("b")), "ab", "ba"),
    ] {
        assert!(expected.fits(fits.as_bytes()), "{expected}: {fits}");
        assert!(
            !expected.fits(does_not.as_bytes()),
            "{expected}: {does_not}"
        );
    }
    assert!(Expected::Any.fits(b""));
}

/// Answers every step with what the test says.
struct Told {
    lines: Vec<String>,
}

impl Stage for Told {
    const PLACE: &'static str = "in a test";
    const PATIENCE: Duration = Duration::ZERO;

    fn start(scenario: &Scenario) -> Result<Started<Self>> {
        let lines = scenario.configuration.as_array();
        Ok(match lines {
            None => Started::Ready(Self { lines: Vec::new() }),
            Some(lines) => Started::Refused(lines.iter().map(ToString::to_string).collect()),
        })
    }

    fn play(&mut self, _: &Step) -> Result<Observed> {
        self.lines.push("seen a request".to_owned());
        let upstream = Message {
            headers: HeaderList::from_iter([(":path", "/x"), ("x-a", "1"), ("x-a", "2")]),
            ..Message::default()
        };
        Ok(Observed {
            upstream: Some(upstream),
            response: None,
        })
    }

    fn counter(&mut self, _: &str) -> Result<u64> {
        Ok(self.lines.len() as u64)
    }

    fn log(&mut self) -> Result<Vec<String>> {
        Ok(self.lines.clone())
    }
}

fn told(text: &str) -> Result<()> {
    run::<Told>(&Scenario::parse(text)?)
}

#[test]
fn a_scenario_that_is_met_passes() {
    told(
        "filter: a\nsteps:\n- name: b\n  expect: { upstream: { path: /x, headers: { x-a: ['1', '2'] } }, \
         response: none, stats: { c: 1 }, log: [a request], no_log: [error] }\n\
         - name: again\n  expect: { stats: { c: 1 } }\n",
    )
    .unwrap();
}

#[test]
fn every_difference_is_told_with_what_was_seen() {
    let error = told(
        "filter: a\nsteps:\n- name: the step\n  request: { path: /sent }\n  expect:\n    \
         upstream: { method: PUT, headers: { x-a: '1', x-b: { prefix: c } }, absent: [x-a], body: text }\n    \
         response: { status: 200 }\n    stats: { c: 5 }\n    log: [no such line]\n    no_log: [seen]\n",
    )
    .unwrap_err();

    let error = error.to_string();
    for line in [
        "step `the step` in a test:",
        "- upstream: header `:method`: expected `PUT`, got none",
        "- upstream: header `x-a`: expected `1`, got `1`, `2`",
        "- upstream: header `x-b`: expected something that begins with `c`, got none",
        "- upstream: header `x-a`: expected none, got `1`, `2`",
        "- upstream: body: expected `text`, got ``",
        "- response: expected one, got none",
        "- stat `c`: expected to grow by 5, grew by 1",
        "- log: expected a line with `no such line` in it",
        "- log: expected no line with `seen` in it",
        "  GET example.com /sent",
        "  x-a: 2",
        "  seen a request",
    ] {
        assert!(error.lines().any(|told| told == line), "{line}\n\n{error}");
    }
}

#[test]
fn each_line_of_a_refusal_is_expected_once() {
    told("filter: a\nconfiguration: [one, two]\nrefused: [two, one]\n").unwrap();
    for (refused, missing) in [
        ("[one, one]", "expected a line with `one` in it"),
        ("[one]", "did not expect the line `\"two\"`"),
    ] {
        let text = format!("filter: a\nconfiguration: [one, two]\nrefused: {refused}\n");
        let error = told(&text).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
    let accepted = told("filter: a\nrefused: [x]\n").unwrap_err();
    assert!(accepted.to_string().contains("should be refused"));
    let refused = told("filter: a\nconfiguration: [one]\nsteps: [{ name: b, expect: {} }]\n");
    assert!(refused.unwrap_err().to_string().contains("was refused"));
}

#[test]
fn an_environment_is_text() {
    let scenario = Scenario::parse("filter: a\nenvironment: { A: b }\nrefused: [c]\n").unwrap();
    assert_eq!(
        scenario.environment,
        BTreeMap::from([("A".to_owned(), "b".to_owned())])
    );
}
