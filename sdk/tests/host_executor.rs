//! How futures of streams and of the plugin run beside each other, on the mock
//! host.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use legation::callout::{self, HttpRequest};
use legation::clock::sleep;
use legation::config::{ConfigErrors, NoConfig};
use legation::{
    Configure, Error, Flow, HttpFilter, LocalReply, RequestHeaders, ResponseHeaders, Result,
};
use legation_testing::{Answer, Call, Callout, Host, Outcome, Progress, Request, Response, Stream};

thread_local! {
    static GATE: RefCell<Gate> = RefCell::default();
}

/// What some streams wait for and others open.
#[derive(Default)]
struct Gate {
    is_open: bool,
    waiting: Vec<Waker>,
}

fn open() {
    let waiting = GATE.with_borrow_mut(|gate| {
        gate.is_open = true;
        std::mem::take(&mut gate.waiting)
    });
    waiting.into_iter().for_each(Waker::wake);
}

async fn opened() {
    poll_fn(|context| {
        GATE.with_borrow_mut(|gate| {
            if gate.is_open {
                return Poll::Ready(());
            }
            gate.waiting.push(context.waker().clone());
            Poll::Pending
        })
    })
    .await;
}

/// Opens the gate when dropped.
struct Opener;

impl Drop for Opener {
    fn drop(&mut self) {
        open();
    }
}

/// Does what the path says.
struct Gated;

#[legation::filter]
impl HttpFilter for Gated {
    const NAME: &'static str = "gated";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = request.path()?.unwrap_or_default().to_vec();
        match path.as_slice() {
            b"/wait" => opened().await,
            b"/wait-and-reply" => {
                opened().await;
                return Ok(LocalReply::new(403).into());
            }
            b"/wait-and-fail" => {
                opened().await;
                return Err(Error::other("failed"));
            }
            b"/open" => open(),
            b"/open-at-the-end" => {
                let _opener = Opener;
                HttpRequest::get("auth", "/").send().await?;
            }
            b"/spawn-an-opener" => callout::spawn(async { open() })?,
            b"/spawn-in-a-circle" => callout::spawn(async { circle(3) })?,
            b"/wake-myself" => wake_myself(9_999_999).await,
            b"/both" => both().await?,
            b"/sleep" => sleep(Duration::from_millis(15)).await?,
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

/// Asks twice at once, and waits for both answers.
async fn both() -> Result<()> {
    let (one, other) = (
        HttpRequest::get("auth", "/1"),
        HttpRequest::get("auth", "/2"),
    );
    let mut left: Vec<Pin<Box<dyn Future<Output = _>>>> =
        vec![Box::pin(one.send()), Box::pin(other.send())];
    poll_fn(|context| {
        left.retain_mut(|answer| answer.as_mut().poll(context).is_pending());
        if left.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// A future that spawns others, each of which does the same.
fn circle(left: u32) {
    if left == 0 {
        open();
    } else if callout::spawn(async move { circle(left.saturating_sub(1)) }).is_err() {
        log::error!("not spawned");
    }
}

async fn wake_myself(mut times: u32) {
    poll_fn(|context| {
        times = times.saturating_sub(1);
        if times == 0 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn gated() -> Host<Gated> {
    GATE.take();
    let host = Host::configure("").unwrap();
    host.set_cluster("auth", |_| Callout::hang());
    host
}

fn start<'h>(host: &'h Host<Gated>, path: &str, expected: Progress) -> Stream<'h, Gated> {
    let mut stream = host.stream(Request::get(path));
    assert_eq!(stream.send_request(), expected, "{path}");
    stream
}

/// Until the next tick, in which those are polled that others have woken.
const TICK: Duration = Duration::from_millis(10);

fn ended(stream: Stream<'_, Gated>) -> Outcome {
    let mut stream = stream;
    if stream.reached_upstream() {
        stream.send_response(Response::ok());
    }
    stream.end().outcome
}

#[test]
fn a_stream_lets_another_one_go_on() {
    let host = gated();
    let waiting = start(&host, "/wait", Progress::Paused);
    let opening = start(&host, "/open", Progress::Continued);
    host.run_for(TICK);

    assert_eq!(ended(waiting), Outcome::Answered);
    assert_eq!(ended(opening), Outcome::Answered);
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

#[test]
fn the_reply_of_one_stream_does_not_stop_the_one_whose_callback_runs() {
    for path in ["/wait-and-reply", "/wait-and-fail"] {
        let host = gated();
        let waiting = start(&host, path, Progress::Paused);

        let opening = start(&host, "/open", Progress::Continued);
        host.run_for(TICK);

        assert_eq!(ended(waiting), Outcome::Replied);
        assert_eq!(ended(opening), Outcome::Answered);
        assert_eq!((host.waiting(), host.streams()), (0, 0));
    }
}

#[test]
fn what_the_end_of_a_stream_wakes_goes_on_with_the_next_tick() {
    for path in ["/wait", "/wait-and-reply"] {
        let host = gated();
        let waiting = start(&host, path, Progress::Paused);
        let holding = start(&host, "/open-at-the-end", Progress::Paused);

        drop(holding);
        host.run_for(TICK);

        let expected = match path {
            "/wait" => Outcome::Answered,
            _ => Outcome::Replied,
        };
        assert_eq!(ended(waiting), expected);
        assert_eq!((host.waiting(), host.streams()), (0, 0));
    }
}

#[test]
fn what_is_spawned_lets_streams_go_on() {
    for path in ["/spawn-an-opener", "/spawn-in-a-circle"] {
        let host = gated();
        let waiting = start(&host, "/wait", Progress::Paused);

        let spawning = start(&host, path, Progress::Continued);
        host.run_for(TICK);

        assert!(waiting.reached_upstream(), "{path}");
        assert_eq!(ended(spawning), Outcome::Answered);
        drop(waiting);
        assert_eq!((host.waiting(), host.streams()), (0, 0));
        assert_eq!(host.tick_period(host.root()), None);
    }
}

#[test]
fn a_future_that_wakes_itself_does_not_hold_the_worker() {
    let host = gated();

    let busy = start(&host, "/wake-myself", Progress::Paused);
    let other = start(&host, "/sleep", Progress::Paused);
    host.run_for(Duration::from_millis(100));

    assert!(other.reached_upstream());
    drop((busy, other));
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

#[test]
fn the_waker_of_a_stream_that_is_over_wakes_nobody() {
    let host = gated();
    drop(start(&host, "/wait", Progress::Paused));
    // In the place that the last one had.
    let next = start(&host, "/wait-and-reply", Progress::Paused);
    let stale = GATE.with_borrow_mut(|gate| gate.waiting.remove(0));
    stale.wake();
    host.tick();

    assert!(!next.is_answered());
    open();
    host.tick();
    assert_eq!(ended(next), Outcome::Replied);
}

#[test]
fn a_configuration_may_go_while_streams_wait() {
    let host = gated();
    let old = host.root();
    let sleeping = start(&host, "/sleep", Progress::Paused);
    let waiting = start(&host, "/wait", Progress::Paused);
    host.load("").unwrap();

    host.unload(old);
    host.run_for(Duration::from_millis(100));
    assert!(sleeping.reached_upstream(), "another configuration ticks");
    start(&host, "/open", Progress::Continued);
    host.run_for(TICK);

    assert!(waiting.reached_upstream());
    drop((sleeping, waiting));
    assert_eq!((host.waiting(), host.streams()), (0, 0));
    assert_eq!(host.tick_period(host.root()), None);
}

#[test]
fn an_answer_within_the_next_call_is_not_lost() {
    let host = Rc::new(gated());
    host.set_cluster("auth", |call| match call.path() {
        "/2" => Callout::from(Response::ok()).at_once(),
        _ => Response::ok().into(),
    });
    let (weak, first) = (Rc::downgrade(&host), Cell::new(true));
    host.answer_by(move |call| {
        if matches!(call, Call::HttpCall { .. })
            && !first.replace(false)
            && let Some(host) = weak.upgrade()
        {
            host.deliver();
        }
        Answer::Real
    });

    let mut stream = host.stream(Request::get("/both"));
    stream.send_request();

    assert!(stream.reached_upstream());
    drop(stream);
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}

/// Waits for the request's body, and lets responses go.
struct Overtaken;

#[legation::filter]
impl HttpFilter for Overtaken {
    const NAME: &'static str = "overtaken";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    async fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        match request.buffer_body(10).await?.as_slice() {
            b"good" => Ok(Flow::Continue),
            _ => Ok(LocalReply::new(403).into()),
        }
    }

    fn on_response_headers(&self, (): &mut (), _: &mut ResponseHeaders) -> Result<Flow> {
        Ok(Flow::Finish)
    }
}

#[test]
fn a_request_whose_response_came_first_goes_nowhere_although_the_response_may() {
    let host = Host::<Overtaken>::configure("").unwrap();
    let mut stream = host.stream(Request::post("/").open());
    // The headers go on to have the body come.
    assert_eq!(stream.send_request(), Progress::Continued);
    assert_eq!(stream.request_body(b"ba", false), Progress::Paused);

    assert_eq!(
        stream.response_headers(Response::new(504)),
        Progress::Continued
    );
    assert_eq!(stream.request_body(b"d", true), Progress::Paused);

    let exchange = stream.end();
    assert_eq!(exchange.status(), 504);
    assert!(exchange.upstream_began);
    assert_eq!(exchange.upstream, None);
    assert_eq!((host.waiting(), host.streams()), (0, 0));
}
