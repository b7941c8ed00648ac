//! Configurations that are fetched, on the mock host: two of them there are two workers.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use legation::clock::sleep;
use legation::config::ConfigErrors;
use legation::http::HeaderName;
use legation::metrics::Counter;
use legation::{
    Configure, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result, spawn,
};
use legation_testing::{
    Answer, Call, Callout, Host, HttpCall, LogLine, Outcome, Request, Response, Root,
};
use serde_json::{Value, json};

const MARK: HeaderName = HeaderName::from_static("x-mark");
const LOOK: Duration = Duration::from_millis(250);

#[derive(deserr::Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    mark: String,
    #[deserr(default)]
    every: u32,
}

/// Marks what it has seen, and awaits nothing.
struct Plain {
    mark: String,
    seen: Counter,
}

fn check(config: &Config) -> Result<(), ConfigErrors> {
    if config.mark == "forbidden" {
        return Err(ConfigErrors::of_document("mark: may not be that"));
    }
    Ok(())
}

#[legation::filter]
impl HttpFilter for Plain {
    const NAME: &'static str = "plain";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        check(&config)?;
        Ok(Self {
            mark: config.mark,
            seen: host.counter("seen"),
        })
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        self.seen.increment();
        request.headers().set(&MARK, self.mark.as_str())?;
        Ok(Flow::Continue)
    }
}

/// Waits on the way, marks both ways, ticks, and runs something in the background.
struct Waiting {
    mark: String,
    ticked: Counter,
}

#[legation::filter]
impl HttpFilter for Waiting {
    const NAME: &'static str = "waiting";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        check(&config)?;
        let worked = host.counter(&format!("worked.{}", config.mark));
        let work = async move {
            while sleep(Duration::from_millis(100)).await.is_ok() {
                worked.increment();
            }
        };
        spawn(work).map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        if config.every > 0 {
            host.tick_every(Duration::from_millis(config.every.into()));
        }
        let ticked = host.counter(&format!("ticked.{}", config.mark));
        Ok(Self {
            mark: config.mark,
            ticked,
        })
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        if request.path()? == Some(b"/sleep") {
            sleep(Duration::from_secs(2)).await?;
        }
        request.headers().set(&MARK, self.mark.as_str())?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        response.headers().set(&MARK, self.mark.as_str())?;
        Ok(Flow::Continue)
    }

    fn on_tick(&self) {
        self.ticked.increment();
    }
}

/// The server: what it answers is there to change.
#[derive(Clone)]
struct Server(Rc<RefCell<Callout>>);

impl Server {
    fn of<F: HttpFilter>(host: &Host<F>) -> Self {
        let answer = Rc::new(RefCell::new(answer(Response::new(503))));
        let said = Rc::clone(&answer);
        host.set_cluster("policies", move |_: &HttpCall| said.borrow().clone());
        Self(answer)
    }

    fn says(&self, response: Response) {
        *self.0.borrow_mut() = answer(response);
    }

    fn serves(&self, document: &Value) {
        self.says(Response::ok().body(document.to_string()));
    }
}

fn answer(response: Response) -> Callout {
    Callout::answer(response).after(Duration::from_millis(5))
}

fn remote(more: &Value) -> Value {
    let mut remote = json!({
        "http_uri": {"uri": "https://policies.example/mine?v=1", "cluster": "policies"},
        "refresh_delay": "2s",
    });
    let all = remote.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    json!({ "remote_config": remote })
}

fn marked(mark: &str) -> Value {
    json!({ "mark": mark })
}

/// The mark of a request, or the status by which it is refused.
fn mark_on<F: HttpFilter>(host: &Host<F>, root: Root) -> String {
    let exchange = host
        .exchange_on(root, Request::get("/"))
        .upstream(Response::ok());
    match exchange.status() {
        200 => exchange.upstream().header("x-mark").unwrap().to_owned(),
        status => status.to_string(),
    }
}

fn mark<F: HttpFilter>(host: &Host<F>) -> String {
    mark_on(host, host.root())
}

fn errors<F: HttpFilter>(host: &Host<F>) -> Vec<String> {
    let log = host.log();
    let errors = log
        .iter()
        .filter(|line| line.message().contains("refused:"));
    errors.map(LogLine::message).collect()
}

fn counts<F: HttpFilter>(host: &Host<F>, filter: &str) -> [u64; 4] {
    ["updated", "unchanged", "rejected", "failed"]
        .map(|name| host.counter(&format!("{filter}.remote_config.{name}")))
}

#[test]
fn requests_are_refused_until_there_is_a_document() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    host.load(remote(&json!({}))).unwrap();

    assert_eq!(mark(&host), "503");
    host.run_for(LOOK);
    assert_eq!(mark(&host), "503");
    assert_eq!(host.counter("plain.remote_config.refused"), 2);
    assert_eq!(counts(&host, "plain"), [0, 0, 0, 1]);

    // The next try comes after a second.
    server.serves(&marked("a"));
    host.run_for(Duration::from_millis(1_100));
    assert_eq!(mark(&host), "a");
    assert_eq!(counts(&host, "plain"), [1, 0, 0, 1]);
    assert_ne!(host.gauge("plain.remote_config.version"), 0);
    assert!(host.gauge("plain.remote_config.update_time") > 1_000_000_000_000);
    let asked = host.http_calls();
    assert_eq!(asked[0].path(), "/mine?v=1");
    assert_eq!(
        asked[0].headers.text(":authority"),
        Some("policies.example")
    );
    assert_eq!(asked[0].headers.text(":scheme"), Some("https"));
}

#[test]
fn of_a_filter_that_waits_they_are_refused_as_well_once() {
    let host = Host::<Waiting>::new();
    let _server = Server::of(&host);
    host.load(remote(&json!({}))).unwrap();
    let exchange = host
        .exchange(Request::post("/").body("a body"))
        .upstream(Response::ok());
    assert_eq!(exchange.status(), 503);
    assert_eq!(exchange.response().text(), "not configured yet\n");
    assert_eq!(host.counter("waiting.remote_config.refused"), 1);
    assert_eq!(host.streams(), 0);
}

#[test]
fn one_worker_fetches_and_the_other_swaps_too() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    let one = host.load(remote(&json!({}))).unwrap();
    let two = host.load(remote(&json!({}))).unwrap();
    host.run_for(LOOK * 2);
    assert_eq!([mark_on(&host, one), mark_on(&host, two)], ["a", "a"]);
    assert_eq!(host.http_calls().len(), 1);

    server.serves(&marked("b"));
    host.run_for(Duration::from_secs(2) + LOOK);
    assert_eq!([mark_on(&host, one), mark_on(&host, two)], ["b", "b"]);
    assert_eq!(host.http_calls().len(), 2);
    assert_eq!(counts(&host, "plain"), [2, 0, 0, 0]);
    // What the former filters had counted is not lost.
    assert_eq!(host.counter("plain.seen"), 4);

    // Whichever goes, the other fetches.
    host.unload(one);
    server.serves(&marked("c"));
    host.run_for(Duration::from_secs(5));
    assert_eq!(mark_on(&host, two), "c");
}

#[test]
fn one_that_comes_later_begins_with_the_last_good_document() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    let initial = json!({"initial": marked("stale")});
    host.load(remote(&initial)).unwrap();
    assert_eq!(mark(&host), "stale");
    server.serves(&marked("a"));
    host.run_for(Duration::from_secs(2));
    assert_eq!(mark(&host), "a");

    server.says(Response::new(500));
    host.load(remote(&initial)).unwrap();
    assert_eq!(mark(&host), "a");
    // That of another URL is another one.
    let other = json!({
        "http_uri": {"uri": "https://policies.example/other", "cluster": "policies"},
        "initial": marked("other"),
    });
    host.load(remote(&other)).unwrap();
    assert_eq!(mark(&host), "other");
}

#[test]
fn the_version_is_none_where_another_place_has_none_yet() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    let root = host.load(remote(&json!({}))).unwrap();
    host.run_for(LOOK);
    assert_ne!(host.gauge("plain.remote_config.version"), 0);

    server.says(Response::new(500));
    let other =
        json!({"http_uri": {"uri": "https://policies.example/other", "cluster": "policies"}});
    host.load(remote(&other)).unwrap();
    host.unload(root);
    host.run_for(LOOK);
    assert_eq!(host.gauge("plain.remote_config.version"), 0);
}

#[test]
fn whatever_comes_the_last_good_document_stays() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    host.load(remote(
        &json!({"max_response_bytes": 2048, "refresh_delay": "1s"}),
    ))
    .unwrap();
    host.run_for(LOOK);
    assert_eq!(mark(&host), "a");

    let twice = Duration::from_millis(2_200);
    for (body, expected) in [
        ("", vec!["expected a JSON object"]),
        ("<html>maintenance</html>", vec!["expected a JSON object"]),
        ("[]", vec!["expected a JSON object"]),
        ("\x0a\x05", vec!["expected a JSON object"]),
        (
            r#"{"mark": 7, "marks": 1}"#,
            vec![
                "mark: expected a string, got the number 7",
                "marks: unknown field",
            ],
        ),
        (r#"{"mark": "forbidden"}"#, vec!["mark: may not be that"]),
        (
            r#"{"remote_config": {}}"#,
            vec!["remote_config: unknown field"],
        ),
    ] {
        let (before, logged) = (counts(&host, "plain"), errors(&host).len());
        server.says(Response::ok().body(body));
        host.run_for(twice);
        assert_eq!(mark(&host), "a", "{body}");
        let [updated, unchanged, rejected, failed] = counts(&host, "plain");
        assert_eq!(
            [updated, unchanged, failed],
            [before[0], before[1], before[3]]
        );
        assert!(rejected >= before[2] + 2, "{body}: {rejected}");
        // Told once, however often it comes.
        let told = errors(&host).split_off(logged);
        for line in expected {
            let found = told.iter().filter(|told| told.contains(line)).count();
            assert_eq!(found, 1, "{body}: {told:?}");
        }
    }

    for failing in [
        answer(Response::new(500)),
        answer(Response::new(301).header("location", "https://elsewhere.example/")),
        answer(Response::new(304)),
        answer(Response::ok().body(" ".repeat(10_000))),
        Callout::hang(),
        Callout::reset("connection failure"),
        Callout::fail(),
    ] {
        let [updated, unchanged, rejected, failed] = counts(&host, "plain");
        *server.0.borrow_mut() = failing;
        host.run_for(Duration::from_secs(8));
        assert_eq!(mark(&host), "a");
        let now = counts(&host, "plain");
        assert_eq!(now[..3], [updated, unchanged, rejected]);
        assert!(now[3] > failed);
    }

    server.serves(&marked("b"));
    host.run_for(Duration::from_secs(7));
    assert_eq!(mark(&host), "b");
}

#[test]
fn an_etag_is_sent_back_and_what_is_unchanged_is_not_swapped() {
    let host = Host::<Plain>::new();
    let document = marked("a").to_string();
    let tagged = Response::ok().header("etag", "\"v1\"").body(&document);
    host.set_cluster("policies", move |call: &HttpCall| {
        answer(match call.headers.text("if-none-match") {
            Some("\"v1\"") => Response::new(304),
            Some(other) => panic!("{other}"),
            None => tagged.clone(),
        })
    });
    host.load(remote(&json!({"refresh_delay": "1s"}))).unwrap();
    host.run_for(Duration::from_secs(5));
    let [updated, unchanged, rejected, failed] = counts(&host, "plain");
    assert_eq!([updated, rejected, failed], [1, 0, 0]);
    assert!(unchanged >= 3, "{unchanged}");
    assert_eq!(mark(&host), "a");

    // Nor the same bytes once more, from a server without tags.
    host.set_cluster("policies", move |_: &HttpCall| {
        answer(Response::ok().body(&document))
    });
    host.run_for(Duration::from_secs(3));
    assert_eq!(counts(&host, "plain")[0], 1);
    assert!(counts(&host, "plain")[1] > unchanged);
}

#[test]
fn a_request_ends_by_the_document_that_it_began_with_and_then_its_filter_stops() {
    let host = Host::<Waiting>::new();
    let server = Server::of(&host);
    server.serves(&json!({"mark": "a", "every": 100}));
    host.load(remote(&json!({"refresh_delay": "1s"}))).unwrap();
    host.run_for(LOOK);
    let mut stream = host.stream(Request::get("/sleep"));
    stream.send_request();

    server.serves(&json!({"mark": "b", "every": 50}));
    host.run_for(Duration::from_millis(1_500));
    assert_eq!(mark(&host), "b");
    let (a, b) = (
        host.counter("waiting.ticked.a"),
        host.counter("waiting.ticked.b"),
    );
    let (worked_a, worked_b) = (
        host.counter("waiting.worked.a"),
        host.counter("waiting.worked.b"),
    );
    host.run_for(Duration::from_millis(400));
    // Ticks are the new one's; what the old one does in the background may be waited for.
    assert_eq!(host.counter("waiting.ticked.a"), a);
    assert!((7..=9).contains(&(host.counter("waiting.ticked.b") - b)));
    assert!(host.counter("waiting.worked.a") > worked_a);
    assert!(host.counter("waiting.worked.b") > worked_b);

    host.run_for(Duration::from_secs(1));
    assert!(stream.reached_upstream());
    stream.send_response(Response::ok());
    let exchange = stream.end();
    assert_eq!(exchange.upstream().header("x-mark"), Some("a"));
    assert_eq!(exchange.response().header("x-mark"), Some("a"));
    host.run_for(LOOK);
    let worked = host.counter("waiting.worked.a");
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("waiting.worked.a"), worked);

    // However often it changes, nothing stays.
    let waiting = host.waiting();
    for round in 0..20 {
        server.serves(&marked(["c", "d"][round % 2]));
        host.run_for(Duration::from_secs(1) + LOOK);
    }
    assert!(
        host.waiting() <= waiting,
        "{waiting}, then {}",
        host.waiting()
    );
    host.unload(host.root());
    assert_eq!(host.waiting(), 0);
}

/// Status 10, an internal failure, of every `call` about a name of shared data with this in it.
fn shared_data_fails<F: HttpFilter>(host: &Host<F>, call: &'static str, of: &'static str) {
    host.answer_by(move |made| match made {
        Call::SharedData { key } | Call::SetSharedData { key, .. }
            if made.name() == call && String::from_utf8_lossy(key).contains(of) =>
        {
            Answer::Status(10)
        }
        _ => Answer::Real,
    });
}

#[test]
fn a_fetch_that_is_over_at_once_and_due_again_comes_with_the_next_look() {
    let host = Host::<Plain>::new();
    let tries = Rc::new(Cell::new(0_u32));
    let counted = Rc::clone(&tries);
    host.set_cluster("policies", move |_: &HttpCall| {
        counted.set(counted.get() + 1);
        // Lest a test that fails goes on for ever.
        if counted.get() > 100 {
            Callout::hang()
        } else {
            Callout::refuse(10)
        }
    });
    shared_data_fails(&host, "proxy_set_shared_data", "remote_config.state");
    host.load(remote(&json!({}))).unwrap();
    host.run_for(Duration::from_secs(2));
    assert!((8..=11).contains(&tries.get()), "{}", tries.get());

    // And once the host does what it should, it is well.
    host.answer_truly();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    host.run_for(Duration::from_secs(2));
    assert_eq!(mark(&host), "a");
}

#[test]
fn a_clock_that_fails_for_a_while_does_not_end_it() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    host.load(remote(&json!({}))).unwrap();
    host.run_for(LOOK);
    assert_eq!(mark(&host), "a");

    // The tick knows the time, and what it wakes does not.
    let mut asked = 0_u32;
    host.answer_by(move |call| {
        if *call != Call::Now {
            return Answer::Real;
        }
        asked += 1;
        if asked % 3 == 1 {
            Answer::Real
        } else {
            Answer::Status(10)
        }
    });
    host.run_for(Duration::from_secs(1));
    host.answer("proxy_get_current_time_nanoseconds", Answer::Status(10));
    host.run_for(Duration::from_secs(1));
    host.answer_truly();

    server.serves(&marked("b"));
    host.run_for(Duration::from_secs(3));
    assert_eq!(mark(&host), "b");
}

#[test]
fn a_document_that_cannot_be_read_is_read_with_the_next_look() {
    let host = Host::<Plain>::new();
    let server = Server::of(&host);
    let initial = json!({"initial": marked("initial"), "refresh_delay": "1h"});
    let one = host.load(remote(&initial)).unwrap();
    let two = host.load(remote(&initial)).unwrap();
    server.serves(&marked("a"));
    shared_data_fails(&host, "proxy_get_shared_data", "remote_config.document");
    host.run_for(Duration::from_secs(2));
    // One of them has fetched it.
    let marks = || {
        let mut marks = [mark_on(&host, one), mark_on(&host, two)];
        marks.sort();
        marks
    };
    assert_eq!(marks(), ["a", "initial"]);

    host.answer_truly();
    host.run_for(LOOK);
    assert_eq!(marks(), ["a", "a"]);
    assert_eq!(counts(&host, "plain")[0], 1);
}

#[test]
fn one_that_is_configured_again_has_one_that_fetches_and_one_filter_at_work() {
    let host = Host::<Waiting>::new();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    let configuration = remote(&json!({"refresh_delay": "1s"}));
    let root = host.load(configuration.clone()).unwrap();
    host.run_for(LOOK);
    assert_eq!(mark(&host), "a");
    let waiting = host.waiting();
    let mut stream = host.stream(Request::get("/sleep"));
    stream.send_request();

    for _ in 0..10 {
        host.load_again(root, configuration.clone()).unwrap();
    }
    assert_eq!(mark(&host), "a");
    host.run_for(Duration::from_secs(3));
    assert!(
        stream.reached_upstream(),
        "its filter is there until it ends"
    );
    drop(stream.end());
    host.run_for(LOOK);
    assert_eq!(host.waiting(), waiting);

    let worked = host.counter("waiting.worked.a");
    let fetched = host.http_calls().len();
    host.run_for(Duration::from_secs(3));
    assert!((25..=30).contains(&(host.counter("waiting.worked.a") - worked)));
    assert!((2..=4).contains(&(host.http_calls().len() - fetched)));

    // So it is with one that does not fetch, and with one that does no more.
    host.load_again(root, marked("b")).unwrap();
    host.load_again(root, marked("b")).unwrap();
    host.run_for(LOOK);
    let (worked, new) = (
        host.counter("waiting.worked.a"),
        host.counter("waiting.worked.b"),
    );
    let fetched = host.http_calls().len();
    host.run_for(Duration::from_secs(3));
    assert_eq!(host.counter("waiting.worked.a"), worked);
    assert!((25..=30).contains(&(host.counter("waiting.worked.b") - new)));
    assert_eq!(host.http_calls().len(), fetched);
    host.unload(root);
    assert_eq!(host.waiting(), 0);
}

/// Answers at once, refuses all, and runs something in the background. Nobody tells it when
/// a stream ends.
struct Refusing;

#[legation::filter]
impl HttpFilter for Refusing {
    const NAME: &'static str = "refusing";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        let worked = host.counter(&format!("worked.{}", config.mark));
        let work = async move {
            while sleep(Duration::from_millis(100)).await.is_ok() {
                worked.increment();
            }
        };
        spawn(work).map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        Ok(Self)
    }

    fn on_request_headers_at_once(
        &self,
        (): &mut (),
        _: &mut RequestHeaders,
    ) -> Option<Result<Flow>> {
        Some(Ok(LocalReply::new(403).into()))
    }

    async fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        Ok(Flow::Continue)
    }
}

#[test]
fn a_refused_request_does_not_keep_its_filter_at_work() {
    let host = Host::<Refusing>::new();
    let server = Server::of(&host);
    server.serves(&marked("a"));
    host.load(remote(&json!({"refresh_delay": "1s"}))).unwrap();
    host.run_for(LOOK);
    assert_eq!(mark(&host), "403");
    let mut there = host.stream(Request::post("/").body("a body"));
    there.send_request();
    assert_eq!(host.streams(), 2);

    server.serves(&marked("b"));
    host.run_for(Duration::from_millis(1_500));
    // What is there still has the filter that it began with.
    let worked = host.counter("refusing.worked.a");
    host.run_for(Duration::from_secs(1));
    assert!(host.counter("refusing.worked.a") > worked);
    assert_eq!(host.streams(), 1);

    drop(there.end());
    host.run_for(LOOK);
    let worked = host.counter("refusing.worked.a");
    let new = host.counter("refusing.worked.b");
    host.run_for(Duration::from_secs(1));
    assert_eq!(host.counter("refusing.worked.a"), worked);
    assert!(host.counter("refusing.worked.b") > new);
    assert_eq!(host.streams(), 0);
}

/// Looks at answers only.
struct Answers {
    mark: String,
}

#[legation::filter]
impl HttpFilter for Answers {
    const NAME: &'static str = "answers";
    const REMOTE_CONFIG: bool = true;
    type Config = Config;
    type Stream = ();

    fn configure(config: Config, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self { mark: config.mark })
    }

    fn on_response_headers(&self, (): &mut (), response: &mut ResponseHeaders) -> Result<Flow> {
        response.headers().set(&MARK, self.mark.as_str())?;
        Ok(Flow::Continue)
    }
}

#[test]
fn requests_are_refused_by_a_filter_of_answers_too_until_there_is_a_document() {
    let host = Host::<Answers>::new();
    let server = Server::of(&host);
    host.load(remote(&json!({}))).unwrap();
    let exchange = host.exchange(Request::get("/")).upstream(Response::ok());
    assert_eq!(exchange.status(), 503);
    assert_eq!(exchange.outcome, Outcome::Replied);

    server.serves(&marked("a"));
    host.run_for(Duration::from_millis(1_500));
    let exchange = host.exchange(Request::get("/")).upstream(Response::ok());
    assert_eq!(exchange.status(), 200);
    assert_eq!(exchange.response().header("x-mark"), Some("a"));
    assert_eq!(host.streams(), 0);
}

#[test]
fn what_stands_in_envoys_configuration_is_checked_as_a_whole() {
    let refused = |configuration: &Value| {
        let refused = Host::<Plain>::configure(configuration.clone()).unwrap_err();
        refused.lines.join("\n")
    };
    let lines = refused(&remote(
        &json!({"initial": {"mark": 1}, "refresh_delay": "1ms"}),
    ));
    assert!(
        lines.contains("remote_config.initial.mark: expected a string"),
        "{lines}"
    );
    assert!(lines.contains("remote_config.refresh_delay: "), "{lines}");
    let lines = refused(&remote(&json!({"initial": {"mark": "forbidden"}})));
    assert!(
        lines.contains("remote_config.initial: mark: may not be that"),
        "{lines}"
    );
    let lines = refused(&json!({"remote_config": {"initials": {}}, "mark": "a"}));
    assert!(
        lines.contains("remote_config.http_uri: missing field"),
        "{lines}"
    );
    assert!(lines.contains("did you mean `initial`?"), "{lines}");
    assert!(
        lines.contains("mark: the configuration is fetched"),
        "{lines}"
    );
    assert!(refused(&json!({"remote_config": []})).contains("remote_config: expected an object"));
    // A filter that does not say that it may be: its options are all there are.
    assert!(refused(&json!({"remote_configs": {}})).contains("remote_configs: unknown field"));
}
