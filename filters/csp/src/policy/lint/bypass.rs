//! Whether a source lets in a host that undoes the policy.

use super::hosts;

/// What a listed source of scripts is known to serve.
pub(super) fn of_scripts(source: &str, has_eval: bool) -> Option<String> {
    let of_use = |url: &&&str| has_eval || !hosts::JSONP_BY_EVAL.contains(&host_and_path(url).0);
    let jsonp = hosts::JSONP
        .iter()
        .filter(|url| lets_in(source, url))
        .find(of_use);
    let angular = hosts::ANGULAR.iter().find(|url| lets_in(source, url));
    let (url, what) = match (jsonp, angular) {
        (Some(url), Some(_)) => (url, "JSONP and AngularJS"),
        (Some(url), None) => (url, "JSONP"),
        (None, Some(url)) => (url, "AngularJS"),
        (None, None) => return None,
    };
    let host = host_and_path(url).0;
    Some(format!(
        "{host} is known to serve {what}, which get round the policy"
    ))
}

/// The host of a listed source of plugins that is known to serve what gets round the policy.
pub(super) fn of_objects(source: &str) -> Option<&'static str> {
    let url = hosts::FLASH.iter().find(|url| lets_in(source, url))?;
    Some(host_and_path(url).0)
}

/// Whether a source, whatever its scheme and port, lets in a URL.
fn lets_in(source: &str, url: &str) -> bool {
    let (pattern, wanted) = host_and_path(source);
    let (host, path) = host_and_path(url);
    let host_fits = match pattern.strip_prefix("*.") {
        Some(parent) => host
            .strip_suffix(parent)
            .is_some_and(|front| front.ends_with('.')),
        None => pattern == host,
    };
    let path_fits = match wanted {
        "" | "/" => true,
        wanted if wanted.ends_with('/') => path.starts_with(wanted),
        wanted => path == wanted,
    };
    host_fits && path_fits
}

/// The host and the path of a source or a URL.
pub(super) fn host_and_path(text: &str) -> (&str, &str) {
    let rest = match text.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => rest,
        _ => text,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => host,
    };
    (host, path.split(['?', '#']).next().unwrap_or_default())
}
