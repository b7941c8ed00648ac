use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::fake::{self, Fake};

fn experiment(name: &str, salt: &str, buckets: &[(&str, u32)]) -> Experiment {
    Experiment {
        name: name.into(),
        salt: salt.into(),
        keys: Box::new([]),
        overrides: Box::new([]),
        buckets: buckets
            .iter()
            .map(|(name, weight)| (Box::from(*name), *weight))
            .collect(),
        without_key: WithoutKey::NoBucket,
    }
}

fn all(experiment: &Experiment, users: u32) -> Vec<&str> {
    let bucket = |user: u32| {
        let number = experiment
            .choose(format!("user-{user}").as_bytes())
            .unwrap();
        experiment.name_of(number).unwrap()
    };
    (0..users).map(bucket).collect()
}

fn count(buckets: &[&str], name: &str) -> usize {
    buckets.iter().filter(|bucket| **bucket == name).count()
}

const USERS: u32 = 20_000;

#[wasm_bindgen_test(unsupported = test)]
fn each_bucket_has_its_share() {
    let divided = experiment("e", "e", &[("a", 10), ("b", 20), ("c", 70), ("d", 0)]);
    let found = all(&divided, USERS);
    // Six standard deviations at most.
    for (name, from, to) in [
        ("a", 1_746, 2_254),
        ("b", 3_661, 4_339),
        ("c", 13_612, 14_388),
    ] {
        let share = count(&found, name);
        assert!((from..=to).contains(&share), "{name}: {share}");
    }
    assert_eq!(count(&found, "d"), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_bucket_that_grows_loses_nobody_wherever_it_stands() {
    for (before, after) in [
        (
            vec![("canary", 10), ("stable", 90)],
            vec![("canary", 20), ("stable", 80)],
        ),
        (
            vec![("stable", 90), ("canary", 10)],
            vec![("stable", 80), ("canary", 20)],
        ),
        (
            vec![("a", 30), ("canary", 10), ("b", 60)],
            vec![("b", 40), ("a", 30), ("canary", 30)],
        ),
        // Weights need not come to 100, and their scale does not matter.
        (
            vec![("canary", 1), ("stable", 9)],
            vec![("canary", 10), ("stable", 90)],
        ),
    ] {
        let (before, after) = (experiment("e", "e", &before), experiment("e", "e", &after));
        let (before, after) = (all(&before, USERS), all(&after, USERS));
        for (user, (was, is)) in before.iter().zip(&after).enumerate() {
            assert!(
                *was != "canary" || *is == "canary",
                "user {user} went to {is}"
            );
        }
        assert!(count(&after, "canary") >= count(&before, "canary"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_new_bucket_takes_users_and_moves_no_others() {
    let before = experiment("e", "e", &[("a", 50), ("b", 50)]);
    let after = experiment("e", "e", &[("a", 50), ("new", 10), ("b", 50)]);
    for (was, is) in all(&before, USERS).iter().zip(all(&after, USERS)) {
        assert!(*was == is || is == "new", "{was} went to {is}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn divisions_with_other_salts_are_independent_and_with_one_salt_are_one() {
    let weights = [("x", 50), ("y", 50)];
    let one = experiment("one", "one", &weights);
    let found = all(&one, USERS);
    let both = |other: &Experiment| {
        let other = all(other, USERS);
        let pairs = found.iter().zip(&other);
        pairs
            .filter(|(one, other)| **one == "x" && **other == "x")
            .count()
    };
    // A quarter, by six standard deviations.
    let independent = both(&experiment("two", "two", &weights));
    assert!((4_632..=5_368).contains(&independent), "{independent}");
    assert_eq!(
        both(&experiment("two", "one", &weights)),
        count(&found, "x")
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn no_hash_is_all_or_nothing() {
    for hash in [0, 1, u64::MAX >> 1, u64::MAX - (1 << 11), u64::MAX] {
        let fraction = between_0_and_1(hash);
        assert!(0.0 < fraction && fraction < 1.0, "{hash:x}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn who_is_where_is_for_ever() {
    // Were this to change, every user of every running experiment would be moved.
    let release = experiment("release", "release", &[("canary", 10), ("stable", 90)]);
    let canaries = all(&release, 60);
    let canaries = canaries
        .iter()
        .enumerate()
        .filter(|(_, bucket)| **bucket == "canary");
    let canaries: Vec<_> = canaries.map(|(user, _)| user).collect();
    assert_eq!(canaries, [10, 27, 37, 54, 58]);
}

fn bucket(options: &str, request: &mut Fake) -> Option<String> {
    bucket_by(r#"["%COOKIE(user)%", "%REQ(x-user)%"]"#, options, request)
}

fn bucket_by(key: &str, options: &str, request: &mut Fake) -> Option<String> {
    let config = fake::config(&format!(
        r#"{{"weighted_buckets": {{"name": "release", "hash_key": {key},
            "buckets": [{{"name": "canary", "weight": 10}}, {{"name": "stable", "weight": 90}},
                {{"name": "beta", "weight": 0}}]{options}}},
            "rules": [{{"request": {{"set": {{"x-a": "%BUCKET(release)%"}}}}}}]}}"#
    ));
    let buckets = Buckets::new(config.weighted_buckets);
    let (_, release) = buckets.find("release")?;
    let Ok(number) = release.assign(request);
    release.name_of(number?).map(str::to_owned)
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_key_that_is_there_decides() {
    let of = |headers: &[(&str, &str)]| bucket("", &mut Fake::request(headers));
    let cookie = |user: usize| format!("user=u{user}");
    for user in 0..50 {
        let (cookie, name) = (cookie(user), format!("u{user}"));
        let by_cookie = of(&[("cookie", &cookie), ("x-user", "another")]);
        assert!(by_cookie.is_some());
        assert_eq!(by_cookie, of(&[("x-user", &name)]));
        assert_eq!(by_cookie, of(&[("cookie", "user="), ("x-user", &name)]));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_without_a_key_is_where_the_configuration_says() {
    assert_eq!(bucket("", &mut Fake::request(&[])), None);
    let stable = bucket(r#", "default_bucket": "stable""#, &mut Fake::request(&[]));
    assert_eq!(stable.as_deref(), Some("stable"));
    let beta = bucket(r#", "default_bucket": "beta""#, &mut Fake::request(&[]));
    assert_eq!(beta.as_deref(), Some("beta"));
    // Text around what is not there makes no key.
    for (key, sent, is_somewhere) in [
        (r#""u:%COOKIE(user)%""#, "other=1", false),
        (r#""u:%COOKIE(user)%""#, "user=u1", true),
        (r#""%COOKIE(user)%/%COOKIE(device)%""#, "user=u1", true),
        (r#""%COOKIE(user)%/%COOKIE(device)%""#, "other=1", false),
    ] {
        let found = bucket_by(key, "", &mut Fake::request(&[("cookie", sent)]));
        assert_eq!(found.is_some(), is_somewhere, "{key} {sent}");
    }
    let mut canaries = 0;
    for random in 0..1_000 {
        let mut request = Fake::request(&[]);
        request.random = random;
        let found = bucket(r#", "random_without_key": true"#, &mut request);
        canaries += usize::from(found.as_deref() == Some("canary"));
        assert_eq!(request.draws, 1);
    }
    assert!((43..=157).contains(&canaries), "{canaries}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tester_chooses_only_where_that_is_configured_and_only_what_there_is() {
    let options = r#", "override_by": ["%REQ(x-bucket)%", "%COOKIE(bucket)%"]"#;
    let of = |options: &str, headers: &[(&str, &str)]| bucket(options, &mut Fake::request(headers));
    // Also one that has no share.
    for name in ["canary", "stable", "beta"] {
        let sent = [("x-bucket", name), ("x-user", "u1")];
        assert_eq!(of(options, &sent).as_deref(), Some(name));
        let cookie = format!("bucket={name}");
        let sent = [("x-bucket", "none"), ("cookie", cookie.as_str())];
        assert_eq!(of(options, &sent).as_deref(), Some(name));
    }
    let own = of("", &[("x-user", "u1")]);
    for other in ["canary", "stable", "beta", "other", ""] {
        assert_eq!(of("", &[("x-bucket", other), ("x-user", "u1")]), own);
    }
    assert_eq!(of(options, &[("x-bucket", "other"), ("x-user", "u1")]), own);
    // Nobody asked for what only text around an absent value says.
    let options = r#", "override_by": "canary%REQ(x-bucket)%", "default_bucket": "stable""#;
    assert_eq!(of(options, &[]).as_deref(), Some("stable"));
}
