use legation::config;
use legation_jose::{Algorithm, Algorithms};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test(unsupported = test)]
fn every_algorithm_is_read_by_the_name_it_is_written_by() {
    for &algorithm in Algorithm::ALL {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
    }
    assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDSA));
    for name in [
        "none", "None", "rs256", "RS1", "ES256K", "Ed448", "", "RS256 ", "HS256\0",
    ] {
        assert!(name.parse::<Algorithm>().is_err(), "{name:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_set_has_what_was_put_in() {
    let set: Algorithms = [Algorithm::RS256, Algorithm::EdDSA].into_iter().collect();

    assert_eq!(
        set.iter().collect::<Vec<_>>(),
        [Algorithm::RS256, Algorithm::EdDSA]
    );
    assert_eq!(format!("{set:?}"), "{RS256, EdDSA}");
    assert!(!set.contains(Algorithm::RS384) && !set.is_empty());
    assert_eq!(Algorithms::ALL.iter().count(), 13);
    assert_eq!(Algorithms::ASYMMETRIC.iter().count(), 10);
    assert!(Algorithm::ALL.iter().all(|&algorithm| {
        Algorithms::SYMMETRIC.contains(algorithm) == algorithm.is_symmetric()
            && Algorithms::ASYMMETRIC.contains(algorithm) != algorithm.is_symmetric()
    }));
    assert!(
        Algorithms::SYMMETRIC
            .intersection(Algorithms::ASYMMETRIC)
            .is_empty()
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn the_configuration_names_them_exactly() {
    let read = |text: &str| config::parse::<Vec<Algorithm>>(text.as_bytes());

    assert_eq!(read(r#"["RS256"]"#).unwrap(), [Algorithm::RS256]);
    for (text, problem) in [
        (r#"["none"]"#, "never"),
        (r#"["RS265"]"#, "did you mean `RS256`?"),
        ("[256]", "the name of an algorithm"),
    ] {
        let errors = read(text).unwrap_err().to_string();
        assert!(errors.contains(problem), "{errors}");
    }
}
