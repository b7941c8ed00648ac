//! PEM (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{Key, KeyError};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Each block's key, in order, or why it is none. Text between the blocks is
/// passed over.
pub(crate) fn keys(text: &str) -> Vec<Result<Key, KeyError>> {
    let mut keys = Vec::new();
    let mut block: Option<(&str, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = label(line, BEGIN) {
            if block.is_some() {
                keys.push(Err(KeyError::Malformed));
            }
            block = Some((label, String::new()));
        } else if let Some(ended) = label(line, END) {
            keys.push(match block.take() {
                Some((begun, body)) if begun == ended => key(begun, &body),
                _ => Err(KeyError::Malformed),
            });
        } else if let Some((_, body)) = &mut block {
            body.push_str(line);
        }
    }
    if block.is_some() {
        keys.push(Err(KeyError::Malformed));
    }
    keys
}

fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(DASHES)
}

fn key(label: &str, body: &str) -> Result<Key, KeyError> {
    if label.ends_with("PRIVATE KEY") {
        return Err(KeyError::Private);
    }
    let read: fn(&[u8]) -> Result<Key, KeyError> = match label {
        "PUBLIC KEY" => Key::from_spki,
        "RSA PUBLIC KEY" => Key::from_pkcs1,
        "CERTIFICATE" => Key::from_certificate,
        _ => return Err(KeyError::UnknownType),
    };
    read(&STANDARD.decode(body).map_err(|_| KeyError::Malformed)?)
}
