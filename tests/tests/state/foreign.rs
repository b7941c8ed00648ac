//! Envoy's own functions.

use anyhow::Result;
use legation_tests::{Request, Stage, envoy_binary, envoy_version};
use serde_json::json;

use crate::keys::{
    EC_PRIVATE_KEY, EC_PUBLIC_KEY, EC_SHA256, RSA_PRIVATE_KEY, RSA_PUBLIC_KEY, RSA_SHA256,
    RSA_SHA384, RSA_SHA512, TEXT,
};
use crate::{config, hex};

fn stage() -> Result<Stage> {
    Ok(Stage::start(&config(json!({}))?)?)
}

/// Calls a function with what stands in these headers: `x-key` and so on, in hex.
fn call(stage: &Stage, function: &str, given: &[(&str, &str)]) -> Result<String> {
    let mut request = Request::get(&format!("/foreign/{function}"));
    for (name, value) in given {
        request = request.header(&format!("x-{name}"), value);
    }
    Ok(stage.send(request)?.text())
}

fn verify(stage: &Stage, hash: &str, key: &str, signature: &str, text: &str) -> Result<String> {
    let given = [
        ("hash", hash),
        ("key", key),
        ("signature", signature),
        ("data", &hex(text)),
    ];
    call(stage, "verify", &given)
}

#[test]
fn verifies_what_openssl_signed() -> Result<()> {
    let stage = stage()?;
    for (hash, key, signature) in [
        ("256", RSA_PUBLIC_KEY, RSA_SHA256),
        ("384", RSA_PUBLIC_KEY, RSA_SHA384),
        ("512", RSA_PUBLIC_KEY, RSA_SHA512),
        ("256", EC_PUBLIC_KEY, EC_SHA256),
    ] {
        assert_eq!(verify(&stage, hash, key, signature, TEXT)?, "Ok(true)");
    }
    Ok(())
}

#[test]
fn what_is_no_signature_is_false() -> Result<()> {
    let stage = stage()?;
    let short = &RSA_SHA256[..RSA_SHA256.len() - 2];
    for (hash, key, signature, text) in [
        ("256", RSA_PUBLIC_KEY, RSA_SHA256, "another text"),
        ("512", RSA_PUBLIC_KEY, RSA_SHA256, TEXT),
        ("256", RSA_PUBLIC_KEY, RSA_SHA512, TEXT),
        ("256", RSA_PUBLIC_KEY, EC_SHA256, TEXT),
        ("256", EC_PUBLIC_KEY, RSA_SHA256, TEXT),
        ("256", RSA_PUBLIC_KEY, short, TEXT),
        ("256", RSA_PUBLIC_KEY, "", TEXT),
        ("256", EC_PUBLIC_KEY, "", ""),
        ("256", "00", RSA_SHA256, TEXT),
    ] {
        assert_eq!(verify(&stage, hash, key, signature, text)?, "Ok(false)");
    }
    // No key at all is refused by Envoy 1.40, and no signature by it to 1.36.
    let without_key = verify(&stage, "256", "", RSA_SHA256, TEXT)?;
    assert!(
        without_key == "Ok(false)" || without_key.contains("the key cannot be read"),
        "{without_key}"
    );
    Ok(())
}

#[test]
fn signs_as_openssl_does_where_envoy_can() -> Result<()> {
    let stage = stage()?;
    let sign = |key: &str| call(&stage, "sign", &[("key", key), ("data", &hex(TEXT))]);

    if !can_sign()? {
        for _ in 0..2 {
            assert_eq!(
                sign(RSA_PRIVATE_KEY)?,
                "the host has no foreign function `sign`"
            );
        }
        return Ok(());
    }
    // PKCS #1 v1.5 has one signature; of ECDSA's many the host's own is verified.
    assert_eq!(sign(RSA_PRIVATE_KEY)?, RSA_SHA256);
    let signed = sign(EC_PRIVATE_KEY)?;
    assert_eq!(
        verify(&stage, "256", EC_PUBLIC_KEY, &signed, TEXT)?,
        "Ok(true)"
    );
    for key in ["", "00", EC_PUBLIC_KEY] {
        let refused = sign(key)?;
        assert!(
            refused.starts_with("foreign function `sign`: "),
            "{refused}"
        );
    }
    Ok(())
}

/// From 1.37 on.
fn can_sign() -> Result<bool> {
    Ok(!envoy_version(&envoy_binary()?)?.starts_with("1.36."))
}

#[test]
fn the_functions_that_there_are_can_be_asked_for() -> Result<()> {
    let said = call(&stage()?, "supported", &[])?;

    let expected = [
        "verify_signature",
        if can_sign()? { "sign " } else { "" },
        "compress uncompress set_envoy_filter_state clear_route_cache declare_property \
         expr_create expr_evaluate expr_delete",
    ];
    assert_eq!(said, expected.join(" ").replace("  ", " "));
    Ok(())
}

#[test]
fn a_function_that_there_is_not_is_nothing() -> Result<()> {
    let stage = stage()?;
    assert_eq!(call(&stage, "no_such_function", &[])?, "Ok(None)");
    assert_eq!(call(&stage, "no_such_function", &[])?, "Ok(None)");
    Ok(())
}

#[test]
fn what_is_compressed_comes_back() -> Result<()> {
    let stage = stage()?;
    for data in [
        vec![],
        b"a".to_vec(),
        TEXT.repeat(9).into(),
        vec![0; 20_000],
    ] {
        let data = hex(data);

        let small = call(&stage, "compress", &[("data", &data)])?;
        let back = call(&stage, "uncompress", &[("data", &small)])?;

        assert!(small.starts_with("78"), "{small} is not in zlib's form");
        assert_eq!(back, data);
    }
    Ok(())
}

#[test]
fn what_was_not_compressed_or_is_too_much_is_refused() -> Result<()> {
    let stage = stage()?;
    let whole = call(&stage, "compress", &[("data", &hex(TEXT))])?;
    // No prefix of it has the host search for an end that never comes.
    for end in (0..whole.len()).step_by(2) {
        let refused = call(&stage, "uncompress", &[("data", &whole[..end])])?;
        assert_eq!(
            refused, "foreign function `uncompress`: the bytes are not in zlib's form",
            "the first {end} digits"
        );
    }
    let too_much = call(&stage, "uncompress", &[("data", &hex([0; 1_001]))])?;
    assert_eq!(
        too_much,
        "foreign function `uncompress`: 1001 bytes, and 1000 are allowed"
    );
    Ok(())
}

#[test]
fn expressions_are_evaluated_for_the_request() -> Result<()> {
    let stage = stage()?;
    let evaluate = |text: &str| call(&stage, "expression", &[("data", &hex(text))]);
    assert_eq!(evaluate("request.path + '!'")?, hex("/foreign/expression!"));
    assert_eq!(evaluate("size(request.method) == 3")?, "01");
    assert_eq!(evaluate("1 + 1")?, hex(2_i64.to_le_bytes()));
    assert_eq!(
        evaluate("1 +")?,
        "foreign function `expr_create`: the expression cannot be parsed"
    );
    assert_eq!(
        evaluate("response.code == 200")?,
        "foreign function `expr_evaluate`: internal failure"
    );
    Ok(())
}
