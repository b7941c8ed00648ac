//! HS*, in the module.

use hmac::{Hmac, Mac};
use jsonwebtoken::Algorithm;
use sha2::{Sha256, Sha384, Sha512};

/// The code of a text. `None` if the algorithm is none of HS*.
pub(super) fn sign(algorithm: Algorithm, secret: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    Some(match algorithm {
        Algorithm::HS256 => start::<Hmac<Sha256>>(secret, text)?
            .finalize()
            .into_bytes()
            .to_vec(),
        Algorithm::HS384 => start::<Hmac<Sha384>>(secret, text)?
            .finalize()
            .into_bytes()
            .to_vec(),
        Algorithm::HS512 => start::<Hmac<Sha512>>(secret, text)?
            .finalize()
            .into_bytes()
            .to_vec(),
        _ => return None,
    })
}

/// Whether it is the text's code, compared in constant time.
pub(super) fn verify(algorithm: Algorithm, secret: &[u8], text: &[u8], code: &[u8]) -> bool {
    fn is<M: Mac + hmac::digest::KeyInit>(secret: &[u8], text: &[u8], code: &[u8]) -> bool {
        start::<M>(secret, text).is_some_and(|mac| mac.verify_slice(code).is_ok())
    }
    match algorithm {
        Algorithm::HS256 => is::<Hmac<Sha256>>(secret, text, code),
        Algorithm::HS384 => is::<Hmac<Sha384>>(secret, text, code),
        Algorithm::HS512 => is::<Hmac<Sha512>>(secret, text, code),
        _ => false,
    }
}

fn start<M: Mac + hmac::digest::KeyInit>(secret: &[u8], text: &[u8]) -> Option<M> {
    let mut mac = <M as Mac>::new_from_slice(secret).ok()?;
    mac.update(text);
    Some(mac)
}
