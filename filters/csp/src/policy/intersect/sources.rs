//! What two sources of URLs have in common.

use crate::policy::host::{Host, HostSource, Port, Scheme};
use crate::policy::source::{Keyword, Source};
use crate::policy::url::path_matches;

/// What two things have in common.
enum Common<T> {
    Nothing,
    Just(T),
    /// What no source says, or what depends on the page; or what browsers do not agree on.
    Unclear,
}

use Common::{Just, Nothing, Unclear};

/// Whether every URL of `b` is one of `a`, whatever the page.
pub(super) fn covers(a: &Source, b: &Source) -> bool {
    matches!(common(a, b), Just(source) if source == *b)
}

/// The most pairs that are looked at.
const MOST_PAIRS: usize = 4096;

/// The URLs that both lists let in. None where no list says it that is shorter than the two.
pub(super) fn meet(a: &[&Source], b: &[&Source]) -> Option<Vec<Source>> {
    if a.len().saturating_mul(b.len()) > MOST_PAIRS {
        return None;
    }
    let most = a.len().saturating_add(b.len());
    let mut met: Vec<Source> = Vec::new();
    let mut unclear = Vec::new();
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (*a, *b)));
    for (a, b) in pairs {
        match common(a, b) {
            Nothing => {}
            Unclear => unclear.push((a, b)),
            Just(source) => {
                if !met.iter().any(|known| covers(known, &source)) {
                    met.retain(|known| !covers(&source, known));
                    met.push(source);
                    if met.len() > most {
                        return None;
                    }
                }
            }
        }
    }
    // Whatever it is that two have in common, it is there if all of one is.
    let is_there =
        |(a, b): &(&Source, &Source)| met.iter().any(|known| covers(known, a) || covers(known, b));
    unclear.iter().all(is_there).then_some(met)
}

fn common(a: &Source, b: &Source) -> Common<Source> {
    match (a, b) {
        (a, b) if a == b => Just(a.clone()),
        (Source::Any, other) | (other, Source::Any) => {
            let scheme = match other {
                Source::Scheme(scheme) => Some(scheme),
                Source::Host(host) => host.scheme(),
                _ => None,
            };
            if scheme.is_none_or(is_of_web) {
                Just(other.clone())
            } else {
                Nothing
            }
        }
        // Which host is the page's own?
        (Source::Keyword(Keyword::Own), _) | (_, Source::Keyword(Keyword::Own)) => Unclear,
        (Source::Scheme(a), Source::Scheme(b)) => match schemes(Some(a), Some(b)) {
            Just(Some(scheme)) => Just(Source::Scheme(scheme)),
            Just(None) | Unclear => Unclear,
            Nothing => Nothing,
        },
        (Source::Scheme(scheme), Source::Host(host))
        | (Source::Host(host), Source::Scheme(scheme)) => of_scheme(host, scheme),
        (Source::Host(a), Source::Host(b)) => hosts(a, b),
        _ => Nothing,
    }
}

fn is_of_web(scheme: &Scheme) -> bool {
    matches!(scheme.as_str(), "http" | "https" | "ws" | "wss")
}

fn is_of_sockets(scheme: &Scheme) -> bool {
    matches!(scheme.as_str(), "ws" | "wss")
}

/// The schemes of both; none is the scheme of the page, `http` or `https`, and what is
/// safer. What a socket's scheme has in common with the others is Unclear: to CSP3 sockets are
/// `http` and `https`, and to some browsers they are not.
fn schemes(a: Option<&Scheme>, b: Option<&Scheme>) -> Common<Option<Scheme>> {
    match (a, b) {
        (a, b) if a == b => Just(a.cloned()),
        (None, Some(one)) | (Some(one), None) => match one.as_str() {
            "http" => Just(None),
            "https" => Just(Some(one.clone())),
            "ws" | "wss" => Unclear,
            _ => Nothing,
        },
        (Some(a), Some(b)) if is_of_web(a) && is_of_web(b) => {
            if is_of_sockets(a) != is_of_sockets(b) {
                return Unclear;
            }
            // Two that are not the same: one is the safer.
            let safer = if a.as_str().ends_with('s') && a.as_str() != "ws" {
                a
            } else {
                b
            };
            Just(Some(safer.clone()))
        }
        _ => Nothing,
    }
}

fn of_scheme(host: &HostSource, scheme: &Scheme) -> Common<Source> {
    match schemes(host.scheme(), Some(scheme)) {
        Nothing => Nothing,
        Unclear => Unclear,
        Just(met) if met == host.scheme => Just(Source::Host(host.clone())),
        // To some browsers `http://a:80` is also `https://a:443`.
        Just(_) if host.port == Some(Port::Number(80)) => Unclear,
        Just(scheme) => Just(Source::Host(HostSource {
            scheme,
            ..host.clone()
        })),
    }
}

fn hosts(a: &HostSource, b: &HostSource) -> Common<Source> {
    let host = match (a.host.covers(&b.host), b.host.covers(&a.host)) {
        (true, _) => &b.host,
        (_, true) => &a.host,
        (false, false) => return Nothing,
    };
    let scheme = match schemes(a.scheme(), b.scheme()) {
        Just(scheme) => scheme,
        Nothing => return Nothing,
        Unclear => return Unclear,
    };
    let port = match ports(a, b, scheme.as_ref()) {
        Just(port) => port,
        Nothing => return Nothing,
        Unclear => return Unclear,
    };
    let path = match paths(a.path(), b.path()) {
        Just(path) => path,
        Nothing => return Nothing,
        Unclear => return Unclear,
    };
    let host: Host = host.clone();
    Just(Source::Host(HostSource {
        scheme,
        host,
        port,
        path: path.map(Into::into),
    }))
}

fn ports(a: &HostSource, b: &HostSource, scheme: Option<&Scheme>) -> Common<Option<Port>> {
    let eighty = Some(Port::Number(80));
    let is_eighty = a.port == eighty || b.port == eighty;
    let is_any = a.port == Some(Port::Any) || b.port == Some(Port::Any);
    // As in `of_scheme`.
    if is_eighty && !(a.scheme == b.scheme && (a.port == b.port || is_any)) {
        return Unclear;
    }
    match (a.port, b.port) {
        (a, b) if a == b => Just(a),
        (Some(Port::Any), other) | (other, Some(Port::Any)) => Just(other),
        // The default port of a scheme that is more than one.
        (None, Some(Port::Number(port))) | (Some(Port::Number(port)), None) => {
            let is_safe = scheme.is_some_and(|it| matches!(it.as_str(), "https" | "wss"));
            match port {
                443 if is_safe => Just(None),
                443 => Unclear,
                _ => Nothing,
            }
        }
        _ => Nothing,
    }
}

/// The path of both. Two of which neither is below the other have something in common all the
/// same: after a redirect, no path is looked at.
fn paths<'a>(a: Option<&'a str>, b: Option<&'a str>) -> Common<Option<&'a str>> {
    match (a, b) {
        (None, other) | (other, None) => Just(other),
        (Some(a), Some(b)) if path_matches(a, b) => Just(Some(b)),
        (Some(a), Some(b)) if path_matches(b, a) => Just(Some(a)),
        _ => Unclear,
    }
}
