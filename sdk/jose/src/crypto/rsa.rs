//! RS* and PS*, in the module.

use jsonwebtoken::Algorithm;
use rsa::traits::SignatureScheme;
use rsa::{BigUint, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The longest modulus, in bits: as of keys.
const LONGEST: usize = 8192;

/// Whether the signature is good. `None` if the algorithm is none that is
/// carried.
pub(super) fn verify(
    algorithm: Algorithm,
    (n, e): (&[u8], &[u8]),
    text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = |scheme: Scheme, hash: Vec<u8>| {
        let (n, e) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
        let key = RsaPublicKey::new_with_max_size(n, e, LONGEST);
        key.is_ok_and(|key| scheme.verify(&key, &hash, signature))
    };
    Some(match algorithm {
        #[cfg(feature = "portable")]
        Algorithm::RS256 => key(Scheme::pkcs1::<Sha256>(), Sha256::digest(text).to_vec()),
        #[cfg(feature = "portable")]
        Algorithm::RS384 => key(Scheme::pkcs1::<Sha384>(), Sha384::digest(text).to_vec()),
        #[cfg(feature = "portable")]
        Algorithm::RS512 => key(Scheme::pkcs1::<Sha512>(), Sha512::digest(text).to_vec()),
        #[cfg(feature = "pss")]
        Algorithm::PS256 => key(Scheme::pss::<Sha256>(), Sha256::digest(text).to_vec()),
        #[cfg(feature = "pss")]
        Algorithm::PS384 => key(Scheme::pss::<Sha384>(), Sha384::digest(text).to_vec()),
        #[cfg(feature = "pss")]
        Algorithm::PS512 => key(Scheme::pss::<Sha512>(), Sha512::digest(text).to_vec()),
        _ => return None,
    })
}

enum Scheme {
    #[cfg(feature = "portable")]
    Pkcs1(rsa::Pkcs1v15Sign),
    #[cfg(feature = "pss")]
    Pss(rsa::Pss),
}

impl Scheme {
    #[cfg(feature = "portable")]
    fn pkcs1<H: Digest + rsa::pkcs8::AssociatedOid>() -> Self {
        Self::Pkcs1(rsa::Pkcs1v15Sign::new::<H>())
    }

    /// With a salt as long as the hash (RFC 7518 section 3.5).
    #[cfg(feature = "pss")]
    fn pss<H: 'static + Digest + sha2::digest::DynDigest + Send + Sync>() -> Self {
        Self::Pss(rsa::Pss::new::<H>())
    }

    fn verify(self, key: &RsaPublicKey, hash: &[u8], signature: &[u8]) -> bool {
        match self {
            #[cfg(feature = "portable")]
            Self::Pkcs1(scheme) => scheme.verify(key, hash, signature).is_ok(),
            #[cfg(feature = "pss")]
            Self::Pss(scheme) => scheme.verify(key, hash, signature).is_ok(),
        }
    }
}
