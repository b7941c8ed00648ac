//! Foreign functions, filter state and tagged metrics on the mock host: what
//! they cost, and what a host's odd answers become.

#![expect(clippy::unwrap_used, reason = "what a test needs has to be there")]

use std::cell::RefCell;
use std::rc::Rc;

use legation::config::{ConfigErrors, NoConfig};
use legation::filter_state::{self, Kind, LifeSpan, Property};
use legation::foreign::{self, Expression, ForeignError, Function, Hash};
use legation::format::Format;
use legation::http::HeaderName;
use legation::metrics::{Counter, Family};
use legation::{Configure, Error, Flow, HttpFilter, Reason, RequestHeaders, Result, Status};
use legation_testing::{Answer, Callback, Calls, Host, Outcome, Request};

legation_testing::count_allocations!();

const FOREIGN: &str = "proxy_call_foreign_function";
const DEFINE: &str = "proxy_define_metric";

type Work = Box<dyn FnOnce(&Working) -> Result<()>>;

thread_local! {
    /// What the filter does with the next request.
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

/// A filter that does what a test says.
struct Working {
    refused: Family<Counter, 2>,
}

#[legation::filter]
impl HttpFilter for Working {
    const NAME: &'static str = "working";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        Ok(Self {
            refused: host
                .counter_family("refused", ["reason", "issuer"])
                .at_most(2),
        })
    }

    fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        if let Some(work) = WORK.take() {
            work(self)?;
        }
        Ok(Flow::Continue)
    }
}

fn host() -> Host<Working> {
    Host::configure("").unwrap()
}

/// Does this in the callback of a request: what came of it, and the calls.
fn with<T: 'static>(
    host: &Host<Working>,
    work: impl FnOnce(&Working) -> T + 'static,
) -> (T, Calls) {
    let result = Rc::new(RefCell::new(None));
    let shared = Rc::clone(&result);
    WORK.set(Some(Box::new(move |filter| {
        *shared.borrow_mut() = Some(work(filter));
        Ok(())
    })));
    let exchange = host.exchange(Request::get("/")).run();
    let result = result.take().unwrap();
    (result, exchange.calls())
}

fn verify() -> Result<bool, ForeignError> {
    foreign::verify_signature(Hash::Sha256, b"key", b"signature", b"text")
}

fn answered(status: u32) -> Reason {
    Reason::Status(Status(status))
}

#[test]
fn a_function_that_the_host_lacks_costs_one_call_ever() {
    for status in [Status::NOT_FOUND, Status::UNIMPLEMENTED] {
        let host = host();
        host.answer(FOREIGN, Answer::Status(status.0));
        let not_supported = Err(ForeignError::NotSupported {
            function: "verify_signature",
        });

        let (first, calls) = with(&host, |_| verify());
        assert_eq!(first, not_supported);
        assert_eq!(calls.count(FOREIGN), 1);

        let (next, calls) = with(&host, |_| {
            (verify(), verify(), Function::VerifySignature.is_supported())
        });
        assert_eq!(next, (not_supported.clone(), not_supported, false));
        assert_eq!(calls.count(FOREIGN), 0, "{status}");
    }
}

#[test]
fn a_new_vm_asks_anew() {
    let without = host();
    let (missing, _) = with(&without, |_| foreign::compress(b"a").is_err());
    assert!(missing);

    let host = host();
    host.set_foreign_function("compress", |_| Ok(b"small".to_vec()));

    let (compressed, calls) = with(&host, |_| foreign::compress(b"a"));
    assert_eq!(compressed, Ok(b"small".to_vec()));
    assert_eq!(calls.count(FOREIGN), 1);
}

#[test]
fn a_function_that_was_there_is_not_forgotten_for_one_odd_answer() {
    let host = host();
    host.set_foreign_function("compress", |bytes| Ok(bytes.to_vec()));
    let (first, _) = with(&host, |_| foreign::compress(b"a"));
    assert_eq!(first, Ok(b"a".to_vec()));

    host.answer_nth(FOREIGN, 1, Answer::Status(1));
    let (odd, _) = with(&host, |_| foreign::compress(b"a"));
    let (next, _) = with(&host, |_| foreign::compress(b"b"));

    assert_eq!(
        odd,
        Err(ForeignError::Host {
            function: "compress",
            reason: answered(1)
        })
    );
    assert_eq!(next, Ok(b"b".to_vec()));
}

#[test]
fn is_supported_asks_with_what_no_function_takes() {
    let host = host();
    host.set_foreign_function("declare_property", |arguments| {
        assert_eq!(arguments, [0xff]);
        Err(2)
    });

    let (asked, calls) = with(&host, |_| {
        (
            Function::DeclareProperty.is_supported(),
            Function::DeclareProperty.is_supported(),
            Function::Sign.is_supported(),
        )
    });

    assert_eq!(asked, (true, true, false));
    assert_eq!(calls.count(FOREIGN), 2);
}

#[test]
fn arguments_are_envoys_messages() {
    let host = host();
    host.set_foreign_function("verify_signature", |arguments| {
        assert_eq!(
            arguments,
            b"\x0a\x06sha256\x12\x03key\x1a\x09signature\x22\x04text"
        );
        Ok(b"\x08\x01".to_vec())
    });
    host.set_foreign_function("sign", |arguments| {
        assert_eq!(arguments, b"\x0a\x06sha512\x12\x03key\x1a\x04text");
        Ok(b"\x08\x01\x12\x06signed".to_vec())
    });
    host.set_foreign_function("set_envoy_filter_state", |arguments| {
        assert_eq!(arguments, b"\x0a\x03key\x12\x05value\x18\x02");
        Ok(vec![])
    });
    host.set_foreign_function("declare_property", |arguments| {
        assert_eq!(arguments, b"\x0a\x04name\x10\x01\x18\x01\x28\x01");
        Ok(vec![])
    });

    assert_eq!(with(&host, |_| verify()).0, Ok(true));
    let signed = with(&host, |_| foreign::sign(Hash::Sha512, b"key", b"text")).0;
    assert_eq!(signed, Ok(b"signed".to_vec()));
    let set = with(&host, |_| {
        filter_state::set_envoy("key", "value", LifeSpan::Connection)
    });
    assert_eq!(set.0, Ok(()));
    assert_eq!(set.1.count(FOREIGN), 1);
    let declared = with(&host, |_| {
        filter_state::declare(&Property {
            name: "name",
            kind: Kind::Text,
            life_span: LifeSpan::Request,
            read_only: true,
        })
        .unwrap()
    });
    assert!(declared.0);
}

#[test]
fn only_a_true_result_verifies() {
    for (answer, verified) in [
        (&b"\x08\x01"[..], Some(true)),
        (b"", Some(false)),
        (b"\x08\x00", Some(false)),
        (b"\x12\x03bad", Some(false)),
        // A field that is not known is not an error, nor is it a result.
        (b"\x18\x01", Some(false)),
        // Cut short, of another type, not UTF-8, no message at all.
        (b"\x08", None),
        (b"\x0a\x01\x01", None),
        (b"\x08\x01\x12\x01\xff", None),
        (b"\xff\xff\xff", None),
    ] {
        let host = host();
        host.set_foreign_function("verify_signature", move |_| Ok(answer.to_vec()));

        let result = with(&host, |_| verify()).0;

        let malformed = ForeignError::Host {
            function: "verify_signature",
            reason: Reason::Malformed,
        };
        assert_eq!(result, verified.ok_or(malformed), "{answer:?}");
    }
}

#[test]
fn a_signature_that_is_none_is_no_answer() {
    for (answer, said) in [
        (&b"\x08\x01"[..], "malformed answer"),
        (b"\x08\x01\x12", "malformed answer"),
        (b"\x1a\x05wrong", "wrong"),
        (b"\x08\x00\x12\x06signed", ""),
    ] {
        let host = host();
        host.set_foreign_function("sign", move |_| Ok(answer.to_vec()));

        let error = with(&host, |_| foreign::sign(Hash::Sha256, b"k", b"t")).0;

        assert_eq!(
            error.unwrap_err().to_string(),
            format!("foreign function `sign`: {said}"),
            "{answer:?}"
        );
    }
}

#[test]
fn every_status_is_an_error_and_none_a_panic() {
    for status in (1..=12).chain([99, u32::MAX]) {
        for answer in [Answer::Status(status), Answer::RealBut(status)] {
            let host = host();
            host.answer(FOREIGN, answer);
            let all_failed = with(&host, |_| {
                let property = Property {
                    name: "name",
                    ..Property::default()
                };
                verify().is_err()
                    && foreign::sign(Hash::Sha384, b"", b"").is_err()
                    && foreign::compress(b"").is_err()
                    && foreign::uncompress(b"", 0).is_err()
                    && foreign::clear_route_cache().is_err()
                    && filter_state::set_envoy("k", "v", LifeSpan::Request).is_err()
                    && filter_state::declare(&property).ok() != Some(true)
                    && Expression::new("1").is_err()
            });
            assert!(all_failed.0, "{status}");
        }
    }
}

#[test]
fn bytes_that_are_promised_and_not_given_are_no_answer() {
    for answer in [
        Answer::Null,
        Answer::NullOfSize(8),
        Answer::BlockOfNothing,
        Answer::Bytes(vec![0x08]),
        Answer::Bytes(vec![1, 2, 3]),
    ] {
        let host = host();
        host.answer(FOREIGN, answer.clone());
        let (verified, _) = with(&host, |_| verify());
        let (expression, _) = with(&host, |_| Expression::new("1").is_err());
        assert_ne!(verified, Ok(true), "{answer:?}");
        assert!(expression, "{answer:?}");
    }
}

#[test]
fn a_refused_key_is_told_from_a_missing_function() {
    let host = host();
    // Envoy: not found, of a key that there is no factory for.
    host.set_foreign_function("set_envoy_filter_state", |arguments| {
        Err(if arguments == [0xff] { 2 } else { 1 })
    });
    let set = |_: &Working| filter_state::set_envoy("a.b", "v", LifeSpan::FilterChain);

    let (first, calls) = with(&host, set);
    assert!(first.unwrap_err().to_string().contains("no object `a.b`"));
    assert_eq!(calls.count(FOREIGN), 2);

    let (second, calls) = with(&host, set);
    assert!(matches!(second, Err(ForeignError::Refused { .. })));
    assert_eq!(calls.count(FOREIGN), 1);
}

#[test]
fn uncompress_refuses_what_is_too_much_without_a_call() {
    let host = host();
    host.set_foreign_function("uncompress", |_| Ok(vec![0; 10]));

    let (refused, calls) = with(&host, |_| foreign::uncompress(&[0; 11], 10));

    assert_eq!(
        refused,
        Err(ForeignError::TooLarge {
            function: "uncompress",
            size: 11,
            limit: 10
        })
    );
    assert_eq!(calls.count(FOREIGN), 0);
    assert_eq!(
        with(&host, |_| foreign::uncompress(&[0; 10], 10)).0,
        Ok(vec![0; 10])
    );
}

#[test]
fn an_expression_is_known_by_its_number() {
    let host = host();
    let deleted = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&deleted);
    host.set_foreign_function("expr_create", |_| Ok(7_u32.to_le_bytes().to_vec()));
    host.set_foreign_function("expr_evaluate", |token| {
        assert_eq!(token, 7_u32.to_le_bytes());
        Ok(vec![1])
    });
    host.set_foreign_function("expr_delete", move |token| {
        seen.borrow_mut().push(token.to_vec());
        Ok(vec![])
    });

    let (values, calls) = with(&host, |_| {
        let expression = Expression::new("true").unwrap();
        let values = (expression.evaluate::<bool>(), expression.evaluate::<i64>());
        expression.delete().unwrap();
        values
    });

    assert_eq!(values.0, Ok(true));
    assert!(values.1.is_err(), "one byte is no number");
    assert_eq!(calls.count(FOREIGN), 4);
    assert_eq!(*deleted.borrow(), [7_u32.to_le_bytes()]);
}

/// Keeps an expression, as a filter does.
struct Keeping {
    expression: Expression,
}

#[legation::filter]
impl HttpFilter for Keeping {
    const NAME: &'static str = "keeping";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        let expression = Expression::new("true")
            .map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        Ok(Self { expression })
    }

    fn on_request_headers(&self, (): &mut (), _: &mut RequestHeaders) -> Result<Flow> {
        self.expression.evaluate::<bool>()?;
        Ok(Flow::Continue)
    }
}

/// Envoy numbers the expressions of each configuration from zero, and the filter of the old one
/// is dropped while a callback of the new one runs.
#[test]
fn an_update_leaves_the_new_configurations_expression_alone() {
    let host = Host::<Keeping>::new();
    host.set_foreign_function("expr_create", |_| Ok(vec![0; 4]));
    host.set_foreign_function("expr_evaluate", |_| Ok(vec![1]));
    let deleted = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&deleted);
    host.set_foreign_function("expr_delete", move |_| {
        *seen.borrow_mut() += 1;
        Ok(vec![])
    });
    let old = host.load("").unwrap();
    host.unload(old);
    host.load("").unwrap();

    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.status(), 200);
    assert_eq!(*deleted.borrow(), 0);
}

#[test]
fn any_function_can_be_called_and_a_missing_one_is_none() {
    let host = host();
    host.set_foreign_function("theirs", |bytes| Ok(bytes.to_vec()));

    assert_eq!(
        with(&host, |_| foreign::call("theirs", b"a")).0,
        Ok(Some(b"a".to_vec()))
    );
    assert_eq!(with(&host, |_| foreign::call("nobodys", b"a")).0, Ok(None));
}

#[test]
fn a_foreign_error_has_the_request_refused() {
    let host = host();
    WORK.set(Some(Box::new(|_| {
        foreign::clear_route_cache()?;
        Ok(())
    })));

    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.outcome, Outcome::Replied);
    assert_eq!(exchange.status(), 500);
    assert!(exchange.log.iter().any(|line| {
        line.text
            .contains("the host has no foreign function `clear_route_cache`")
    }));
}

#[test]
fn state_that_is_set_is_read() {
    let host = host();

    let (found, calls) = with(&host, |_| {
        filter_state::set("user", "alice")?;
        filter_state::set("raw", [0xff])?;
        Ok::<_, Error>((
            filter_state::get::<String>("user")?,
            filter_state::get::<Vec<u8>>("raw")?,
            filter_state::get::<String>("nobody")?,
        ))
    });

    assert_eq!(
        found.unwrap(),
        (Some("alice".to_owned()), Some(vec![0xff]), None)
    );
    assert_eq!(calls.count("proxy_set_property"), 2);
    assert_eq!(calls.count("proxy_get_property"), 3);
}

#[test]
fn names_of_state_are_checked_before_the_host_is_asked() {
    let host = host();
    for name in ["", "a\0b", "request"] {
        let (failed, calls) = with(&host, move |_| {
            let property = Property {
                name,
                ..Property::default()
            };
            filter_state::set(name, "1").is_err()
                && filter_state::get::<String>(name).is_err()
                && filter_state::declare(&property).is_err()
        });
        assert!(failed, "{name:?}");
        assert_eq!(calls.count("proxy_set_property"), 0);
        assert_eq!(calls.count("proxy_get_property"), 0);
        assert_eq!(calls.count(FOREIGN), 0);
    }
    let (failed, calls) = with(&host, |_| {
        filter_state::object::<String>("").is_err()
            && filter_state::metadata::<String>("a", &["b\0c"]).is_err()
    });
    assert!(failed);
    assert_eq!(calls.count("proxy_get_property"), 0);
}

#[test]
fn objects_and_metadata_are_asked_for_by_their_paths() {
    let host = host();
    host.set_attribute("filter_state\0wasm.other", "theirs");
    host.set_attribute("metadata\0filter_metadata\0envoy.filters.x\0a\0b", 1.5);

    let (found, _) = with(&host, |_| {
        (
            filter_state::object::<String>("wasm.other").unwrap(),
            filter_state::metadata::<f64>("envoy.filters.x", &["a", "b"]).unwrap(),
            filter_state::metadata::<bool>("envoy.filters.x", &["a", "b"]).is_err(),
            filter_state::metadata::<bool>("envoy.filters.x", &["a"]).unwrap(),
        )
    });

    assert_eq!(found, (Some("theirs".to_owned()), Some(1.5), true, None));
}

#[test]
fn odd_answers_to_reads_of_state_are_errors() {
    for (answer, none) in [
        (Answer::Status(3), true),
        (Answer::Status(2), false),
        (Answer::Status(99), false),
        (Answer::Bytes(vec![0xff]), false),
    ] {
        let host = host();
        host.answer("proxy_get_property", answer.clone());
        let (object, _) = with(&host, |_| {
            filter_state::object::<String>("a").map_err(|error| error.to_string())
        });
        // What cannot be written out is none, anything else an error.
        assert_eq!(object.is_ok_and(|it| it.is_none()), none, "{answer:?}");
    }
    let host = host();
    host.answer("proxy_set_property", Answer::Status(2));
    assert!(with(&host, |_| filter_state::set("a", "b").is_err()).0);
}

const RENDERED: HeaderName = HeaderName::from_static("x-rendered");

/// A filter that says what a format gives.
struct Telling(Format);

#[legation::filter]
impl HttpFilter for Telling {
    const NAME: &'static str = "telling";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, _: &mut Configure) -> Result<Self, ConfigErrors> {
        let field = "%ATTRIBUTE(metadata.filter_metadata.mine.field)%";
        let format = field.parse::<Format>();
        let format = format.map_err(|error| ConfigErrors::of_document(error.to_string()))?;
        Ok(Self(format))
    }

    fn on_request_headers(&self, (): &mut (), request: &mut RequestHeaders) -> Result<Flow> {
        let mut text = Vec::new();
        let rendered = self.0.render(request, &mut text)?;
        request.headers().set(&RENDERED, format!("{rendered:?}"))?;
        Ok(Flow::Continue)
    }
}

#[test]
fn what_cannot_be_written_out_is_no_value_to_a_format() {
    for (answer, rendered) in [
        (Answer::Status(3), "Missing"),
        (Answer::Status(1), "Missing"),
        (Answer::Bytes(b"text".to_vec()), "Complete"),
    ] {
        let host = Host::<Telling>::configure("").unwrap();
        host.answer("proxy_get_property", answer.clone());
        let exchange = host.exchange(Request::get("/")).run();
        assert_eq!(
            exchange.upstream().headers.get("x-rendered"),
            Some(rendered.as_bytes()),
            "{answer:?}"
        );
    }
    let host = Host::<Telling>::configure("").unwrap();
    host.answer("proxy_get_property", Answer::Status(2));
    assert_eq!(host.exchange(Request::get("/")).run().status(), 500);
}

#[test]
fn a_family_defines_a_metric_once_and_looks_it_up_for_nothing() {
    let host = host();
    let count = |filter: &Working| filter.refused.with(["expired", "a"]).increment();

    assert_eq!(with(&host, count).1.count(DEFINE), 1);
    WORK.set(Some(Box::new(move |filter| {
        count(filter);
        Ok(())
    })));
    let exchange = host.exchange(Request::get("/")).run();

    assert_eq!(exchange.calls().count(DEFINE), 0);
    let allocations = exchange.allocations_in(Callback::RequestHeaders);
    assert_eq!(allocations.count, 0, "{allocations:?}");
    assert_eq!(host.counter("working.refused.issuer=a;.reason=expired;"), 2);
}

#[test]
fn a_family_tells_so_many_apart_and_no_more() {
    let host = host();

    let ((), calls) = with(&host, |filter| {
        for issuer in ["a", "b", "c", "d", "a"] {
            filter.refused.with(["expired", issuer]).increment();
        }
        filter.refused.with([&[b'x'; 200][..], b"a"]).increment();
    });

    assert_eq!(calls.count(DEFINE), 3);
    assert_eq!(host.counter("working.refused.issuer=a;.reason=expired;"), 2);
    assert_eq!(host.counter("working.refused.issuer=b;.reason=expired;"), 1);
    assert_eq!(
        host.counter("working.refused.issuer=other;.reason=other;"),
        3
    );
}

#[test]
fn a_metric_that_the_host_refuses_counts_nothing_and_says_so_once() {
    let host = host();
    host.answer(DEFINE, Answer::Status(2));

    let ((), calls) = with(&host, |filter| {
        filter.refused.with(["expired", "a"]).increment();
        filter.refused.with(["expired", "a"]).increment();
    });

    assert_eq!(calls.count(DEFINE), 1);
    let warned = host.log();
    let warned = warned
        .iter()
        .filter(|line| line.text.contains("a metric is not counted"));
    assert_eq!(warned.count(), 1);
}

/// Defines metrics that are called wrongly, and one that is right.
struct Misnamed;

#[legation::filter]
impl HttpFilter for Misnamed {
    const NAME: &'static str = "mis-named";
    type Config = NoConfig;
    type Stream = ();

    fn configure(_: NoConfig, host: &mut Configure) -> Result<Self, ConfigErrors> {
        host.counter_with_tags("a", &[("Reason", "x")]).increment();
        host.gauge_with_tags("b", &[("le", "x")]).set(1);
        host.histogram_with_tags("c", &[("x", "1"), ("x", "2")])
            .record(1);
        host.counter_with_tags("d", &[("x", &"long".repeat(40))])
            .increment();
        host.histogram_family("e", ["a.b"]).with(["x"]).record(1);
        host.counter_with_tags("f", &[("x", "a=b")]).increment();
        Ok(Self)
    }
}

#[test]
fn what_is_no_tag_has_the_configuration_refused_with_all_that_is_wrong() {
    let host = Host::<Misnamed>::new();

    let refused = host.load("").unwrap_err();

    assert_eq!(refused.lines.len(), 5, "{refused}");
    for (line, metric) in refused.lines.iter().zip(["a", "b", "c", "d", "e"]) {
        assert!(
            line.contains(&format!("metric `mis_named.{metric}`")),
            "{line}"
        );
    }
    assert_eq!(host.counter("mis_named.f.x=a%3Db;"), 1);
}
