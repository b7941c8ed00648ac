//! What only shows when fields are looked at together.

use deserr::ValuePointerRef;
use legation::config::{ConfigErrors, Problem};
use legation::http::header::AUTHORIZATION;

use super::{Config, SameSite, Written};

/// Gathers what is wrong, each at its field.
struct Errors<'a, 'e> {
    at: ValuePointerRef<'a>,
    errors: &'e mut Option<ConfigErrors>,
}

impl Errors<'_, '_> {
    fn add(&mut self, field: &str, problem: Problem) {
        let at = self.at;
        self.add_at(at.push_key(field), problem);
    }

    fn add_at(&mut self, at: ValuePointerRef<'_>, problem: Problem) {
        ConfigErrors::add(self.errors, ConfigErrors::at(at, problem));
    }
}

/// What is written and goes for nothing, or for something else than it seems to.
pub(super) fn written(
    written: &Written,
    at: ValuePointerRef<'_>,
    errors: &mut Option<ConfigErrors>,
) {
    let mut errors = Errors { at, errors };
    if written.use_refresh_token.0 == Some(false) {
        for (field, given) in [
            (
                "default_refresh_token_expires_in",
                written.default_refresh_token_expires_in.0.is_some(),
            ),
            (
                "refresh_before_expiry",
                written.refresh_before_expiry.0.is_some(),
            ),
        ] {
            if given {
                let problem = Problem::new("is not used with `use_refresh_token: false`");
                errors.add(field, problem.help("leave one of the two out"));
            }
        }
    }
    if written.signout_path.0.is_none() {
        for (field, given) in [
            (
                "post_logout_redirect_uri",
                written.post_logout_redirect_uri.0.is_some(),
            ),
            (
                "end_session_endpoint",
                written.end_session_endpoint.0.is_some(),
            ),
        ] {
            if given {
                let problem = Problem::new("there is no `signout_path`, so nobody gets there");
                errors.add(
                    field,
                    problem.help("give it, such as `signout_path: /signout`"),
                );
            }
        }
    }
    let mut rules = written.rules.iter();
    if written.groups_claim.0.is_some()
        && written.allowed_groups.is_empty()
        && rules.all(|rule| rule.demands.allowed_groups.is_empty())
    {
        let problem = Problem::new("nothing looks at the groups");
        errors.add(
            "groups_claim",
            problem.help("give `allowed_groups`, here or in a rule, or leave this out"),
        );
    }
}

/// What does not go together.
pub(super) fn config(config: &Config, at: ValuePointerRef<'_>, errors: &mut Option<ConfigErrors>) {
    config.provider.check(at, errors);
    let mut errors = Errors { at, errors };
    paths(config, &mut errors);
    cookies(config, &mut errors);
    redirect_domains(config, &mut errors);
    headers(config, &mut errors);
    matchers(config, &mut errors);
    if config.back_channel_path.is_some() && !config.provider.is_openid() {
        let problem = Problem::new("there are no keys to verify logout tokens with")
            .help("give `openid_configuration`, `remote_jwks` or `local_jwks`, or leave this out");
        errors.add("back_channel_logout", problem);
    }
}

fn paths(config: &Config, errors: &mut Errors<'_, '_>) {
    if !config.redirect_uri.may_lead_to(&config.redirect_path) {
        let path = config.redirect_path.as_str();
        let problem = Problem::new(format!("its path is not `redirect_path`, `{path}`"))
            .help("the provider would send browsers to where nobody takes them in");
        errors.add("redirect_uri", problem);
    }
    let own = [
        ("redirect_path", Some(&config.redirect_path)),
        ("signout_path", config.signout_path.as_ref()),
        ("back_channel_logout", config.back_channel_path.as_ref()),
    ];
    for (index, (field, path)) in own.iter().enumerate() {
        let mut earlier = own.iter().take(index);
        if let Some((other, _)) = earlier.find(|(_, other)| path.is_some() && other == path) {
            let problem = Problem::new(format!("is the path of `{other}`"));
            errors.add(field, problem.help("give each its own"));
        }
    }
}

fn cookies(config: &Config, errors: &mut Errors<'_, '_>) {
    let document = errors.at;
    let configs = document.push_key("cookie_configs");
    let credentials = document.push_key("credentials");
    let (session, flow) = (&config.cookie_configs.session, &config.cookie_configs.flow);
    let cookies = config.cookies();
    // `NAME.…` are a cookie's chunks and those of sign-ins under way.
    let clash = |one: &str, other: &str| {
        let rest = one.strip_prefix(other);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    for (one, other) in [
        (&cookies.session.name, &cookies.flow.name),
        (&cookies.session.name, &cookies.attempts.name),
        (&cookies.flow.name, &cookies.session.name),
    ] {
        if clash(one, other) {
            let at = credentials.push_key("cookie_names");
            let problem = Problem::new(format!(
                "the cookie `{one}` would be taken for one that belongs to `{other}`"
            ));
            errors.add_at(at, problem.help("give them names that do not begin alike"));
            break;
        }
    }
    if flow.same_site() == SameSite::Strict {
        let at = configs.push_key("flow");
        let problem = Problem::new("browsers would not send it when they come back");
        let help = "leave it `LAX`: the provider is another site, and a sign-in ends with its sending the browser";
        errors.add_at(at.push_key("same_site"), problem.help(help));
    }
    for (name, own) in [("session", session), ("flow", flow)] {
        if config.redirect_uri.is_in_the_clear() && own.is_secure() {
            let problem = Problem::new("browsers keep no such cookie of a site without TLS").help(
                "have `redirect_uri` begin with `https://`, or, to try things out, write `secure: false`",
            );
            errors.add_at(configs.push_key(name), problem);
        }
    }
    let flow_at = configs.push_key("flow");
    let flow_at = flow_at.push_key("path");
    if !flow.is_sent_to(config.redirect_path.as_str()) {
        let path = config.redirect_path.as_str();
        let problem = Problem::new(format!("the cookie would not be sent to `{path}`"))
            .help("nobody could finish to sign in: leave `path` out");
        errors.add_at(flow_at, problem);
    } else if !flow.is_sent_to(session.path()) {
        let problem = Problem::new("the session's cookie is sent where this one is not")
            .help("browsers that keep no cookies would go round in circles: leave `path` out");
        errors.add_at(flow_at, problem);
    }
    if let Some(path) = &config.signout_path
        && !session.is_sent_to(path.as_str())
    {
        let path = path.as_str();
        let session_at = configs.push_key("session");
        let problem = Problem::new(format!("the cookie would not be sent to `{path}`"))
            .help("nobody could sign out: have `signout_path` lie below it");
        errors.add_at(session_at.push_key("path"), problem);
    }
    if let (Some(domain), Some(host)) = (
        &config.provider.credentials.cookie_domain.0,
        config.redirect_uri.host(),
    ) && !is_within(host, domain.as_str())
    {
        let problem = Problem::new(format!("browsers keep no cookie of it for `{host}`"))
            .help("it is the host of `redirect_uri`, or a domain above that");
        errors.add_at(credentials.push_key("cookie_domain"), problem);
    }
}

/// A sign-in begins where its cookie is set, and ends at `redirect_uri`, where it must be
/// sent.
fn redirect_domains(config: &Config, errors: &mut Errors<'_, '_>) {
    let document = errors.at;
    let list = document.push_key("allowed_redirect_domains");
    let cookie_domain = config.provider.credentials.cookie_domain.0.as_ref();
    for (index, domain) in config.allowed_redirect_domains.iter().enumerate() {
        let is_reached = match (cookie_domain, config.redirect_uri.host()) {
            (Some(cookie_domain), _) => is_within(domain.host(), cookie_domain.as_str()),
            // Cookies make no difference between ports.
            (None, Some(host)) => !domain.is_below() && domain.host().eq_ignore_ascii_case(host),
            (None, None) => true,
        };
        if !is_reached {
            let problem = Problem::new("nobody could sign in there: cookies of the one host are not sent to the other")
                .help("give `credentials.cookie_domain`, which is above it and above the host of `redirect_uri`");
            errors.add_at(list.push_index(index), problem);
        }
    }
}

/// Whether a host is a domain, or below it (RFC 6265, section 5.1.3).
fn is_within(host: &str, domain: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let before = host.strip_suffix(domain);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn headers(config: &Config, errors: &mut Errors<'_, '_>) {
    let document = errors.at;
    if config.preserve_authorization_header && config.forward_bearer_token {
        let problem = Problem::new("does not go with `forward_bearer_token`").help(
            "`authorization` is either the client's or the session's: leave one of the two out",
        );
        errors.add("preserve_authorization_header", problem);
    }
    let id_token_at = document.push_key("forward_id_token");
    let id_token_at = id_token_at.push_key("header");
    if let Some(header) = &config.forward_id_token {
        if !config.provider.is_openid() {
            let problem = Problem::new("there are no ID tokens in plain OAuth 2.0");
            let help =
                "give `openid_configuration`, `remote_jwks` or `local_jwks`, or leave this out";
            errors.add("forward_id_token", problem.help(help));
        }
        let taken_by = [
            ("forward_bearer_token", config.forward_bearer_token),
            (
                "preserve_authorization_header",
                config.preserve_authorization_header,
            ),
        ]
        .into_iter()
        .find_map(|(name, given)| given.then_some(name));
        if let (true, Some(other)) = (header.is_also(AUTHORIZATION.as_str()), taken_by) {
            let problem = Problem::new(format!("`{other}` says what is in `authorization`"));
            errors.add_at(
                id_token_at,
                problem.help("take another header, or leave that out"),
            );
        }
    }
    let list = document.push_key("claim_to_headers");
    for (index, claim) in config.claim_to_headers.iter().enumerate() {
        let at = list.push_index(index);
        let name = claim.header_name.name().as_str();
        let mut earlier = config.claim_to_headers.iter().take(index);
        let problem = if claim.header_name.is_also(AUTHORIZATION.as_str()) {
            Problem::new("no claim goes into `authorization`")
                .help("`forward_bearer_token` puts the access token there")
        } else if earlier.any(|other| other.header_name.is_also(name)) {
            Problem::new("another claim goes into this header already").help("give each its own")
        } else if let Some(header) = &config.forward_id_token
            && header.is_also(name)
        {
            Problem::new("the ID token goes into this header already").help("give each its own")
        } else {
            continue;
        };
        errors.add_at(at.push_key("header_name"), problem);
    }
}

fn matchers(config: &Config, errors: &mut Errors<'_, '_>) {
    let document = errors.at;
    let list = document.push_key("pass_through_matcher");
    for (index, matcher) in config.pass_through_matcher.iter().enumerate() {
        if matcher.is_unconditional() {
            let problem = Problem::new("takes every request: nobody would ever sign in")
                .help("say which requests pass, such as `{path: /healthz}`");
            errors.add_at(list.push_index(index), problem);
        }
    }
    let list = document.push_key("rules");
    let mut ended_by: Option<usize> = None;
    for (index, rule) in config.rules.iter().enumerate() {
        let at = list.push_index(index);
        if let Some(earlier) = ended_by {
            let problem = Problem::new("the rule is never reached").help(format!(
                "rules[{earlier}] takes every request, and the first rule that matches decides"
            ));
            errors.add_at(at, problem);
        } else if rule.matcher.is_unconditional() {
            ended_by = Some(index);
            let mut before = config.rules.iter().take(index);
            if rule.disabled && before.all(|rule| rule.disabled) {
                let problem = Problem::new("takes every request: nobody would ever sign in")
                    .help("say by `match` which requests need no session");
                errors.add_at(at, problem);
            }
        }
    }
}
