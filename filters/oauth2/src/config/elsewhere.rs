//! Fields of Envoy's own filter that are something else here: each is refused with what
//! there is in its place.

use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use legation::config::{ConfigErrors, Problem};

macro_rules! elsewhere {
    ($($(#[$doc:meta])* $name:ident: $problem:literal, $help:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            pub(super) struct $name;

            impl Deserr<ConfigErrors> for $name {
                fn deserialize_from_value<V: IntoValue>(
                    _: Value<V>,
                    location: ValuePointerRef<'_>,
                ) -> Result<Self, ConfigErrors> {
                    Err(ConfigErrors::at(location, Problem::new($problem).help($help)))
                }
            }
        )*
    };
}

elsewhere! {
    /// `config`
    Wrapper:
        "there is no `config` around the configuration here",
        "write what is in it one level higher; to switch the filter off for some requests, give `rules` with `disabled: true`";
    /// `redirect_path_matcher`
    RedirectPathMatcher:
        "is `redirect_path` here",
        "write `redirect_path: /callback`, or leave it out: it is the path of `redirect_uri`";
    /// `disable_access_token_set_cookie`, `disable_id_token_set_cookie`
    OneCookie:
        "there is one sealed cookie for the session here",
        "leave it out: a token that nothing needs is not kept";
    /// `disable_refresh_token_set_cookie`
    NoRefreshTokens:
        "there is one sealed cookie for the session here",
        "write `use_refresh_token: false` to keep no refresh tokens";
    /// `disable_token_encryption`
    AlwaysSealed:
        "sessions are always sealed here",
        "leave it out";
    /// Cookies that Envoy keeps of a session.
    OneSession:
        "there is one sealed cookie for the session here",
        "write `session: {…}`";
    /// Cookies that Envoy keeps of a sign-in.
    OneFlow:
        "there is one sealed cookie for each sign-in here",
        "write `flow: {…}`";
}
