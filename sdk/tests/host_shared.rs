//! What workers share, on a mock host: what it costs, and a host that answers
//! what it should not.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::collections::BTreeMap;
use std::time::Duration;

use legation::config::{ConfigErrors, NoConfig};
use legation::shared::{
    Geometry, Json, Leader, QueueSender, SharedError, SharedMap, SharedQueue, SharedValue,
};
use legation::{Configure, Flow, HttpFilter, LocalReply, RequestHeaders, Result, clock};
use legation_testing::{Answer, Callback, Exchange, Host, Request, chaos};

const GET: &str = "proxy_get_shared_data";
const SET: &str = "proxy_set_shared_data";
const CAS_MISMATCH: u32 = 8;

/// Does what the path says and answers what came of it.
struct Sharing {
    count: SharedValue<u64>,
    impatient: SharedValue<u64>,
    words: SharedValue<Json<BTreeMap<String, u32>>>,
    map: SharedMap<u64>,
    leader: Leader,
    queue: SharedQueue<String>,
}

#[legation::filter]
impl HttpFilter for Sharing {
    const NAME: &'static str = "sharing";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        Self::new().map_err(ConfigErrors::of_document)
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let path = String::from_utf8_lossy(request.path()?.unwrap_or_default()).into_owned();
        let answer = self.answer(&path)?;
        Ok(LocalReply::new(200).body(answer).into())
    }
}

/// Does all of it in each request, whatever fails.
struct Everything(Sharing);

#[legation::filter]
impl HttpFilter for Everything {
    const NAME: &'static str = "everything";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        let sharing = Sharing::new().map_err(ConfigErrors::of_document)?;
        Ok(Self(sharing))
    }

    fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        let mut done = Ok(Flow::Continue);
        for path in PATHS {
            if let Err(error) = self.0.answer(path) {
                done = Err(error.into());
            }
        }
        done
    }
}

const PATHS: [&str; 17] = [
    "/get",
    "/set",
    "/add",
    "/add-impatiently",
    "/leave",
    "/insert",
    "/words",
    "/map/get",
    "/map/add",
    "/map/remove",
    "/lead",
    "/leads",
    "/holder",
    "/push",
    "/send",
    "/pop",
    "/resign",
];

impl Sharing {
    fn new() -> Result<Self, SharedError> {
        let geometry = Geometry {
            buckets: 4,
            ways: 2,
        };
        Ok(Self {
            count: SharedValue::new("sharing.count"),
            impatient: SharedValue::new("sharing.count").tries(3),
            words: SharedValue::new("sharing.words"),
            map: SharedMap::open("sharing.map", geometry)?,
            leader: Leader::new("sharing.leader")?,
            queue: SharedQueue::register("sharing.queue", 2)?,
        })
    }

    fn answer(&self, path: &str) -> Result<String, SharedError> {
        let add = |old: Option<u64>| Some(old.unwrap_or(0).saturating_add(1));
        Ok(match path {
            "/get" => format!("{:?}", self.count.get()?),
            "/set" => format!("{:?}", self.count.set(&40)?),
            "/add" => format!("{:?}", self.count.update(add)?),
            "/add-impatiently" => format!("{:?}", self.impatient.update(add)?),
            "/leave" => format!("{:?}", self.count.update(|_| None)?),
            "/insert" => format!("{:?}", self.count.get_or_insert_with(|| 7)?),
            "/words" => {
                let updated = self.words.update(|old| {
                    let mut words = old.unwrap_or_default();
                    let length = u32::try_from(words.0.len()).unwrap_or(u32::MAX);
                    words.0.insert(format!("word {length}"), length);
                    Some(words)
                })?;
                format!("{:?}", updated.value.unwrap_or_default().0)
            }
            "/map/get" => format!("{:?}", self.map.get(b"key")?),
            "/map/add" => format!("{:?}", self.map.update(b"key", clock::now()?, add)?.value),
            "/map/remove" => format!("{:?}", self.map.remove(b"key")?),
            "/lead" => {
                let lease = Duration::from_secs(10);
                format!("{}", self.leader.try_lead(clock::now()?, lease)?)
            }
            "/leads" => format!("{}", self.leader.leads(clock::now()?)),
            "/holder" => {
                let holder = self.leader.holder(clock::now()?)?;
                format!("{:?}", holder.map(|id| id == self.leader.id()))
            }
            "/resign" => format!("{:?}", self.leader.resign()?),
            "/push" => format!("{:?}", self.queue.push(&"item".to_owned())?),
            "/pop" => format!("{:?}", self.queue.pop()?),
            "/send" => match QueueSender::<Vec<u8>>::resolve("", "sharing.queue")? {
                Some(sender) => format!("{:?}", sender.push(&vec![b'\xff'])?),
                None => "nobody".to_owned(),
            },
            _ => String::new(),
        })
    }
}

fn sharing() -> Host<Sharing> {
    Host::configure("").unwrap()
}

fn exchange(host: &Host<Sharing>, path: &str) -> Exchange {
    host.exchange(Request::get(path)).run()
}

/// What a path is answered.
fn ask(host: &Host<Sharing>, path: &str) -> String {
    let exchange = exchange(host, path);
    assert_eq!(exchange.status(), 200, "{path}: {:?}", exchange.failures);
    exchange.response().text()
}

/// With what error a path is refused.
fn fail(host: &Host<Sharing>, path: &str) -> String {
    let exchange = exchange(host, path);
    assert_eq!(exchange.status(), 500, "{path}");
    exchange.failures.concat()
}

/// The host calls of a path that have to do with sharing.
fn calls(host: &Host<Sharing>, path: &str) -> Vec<&'static str> {
    let calls = exchange(host, path).calls_in(Callback::RequestHeaders);
    let mut names = calls.names();
    names.retain(|name| name.contains("shared"));
    names
}

#[test]
fn a_value_is_set_read_and_changed() {
    let host = sharing();
    assert_eq!(ask(&host, "/get"), "None");
    assert_eq!(ask(&host, "/add"), "Updated { value: Some(1), tries: 1 }");
    assert_eq!(ask(&host, "/insert"), "1");
    ask(&host, "/set");
    assert_eq!(ask(&host, "/add"), "Updated { value: Some(41), tries: 1 }");
    assert_eq!(ask(&host, "/leave"), "Updated { value: None, tries: 1 }");
    assert_eq!(ask(&host, "/get"), "Some(41)");
    assert_eq!(ask(&host, "/words"), r#"{"word 0": 0}"#);
    assert_eq!(ask(&host, "/words"), r#"{"word 0": 0, "word 1": 1}"#);
}

#[test]
fn configurations_of_one_vm_share() {
    let host = sharing();
    ask(&host, "/add");
    ask(&host, "/map/add");
    assert_eq!(ask(&host, "/lead"), "true");
    host.load("").unwrap();
    assert_eq!(ask(&host, "/get"), "Some(1)");
    assert_eq!(ask(&host, "/map/add"), "Some(2)");
    assert_eq!(ask(&host, "/lead"), "false");
    assert_eq!(ask(&host, "/holder"), "Some(false)");
    host.advance(Duration::from_secs(10));
    assert_eq!(ask(&host, "/holder"), "None");
    assert_eq!(ask(&host, "/lead"), "true");
    assert_eq!(ask(&host, "/holder"), "Some(true)");
    assert_eq!(ask(&host, "/leads"), "true");
    ask(&host, "/resign");
    assert_eq!(ask(&host, "/leads"), "false");
    assert_eq!(ask(&host, "/holder"), "None");
}

#[test]
fn costs_what_the_documentation_says() {
    let host = sharing();
    assert_eq!(calls(&host, "/insert"), [GET, SET]);
    assert_eq!(calls(&host, "/insert"), [GET]);
    assert_eq!(calls(&host, "/get"), [GET]);
    assert_eq!(calls(&host, "/set"), [SET]);
    assert_eq!(calls(&host, "/add"), [GET, SET]);
    assert_eq!(calls(&host, "/leave"), [GET]);
    assert_eq!(calls(&host, "/map/remove"), [GET]);
    assert_eq!(calls(&host, "/map/add"), [GET, SET]);
    assert_eq!(calls(&host, "/map/get"), [GET]);
    assert_eq!(calls(&host, "/map/remove"), [GET, SET]);
    assert_eq!(calls(&host, "/lead"), [GET, SET]);
    assert_eq!(calls(&host, "/leads"), [""; 0]);
    assert_eq!(calls(&host, "/holder"), [GET]);
    assert_eq!(calls(&host, "/resign"), [GET, SET]);
    host.load("").unwrap();
    assert_eq!(calls(&host, "/resign"), [GET]);
    let (enqueue, dequeue) = ("proxy_enqueue_shared_queue", "proxy_dequeue_shared_queue");
    assert_eq!(calls(&host, "/push"), [GET, SET, enqueue]);
    assert_eq!(calls(&host, "/pop"), [GET, dequeue, SET]);
    assert_eq!(calls(&host, "/pop"), [GET, dequeue]);
    let resolve = "proxy_resolve_shared_queue";
    assert_eq!(calls(&host, "/send"), [resolve, enqueue]);
}

#[test]
fn an_update_that_others_always_overtake_gives_up() {
    let host = sharing();
    host.answer(SET, Answer::Status(CAS_MISMATCH));
    for (path, tries) in [("/add", 64), ("/add-impatiently", 3)] {
        let exchange = exchange(&host, path);
        assert_eq!(exchange.status(), 500);
        assert_eq!(exchange.calls().count(SET), tries, "{path}");
        assert_eq!(
            exchange.failures,
            [format!(
                "shared `sharing.count`: others changed it in each of {tries} tries"
            )]
        );
    }
    assert!(fail(&host, "/insert").contains("64 tries"));
    assert!(fail(&host, "/map/add").contains("64 tries"));
    assert!(fail(&host, "/push").contains("64 tries"));
    // To come second is not an error there.
    assert_eq!(ask(&host, "/lead"), "false");
    // A write that compares nothing cannot be overtaken.
    assert!(fail(&host, "/set").contains("compare-and-swap mismatch"));
}

#[test]
fn an_update_that_was_overtaken_once_is_made_again() {
    let host = sharing();
    ask(&host, "/add");
    host.answer_nth(SET, 1, Answer::Status(CAS_MISMATCH));
    assert_eq!(ask(&host, "/add"), "Updated { value: Some(2), tries: 2 }");
}

#[test]
fn malformed_bytes_are_an_error_and_are_not_written_over() {
    let host = sharing();
    for path in ["/add", "/words", "/map/add", "/lead", "/push"] {
        ask(&host, path);
    }
    let longer = [
        "/words", "/map/get", "/map/add", "/lead", "/holder", "/resign",
    ];
    let all = ["/get", "/add", "/leave", "/insert", "/push"];
    for (size, paths) in [
        (0, [&longer[..], &all].concat()),
        (7, [&longer[..], &all].concat()),
        // What has no more than eight bytes is whole.
        (9, longer.to_vec()),
    ] {
        host.answer(GET, Answer::CutTo(size));
        for path in paths {
            let exchange = exchange(&host, path);
            let failure = exchange.failures.concat();
            assert!(
                failure.contains("shared `sharing."),
                "{path} {size}: {failure}"
            );
            assert_eq!(exchange.status(), 500, "{path} {size}");
            assert_eq!(exchange.calls().count(SET), 0, "{path} {size}");
        }
        host.answer_truly();
    }
    assert_eq!(ask(&host, "/get"), "Some(1)");
    assert_eq!(ask(&host, "/map/get"), "Some(1)");
    assert_eq!(ask(&host, "/holder"), "Some(true)");
}

#[test]
fn a_map_is_repaired_by_removing_a_key() {
    let host = sharing();
    ask(&host, "/map/add");
    host.answer_nth(GET, 1, Answer::CutTo(3));
    assert_eq!(ask(&host, "/map/remove"), "true");
    assert_eq!(ask(&host, "/map/add"), "Some(1)");
}

/// A write with the version 0 would overwrite whatever is there.
#[test]
fn a_value_without_a_version_is_not_written_over() {
    let host = sharing();
    host.answer(GET, Answer::Bytes(5_u64.to_le_bytes().to_vec()));
    for path in ["/get", "/add"] {
        assert_eq!(
            fail(&host, path),
            "host call proxy_get_shared_data: malformed answer"
        );
    }
}

#[test]
fn any_status_is_an_error() {
    for status in [2, 3, 5, 6, 9, 10, 11, 12, 13, 99, u32::MAX] {
        for call in [GET, SET] {
            let host = sharing();
            host.answer(call, Answer::Status(status));
            for path in ["/add", "/insert", "/map/add", "/lead", "/push"] {
                let failure = fail(&host, path);
                assert!(failure.contains(call), "{path} {status}: {failure}");
            }
        }
    }
}

#[test]
fn a_failed_renewal_leaves_the_lease() {
    let host = sharing();
    assert_eq!(ask(&host, "/lead"), "true");
    host.answer(SET, Answer::Status(10));
    host.advance(Duration::from_secs(5));
    fail(&host, "/lead");
    assert_eq!(ask(&host, "/leads"), "true");
    host.advance(Duration::from_secs(5));
    assert_eq!(ask(&host, "/leads"), "false");
}

#[test]
fn a_refused_map_or_queue_refuses_the_configuration() {
    for (call, answer, why) in [
        (GET, Answer::Status(10), "internal failure"),
        (SET, Answer::Status(CAS_MISMATCH), "64 tries"),
        (
            "proxy_register_shared_queue",
            Answer::Status(12),
            "unimplemented",
        ),
    ] {
        let host = Host::<Sharing>::new();
        host.answer(call, answer);
        let refused = host.load("").unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

#[test]
fn a_queue_hands_over_items_in_order_up_to_its_limit() {
    let host = sharing();
    assert_eq!(ask(&host, "/pop"), "None");
    ask(&host, "/push");
    ask(&host, "/push");
    assert_eq!(
        fail(&host, "/push"),
        "shared queue `sharing.queue`: full, with 2 items"
    );
    assert_eq!(ask(&host, "/pop"), "Some(\"item\")");
    ask(&host, "/push");
    assert_eq!(ask(&host, "/pop"), "Some(\"item\")");
    assert_eq!(ask(&host, "/pop"), "Some(\"item\")");
    assert_eq!(ask(&host, "/pop"), "None");
}

#[test]
fn a_malformed_item_is_taken_off_the_queue_and_told() {
    let host = sharing();
    ask(&host, "/send");
    ask(&host, "/push");
    assert_eq!(fail(&host, "/pop"), "shared `sharing.queue`: not UTF-8");
    assert_eq!(ask(&host, "/pop"), "Some(\"item\")");
    assert_eq!(ask(&host, "/pop"), "None");
}

#[test]
fn an_item_that_was_not_taken_does_not_count() {
    let host = sharing();
    host.answer("proxy_enqueue_shared_queue", Answer::Status(10));
    for _ in 0..3 {
        assert!(fail(&host, "/push").contains("proxy_enqueue_shared_queue"));
    }
    host.answer_truly();
    ask(&host, "/push");
    ask(&host, "/push");
}

#[test]
fn a_count_that_is_too_high_is_put_right_when_the_queue_is_empty() {
    let host = sharing();
    ask(&host, "/push");
    ask(&host, "/push");
    // It takes the items off, and cannot count that.
    host.answer(SET, Answer::Status(10));
    assert_eq!(ask(&host, "/pop"), "Some(\"item\")");
    assert_eq!(ask(&host, "/pop"), "Some(\"item\")");
    host.answer_truly();
    assert!(fail(&host, "/push").contains("full"));
    assert_eq!(
        calls(&host, "/pop"),
        [GET, "proxy_dequeue_shared_queue", SET]
    );
    ask(&host, "/push");
}

#[test]
fn nothing_panics_on_a_host_that_lies() {
    let report = chaos::run::<Everything>("", 2_000, 11);
    println!("{report}");
    assert!(report.lies > 1_000 && report.failures > 100, "{report}");
}
