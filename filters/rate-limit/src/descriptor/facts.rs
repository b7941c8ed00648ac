//! Attributes of a request, asked for once.

use std::borrow::Cow;
use std::net::IpAddr;

use legation::format::ValueSource;
use legation::format::attributes::Path;
use legation::matcher::RequestView;
use serde_json::Value as Json;
use smallvec::SmallVec;

use super::Value;

/// What was asked for so far.
#[derive(Default)]
pub(super) struct Facts {
    attributes: SmallVec<[(Path, Option<Vec<u8>>); 2]>,
    payloads: SmallVec<[(Path, Option<Json>); 1]>,
}

impl Facts {
    pub(super) fn attribute<V: ValueSource>(
        &mut self,
        view: &mut V,
        path: &Path,
    ) -> Result<Option<&[u8]>, V::Error> {
        let known = self.attributes.iter().position(|(own, _)| own == path);
        let index = if let Some(index) = known {
            index
        } else {
            let value = view.attribute(path)?.map(Cow::into_owned);
            self.attributes.push((path.clone(), value));
            self.attributes.len().saturating_sub(1)
        };
        let found = self.attributes.get(index);
        Ok(found.and_then(|(_, value)| value.as_deref()))
    }

    /// The text of a claim: of a string, a number or a truth value.
    pub(super) fn claim<V: ValueSource>(
        &mut self,
        view: &mut V,
        path: &Path,
        claim: &[Box<str>],
    ) -> Result<Option<Value>, V::Error> {
        let known = self.payloads.iter().position(|(own, _)| own == path);
        let index = if let Some(index) = known {
            index
        } else {
            let text = self.attribute(view, path)?;
            let payload = text.and_then(|text| serde_json::from_slice(text).ok());
            self.payloads.push((path.clone(), payload));
            self.payloads.len().saturating_sub(1)
        };
        let payload = self.payloads.get(index);
        let payload = payload.and_then(|(_, payload)| payload.as_ref());
        let value = claim
            .iter()
            .try_fold(payload, |value, name| Some(value?.get(&**name)));
        Ok(match value.flatten() {
            Some(Json::String(text)) => Some(Value::from_slice(text.as_bytes())),
            Some(Json::Number(number)) => Some(super::written(number)),
            Some(Json::Bool(flag)) => Some(super::written(flag)),
            _ => None,
        })
    }

    /// A request whose attributes are these where they are known.
    pub(super) fn over<'a, V>(&'a mut self, view: &'a mut V) -> Known<'a, V> {
        Known { facts: self, view }
    }
}

/// A request with what is known of it.
pub(super) struct Known<'a, V> {
    facts: &'a mut Facts,
    view: &'a mut V,
}

impl<V: ValueSource> RequestView for Known<'_, V> {
    type Error = V::Error;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, V::Error> {
        self.view.header(name)
    }

    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, V::Error> {
        self.view.any_header(name, test)
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, V::Error> {
        self.view.source_address()
    }

    fn random(&mut self) -> Result<u64, V::Error> {
        self.view.random()
    }
}

impl<V: ValueSource> ValueSource for Known<'_, V> {
    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>, V::Error> {
        self.view.response_header(name)
    }

    fn response_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, V::Error> {
        self.view.response_trailer(name)
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>, V::Error> {
        let value = self.facts.attribute(self.view, path)?;
        Ok(value.map(Cow::Borrowed))
    }
}
