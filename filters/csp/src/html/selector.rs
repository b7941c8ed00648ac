//! CSS selectors of the elements that get the nonce, and how much they let through.

use std::cell::Cell;
use std::rc::Rc;
use std::str::FromStr;

use lol_html::errors::SelectorError as Syntax;
use lol_html::{ElementContentHandlers, HtmlRewriter, Settings};

/// How long a selector may be, in bytes.
const LONGEST: usize = 1024;

/// A CSS selector of elements that get the nonce.
///
/// It has types, `*`, classes, ids, attributes, `:not(…)` of these, and the combinators for
/// descendants and children.
///
/// **What a selector is worth.** It is looked for in all of a page, and what somebody managed to
/// put into the page is looked at like the rest. Everybody reads the pages and sees how the trusted
/// elements are written, so a mark (`[data-trusted]`, `.ours`, `#main`) can be copied, and a place
/// (`head > script`) can be built. Only what a script *is* protects: `script[src^="https://cdn.example/"]`
/// lets nothing run but what is there. Where the page itself can be changed a
/// [placeholder](super::Placeholder) is better.
///
/// Attributes are compared as they are written: `&amp;` is not `&`. What is escaped is not
/// matched by a value, and *is* by its `:not(…)`.
#[derive(Debug, Clone)]
pub struct Selector {
    inner: lol_html::Selector,
    subjects: Vec<String>,
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It does not parse, or has what is not supported. With how to write it.
    #[error("{0}")]
    Syntax(&'static str),
    /// A pseudo-class that is about a place among siblings.
    #[error(
        "the place among siblings (`:nth-child`, `:first-of-type`, ...) tells nothing of trust: select by attributes"
    )]
    Place,
    /// A combinator that is not supported.
    #[error("`{0}` is no combinator here: descendants (a space) and children (`>`) are")]
    Combinator(char),
    /// It is longer than they may be.
    #[error("a selector has at most 1024 bytes, this one has {0}")]
    Long(usize),
}

/// How much a selector lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// Any script, style or link, or any that has what many have: whoever can write one into the
    /// page gets the nonce. There is no use in a policy then.
    Any,
    /// Those with a mark that says nothing but that it is there: whoever has read a page can
    /// copy it.
    Marked,
    /// Those with an attribute of a value that is asked for, be it in all or in part.
    Valued,
}

impl Selector {
    pub(super) fn inner(&self) -> &lol_html::Selector {
        &self.inner
    }

    /// How much it lets through: as much as the widest of those in a list. Only the selected element
    /// itself counts, as those around it can be written into the page with it.
    pub fn breadth(&self) -> Breadth {
        self.subjects
            .iter()
            .map(|subject| breadth(subject))
            .min()
            .unwrap_or(Breadth::Any)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(SelectorError::Long(text.len()));
        }
        if text.contains('\\') {
            return Err(SelectorError::Syntax(
                "there is a `\\`: escapes are not supported",
            ));
        }
        let scanned = scan(text);
        let inner = scanned
            .normal
            .parse::<lol_html::Selector>()
            .map_err(|syntax| explained(syntax, text))?;
        if scanned.open {
            return Err(explained(Syntax::UnexpectedEnd, text));
        }
        if scanned.place {
            return Err(SelectorError::Place);
        }
        Ok(Self {
            inner,
            subjects: scanned.subjects,
        })
    }
}

/// The parser's errors, as sentences for who wrote the selector.
fn explained(syntax: Syntax, text: &str) -> SelectorError {
    SelectorError::Syntax(match syntax {
        Syntax::UnexpectedEnd | Syntax::EmptySelector if text.trim().is_empty() => {
            "the selector is empty: write one such as `script[src^=\"https://cdn.example/\"]`"
        }
        Syntax::UnexpectedEnd => {
            "the selector, or what is in its brackets, ends where something must follow"
        }
        Syntax::EmptySelector => "there is an empty selector, such as before or after a comma",
        Syntax::MissingAttributeName => {
            "`[` has no attribute's name after it: write `[name]` or `[name=\"value\"]`"
        }
        Syntax::DanglingCombinator => {
            "the selector ends or begins with a combinator: nothing is selected"
        }
        Syntax::UnexpectedTokenInAttribute => {
            "what stands between `[` and `]` is no attribute: write `[name]` or `[name=\"value\"]`, with = ~= |= ^= $= or *="
        }
        Syntax::UnsupportedPseudoClassOrElement => {
            "there is a pseudo-class or pseudo-element that is not supported: only `:not(...)` of one element's own selectors is"
        }
        Syntax::NestedNegation => "`:not(...)` has another one within it",
        Syntax::NamespacedSelector => "namespaces (`svg|script`) are not supported",
        Syntax::InvalidClassName => "`.` has no class name after it: write `.name`",
        Syntax::UnsupportedCombinator(other) => return SelectorError::Combinator(other),
        Syntax::UnsupportedSyntax => {
            "there is syntax that is not supported: types, `*`, `.class`, `#id`, `[attribute]` and `:not(...)` are"
        }
        _ => {
            "there is a character where none of its kind can stand: types, `*`, `.class`, `#id`, `[attribute]` and `:not(...)` are"
        }
    })
}

/// What a selector's text shows.
struct Scanned {
    /// The text with the names of attributes in lower case, as the parser compares some of them
    /// as they are.
    normal: String,
    /// Whether it ends within brackets or quotes, which CSS closes by itself.
    open: bool,
    /// The last compound of each selector in the list: what is selected.
    subjects: Vec<String>,
    /// Whether there is a pseudo-class that is about a place.
    place: bool,
}

/// Takes a selector apart. What it says of one that does not parse means nothing.
fn scan(text: &str) -> Scanned {
    let mut scanned = Scanned {
        normal: String::with_capacity(text.len()),
        open: false,
        subjects: Vec::new(),
        place: false,
    };
    let mut subject = String::new();
    let (mut quote, mut depth, mut naming, mut ended) = (None, 0_u32, false, false);
    for c in text.chars() {
        let plain = quote.is_none();
        let c = if naming { c.to_ascii_lowercase() } else { c };
        scanned.normal.push(c);
        if plain && depth == 0 && (c.is_ascii_whitespace() || c == '>') {
            ended = true;
            continue;
        }
        if plain && depth == 0 && c == ',' {
            scanned.subjects.push(std::mem::take(&mut subject));
            ended = false;
            continue;
        }
        if std::mem::take(&mut ended) {
            subject.clear();
        }
        subject.push(c);
        match c {
            _ if quote == Some(c) => quote = None,
            _ if !plain => {}
            '"' | '\'' => quote = Some(c),
            '[' | '(' => depth = depth.saturating_add(1),
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        naming = plain && (c == '[' || naming && !"=~|^$*]\"'".contains(c));
        if plain {
            let name = subject.to_ascii_lowercase();
            scanned.place |= name.ends_with(":nth-") || name.ends_with(":first-");
        }
    }
    scanned.open = quote.is_some() || depth > 0;
    scanned.subjects.push(subject);
    scanned
}

/// The names of the attributes that a compound asks for.
fn attributes(compound: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut quote = None;
    let mut name: Option<String> = None;
    for c in compound.chars() {
        match (quote, c) {
            (Some(open), _) => {
                if c == open {
                    quote = None;
                }
            }
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => name = Some(String::new()),
            (None, '=' | '~' | '|' | '^' | '$' | '*' | ']') => names.extend(name.take()),
            (None, _) => {
                if let Some(name) = &mut name
                    && !c.is_ascii_whitespace()
                {
                    name.push(c);
                }
            }
        }
    }
    names.retain(|name| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    });
    names
}

/// What anybody writes on an element of their own, and what elements have anyway.
const COMMON: &[&str] = &[
    "<script></script><style></style><link>",
    "<script nonce></script><style nonce></style><link nonce>",
    "<script nonce=? src=//evil.invalid/? async defer id=? class=? type=? language=? charset=? \
     crossorigin=? integrity=? referrerpolicy=? fetchpriority=? blocking=? nomodule title=?></script>",
    "<script type=module src=//evil.invalid/?></script>",
    "<script type=text/javascript src=//evil.invalid/? language=javascript></script>",
    "<script type=application/javascript charset=utf-8 crossorigin=anonymous async=async></script>",
    "<script async=true defer=true crossorigin=use-credentials src=https://evil.invalid/?.js></script>",
    "<script type=importmap defer=defer></script><script type=speculationrules></script>",
    "<style nonce=? type=? media=? id=? class=? title=?></style><style type=text/css media=all></style>",
    "<link nonce=? rel=? href=//evil.invalid/? type=? media=? id=? class=? title=? as=? crossorigin=? integrity=?>",
    "<link rel=stylesheet href=//evil.invalid/? type=text/css media=all>",
    "<link rel=stylesheet href=https://evil.invalid/?.css media=screen>",
    "<link rel=preload as=script href=//evil.invalid/?><link rel=preload as=style><link rel=modulepreload>",
];

/// How much one compound lets through, by trying it on elements.
fn breadth(compound: &str) -> Breadth {
    let Ok(selector) = compound.parse::<lol_html::Selector>() else {
        // It parsed within the whole, so this is of a text that `scan` does not understand.
        return Breadth::Any;
    };
    if COMMON.iter().any(|page| matches(&selector, page)) {
        return Breadth::Any;
    }
    let mut marked = String::new();
    for tag in ["script", "style", "link"] {
        marked.push('<');
        marked.push_str(tag);
        for name in attributes(compound) {
            marked.push(' ');
            marked.push_str(&name);
            marked.push_str("=?");
        }
        marked.push_str("></");
        marked.push_str(tag);
        marked.push('>');
    }
    if matches(&selector, &marked) {
        Breadth::Marked
    } else {
        Breadth::Valued
    }
}

/// Whether it matches anything in a page.
fn matches(selector: &lol_html::Selector, page: &str) -> bool {
    let found = Rc::new(Cell::new(false));
    let finds = Rc::clone(&found);
    let settings = Settings {
        element_content_handlers: vec![(
            std::borrow::Cow::Borrowed(selector),
            ElementContentHandlers::default().element(
                move |_: &mut lol_html::html_content::Element<'_, '_>| {
                    finds.set(true);
                    Ok(())
                },
            ),
        )],
        ..Settings::new()
    };
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| ());
    let read = rewriter
        .write(page.as_bytes())
        .and_then(|()| rewriter.end());
    // What cannot be tried is not let through.
    read.is_err() || found.get()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn says_how_much_a_selector_lets_through() {
        for (text, breadth) in [
            ("*", Breadth::Any),
            ("script", Breadth::Any),
            ("SCRIPT", Breadth::Any),
            ("script, .x", Breadth::Any),
            ("[data-x='a'], style", Breadth::Any),
            ("link", Breadth::Any),
            ("head > script", Breadth::Any),
            ("#trusted script", Breadth::Any),
            ("#trusted>script", Breadth::Any),
            ("[data-x='a > b'] > script", Breadth::Any),
            ("[nonce]", Breadth::Any),
            ("script[ NONCE ]", Breadth::Any),
            ("script[nonce='']", Breadth::Any),
            ("script[src]", Breadth::Any),
            ("script[async][src]", Breadth::Any),
            ("script[src*='/']", Breadth::Any),
            ("script[src^='https://']", Breadth::Any),
            ("script[src$='.js']", Breadth::Any),
            ("script[type=module]", Breadth::Any),
            ("script[type='text/javascript']", Breadth::Any),
            ("link[rel=stylesheet]", Breadth::Any),
            ("style:not([data-evil])", Breadth::Any),
            ("script:not(.evil)", Breadth::Any),
            ("script/*[x=y]*/", Breadth::Any),
            ("script:not([SRC])", Breadth::Any),
            ("script[class]", Breadth::Any),
            ("[data-trusted]", Breadth::Marked),
            ("script[data-trusted][src]", Breadth::Marked),
            ("script[data-trusted]:not([x=y])", Breadth::Marked),
            (".trusted", Breadth::Valued),
            ("script#main", Breadth::Valued),
            ("script[src^='https://cdn.example/']", Breadth::Valued),
            ("script[data-trusted='a, b']", Breadth::Valued),
            (
                "link[href=\"/app.css\"], style[data-key=k]",
                Breadth::Valued,
            ),
            ("body script[src='/a.js'], [data-x]", Breadth::Marked),
        ] {
            assert_eq!(
                text.parse::<Selector>().unwrap().breadth(),
                breadth,
                "{text}"
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn says_what_is_wrong_with_a_selector() {
        for (text, error) in [
            (
                "",
                "the selector is empty: write one such as `script[src^=\"https://cdn.example/\"]`",
            ),
            (
                "script,",
                "there is an empty selector, such as before or after a comma",
            ),
            (
                "script[]",
                "the selector, or what is in its brackets, ends where something must follow",
            ),
            (
                "script[a",
                "the selector, or what is in its brackets, ends where something must follow",
            ),
            (
                "script >",
                "the selector ends or begins with a combinator: nothing is selected",
            ),
            (
                "script + script",
                "`+` is no combinator here: descendants (a space) and children (`>`) are",
            ),
            (
                "script[=a]",
                "`[` has no attribute's name after it: write `[name]` or `[name=\"value\"]`",
            ),
            (
                "script[a b]",
                "what stands between `[` and `]` is no attribute: write `[name]` or `[name=\"value\"]`, with = ~= |= ^= $= or *=",
            ),
            (
                "script:hover",
                "there is a pseudo-class or pseudo-element that is not supported: only `:not(...)` of one element's own selectors is",
            ),
            (
                "script.[a]",
                "`.` has no class name after it: write `.name`",
            ),
            (
                "script:first-child",
                "the place among siblings (`:nth-child`, `:first-of-type`, ...) tells nothing of trust: select by attributes",
            ),
            (
                "script:not(:NTH-of-type(2))",
                "the place among siblings (`:nth-child`, `:first-of-type`, ...) tells nothing of trust: select by attributes",
            ),
            (
                "script!",
                "there is a character where none of its kind can stand: types, `*`, `.class`, `#id`, `[attribute]` and `:not(...)` are",
            ),
            ("[\\6eonce]", "there is a `\\`: escapes are not supported"),
            (
                &"a".repeat(1025),
                "a selector has at most 1024 bytes, this one has 1025",
            ),
        ] {
            assert_eq!(
                text.parse::<Selector>().unwrap_err().to_string(),
                error,
                "{text:?}"
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_value_may_have_whatever_means_something_elsewhere() {
        let selector = r#"script[src="/a.js?:nth-child(1),'[>"]"#.parse::<Selector>().unwrap();
        assert_eq!(selector.breadth(), Breadth::Valued);
    }
}
