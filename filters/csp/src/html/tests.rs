//! Whole pages, as they go through.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

mod corners;
mod pages;
#[cfg(not(target_arch = "wasm32"))]
mod random;
mod sights;

const NONCE: &str = "MTIzNDU2Nzg5MDEyMzQ1Ng==";

fn nonce() -> Nonce {
    Nonce::new(NONCE).unwrap()
}

/// A plan with the selectors of a list.
fn trusting(selectors: &str) -> Plan {
    Plan::new(None, vec![selectors.parse().unwrap()], None)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What becomes of a page that comes in these chunks.
fn pass<'a>(
    plan: &Plan,
    coding: Coding,
    charset: Option<&str>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Found), Failure> {
    let mut page = Page::new(plan, Some(&nonce()), coding, charset);
    let mut out = Vec::new();
    for chunk in chunks {
        page.push(chunk, &mut out)?;
    }
    let found = page.finish(&mut out)?;
    Ok((out, found))
}

/// What becomes of a page, whole and cut at each byte, compressed or not.
fn passes(plan: &Plan, charset: Option<&str>, page: &[u8]) -> (Vec<u8>, Found) {
    let whole = pass(plan, Coding::Identity, charset, [page]).unwrap();
    for (coding, body) in [
        (Coding::Identity, page.to_vec()),
        (Coding::Gzip, gzip(page)),
    ] {
        for at in 0..=body.len() {
            let (one, other) = body.split_at(at);
            let cut = pass(plan, coding, charset, [one, other]).unwrap();
            assert!(
                cut == whole,
                "{coding:?} cut at {at}: {cut:?} is not {whole:?}"
            );
        }
        let bytes = pass(plan, coding, charset, body.chunks(1)).unwrap();
        assert!(
            bytes == whole,
            "{coding:?} byte by byte: {bytes:?} is not {whole:?}"
        );
    }
    whole
}

/// What becomes of a page in UTF-8. Where the nonce is put there is `N`.
fn become_(plan: &Plan, page: &str) -> String {
    let (out, _) = passes(plan, Some("utf-8"), page.as_bytes());
    String::from_utf8(out).unwrap().replace(NONCE, "N")
}
