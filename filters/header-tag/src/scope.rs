//! A message with what the rules know of it beside what is in it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use legation::format::attributes::Path;
use legation::format::{OwnOperator, ValueSource};
use legation::http::HeaderName;
use legation::matcher::{self, Holds, RequestView, normalize_path};
use serde_json::Value as Json;

use crate::buckets::{Assigned, Buckets};
use crate::config::{BUCKET, Condition, When};
use crate::message::{Message, Request, Response};

/// A message, the buckets it is found to be in, and the rule that looks at it.
pub(crate) struct Scope<'a, M> {
    message: &'a mut M,
    buckets: &'a Buckets,
    assigned: Assigned,
    /// The payload that a claim was read from last: others are mostly of the same.
    payload: Option<(Path, Option<Rc<Json>>)>,
    /// The condition of the rule that is applied.
    pub(crate) when: Option<&'a When>,
}

impl<'a, M: Message> Scope<'a, M> {
    pub(crate) fn new(message: &'a mut M, buckets: &'a Buckets, assigned: Assigned) -> Self {
        Self {
            message,
            buckets,
            assigned,
            payload: None,
            when: None,
        }
    }

    pub(crate) fn assigned(&self) -> Assigned {
        self.assigned
    }

    /// The bucket of that division, found out at the first time that somebody asks: a
    /// request that is changed later stays where it is.
    pub(crate) fn bucket(&mut self, name: &str) -> Result<Option<&'a str>, M::Error> {
        let Some((number, experiment)) = self.buckets.find(name) else {
            return Ok(None);
        };
        match self.assigned.get_mut(number) {
            Some(found) => experiment.bucket(found, self.message),
            None => Ok(None),
        }
    }
}

impl<M: Message> Holds<Scope<'_, M>> for Condition {
    fn holds(&self, request: &mut matcher::Request<'_, Scope<'_, M>>) -> Result<bool, M::Error> {
        match self {
            Self::Bucket {
                experiment,
                buckets,
            } => {
                let bucket = request.view().bucket(experiment.as_str())?;
                Ok(bucket.is_some_and(|own| buckets.iter().any(|one| one.as_str() == own)))
            }
            Self::Claim(claim, test) => {
                let values = claim.values(request.view())?;
                Ok(test.passes(values.iter().map(String::as_bytes)))
            }
        }
    }
}

impl<M: Message> RequestView for Scope<'_, M> {
    type Error = M::Error;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, M::Error> {
        self.message.header(name)
    }

    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, M::Error> {
        self.message.any_header(name, test)
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, M::Error> {
        self.message.source_address()
    }

    fn random(&mut self) -> Result<u64, M::Error> {
        self.message.random()
    }
}

impl<M: Message> ValueSource for Scope<'_, M> {
    fn request_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, M::Error> {
        self.message.request_trailer(name)
    }

    fn response_header(&mut self, name: &str) -> Result<Option<&[u8]>, M::Error> {
        self.message.response_header(name)
    }

    fn response_trailer(&mut self, name: &str) -> Result<Option<&[u8]>, M::Error> {
        self.message.response_trailer(name)
    }

    fn attribute(&mut self, path: &Path) -> Result<Option<Cow<'_, [u8]>>, M::Error> {
        self.message.attribute(path)
    }

    fn json(&mut self, path: &Path) -> Result<Option<Rc<Json>>, M::Error> {
        if let Some((known, payload)) = &self.payload
            && known == path
        {
            return Ok(payload.clone());
        }
        let payload = self.message.json(path)?;
        self.payload = Some((path.clone(), payload.clone()));
        Ok(payload)
    }

    fn now(&mut self) -> Result<Duration, M::Error> {
        self.message.now()
    }

    fn own(
        &mut self,
        operator: &'static OwnOperator,
        argument: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), M::Error> {
        if operator.name == BUCKET {
            let bucket = self.bucket(argument)?;
            out.extend_from_slice(bucket.unwrap_or_default().as_bytes());
        } else if let Some(when) = self.when
            && let Some(path) = self.message.header(":path")?
            && let Some(part) = when.capture(&normalize_path(path), argument)
        {
            out.extend_from_slice(&part);
        }
        Ok(())
    }
}

impl<M: Message> Message for Scope<'_, M> {
    fn contains(&mut self, name: &HeaderName, alone: bool) -> Result<bool, M::Error> {
        self.message.contains(name, alone)
    }

    fn each_value(
        &mut self,
        name: &HeaderName,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), M::Error> {
        self.message.each_value(name, take)
    }

    fn each_name(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), M::Error> {
        self.message.each_name(take)
    }

    fn set(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), M::Error> {
        self.message.set(name, value)
    }

    fn append(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), M::Error> {
        self.message.append(name, value)
    }

    fn remove(&mut self, name: &HeaderName) -> Result<(), M::Error> {
        self.message.remove(name)
    }

    fn set_state(&mut self, name: &str, value: &[u8]) -> Result<(), M::Error> {
        self.payload = None;
        self.message.set_state(name, value)
    }

    fn set_path(&mut self, path: &[u8]) -> Result<(), M::Error> {
        self.message.set_path(path)
    }

    fn clear_route_cache(&mut self) -> Result<(), M::Error> {
        self.message.clear_route_cache()
    }
}

impl<M: Request> Request for Scope<'_, M> {
    fn keep(&mut self) -> Result<(), M::Error> {
        self.message.keep()
    }
}

impl<M: Response> Response for Scope<'_, M> {
    fn status(&mut self) -> Result<Option<u16>, M::Error> {
        self.message.status()
    }
}
