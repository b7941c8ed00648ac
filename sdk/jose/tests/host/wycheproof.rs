//! The vectors of Project Wycheproof that are of JOSE's algorithms, by the host
//! and by the module.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use legation_jose::{Algorithm, KeySet};
use wycheproof::{HashFunction, TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use crate::working::{calls, host, host_without};

/// Whether one signature is taken.
fn takes(keys: &KeySet, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    let signature = URL_SAFE_NO_PAD.encode(signature);
    keys.verify_text(algorithm, None, text, &signature).is_ok()
}

fn pem(label: &str, der: &[u8]) -> Option<KeySet> {
    let body = STANDARD.encode(der);
    let text = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----");
    KeySet::from_pem(text.as_bytes()).ok()
}

/// With the host, and where it has no function.
fn by_both(check: fn()) {
    calls(&host(), check);
    calls(&host_without(), check);
}

/// What is neither valid nor invalid is refused.
fn check(taken: bool, result: TestResult, id: impl std::fmt::Display) {
    assert_eq!(taken, result == TestResult::Valid, "{id}");
}

#[test]
fn rsa_with_pkcs1_padding() {
    use rsa_pkcs1_verify::TestName;
    fn vectors() {
        let mut tested = 0;
        for name in TestName::all() {
            for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
                let algorithm = match group.hash {
                    HashFunction::Sha2_256 => Algorithm::RS256,
                    HashFunction::Sha2_384 => Algorithm::RS384,
                    HashFunction::Sha2_512 => Algorithm::RS512,
                    _ => continue,
                };
                let keys = pem("PUBLIC KEY", &group.der);
                for test in &group.tests {
                    let Some(keys) = &keys else {
                        assert!(group.key_size < 2048, "{name:?}");
                        continue;
                    };
                    let taken = takes(keys, algorithm, &test.msg, &test.sig);
                    check(taken, test.result, format_args!("{name:?} {}", test.tc_id));
                    tested += 1;
                }
            }
        }
        assert!(tested > 2000, "{tested}");
    }
    by_both(vectors);
}

#[test]
fn rsa_with_pss_padding() {
    use rsa_pss_verify::TestName;
    use wycheproof::Mgf;
    let mut tested = 0;
    let mut valid = 0;
    for name in TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let (algorithm, length) = match group.hash {
                HashFunction::Sha2_256 => (Algorithm::PS256, 32),
                HashFunction::Sha2_384 => (Algorithm::PS384, 48),
                HashFunction::Sha2_512 => (Algorithm::PS512, 64),
                _ => continue,
            };
            let ours = group.mgf == Mgf::Mgf1
                && group.mgf_hash.as_ref() == Some(&group.hash)
                && group.salt_size == length;
            let Some(keys) = pem("RSA PUBLIC KEY", &group.asn_key) else {
                assert!(group.key_size < 2048, "{name:?}");
                continue;
            };
            for test in &group.tests {
                let taken = takes(&keys, algorithm, &test.msg, &test.sig);
                // One that is valid with another salt or hash is none of ours; of
                // those that are not, some are ours.
                if ours || test.result == TestResult::Valid {
                    let expected = ours && test.result == TestResult::Valid;
                    assert_eq!(taken, expected, "{name:?} {}", test.tc_id);
                }
                tested += 1;
                valid += usize::from(taken);
            }
        }
    }
    assert!(tested > 800 && valid > 300, "{tested} {valid}");
}

#[test]
fn ecdsa_with_two_numbers_side_by_side() {
    use ecdsa::TestName as Name;
    const SETS: [(Name, Algorithm); 3] = [
        (Name::EcdsaSecp256r1Sha256P1363, Algorithm::ES256),
        (Name::EcdsaSecp384r1Sha384P1363, Algorithm::ES384),
        (Name::EcdsaSecp521r1Sha512P1363, Algorithm::ES512),
    ];
    fn vectors(sets: &[(Name, Algorithm)]) {
        for (name, algorithm) in sets {
            let mut tested = 0;
            for group in ecdsa::TestSet::load(*name).unwrap().test_groups {
                let keys = pem("PUBLIC KEY", &group.der).unwrap();
                for test in &group.tests {
                    let taken = takes(&keys, *algorithm, &test.msg, &test.sig);
                    check(taken, test.result, format_args!("{name:?} {}", test.tc_id));
                    tested += 1;
                }
            }
            assert!(tested > 150, "{name:?} {tested}");
        }
    }
    calls(&host(), || vectors(&SETS));
    calls(&host_without(), || vectors(&SETS[..2]));
}

#[test]
fn eddsa_with_ed25519() {
    let mut tested = 0;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let keys = pem("PUBLIC KEY", &group.der).unwrap();
        for test in &group.tests {
            let taken = takes(&keys, Algorithm::EdDSA, &test.msg, &test.sig);
            check(taken, test.result, test.tc_id);
            tested += 1;
        }
    }
    assert!(tested > 100, "{tested}");
}

#[test]
fn hmac_whole_and_with_a_long_enough_secret() {
    use mac::TestName as Name;
    for (name, algorithm, length) in [
        (Name::HmacSha256, Algorithm::HS256, 32),
        (Name::HmacSha384, Algorithm::HS384, 48),
        (Name::HmacSha512, Algorithm::HS512, 64),
    ] {
        let mut valid = 0;
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let taken = KeySet::from_secret(&test.key)
                    .is_ok_and(|keys| takes(&keys, algorithm, &test.msg, &test.tag));
                let expected = test.result == TestResult::Valid
                    && test.key.len() >= length
                    && test.tag.len() == length;
                assert_eq!(taken, expected, "{name:?} {}", test.tc_id);
                valid += usize::from(taken);
            }
        }
        assert!(valid >= 30, "{name:?} {valid}");
    }
}
