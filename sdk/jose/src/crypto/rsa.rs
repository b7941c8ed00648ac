//! RS* and PS*, in the module.

use jsonwebtoken::Algorithm;
use sha2::Digest;
#[cfg(any(feature = "portable", feature = "pss"))]
use sha2::{Sha256, Sha384, Sha512};

use super::modulus::Modulus;

/// Whether the signature is good. `None` if the algorithm is none that is
/// carried.
pub(super) fn verify(
    algorithm: Algorithm,
    (n, e): (&[u8], &[u8]),
    text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let check: fn(&Encoded, &[u8]) -> bool = match algorithm {
        #[cfg(feature = "portable")]
        Algorithm::RS256 => |encoded, text| encoded.is_pkcs1(&SHA256, &Sha256::digest(text)),
        #[cfg(feature = "portable")]
        Algorithm::RS384 => |encoded, text| encoded.is_pkcs1(&SHA384, &Sha384::digest(text)),
        #[cfg(feature = "portable")]
        Algorithm::RS512 => |encoded, text| encoded.is_pkcs1(&SHA512, &Sha512::digest(text)),
        #[cfg(feature = "pss")]
        Algorithm::PS256 => |encoded, text| encoded.is_pss::<Sha256>(text).is_some(),
        #[cfg(feature = "pss")]
        Algorithm::PS384 => |encoded, text| encoded.is_pss::<Sha384>(text).is_some(),
        #[cfg(feature = "pss")]
        Algorithm::PS512 => |encoded, text| encoded.is_pss::<Sha512>(text).is_some(),
        _ => return None,
    };
    Some(Encoded::of(n, e, signature).is_some_and(|encoded| check(&encoded, text)))
}

/// What was signed, as it was padded.
struct Encoded {
    /// As many bytes as the modulus has.
    bytes: Vec<u8>,
    /// The modulus' length, in bits.
    #[cfg(feature = "pss")]
    bits: usize,
}

impl Encoded {
    /// RSAVP1 (RFC 8017 section 5.2.2) of a signature as long as the modulus.
    fn of(n: &[u8], e: &[u8], signature: &[u8]) -> Option<Self> {
        if signature.len() != n.len() || e.len() > 8 {
            return None;
        }
        let exponent = e.iter().fold(0, |e, &byte| e << 8 | u64::from(byte));
        if exponent < 3 || exponent & 1 == 0 {
            return None;
        }
        let modulus = Modulus::new(n)?;
        let power = modulus.power(&modulus.residue(signature)?, exponent);
        let mut bytes = modulus.bytes(&power);
        // What the limbs have over the modulus' bytes is zero.
        bytes.drain(..bytes.len().checked_sub(n.len())?);
        Some(Self {
            bytes,
            #[cfg(feature = "pss")]
            bits: modulus.bits(),
        })
    }

    /// EMSA-PKCS1-v1_5 (section 9.2): there is one right encoding, and it is
    /// compared whole.
    #[cfg(feature = "portable")]
    fn is_pkcs1(&self, digest_info: &[u8], hash: &[u8]) -> bool {
        let tail = digest_info.len().saturating_add(hash.len());
        let Some(filling) = self.bytes.len().checked_sub(tail.saturating_add(3)) else {
            return false;
        };
        let expected = [&[0, 1][..], &vec![0xff; filling], &[0], digest_info, hash];
        filling >= 8 && expected.concat() == self.bytes
    }

    /// EMSA-PSS (section 9.1.2) with a salt as long as the hash (RFC 7518 section
    /// 3.5) and MGF1 of the same hash.
    #[cfg(feature = "pss")]
    fn is_pss<H: Digest>(&self, text: &[u8]) -> Option<()> {
        let length = <H as Digest>::output_size();
        let bits = self.bits.checked_sub(1)?;
        // A byte shorter than the modulus where that begins with a single bit.
        let (over, encoded) = self
            .bytes
            .split_at_checked(self.bytes.len().checked_sub(bits.div_ceil(8))?)?;
        let (&trailer, encoded) = encoded.split_last()?;
        let (masked, hash) = encoded.split_at_checked(encoded.len().checked_sub(length)?)?;
        let unused = encoded
            .len()
            .saturating_add(1)
            .saturating_mul(8)
            .saturating_sub(bits);
        let used = 0xff_u8 >> unused;
        if trailer != 0xbc || over.iter().any(|&byte| byte != 0) || masked.first()? & !used != 0 {
            return None;
        }
        let mut data: Vec<u8> = (masked.iter().zip(mgf1::<H>(hash)))
            .map(|(masked, mask)| masked ^ mask)
            .collect();
        *data.first_mut()? &= used;
        let (filling, salt) = data.split_at_checked(data.len().checked_sub(length)?)?;
        let (&one, zeros) = filling.split_last()?;
        let expected = H::new()
            .chain_update([0; 8])
            .chain_update(H::digest(text))
            .chain_update(salt)
            .finalize();
        let padded = one == 1 && zeros.iter().all(|&byte| byte == 0);
        (padded && *expected == *hash).then_some(())
    }
}

/// MGF1 (appendix B.2.1), without end.
#[cfg(feature = "pss")]
fn mgf1<H: Digest>(seed: &[u8]) -> impl Iterator<Item = u8> {
    (0_u32..).flat_map(move |counter| {
        H::new()
            .chain_update(seed)
            .chain_update(counter.to_be_bytes())
            .finalize()
    })
}

/// What stands before a hash: a `DigestInfo` up to it (section 9.2, note 1).
#[cfg(feature = "portable")]
const SHA256: [u8; 19] = digest_info(1, 32);
#[cfg(feature = "portable")]
const SHA384: [u8; 19] = digest_info(2, 48);
#[cfg(feature = "portable")]
const SHA512: [u8; 19] = digest_info(3, 64);

#[cfg(feature = "portable")]
const fn digest_info(arc: u8, length: u8) -> [u8; 19] {
    #[rustfmt::skip]
    let info = [
        0x30, length.saturating_add(17),
            0x30, 0x0d,
                // 2.16.840.1.101.3.4.2.ARC
                0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc,
                0x05, 0x00,
            0x04, length,
    ];
    info
}
