//! Headers that the `http` crate has no constants for.

use legation::http::HeaderName;

pub(crate) const REPORTING_ENDPOINTS: HeaderName = HeaderName::from_static("reporting-endpoints");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
pub(crate) const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
pub(crate) const DIGEST: HeaderName = HeaderName::from_static("digest");
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
