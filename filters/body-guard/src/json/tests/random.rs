//! Documents by chance, judged by `serde_json`.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// Documents for a run of the tests; `cargo xtask soak` has more.
const DOCUMENTS: u32 = 2_000;

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é€😀\u{0}\n]{0,12}".prop_map(Value::from),
        "(x|4111 1111 1111 1111|a@b\\.example){0,3}".prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[abcx]|é\"|", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Bytes that are nearly a document.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    (
        value(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..3),
        any::<bool>(),
    )
        .prop_map(|(value, changes, pretty)| {
            let mut bytes = if pretty {
                serde_json::to_vec_pretty(&value)
            } else {
                serde_json::to_vec(&value)
            }
            .unwrap();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len().max(1));
                let likely = b"{}[]\",:\\u0eE-+. \n\xc3";
                let byte = if byte < 128 {
                    *likely.iter().cycle().nth(usize::from(byte)).unwrap()
                } else {
                    byte
                };
                match how {
                    _ if at >= bytes.len() => bytes.push(byte),
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => {
                        bytes.remove(at);
                    }
                }
            }
            bytes
        })
}

/// What a document is without what `$..x` leads to, and `$.a` masked.
fn expected(value: &Value, is_root: bool) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|value| expected(value, false)).collect(),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "x");
            let kept = kept.map(|(name, value)| match (is_root, name.as_str()) {
                (true, "a") => (name.clone(), Value::from("#")),
                _ => (name.clone(), expected(value, false)),
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn pieces(document: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts
        .iter()
        .map(|cut| cut.index(document.len().saturating_add(1)))
        .collect();
    places.extend([0, document.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|two| document[two[0]..two[1]].to_vec())
        .collect()
}

fn judge(document: &[u8], cuts: &[prop::sample::Index]) {
    let lenient = limited(Limits {
        allow_duplicate_names: true,
        ..Limits::default()
    });
    let pieces = pieces(document, cuts);
    let pieces = || pieces.iter().map(Vec::as_slice);
    let ours = read(&lenient, pieces());
    match serde_json::from_slice::<Value>(document) {
        Ok(value) => {
            assert_eq!(ours, Ok((document.to_vec(), 0)));
            let names = plan(Vec::new());
            let masking = plan(vec![remove("$..x"), mask("$.a", "#", 0)]);
            if read(&names, pieces()).is_ok() {
                let (masked, _) = read(&masking, pieces()).unwrap();
                assert_eq!(
                    serde_json::from_slice::<Value>(&masked).unwrap(),
                    expected(&value, true)
                );
                assert_eq!(
                    read(&masking, [document]),
                    Ok((masked, read(&masking, pieces()).unwrap().1))
                );
            }
            let scanning = looking_for(&[Preset::CreditCard, Preset::Email], 0);
            if read(&names, pieces()).is_ok() {
                let whole = read(&scanning, [document]);
                assert_eq!(read(&scanning, pieces()), whole);
                assert!(serde_json::from_slice::<Value>(&whole.unwrap().0).is_ok());
            }
        }
        // Nor does a number that no `f64` holds have to be one.
        Err(error) if error.to_string().contains("number out of range") => {}
        Err(error) => assert!(
            ours.is_err(),
            "{error}: {}",
            String::from_utf8_lossy(document)
        ),
    }
}

fn run(documents: u32) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: documents,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    let judged = runner.run(&(nearly(), cuts), |(document, cuts)| {
        judge(&document, &cuts);
        Ok(())
    });
    judged.unwrap();
}

#[test]
fn documents_by_chance_are_what_serde_json_takes_them_for() {
    run(DOCUMENTS);
}

mod soak {
    #[test]
    #[ignore = "takes minutes: `cargo xtask soak`"]
    fn a_hundred_thousand_documents() {
        super::run(100_000);
    }
}
