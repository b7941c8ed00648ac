//! Requests of the tests.

use std::convert::Infallible;
use std::net::IpAddr;

use legation::matcher::RequestView;

/// A request of headers alone.
pub(crate) struct Sent<T = &'static str>(pub(crate) Vec<(&'static str, T)>);

impl<T: AsRef<str>> RequestView for Sent<T> {
    type Error = Infallible;

    fn header(&mut self, name: &str) -> Result<Option<&[u8]>, Infallible> {
        let mut headers = self.0.iter();
        let found = headers.find(|(own, _)| *own == name);
        Ok(found.map(|(_, value)| value.as_ref().as_bytes()))
    }

    fn any_header(
        &mut self,
        name: &str,
        test: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Infallible> {
        let mut headers = self.0.iter().filter(|(own, _)| *own == name);
        Ok(headers.any(|(_, value)| test(value.as_ref().as_bytes())))
    }

    fn source_address(&mut self) -> Result<Option<IpAddr>, Infallible> {
        Ok(None)
    }

    fn random(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }
}
