//! The client's address, behind proxies that are trusted.

use std::net::IpAddr;

use legation::format::ValueSource;
use legation::matcher::{self, parse_address};
use smallvec::SmallVec;

/// The client's address: with trusted hops, what the last of them but so many wrote
/// into `x-forwarded-for`. What stands before that, anyone may have written.
///
/// Envoy has added the address of its own peer to the header by then, or it was
/// told that a proxy did: so for one trusted hop it is the second from the right. It
/// is `source.address` where there are not so many or it is no address, as in Envoy.
pub(super) fn address<V: ValueSource>(
    request: &mut matcher::Request<'_, V>,
    trusted_hops: u32,
) -> Result<Option<IpAddr>, V::Error> {
    if trusted_hops > 0
        && let Some(address) = forwarded(request, trusted_hops)?
    {
        return Ok(Some(address.to_canonical()));
    }
    request.source_address()
}

fn forwarded<V: ValueSource>(
    request: &mut matcher::Request<'_, V>,
    trusted_hops: u32,
) -> Result<Option<IpAddr>, V::Error> {
    let hops = usize::try_from(trusted_hops).unwrap_or(usize::MAX);
    // The last addresses, as many as count: the first of them is the client's.
    let mut last: SmallVec<[Option<IpAddr>; 4]> = SmallVec::new();
    request.view().any_header("x-forwarded-for", &mut |value| {
        let entries = value.rsplit(|byte| *byte == b',');
        let own: SmallVec<[_; 4]> = entries.take(hops.saturating_add(1)).collect();
        for entry in own.iter().rev() {
            if last.len() > hops {
                last.remove(0);
            }
            last.push(parse_address(entry.trim_ascii()));
        }
        false
    })?;
    let client = last.first().filter(|_| last.len() > hops);
    Ok(client.copied().flatten())
}
