use std::cell::Cell;
use std::rc::Rc;

use legation::foreign::ForeignError;
use legation_jose::crypto::{self, Verifier};
use legation_jose::{Algorithm, Algorithms, KeySet, KeyUse, Limits, Token, VerifyError};
use legation_testing::{Answer, Host};

use crate::examples::EXAMPLES;
use crate::signing::Signer;
use crate::working::{Working, calls, host, host_without};

const CLAIMS: &str = r#"{"iss":"joe","sub":"user"}"#;

fn keys(jwk: &str) -> KeySet {
    let set = format!(r#"{{"keys":[{jwk}]}}"#);
    KeySet::from_jwks_for(set.as_bytes(), KeyUse::PublicAndSecret).unwrap()
}

fn verify(keys: &KeySet, token: &str) -> Result<(), VerifyError> {
    let token = Token::parse(token.as_bytes(), &Limits::default()).unwrap();
    keys.verify(&token, Algorithms::ALL)
}

/// Whether the host verifies signatures by this algorithm.
fn is_the_hosts(algorithm: Algorithm) -> bool {
    matches!(algorithm.name(), name if name.starts_with("RS") || name.starts_with("ES"))
}

/// The result of this in a callback, and how often the host was asked.
fn within<T: 'static>(host: &Host<Working>, work: impl FnOnce() -> T + 'static) -> (T, usize) {
    let result = Rc::new(Cell::new(None));
    let told = Rc::clone(&result);
    let calls = calls(host, move || told.set(Some(work())));
    (result.take().unwrap(), calls)
}

#[test]
fn the_rfcs_examples_verify_with_the_host() {
    let ((), asked) = within(&host(), || {
        for example in EXAMPLES {
            let (text, signature) = example.jws.rsplit_once('.').unwrap();
            let algorithm = example.algorithm.parse().unwrap();
            let keys = keys(example.jwk);
            let verify = |text: &str| keys.verify_text(algorithm, None, text.as_bytes(), signature);
            assert_eq!(verify(text), Ok(()), "{}", example.of);
            let other = format!("{text}A");
            assert_eq!(
                verify(&other),
                Err(VerifyError::BadSignature),
                "{}",
                example.of
            );
        }
    });
    // RS256 and ES512 twice, ES256; each with a text that was not signed.
    assert_eq!(asked, 10);
}

#[test]
fn every_algorithm_verifies_with_and_without_the_host() {
    let signer = Rc::new(Signer::new());
    let other = Rc::new(Signer::of(2));
    for &algorithm in Algorithm::ALL {
        let token = signer.token(algorithm, CLAIMS);
        for with_host in [true, false] {
            let host = if with_host { host() } else { host_without() };
            let (signer, other, token) = (signer.clone(), other.clone(), token.clone());
            let (results, asked) = within(&host, move || {
                let cut = token.rsplit_once('.').unwrap().0;
                let forged = format!("{cut}.{}", signer.sign(algorithm, &format!("{cut}x")));
                [
                    verify(&keys(&signer.jwk(algorithm)), &token),
                    verify(&keys(&signer.jwk(algorithm)), &forged),
                    verify(&keys(&other.jwk(algorithm)), &token),
                ]
            });
            let expected = match (algorithm, with_host) {
                (Algorithm::ES512, false) => {
                    [(); 3].map(|()| Err(VerifyError::Unsupported(algorithm)))
                }
                // There is one key of RSA alone.
                _ if matches!(algorithm.name().as_bytes(), [b'R' | b'P', ..]) => {
                    [Ok(()), Err(VerifyError::BadSignature), Ok(())]
                }
                _ => [
                    Ok(()),
                    Err(VerifyError::BadSignature),
                    Err(VerifyError::BadSignature),
                ],
            };
            assert_eq!(results, expected, "{algorithm}, host: {with_host}");
            let hosts = match (is_the_hosts(algorithm), with_host) {
                (false, _) => 0,
                (true, true) => 3,
                // It is asked once, and not again.
                (true, false) => 1,
            };
            assert_eq!(asked, hosts, "{algorithm}, host: {with_host}");
        }
    }
}

#[test]
fn what_is_supported_is_told_by_one_call() {
    let (support, asked) = within(&host(), crypto::support);
    assert_eq!(asked, 1);
    for &algorithm in Algorithm::ALL {
        let expected = if is_the_hosts(algorithm) {
            Verifier::Host
        } else {
            Verifier::Module
        };
        assert_eq!(support.of(algorithm), Some(expected), "{algorithm}");
    }

    let (support, asked) = within(&host_without(), crypto::support);
    assert_eq!(asked, 1);
    assert_eq!(support.of(Algorithm::RS256), Some(Verifier::Module));
    assert_eq!(support.of(Algorithm::ES512), None);
    // A host whose function takes nothing is one without.
    let refusing = host();
    refusing.set_foreign_function("verify_signature", |_| Ok(vec![]));
    let (support, _) = within(&refusing, crypto::support);
    assert_eq!(support.of(Algorithm::ES512), None);
}

#[test]
fn a_host_that_fails_or_lies_verifies_nothing() {
    let signer = Rc::new(Signer::new());
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::ES512] {
        let token = signer.token(algorithm, CLAIMS);
        for (what, answer) in [
            ("an empty answer", Answer::Bytes(vec![])),
            ("an answer that says no", Answer::Bytes(vec![8, 0])),
            ("garbage", Answer::Bytes(vec![0xff; 9])),
            ("an answer of another type", Answer::Bytes(vec![10, 1, 1])),
            ("half an answer", Answer::Bytes(vec![8])),
            ("nothing", Answer::Null),
            ("a failure", Answer::Status(10)),
            ("a bad argument", Answer::Status(2)),
        ] {
            let host = host();
            host.answer("proxy_call_foreign_function", answer);
            let (signer, token) = (signer.clone(), token.clone());
            let (result, _) = within(&host, move || verify(&keys(&signer.jwk(algorithm)), &token));
            let refused = matches!(
                result,
                Err(VerifyError::BadSignature
                    | VerifyError::Host(ForeignError::Host { .. } | ForeignError::Refused { .. }))
            );
            assert!(refused, "{algorithm}, {what}: {result:?}");
        }
    }
}

#[test]
fn a_failure_of_the_host_is_not_that_of_the_next_signature() {
    let signer = Signer::new();
    let token = signer.token(Algorithm::RS256, CLAIMS);
    let jwk = signer.jwk(Algorithm::RS256);
    let host = host();
    host.answer_nth("proxy_call_foreign_function", 1, Answer::Status(10));
    let (results, _) = within(&host, move || {
        let keys = keys(&jwk);
        [verify(&keys, &token), verify(&keys, &token)]
    });
    assert!(
        matches!(results, [Err(VerifyError::Host(_)), Ok(())]),
        "{results:?}"
    );
}

#[test]
fn a_key_without_an_id_is_found_among_others() {
    let (first, second) = (Signer::of(1), Signer::of(2));
    let algorithm = Algorithm::ES256;
    let both = format!("{},{}", first.jwk(algorithm), second.jwk(algorithm));
    let token = second.token(algorithm, CLAIMS);
    let (result, asked) = within(&host(), move || verify(&keys(&both), &token));
    assert_eq!((result, asked), (Ok(()), 2));
}
