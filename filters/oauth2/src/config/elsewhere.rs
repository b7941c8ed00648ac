//! Fields of Envoy's own filter that are something else here: each is refused with what
//! there is in its place.

use legation::config::elsewhere;

elsewhere! {
    /// `config`
    pub(super) struct Wrapper:
        "there is no `config` around the configuration here",
        "write what is in it one level higher; to switch the filter off for some requests, give `rules` with `disabled: true`";
    /// `redirect_path_matcher`
    pub(super) struct RedirectPathMatcher:
        "is `redirect_path` here",
        "write `redirect_path: /callback`, or leave it out: it is the path of `redirect_uri`";
    /// `disable_access_token_set_cookie`, `disable_id_token_set_cookie`
    pub(super) struct OneCookie:
        "there is one sealed cookie for the session here",
        "leave it out: a token that nothing needs is not kept";
    /// `disable_refresh_token_set_cookie`
    pub(super) struct NoRefreshTokens:
        "there is one sealed cookie for the session here",
        "write `use_refresh_token: false` to keep no refresh tokens";
    /// `disable_token_encryption`
    pub(super) struct AlwaysSealed:
        "sessions are always sealed here",
        "leave it out";
    /// Cookies that Envoy keeps of a session.
    pub(super) struct OneSession:
        "there is one sealed cookie for the session here",
        "write `session: {…}`";
    /// Cookies that Envoy keeps of a sign-in.
    pub(super) struct OneFlow:
        "there is one sealed cookie for each sign-in here",
        "write `flow: {…}`";
}
