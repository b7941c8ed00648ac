//! One policy of two.

mod sources;

use super::allow::{all_inline, has};
use super::directive::Directive;
use super::name::{Name, Takes};
use super::source::{Keyword, Source};
use super::{Policy, Value};

/// One policy that allows exactly what both allow, on a page of `http` or `https`.
///
/// None where no policy does: two are sent then, and a browser applies both (section 8.1). So
/// it is where one lets scripts in by their nonce and the other by their host, since a list of
/// sources is an "or"; and where it depends on the page's own host, as of `'self'` and
/// `https://a.example`. It may be none where there is such a policy, and never is one that is
/// not.
///
/// Where one list would be longer than two are, and where lists are longer than anybody reads
/// (1,024 sources, or 4,096 pairs of them), it is none too.
///
/// Where only one of them says whom to report to, that is also told of what the other blocks;
/// where both do, and not the same, it is none.
///
/// ```
/// use csp::policy::{Policy, intersect};
///
/// let [a, b] = ["default-src 'self' https:", "img-src *; default-src https://a.example 'self'"]
///     .map(|text| Policy::parse(text).0);
/// let both = intersect(&a, &b).unwrap();
/// assert_eq!(both.to_string(), "default-src 'self' https://a.example; img-src 'self' https:");
/// ```
pub fn intersect(a: &Policy, b: &Policy) -> Option<Policy> {
    let of_both = a.directives().iter().chain(b.directives());
    let mut lists = of_both.filter_map(Directive::sources);
    if lists.any(|list| list.len() > MOST_SOURCES) {
        return None;
    }
    let mut both = Policy::default();
    for name in FETCH {
        let directive = if *name == Name::WorkerSrc {
            workers(a, b, &both)?
        } else {
            fetch(name, a, b, &both)?
        };
        if let Some(sources) = directive {
            both.push(Directive::of_sources(name.clone(), sources));
        }
    }
    let reports = |policy: &Policy| {
        let to = [Name::ReportUri, Name::ReportTo].map(|name| policy.get(&name).cloned());
        to.iter().any(Option::is_some).then_some(to)
    };
    if reports(a).zip(reports(b)).is_some_and(|(a, b)| a != b) {
        return None;
    }
    let names = a
        .directives()
        .iter()
        .chain(b.directives())
        .map(Directive::name);
    for name in names.filter(|name| !FETCH.contains(name)) {
        if both.get(name).is_none() {
            both.push(other(name, a.get(name), b.get(name))?);
        }
    }
    Some(in_order(both, a, b))
}

/// The longest list that is looked at.
const MOST_SOURCES: usize = 1024;

/// Those that fall back to others, and only to what stands before them.
const FETCH: &[Name] = &[
    Name::DefaultSrc,
    Name::ScriptSrc,
    Name::StyleSrc,
    Name::ChildSrc,
    Name::FrameSrc,
    Name::ConnectSrc,
    Name::FontSrc,
    Name::ImgSrc,
    Name::ManifestSrc,
    Name::MediaSrc,
    Name::ObjectSrc,
    Name::PrefetchSrc,
    Name::ScriptSrcElem,
    Name::ScriptSrcAttr,
    Name::StyleSrcElem,
    Name::StyleSrcAttr,
    Name::WorkerSrc,
    Name::FencedFrameSrc,
];

/// What a list of sources is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Scripts,
    Styles,
    Urls,
}

impl Use {
    fn of(name: &Name) -> Self {
        match name {
            Name::ScriptSrc | Name::ScriptSrcElem | Name::ScriptSrcAttr => Self::Scripts,
            Name::StyleSrc | Name::StyleSrcElem | Name::StyleSrcAttr => Self::Styles,
            _ => Self::Urls,
        }
    }

    fn looks_at(self, source: &Source) -> bool {
        match source {
            Source::Invalid(_) | Source::Keyword(Keyword::None) => false,
            source => self != Self::Urls || source.is_of_urls(),
        }
    }

    /// Whether two lists are the same for it, whatever their order.
    fn finds_alike(self, a: &[Source], b: &[Source]) -> bool {
        let within = |a: &[Source], b: &[Source]| {
            let mut looked_at = a.iter().filter(|source| self.looks_at(source));
            looked_at.all(|source| b.contains(source))
        };
        within(a, b) && within(b, a)
    }
}

/// The list that a fetch directive is to have in `both`, whose more general ones are there
/// already. The outer none is for what cannot be said, the inner for a directive that is
/// not needed.
#[expect(clippy::option_option, reason = "the outer is for `?`")]
fn fetch(name: &Name, a: &Policy, b: &Policy, both: &Policy) -> Option<Option<Vec<Source>>> {
    let wanted = match (a.sources(name), b.sources(name)) {
        (None, None) => return Some(None),
        (Some(sources), None) | (None, Some(sources)) => sources.to_vec(),
        (Some(a), Some(b)) if *name == Name::DefaultSrc => defaults(a, b)?,
        (Some(a), Some(b)) => meet(a, b, Use::of(name))?,
    };
    let is_said = a.get(name).is_some() || b.get(name).is_some();
    let falls_to = both.sources(name);
    let is_needed = is_said || !falls_to.is_some_and(|it| Use::of(name).finds_alike(it, &wanted));
    Some(is_needed.then_some(wanted))
}

/// Of `default-src`, which is asked for everything: as scripts have it if that serves the
/// rest too, so that scripts need no directive of their own.
fn defaults(a: &[Source], b: &[Source]) -> Option<Vec<Source>> {
    let dynamic = has(a, Keyword::StrictDynamic) || has(b, Keyword::StrictDynamic);
    let as_scripts = (!dynamic || Use::Scripts.finds_alike(a, b))
        .then(|| meet(a, b, Use::Scripts))
        .flatten();
    as_scripts.or_else(|| meet(a, b, Use::Urls))
}

/// Of `worker-src`. To `script-src` a worker is a script, and to the others it is a URL; so
/// where that makes a difference, only what stays where it was can be said.
#[expect(clippy::option_option, reason = "as of `fetch`")]
fn workers(a: &Policy, b: &Policy, both: &Policy) -> Option<Option<Vec<Source>>> {
    let name = &Name::WorkerSrc;
    let is_plain = |policy: &Policy| {
        let mut sources = policy.sources(name).unwrap_or_default().iter();
        !sources.any(|source| {
            source.is_nonce() || source.is_hash() || source.is(Keyword::StrictDynamic)
        })
    };
    if is_plain(a) && is_plain(b) && is_plain(both) {
        return fetch(name, a, b, both);
    }
    let decides = |policy: &Policy| policy.effective(name).map(|it| it.name().clone());
    let (in_a, in_b, in_both) = (decides(a), decides(b), decides(both));
    let itself = Some(name.clone());
    if in_a.is_none() && in_b.is_none() {
        return Some(None);
    }
    // An explicit one looks at URLs alone, in whatever policy it stands.
    if [&in_a, &in_b]
        .into_iter()
        .all(|it| it.is_none() || *it == itself)
    {
        return fetch(name, a, b, both);
    }
    let stays = |it: &Option<Name>| it.is_none() || *it == in_both;
    let same = match (a.sources(name), b.sources(name), both.sources(name)) {
        (Some(one), None, Some(both)) | (None, Some(one), Some(both)) => {
            Use::Scripts.finds_alike(one, both)
        }
        // That of both is what the two meet in.
        _ => true,
    };
    (stays(&in_a) && stays(&in_b) && same).then_some(None)
}

/// What a list allows, of that which it is asked for.
struct Facts<'a> {
    urls: Vec<&'a Source>,
    nonces: Vec<&'a Source>,
    hashes: Vec<&'a Source>,
    inline: bool,
    dynamic: bool,
}

impl<'a> Facts<'a> {
    fn of(sources: &'a [Source], what_for: Use) -> Self {
        let those = |fits: fn(&Source) -> bool, counts: bool| {
            sources
                .iter()
                .filter(|source| counts && fits(source))
                .collect()
        };
        let by_element = what_for != Use::Urls;
        let scripts = what_for == Use::Scripts;
        let dynamic = scripts && has(sources, Keyword::StrictDynamic);
        Self {
            urls: those(Source::is_of_urls, !dynamic),
            nonces: those(Source::is_nonce, by_element),
            hashes: those(Source::is_hash, by_element),
            inline: by_element && all_inline(sources, scripts),
            dynamic,
        }
    }

    fn by_element(&self) -> bool {
        !self.nonces.is_empty() || !self.hashes.is_empty()
    }

    /// Whether all that it lets in whatever its nonce or hash, the other lets in too.
    fn is_general_within(&self, other: &Self) -> bool {
        let covered = |url: &&Source| other.urls.iter().any(|known| sources::covers(known, url));
        if self.dynamic {
            other.dynamic
        } else {
            self.urls.is_empty() || !other.dynamic && self.urls.iter().all(covered)
        }
    }
}

/// The list that allows what both do.
fn meet(a: &[Source], b: &[Source], what_for: Use) -> Option<Vec<Source>> {
    if Use::Scripts.finds_alike(a, b) {
        return Some(a.to_vec());
    }
    let (facts_a, facts_b) = (Facts::of(a, what_for), Facts::of(b, what_for));
    if !can_be_said(&facts_a, &facts_b) {
        return None;
    }
    let both_have = |keyword| has(a, keyword) && has(b, keyword);
    // What `'unsafe-eval'` lets in, it lets in alone.
    let evals = |keyword| {
        let lets_in = |list| has(list, Keyword::UnsafeEval) || has(list, keyword);
        what_for == Use::Scripts && lets_in(a) && lets_in(b)
    };
    let eval = evals(Keyword::UnsafeEval);
    let mut keywords = vec![
        (Keyword::UnsafeInline, facts_a.inline && facts_b.inline),
        (Keyword::UnsafeEval, eval),
        (
            Keyword::WasmUnsafeEval,
            !eval && evals(Keyword::WasmUnsafeEval),
        ),
        (
            Keyword::TrustedTypesEval,
            !eval && evals(Keyword::TrustedTypesEval),
        ),
        (Keyword::StrictDynamic, facts_a.dynamic && facts_b.dynamic),
    ];
    if what_for != Use::Urls {
        // Rules are let in as scripts are, and besides by their own keyword.
        let rules = Keyword::InlineSpeculationRules;
        let either_way = |facts: &Facts<'_>| facts.inline || facts.by_element();
        if has(a, rules) != has(b, rules) && (either_way(&facts_a) || either_way(&facts_b)) {
            return None;
        }
        let kept = [
            Keyword::UnsafeHashes,
            rules,
            Keyword::ReportSample,
            Keyword::ReportSha256,
            Keyword::ReportSha384,
            Keyword::ReportSha512,
        ];
        keywords.extend(kept.map(|keyword| (keyword, both_have(keyword))));
    }
    let keywords = keywords.into_iter().filter(|(_, is_there)| *is_there);
    let mut met: Vec<Source> = keywords
        .map(|(keyword, _)| Source::Keyword(keyword))
        .collect();
    for (a, b) in [
        (&facts_a.nonces, &facts_b.nonces),
        (&facts_a.hashes, &facts_b.hashes),
    ] {
        met.extend(
            a.iter()
                .filter(|source| b.contains(source))
                .copied()
                .cloned(),
        );
    }
    met.extend(sources::meet(&facts_a.urls, &facts_b.urls)?);
    if met.is_empty() {
        met.push(Source::Keyword(Keyword::None));
    }
    Some(met)
}

/// Whether one list can say what two do. A list is an "or" of what it lets in by nonce, by
/// hash and in general; what one lets in by this and the other by that would need an "and".
fn can_be_said(a: &Facts<'_>, b: &Facts<'_>) -> bool {
    let only = |mine: &[&Source], theirs: &[&Source]| mine.iter().any(|it| !theirs.contains(it));
    let nonces_a = only(&a.nonces, &b.nonces);
    let nonces_b = only(&b.nonces, &a.nonces);
    let hashes_a = only(&a.hashes, &b.hashes);
    let hashes_b = only(&b.hashes, &a.hashes);
    let by_nonce_and_hash = nonces_a && hashes_b || nonces_b && hashes_a;
    let by_element_and_url = (nonces_a || hashes_a) && !b.is_general_within(a)
        || (nonces_b || hashes_b) && !a.is_general_within(b);
    let by_element_and_inline = a.inline && b.by_element() || b.inline && a.by_element();
    let by_url_and_dynamic = a.dynamic != b.dynamic && !(a.urls.is_empty() && b.urls.is_empty());
    !by_nonce_and_hash && !by_element_and_url && !by_element_and_inline && !by_url_and_dynamic
}

/// Of a directive that falls back to none.
fn other(name: &Name, a: Option<&Directive>, b: Option<&Directive>) -> Option<Directive> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) if a != b => (a, b),
        (Some(one), _) | (None, Some(one)) => return Some(one.clone()),
        (None, None) => return None,
    };
    if name.takes() == Takes::Nothing {
        return Some(a.clone());
    }
    match (a.value(), b.value()) {
        (Value::Sources(a), Value::Sources(b)) => {
            let sources = meet(a, b, Use::Urls)?;
            Some(Directive::of_sources(name.clone(), sources))
        }
        (Value::Tokens(a), Value::Tokens(b)) => {
            let tokens = match name {
                Name::Sandbox => sandbox(a, b)?,
                Name::TrustedTypes => trusted_types(a, b),
                Name::RequireTrustedTypesFor => {
                    let more = b.iter().filter(|token| !a.contains(token));
                    a.iter().chain(more).cloned().collect()
                }
                _ => return None,
            };
            Some(Directive::of_tokens(name.clone(), tokens))
        }
        _ => None,
    }
}

/// The flags of both. Some flags contain others, so of these both have to have the same.
fn sandbox(a: &[Box<str>], b: &[Box<str>]) -> Option<Vec<Box<str>>> {
    let is_entangled = |token: &str| token.contains("navigation") || token.contains("popups");
    let differs = |a: &[Box<str>], b: &[Box<str>]| {
        a.iter()
            .any(|token| is_entangled(token) && !b.contains(token))
    };
    if differs(a, b) || differs(b, a) {
        return None;
    }
    Some(
        a.iter()
            .filter(|token| b.contains(token))
            .cloned()
            .collect(),
    )
}

/// The names of both, of which `*` is all.
fn trusted_types(a: &[Box<str>], b: &[Box<str>]) -> Vec<Box<str>> {
    let has = |list: &[Box<str>], text: &str| list.iter().any(|token| **token == *text);
    let is_name = |token: &str| !token.starts_with('\'');
    let within =
        |token: &str, list: &[Box<str>]| has(list, token) || is_name(token) && has(list, "*");
    let of_a = a.iter().filter(|token| within(token, b));
    let of_b = b.iter().filter(|token| within(token, a) && !has(a, token));
    let met = of_a.chain(of_b).filter(|token| ***token != *"'none'");
    let mut met: Vec<Box<str>> = met.cloned().collect();
    if !met.iter().any(|token| is_name(token)) {
        met = vec!["'none'".into()];
    }
    met
}

/// The directives as `a` has them, then as `b` has them, then the others.
fn in_order(mut both: Policy, a: &Policy, b: &Policy) -> Policy {
    let names: Vec<&Name> = a
        .directives()
        .iter()
        .chain(b.directives())
        .map(Directive::name)
        .collect();
    let place = |directive: &Directive| {
        let at = names.iter().position(|name| *name == directive.name());
        at.unwrap_or(usize::MAX)
    };
    both.directives.sort_by_key(place);
    both
}
