//! Headers that are added: to refusals, and to requests that are let on.

use legation::http::HeaderName;
use legation::{RequestHeaders, Result};

use crate::config::{AppendAction, HeaderToAdd, HeadersToAdd};

/// Headers to add, with values made of the request.
#[derive(Debug)]
pub(crate) struct Additions(Box<[HeaderToAdd]>);

impl Additions {
    pub(crate) fn new(headers: HeadersToAdd) -> Self {
        Self(headers.0.into())
    }

    /// Adds them to a request.
    pub(crate) fn add_to_request(&self, request: &mut RequestHeaders) -> Result<()> {
        for header in &self.0 {
            let Some(value) = value(header, request)? else {
                continue;
            };
            let (headers, name) = (request.headers(), &header.name);
            match header.append_action {
                AppendAction::AppendIfExistsOrAdd => headers.append(name, value)?,
                AppendAction::OverwriteIfExistsOrAdd => headers.set(name, value)?,
                AppendAction::AddIfAbsent => {
                    headers.add_if_absent(name, value)?;
                }
                AppendAction::OverwriteIfExists => {
                    headers.overwrite_if_exists(name, value)?;
                }
            }
        }
        Ok(())
    }

    /// Adds them to the headers of a reply.
    pub(crate) fn add_to_reply(
        &self,
        reply: &mut Vec<(HeaderName, Vec<u8>)>,
        request: &mut RequestHeaders,
    ) -> Result<()> {
        for header in &self.0 {
            let Some(value) = value(header, request)? else {
                continue;
            };
            let name = &header.name;
            let is_there = reply.iter().any(|(own, _)| own == name);
            match (header.append_action, is_there) {
                (AppendAction::AddIfAbsent, true) | (AppendAction::OverwriteIfExists, false) => {
                    continue;
                }
                (AppendAction::OverwriteIfExistsOrAdd | AppendAction::OverwriteIfExists, _) => {
                    reply.retain(|(own, _)| own != name);
                }
                (AppendAction::AppendIfExistsOrAdd, _) | (AppendAction::AddIfAbsent, false) => {}
            }
            reply.push((name.clone(), value));
        }
        Ok(())
    }
}

/// A header's value for a request; `None` where it is left out.
fn value(header: &HeaderToAdd, request: &mut RequestHeaders) -> Result<Option<Vec<u8>>> {
    let mut value = Vec::new();
    header.value.render(request, &mut value)?;
    Ok((header.keep_empty_value || !value.is_empty()).then_some(value))
}
