//! Random callbacks that wait for random things, on a mock host where these come
//! in any order, late, twice, within other host calls, or never.
//!
//! `PROPTEST_CASES=20000` looks longer.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use deserr::Deserr;
use legation::callout::{self, GrpcRequest, HttpRequest};
use legation::clock::sleep;
use legation::config::ConfigErrors;
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestBody, RequestHeaders, ResponseHeaders,
    Result,
};
use legation_testing::{Answer, Call, Callout, Exchange, Host, Outcome, Request, Response, Stream};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

/// What a callback waits for.
#[derive(Debug, Clone)]
enum Wait {
    Http,
    Grpc,
    Sleep(u8),
    /// For all of them.
    Both(Vec<Wait>, Vec<Wait>),
    /// For the first; the other is dropped.
    Race(Vec<Wait>, Vec<Wait>),
    Spawn(Vec<Wait>),
    Body,
}

/// What it says then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Continue,
    Finish,
    Reply,
    Fail,
}

type Script = (Vec<Wait>, Says);

/// What a stream's callbacks do, and what is sent.
#[derive(Debug, Clone)]
struct Program {
    headers: Script,
    body: Script,
    response: Script,
    pieces: u8,
    trailers: bool,
}

/// What a cluster says to a callout.
#[derive(Debug, Clone)]
enum Saying {
    Echo,
    Later(u8),
    AtOnce,
    Hang,
    Fail,
    Reset,
    Refuse(u32),
}

#[derive(Debug, Clone)]
enum Step {
    /// The next part of a stream's message.
    Send(Index),
    /// One of the answers that are there.
    Deliver(Index),
    /// The answer to any callout that ever was, once more.
    Repeat(Index),
    /// An answer to none.
    Stray(u32),
    Time(u8),
    End(Index),
    /// A response of the host's own, whatever has become of the request.
    TimedOut(Index),
    /// Another configuration in the place of the one that is there.
    Update,
}

thread_local! {
    static PROGRAMS: RefCell<Vec<Program>> = RefCell::default();
    static SAID: RefCell<Vec<(usize, &'static str, Says)>> = RefCell::default();
    static WRONG: RefCell<Vec<String>> = RefCell::default();
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

fn wrong(text: String) {
    WRONG.with_borrow_mut(|wrong| wrong.push(text));
}

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

type Done = Pin<Box<dyn Future<Output = ()>>>;

/// A question that is asked once only.
fn question(who: usize) -> String {
    ASKED.set(ASKED.get().wrapping_add(1));
    format!("/{who}/{}", ASKED.get())
}

fn wait_for(waits: Vec<Wait>, who: usize) -> Done {
    Box::pin(async move {
        for wait in waits {
            match wait {
                Wait::Http => {
                    let question = question(who);
                    let request = HttpRequest::get("auth", question.as_str());
                    if let Ok(answer) = request.timeout(Duration::from_millis(100)).send().await
                        && answer.body() != question.as_bytes()
                    {
                        wrong(format!("{question} was answered {answer:?}"));
                    }
                }
                Wait::Grpc => {
                    let text = question(who);
                    let note = Note { text };
                    let request = GrpcRequest::new("notes", "a.Notes", "Take", &note);
                    let request = request.timeout(Duration::from_millis(100));
                    if let Ok(answer) = request.send::<Note>().await
                        && answer != note
                    {
                        wrong(format!("{note:?} was answered {answer:?}"));
                    }
                }
                Wait::Sleep(milliseconds) => {
                    let slept = sleep(Duration::from_millis(milliseconds.into())).await;
                    if let Err(error) = slept {
                        wrong(format!("slept: {error}"));
                    }
                }
                Wait::Both(one, other) => all(wait_for(one, who), wait_for(other, who), 2).await,
                Wait::Race(one, other) => all(wait_for(one, who), wait_for(other, who), 1).await,
                Wait::Spawn(waits) => {
                    if let Err(error) = callout::spawn(wait_for(waits, who)) {
                        wrong(format!("spawned: {error}"));
                    }
                }
                Wait::Body => {}
            }
        }
    })
}

/// Waits for so many of the two.
async fn all(one: Done, other: Done, needed: usize) {
    let mut left = vec![one, other];
    let enough = 2_usize.saturating_sub(needed);
    poll_fn(|context| {
        left.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if left.len() <= enough {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

struct Random;

#[derive(Deserr)]
#[deserr(error = ConfigErrors, deny_unknown_fields)]
struct Config {
    allow: bool,
}

/// What a stream's filter knows of it.
#[derive(Default)]
struct Known {
    who: usize,
    finished: bool,
}

fn script(who: usize, part: impl Fn(&Program) -> &Script) -> Result<Script> {
    let script =
        PROGRAMS.with_borrow(|programs| programs.get(who).map(|program| part(program).clone()));
    script.ok_or_else(|| Error::other("no such stream"))
}

fn said(who: usize, callback: &'static str, says: Says) -> Result<Flow> {
    SAID.with_borrow_mut(|said| said.push((who, callback, says)));
    match says {
        Says::Continue => Ok(Flow::Continue),
        Says::Finish => Ok(Flow::Finish),
        Says::Reply => Ok(LocalReply::new(403).body("no").into()),
        Says::Fail => Err(Error::other("as the script has it")),
    }
}

#[legation::filter]
impl HttpFilter for Random {
    const NAME: &'static str = "random";
    type Config = Config;
    type Stream = Known;

    fn configure(config: Config, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.allow_on_headers_stop_iteration(config.allow);
        Ok(Self)
    }

    async fn on_request_headers(
        &self,
        known: &mut Known,
        request: &mut RequestHeaders,
    ) -> Result<Flow> {
        let path = request.path()?.unwrap_or_default().to_vec();
        let path = String::from_utf8_lossy(&path).into_owned();
        known.who = path.trim_start_matches('/').parse().unwrap_or(usize::MAX);
        let (waits, says) = script(known.who, |program| &program.headers)?;
        for wait in waits {
            if let Wait::Body = wait {
                let body = request.buffer_body(1024).await?;
                let sent = sent(known.who);
                if body != sent {
                    wrong(format!("{}: {sent:?} came as {body:?}", known.who));
                }
            } else {
                wait_for(vec![wait], known.who).await;
            }
        }
        known.finished = says == Says::Finish;
        said(known.who, "headers", says)
    }

    async fn on_request_body(&self, known: &mut Known, body: &mut RequestBody) -> Result<Flow> {
        let piece = body.read(0, body.size())?;
        if !sent(known.who)
            .windows(piece.len().max(1))
            .any(|sent| sent == piece)
            && !piece.is_empty()
        {
            wrong(format!(
                "{}: a piece {piece:?} of {:?}",
                known.who,
                sent(known.who)
            ));
        }
        let (waits, says) = script(known.who, |program| &program.body)?;
        wait_for(waits, known.who).await;
        said(known.who, "body", says)
    }

    async fn on_response_headers(
        &self,
        known: &mut Known,
        _: &mut ResponseHeaders,
    ) -> Result<Flow> {
        if known.finished {
            wrong(format!("{}: a callback after the last", known.who));
        }
        let (waits, says) = script(known.who, |program| &program.response)?;
        wait_for(waits, known.who).await;
        said(known.who, "response", says)
    }
}

/// The body of a stream's request: no other's.
fn sent(who: usize) -> Vec<u8> {
    let pieces = PROGRAMS.with_borrow(|programs| programs.get(who).map(|program| program.pieces));
    (0..pieces.unwrap_or_default())
        .flat_map(|piece| piece_of(who, piece))
        .collect()
}

fn piece_of(who: usize, piece: u8) -> Vec<u8> {
    format!("<{who}:{piece}>").into_bytes()
}

/// A stream as the test sends it.
struct Sent<'h> {
    who: usize,
    stream: Stream<'h, Random>,
    program: Program,
    next: usize,
    responded: bool,
}

impl<'h> Sent<'h> {
    fn new(host: &'h Host<Random>, who: usize, program: Program) -> Self {
        let mut request = Request::post(format!("/{who}"));
        if program.pieces > 0 || program.trailers {
            request = request.open();
        }
        if program.trailers {
            request = request.trailer("x-t", "1");
        }
        Self {
            who,
            stream: host.stream(request),
            program,
            next: 0,
            responded: false,
        }
    }

    /// Whether there is more to send.
    fn send(&mut self) -> bool {
        let pieces = usize::from(self.program.pieces);
        let at = self.next;
        self.next = at.saturating_add(1);
        if self.stream.outcome().is_some() || self.stream.is_answered() {
            return false;
        } else if at == 0 {
            self.stream.request_headers();
        } else if at <= pieces {
            let piece = u8::try_from(at.saturating_sub(1)).unwrap_or_default();
            let end = at == pieces && !self.program.trailers;
            self.stream.request_body(&piece_of(self.who, piece), end);
        } else if at == pieces.saturating_add(1) && self.program.trailers {
            self.stream.request_trailers();
        } else if self.stream.reached_upstream() && !self.responded {
            self.responded = true;
            self.stream.send_response(Response::ok().body("answer"));
        }
        true
    }

    fn time_out(&mut self) {
        if !self.responded && self.next > 0 && self.stream.outcome().is_none() {
            self.responded = true;
            self.stream
                .send_response(Response::new(504).body("upstream request timeout"));
        }
    }

    /// Ends the stream. It went on if it was let, and only then.
    fn end(self, fair: bool) {
        let who = self.who;
        let sent_all = self.next
            > usize::from(self.program.pieces).saturating_add(self.program.trailers.into());
        let exchange = self.stream.end();
        let said = SAID.with_borrow(|all| {
            let own = all.iter().filter(|(of, _, _)| *of == who);
            own.map(|(_, callback, says)| (*callback, *says))
                .collect::<Vec<_>>()
        });
        judge(who, &self.program, &exchange, &said);
        if fair && sent_all && exchange.outcome == Outcome::Held {
            wrong(format!(
                "{who}: never went on, having said {said:?}\n{exchange}"
            ));
        }
    }
}

/// What must not be, whatever a host does.
fn judge(who: usize, program: &Program, exchange: &Exchange, said: &[(&str, Says)]) {
    let of_request = said.iter().filter(|(callback, _)| *callback != "response");
    let refused = of_request
        .clone()
        .any(|(_, says)| matches!(says, Says::Reply | Says::Fail));
    let let_on = said.iter().any(|(callback, says)| {
        *callback == "headers" && matches!(says, Says::Continue | Says::Finish)
    });
    // A body that is awaited has its headers go on.
    let awaits_body = program
        .headers
        .0
        .iter()
        .any(|wait| matches!(wait, Wait::Body));
    if exchange.upstream.is_some() && (refused || !let_on) {
        wrong(format!(
            "{who}: reached the upstream, having said {said:?}\n{exchange}"
        ));
    }
    if exchange.upstream_began && !let_on && !awaits_body {
        wrong(format!("{who}: began, having said {said:?}\n{exchange}"));
    }
    if let Some(upstream) = &exchange.upstream
        && upstream.body != sent(who)
    {
        wrong(format!("{who}: another body\n{exchange}"));
    }
}

fn waits(depth: u32) -> BoxedStrategy<Vec<Wait>> {
    let leaf = prop_oneof![
        4 => Just(Wait::Http),
        2 => Just(Wait::Grpc),
        2 => (0..40_u8).prop_map(Wait::Sleep),
    ];
    let leaf = leaf.boxed();
    let one = if depth == 0 {
        leaf
    } else {
        let inner = || waits(depth.saturating_sub(1));
        prop_oneof![
            6 => leaf,
            1 => (inner(), inner()).prop_map(|(one, other)| Wait::Both(one, other)),
            1 => (inner(), inner()).prop_map(|(one, other)| Wait::Race(one, other)),
            1 => inner().prop_map(Wait::Spawn),
        ]
        .boxed()
    };
    prop::collection::vec(one, 0..3).boxed()
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        6 => Just(Says::Continue),
        1 => Just(Says::Finish),
        1 => Just(Says::Reply),
        1 => Just(Says::Fail),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let headers = (waits(2), any::<bool>(), says()).prop_map(|(mut waits, body, says)| {
        if body {
            waits.insert(waits.len() / 2, Wait::Body);
        }
        (waits, says)
    });
    let parts = (headers, (waits(1), says()), (waits(1), says()));
    (parts, 0..3_u8, any::<bool>()).prop_map(|((headers, body, response), pieces, trailers)| {
        Program {
            headers,
            body,
            response,
            pieces,
            trailers,
        }
    })
}

fn saying() -> impl Strategy<Value = Saying> {
    prop_oneof![
        6 => Just(Saying::Echo),
        2 => (0..150_u8).prop_map(Saying::Later),
        1 => Just(Saying::AtOnce),
        1 => Just(Saying::Hang),
        1 => Just(Saying::Fail),
        1 => Just(Saying::Reset),
        1 => prop_oneof![Just(2), Just(10)].prop_map(Saying::Refuse),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<Index>().prop_map(Step::Send),
        6 => any::<Index>().prop_map(Step::Deliver),
        1 => any::<Index>().prop_map(Step::Repeat),
        1 => (0..64_u32).prop_map(Step::Stray),
        2 => any::<u8>().prop_map(Step::Time),
        1 => any::<Index>().prop_map(Step::End),
        1 => any::<Index>().prop_map(Step::TimedOut),
        1 => Just(Step::Update),
    ]
}

fn callout(saying: &Saying, echo: Callout) -> Callout {
    match saying {
        Saying::Echo => echo,
        Saying::Later(after) => echo.after(Duration::from_millis((*after).into())),
        Saying::AtOnce => echo.at_once(),
        Saying::Hang => Callout::hang(),
        Saying::Fail => Callout::fail(),
        Saying::Reset => Callout::reset("overflow"),
        Saying::Refuse(status) => Callout::refuse(*status),
    }
}

/// A host whose clusters say these one after another, and that tells an answer
/// within the host calls of these numbers.
fn host(allow: bool, sayings: Vec<Saying>, nested: Vec<u16>) -> Rc<Host<Random>> {
    let host = Rc::new(Host::<Random>::new());
    host.set_allow_on_headers_stop_iteration(allow);
    let sayings = Rc::new(sayings.into_iter().cycle());
    let next = Rc::new(RefCell::new((*sayings).clone()));
    let grpc = Rc::clone(&next);
    host.set_cluster("auth", move |call| {
        let echo = Response::ok().body(call.path()).into();
        callout(&next.borrow_mut().next().unwrap(), echo)
    });
    host.set_grpc_cluster("notes", move |call| {
        let echo = Callout::message(call.message.clone());
        callout(&grpc.borrow_mut().next().unwrap(), echo)
    });
    let (weak, count) = (Rc::downgrade(&host), Cell::new(0_u16));
    host.answer_by(move |call| {
        count.set(count.get().wrapping_add(1));
        // Not in the midst of a log line, which every answer may write.
        if nested.contains(&count.get())
            && !matches!(call, Call::Log { .. })
            && let Some(host) = weak.upgrade()
        {
            host.deliver();
        }
        Answer::Real
    });
    host.load(json!({ "allow": allow })).unwrap();
    host
}

fn play<'h>(
    host: &'h Host<Random>,
    allow: bool,
    step: &Step,
    waiting: &mut impl Iterator<Item = (usize, Program)>,
    streams: &mut Vec<Sent<'h>>,
) {
    match step {
        Step::Send(at) => {
            let at = at.index(streams.len().saturating_add(1));
            if let Some(stream) = streams.get_mut(at) {
                stream.send();
            } else if let Some((who, program)) = waiting.next() {
                let mut stream = Sent::new(host, who, program);
                stream.send();
                streams.push(stream);
            }
        }
        Step::Deliver(at) => {
            let pending = host.pending_callouts();
            if !pending.is_empty() {
                host.deliver_call(at.get(&pending).token);
            }
        }
        Step::Repeat(at) => {
            let calls = host.http_calls();
            if !calls.is_empty() {
                let call = at.get(&calls);
                let answer = Response::ok().body(call.path());
                host.deliver_raw(host.root().id(), call.token, answer);
            }
        }
        Step::Stray(token) => {
            let pending = host.pending_callouts();
            if pending.iter().all(|call| call.token != *token) {
                host.deliver_raw(host.root().id(), *token, Callout::fail());
                host.deliver_raw_grpc(host.root().id(), *token, Callout::fail());
            }
        }
        Step::Time(milliseconds) => host.run_for(Duration::from_millis((*milliseconds).into())),
        Step::End(at) if !streams.is_empty() => {
            streams.remove(at.index(streams.len())).end(false);
        }
        Step::TimedOut(at) if !streams.is_empty() => at.get_mut(streams.as_mut_slice()).time_out(),
        Step::End(_) | Step::TimedOut(_) => {}
        Step::Update => {
            let old = host.root();
            host.load(json!({ "allow": allow })).unwrap();
            // Envoy keeps it while a stream runs under it.
            if streams.is_empty() {
                host.unload(old);
            }
        }
    }
}

fn run(
    allow: bool,
    programs: Vec<Program>,
    sayings: Vec<Saying>,
    steps: &[Step],
    nested: Vec<u16>,
) -> Result<(), TestCaseError> {
    WRONG.take();
    SAID.take();
    PROGRAMS.set(programs.clone());
    let fair = nested.is_empty();
    let host = host(allow, sayings, nested);
    let mut waiting = programs.into_iter().enumerate();
    let mut streams = Vec::new();
    for step in steps {
        play(&host, allow, step, &mut waiting, &mut streams);
    }
    // All comes to an end.
    for _ in 0..200 {
        for stream in &mut streams {
            stream.send();
        }
        host.run_for(Duration::from_millis(20));
        host.deliver_all();
    }
    for stream in streams {
        stream.end(fair);
    }
    host.run_for(Duration::from_secs(2));
    host.deliver_all();
    host.run_for(Duration::from_secs(2));
    let wrong = WRONG.take();
    prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    prop_assert_eq!((host.waiting(), host.streams()), (0, 0));
    prop_assert!(host.pending_callouts().is_empty());
    prop_assert_eq!(host.tick_period(host.root()), None);
    Ok(())
}

proptest! {
    #[test]
    fn every_stream_comes_to_its_end_and_gets_its_own_answers(
        allow in any::<bool>(),
        programs in prop::collection::vec(program(), 1..5),
        sayings in prop::collection::vec(saying(), 1..6),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        run(allow, programs, sayings, &steps, Vec::new())?;
    }

    #[test]
    fn answers_within_other_host_calls_do_no_harm(
        allow in any::<bool>(),
        programs in prop::collection::vec(program(), 1..5),
        sayings in prop::collection::vec(saying(), 1..6),
        steps in prop::collection::vec(step(), 0..60),
        nested in prop::collection::vec(1..200_u16, 1..20),
    ) {
        run(allow, programs, sayings, &steps, nested)?;
    }
}
