//! Values of types that filters share.

use std::time::Duration as Std;

use deserr::Deserr;
use legation::config::{
    self, Bounded, BoundedDuration, ConfigErrors, Duration, Given, HeaderName, HeaderValue,
    NoConfig, NonEmpty, OneOrMany, Percent,
};
use wasm_bindgen_test::wasm_bindgen_test;

fn read<T: Deserr<ConfigErrors>>(text: &str) -> Result<T, String> {
    config::parse(text.as_bytes()).map_err(|errors| errors.to_string())
}

#[track_caller]
fn refuses<T: Deserr<ConfigErrors>>(text: &str, why: &str) {
    match read::<T>(text) {
        Ok(_) => panic!("{text} was read"),
        Err(error) => assert!(error.contains(why), "{text}: {error}"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn durations_have_units() {
    for (text, duration) in [
        ("1.5s", Std::from_millis(1500)),
        ("0s", Std::ZERO),
        ("0.000000001s", Std::from_nanos(1)),
        ("250ms", Std::from_millis(250)),
        ("5m", Std::from_mins(5)),
        ("2h", Std::from_hours(2)),
        ("10us", Std::from_micros(10)),
        ("3155760000s", Std::from_hours(876_600)),
    ] {
        let read: Duration = read(&format!("\"{text}\"")).unwrap();
        assert_eq!(read.get(), duration, "{text}");
    }
    for text in [
        "5", "\"5\"", "\"s\"", "\"5 s\"", "\"5d\"", "\"1e3s\"", "\".s\"", "\"1.s\"", "\".5s\"",
        "\"+1s\"", "\"\"", "null", "\"５s\"",
    ] {
        refuses::<Duration>(text, "expected a duration with its unit");
    }
    refuses::<Duration>("\"-1s\"", "must not be negative");
    refuses::<Duration>("\"3162240001s\"", "at most 100 years");
    refuses::<Duration>("\"99999999999999999999h\"", "at most 100 years");
    refuses::<BoundedDuration<100, 60_000>>(
        "\"0.05s\"",
        "out of range: 50ms, allowed are 100ms to 1m",
    );
    assert!(read::<BoundedDuration<100, 60_000>>("\"60s\"").is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn percentages_have_four_decimals() {
    for (text, ppm) in [
        ("0", 0),
        ("100", 1_000_000),
        ("100.0", 1_000_000),
        ("12.5", 125_000),
        ("0.0001", 1),
        ("33.3333", 333_333),
        ("99.9999", 999_999),
    ] {
        assert_eq!(read::<Percent>(text).map(Percent::ppm), Ok(ppm), "{text}");
    }
    for text in [
        "-1",
        "100.0001",
        "101",
        "1e9",
        "-0.5",
        "18446744073709551615",
    ] {
        refuses::<Percent>(text, "a percentage is from 0 to 100");
    }
    refuses::<Percent>("0.00001", "at most four decimals, got 0.00001");
    refuses::<Percent>("\"5\"", "expected a percentage");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_percentage_admits_its_share_and_contains_the_smaller() {
    let (small, large) = (
        read::<Percent>("10").unwrap(),
        read::<Percent>("30").unwrap(),
    );
    let count = |percent: Percent| {
        (0..1_000_000)
            .filter(|random| percent.admits(*random))
            .count()
    };

    assert_eq!((count(small), count(large)), (100_000, 300_000));
    assert!((0..1_000_000).all(|random| large.admits(random) || !small.admits(random)));
    assert!(Percent::ALL.admits(u64::MAX));
}

#[wasm_bindgen_test(unsupported = test)]
fn numbers_have_bounds() {
    assert_eq!(read::<Bounded<1, 10>>("10.0").map(Bounded::get), Ok(10));
    assert_eq!(read::<Bounded<-5, 5>>("-5").map(Bounded::get), Ok(-5));
    refuses::<Bounded<1, 10>>("0", "out of range: 0, allowed are 1 to 10");
    refuses::<Bounded<1, 10>>("-3", "out of range: -3, allowed are 1 to 10");
    refuses::<Bounded<1, 10>>("18446744073709551615", "out of range: 18446744073709551615");
    refuses::<Bounded<1, 10>>(
        "1.5",
        "expected a whole number from 1 to 10, got the number 1.5",
    );
    refuses::<Bounded<1, 10>>("\"5\"", "expected a whole number from 1 to 10");
    refuses::<u32>("-1", "must not be negative, got -1");
    refuses::<u32>(
        "\"5\"",
        "expected a whole number, got the string \"5\"; write the number without quotes",
    );
    refuses::<bool>(
        "\"true\"",
        "expected `true` or `false`, got the string \"true\"; write true without quotes",
    );
    refuses::<f64>("\"x\"", "expected a number, got the string \"x\"");
    refuses::<String>("true", "expected a string, got `true`; put it in quotes");
}

#[wasm_bindgen_test(unsupported = test)]
fn header_names_are_of_ordinary_headers() {
    assert_eq!(read::<HeaderName>("\"X-A_b\"").unwrap().as_str(), "x-a_b");
    refuses::<HeaderName>("\":method\"", "is a pseudo-header");
    refuses::<HeaderName>("\"Host\"", ":authority");
    for text in ["\"\"", "\"a b\"", "\"a:\"", "\"a\\n\"", "\"é\""] {
        refuses::<HeaderName>(text, "is not the name of a header");
    }
    assert_eq!(read::<HeaderValue>("\"a b\"").unwrap().as_bytes(), b"a b");
    refuses::<HeaderValue>("\"a\\r\\nb\"", "control characters");
    refuses::<HeaderValue>("\" a\"", "begin or end with a space");
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_that_are_written_hold_something() {
    assert_eq!(&*read::<OneOrMany<u8>>("1").unwrap(), [1]);
    assert_eq!(&*read::<OneOrMany<u8>>("[1, 2]").unwrap(), [1, 2]);
    refuses::<OneOrMany<u8>>("[]", "an empty list");
    refuses::<OneOrMany<u8>>("null", "got null");
    refuses::<OneOrMany<u8>>("[1, \"a\", null]", "[1]: expected a whole number");
    refuses::<OneOrMany<u8>>("[1, \"a\", null]", "[2]: expected a whole number, got null");
    refuses::<NonEmpty<u8>>("1", "expected a list, got the number 1");
    refuses::<NonEmpty<u8>>("[]", "an empty list");
    refuses::<Given<u8>>("null", "null; give a value, or leave the field out");
    assert_eq!(read::<Given<u8>>("1"), Ok(Given(Some(1))));
}

#[wasm_bindgen_test(unsupported = test)]
fn no_configuration_is_nothing_at_all() {
    for text in ["", "{}", "null", " \n", "\"\""] {
        assert_eq!(read(text), Ok(NoConfig), "{text}");
    }
    for text in ["{\"a\": 1}", "[]", "0", "\"a\""] {
        refuses::<NoConfig>(text, "takes no configuration");
    }
}
