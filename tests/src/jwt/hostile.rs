//! Tokens that nobody should accept, made from one that everybody should.

use serde_json::{Value, json};

use super::claims::{Claims, compact};
use super::key::Key;
use super::{base64, base64url, from_base64url};

/// A token that must be refused, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What is wrong, in words.
    pub what: &'static str,
    /// The token.
    pub token: String,
}

/// What can be made of a good token without its key, and what its key's owner should not make.
///
/// The key is an asymmetric one that the verifier trusts under its `kid`; every token here breaks RFC 7515,
/// 7519 or 8725.
pub fn hostile(claims: &Claims, key: &Key) -> Vec<Hostile> {
    let good = claims.signed_by(key);
    let mut all = Vec::new();
    let mut add = |what, token| all.push(Hostile { what, token });
    let algorithm = key.algorithm();
    let header = claims.complete_header(key, algorithm);
    let payload = claims.to_value().to_string();
    let sign = |input: &[u8]| key.sign(algorithm, input);
    let [first, second, third] = parts(&good);

    // Its shape.
    add("empty token", String::new());
    add("one part", first.to_owned());
    add("two parts", format!("{first}.{second}"));
    add("two parts and a dot", format!("{first}.{second}."));
    add("four parts", format!("{good}.{third}"));
    add("a dot behind", format!("{good}."));
    add("a dot before", format!(".{good}"));
    add("two dots in a row", format!("{first}..{second}.{third}"));
    add("empty header", format!(".{second}.{third}"));
    add("empty payload", format!("{first}..{third}"));
    add("five parts as a JWE", format!("{good}.AAAA.AAAA"));

    // Its base64url.
    add("padded signature", padded(first, second, third));
    add(
        "stray bits in the signature",
        [first, second, &stray_bits(third)].join("."),
    );
    add("ordinary base64 in the signature", {
        let bytes = from_base64url(third);
        let text = base64([&[0xfb, 0xef][..], &bytes[2..]].concat());
        format!("{first}.{second}.{}", text.trim_end_matches('='))
    });
    add("a space in the payload", {
        let (before, after) = second.split_at(4);
        format!("{first}.{before} {after}.{third}")
    });
    add("a star in the header", {
        format!("*{}.{second}.{third}", &first[1..])
    });

    // Its signature.
    add("another payload", {
        let other = claims.clone().claim("sub", "mallory").to_value();
        format!("{first}.{}.{third}", base64url(other.to_string()))
    });
    add("one bit of the signature", {
        let mut bytes = from_base64url(third);
        bytes[0] ^= 1;
        format!("{first}.{second}.{}", base64url(bytes))
    });
    add("short signature", {
        let bytes = from_base64url(third);
        format!("{first}.{second}.{}", base64url(&bytes[..bytes.len() - 1]))
    });
    add("long signature", {
        let bytes = [from_base64url(third), vec![0]].concat();
        format!("{first}.{second}.{}", base64url(bytes))
    });
    add("signature of zeros", {
        let bytes = vec![0; from_base64url(third).len()];
        format!("{first}.{second}.{}", base64url(bytes))
    });

    // Its algorithm.
    for (what, name) in [
        ("alg none", "none"),
        ("alg None", "None"),
        ("alg NONE", "NONE"),
        ("alg nOnE", "nOnE"),
    ] {
        let unsigned = claims.clone().header("alg", name).complete_header(key, "");
        let input = format!("{}.{}", base64url(&unsigned), base64url(&payload));
        add(what, format!("{input}."));
        add(what, compact(&unsigned, &payload, sign));
    }
    for (what, value) in [
        ("alg in lower case", json!(algorithm.to_lowercase())),
        ("alg of a space more", json!(format!("{algorithm} "))),
        ("empty alg", json!("")),
        ("unknown alg", json!("XX256")),
        ("alg a number", json!(256)),
        ("alg a list", json!([algorithm])),
        ("no alg", Value::Null),
    ] {
        add(what, claims.clone().header("alg", value).signed_by(key));
    }
    for (what, secret) in [
        (
            "HS256 by the public key's PEM",
            key.public_pem().into_bytes(),
        ),
        ("HS256 by the public key's DER", key.public_der()),
        (
            "HS256 by the public key's JWK",
            key.jwk().to_string().into_bytes(),
        ),
        ("HS256 by an empty secret", Vec::new()),
    ] {
        let secret = Key::hmac(secret);
        let confused = claims.clone().header("kid", json!(key.id()));
        add(what, confused.signed_as(&secret, "HS256"));
    }

    // Its header.
    for (what, name, value) in [
        ("crit of what nobody knows", "crit", json!(["exp"])),
        ("empty crit", "crit", json!([])),
        ("b64", "b64", json!(false)),
        ("kid a number", "kid", json!(1)),
        ("kid a list", "kid", json!(["a"])),
        ("typ a number", "typ", json!(1)),
    ] {
        add(what, claims.clone().header(name, value).signed_by(key));
    }
    let attacker = Key::fresh();
    let by_attacker = claims.clone().header("kid", json!(key.id()));
    add(
        "an embedded jwk",
        by_attacker
            .clone()
            .header("jwk", attacker.jwk())
            .signed_by(&attacker),
    );
    for (what, name) in [("jku", "jku"), ("x5u", "x5u")] {
        let url = "http://127.0.0.1:1/keys";
        let token = by_attacker.clone().header(name, url).signed_by(&attacker);
        add(what, token);
    }
    add("signed by another key", by_attacker.signed_by(&attacker));
    add("alg twice", {
        let twice = header.replacen('{', r#"{"alg":"none","#, 1);
        compact(twice, &payload, sign)
    });
    for (what, text) in [
        ("header a list", "[]"),
        ("header a string", "\"\""),
        ("header no JSON", "{"),
        ("header null", "null"),
    ] {
        add(what, compact(text, &payload, sign));
    }
    add("bytes behind the header", {
        compact(format!("{header}x"), &payload, sign)
    });

    // Its payload.
    for (what, text) in [
        ("payload a list", "[]".to_owned()),
        ("payload a string", "\"\"".to_owned()),
        ("payload no JSON", "{".to_owned()),
        ("payload null", "null".to_owned()),
        ("bytes behind the payload", format!("{payload}x")),
        (
            "sub twice",
            payload.replacen('{', r#"{"sub":"mallory","#, 1),
        ),
        (
            "a member twice, deep inside",
            payload.replacen('{', r#"{"deep":{"a":1,"a":2},"#, 1),
        ),
        ("nested a thousand deep", {
            let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
            payload.replacen('{', &format!(r#"{{"deep":{deep},"#), 1)
        }),
    ] {
        add(what, compact(&header, text, sign));
    }
    add("payload no UTF-8", {
        let mut bytes = payload.replacen('{', r#"{"x":"?","#, 1).into_bytes();
        bytes[6] = 0xff;
        compact(&header, bytes, sign)
    });
    add("payload begins with a byte order mark", {
        compact(&header, format!("\u{feff}{payload}"), sign)
    });
    all
}

fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().expect("a token has three parts")
}

fn padded(first: &str, second: &str, third: &str) -> String {
    let padding = "=".repeat((4 - third.len() % 4) % 4);
    // Where a signature needs no padding, too much of it.
    let padding = if padding.is_empty() { "=" } else { &padding };
    format!("{first}.{second}.{third}{padding}")
}

/// The same bytes, with bits set in the last character that no byte has. Where all its bits
/// are used (a length that three divides), one character too many.
fn stray_bits(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if text.len().is_multiple_of(4) {
        return format!("{text}A");
    }
    let (rest, last) = text.split_at(text.len() - 1);
    let at = ALPHABET
        .iter()
        .position(|one| *one == last.as_bytes()[0])
        .expect("the text is base64url");
    format!("{rest}{}", char::from(ALPHABET[at | 1]))
}
