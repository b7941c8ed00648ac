//! What a page loads and has inline: what a policy would have to allow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{CoderResult, Encoding, UTF_8};
use lol_html::html_content::{Attribute, Element};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::markup::HTML;
use super::url::{self, Source, Target};
use super::{Placeholder, entities};
use crate::policy::{Algorithm, Hash, Name};

/// How many different things are kept of one page.
const KEPT: usize = 512;

/// How many attributes of one element are looked at.
const ATTRIBUTES: usize = 256;

/// What a page loads and has inline. At most 512 different things are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Each of them once, in the order of the page.
    pub sightings: Vec<Sighting>,
    /// How many came after those that are kept.
    pub more: u32,
}

/// One thing that a policy would have to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The directive that is about it, before any that it falls back to: `script-src-elem`,
    /// `style-src-attr`, `img-src`, …
    pub directive: Name,
    /// What it is.
    pub what: What,
    /// Whether its element gets the nonce: by a selector, or as it has the placeholder or
    /// any nonce of its own.
    pub nonced: bool,
}

/// What there is in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something inline, by its hash. In `script-src-attr` and `style-src-attr`, and for
    /// [`javascript:` URLs](Self::Url), it counts only with `'unsafe-hashes'`.
    Hash(Hash),
    /// A `javascript:` URL, by its hash.
    Url(Hash),
    /// Something elsewhere.
    Source {
        /// The source expression of its origin or scheme: `'self'` where it is relative,
        /// `https://cdn.example:8443`, `cdn.example` where it has the page's scheme, `data:`.
        expression: Box<str>,
        /// Its URL without query and fragment, of at most 256 bytes, for a person to recognize.
        url: Box<str>,
    },
    /// Something that cannot be told from outside of a browser.
    Unreadable,
}

/// Collects what is in a page.
pub(super) struct Collector {
    algorithm: Algorithm,
    placeholder: Option<Placeholder>,
    encoding: &'static Encoding,
    seen: Seen,
    /// What relative URLs are relative to, if not to the page.
    base: Option<Source>,
    text: Option<Text>,
    stopped: bool,
}

/// The text of an element that is hashed as it passes.
struct Text {
    /// Where it begins.
    from: usize,
    directive: Name,
    nonced: bool,
    /// Whether it is in SVG, where it is text only as far as there is no markup in it.
    foreign: bool,
    unreadable: bool,
    decoder: encoding_rs::Decoder,
    hasher: Hasher,
}

impl Collector {
    pub(super) fn new(algorithm: Algorithm, placeholder: Option<Placeholder>) -> Self {
        Self {
            algorithm,
            placeholder,
            encoding: UTF_8,
            seen: Seen::default(),
            base: None,
            text: None,
            stopped: false,
        }
    }

    /// The page turns out to be in that encoding.
    pub(super) fn encoding(&mut self, encoding: &'static Encoding) {
        self.encoding = encoding;
    }

    /// The page cannot be read any further.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.text = None;
    }

    pub(super) fn finish(mut self) -> Seen {
        // A style without an end counts. A script does not run.
        if self
            .text
            .as_ref()
            .is_some_and(|text| text.directive == STYLE)
        {
            self.end_of_text();
        }
        self.seen
    }

    /// What passes, from that place of the page on.
    pub(super) fn pass(&mut self, at: usize, bytes: &[u8]) {
        if let Some(text) = &mut self.text
            && at >= text.from
        {
            text.pass(bytes);
        }
    }

    /// The text that is being hashed is over.
    pub(super) fn end_of_text(&mut self) {
        if let Some(text) = self.text.take() {
            let (directive, nonced) = (text.directive.clone(), text.nonced);
            if let Some(what) = text.finish() {
                self.keep(directive, what, nonced);
            }
        }
    }

    fn keep(&mut self, directive: Name, what: What, nonced: bool) {
        let sighting = Sighting {
            directive,
            what,
            nonced,
        };
        if self.stopped || self.seen.sightings.contains(&sighting) {
            return;
        }
        if self.seen.sightings.len() < KEPT {
            self.seen.sightings.push(sighting);
        } else {
            self.seen.more = self.seen.more.saturating_add(1);
        }
    }

    fn hash(&self, text: &str) -> Option<Hash> {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.text(text);
        hasher.finish()
    }

    /// A value that is a script or a style. `None` of it: it has a reference that is not known.
    fn keep_inline(&mut self, directive: Name, value: Option<&str>, nonced: bool) {
        let hash = value.and_then(|value| self.hash(value));
        let what = hash.map_or(What::Unreadable, What::Hash);
        self.keep(directive, what, nonced);
    }

    fn keep_url(&mut self, directive: Name, value: Option<&str>, nonced: bool) {
        let target = value.map_or(Target::Unreadable, |value| {
            url::target(value, self.base.as_ref())
        });
        match target {
            Target::Nothing => {}
            Target::Unreadable => self.keep(directive, What::Unreadable, nonced),
            Target::Script(script) => {
                let what = self.hash(&script).map_or(What::Unreadable, What::Url);
                self.keep(SCRIPT, what, false);
            }
            Target::Source(Source { expression, url }) => {
                self.keep(directive, What::Source { expression, url }, nonced);
            }
        }
    }

    /// Looks at an element. Whether its text is to be hashed, and its end is to be told.
    pub(super) fn element(&mut self, element: &Element<'_, '_>, selected: bool) -> bool {
        let name = element.tag_name();
        let attributes = Attributes::of(element.attributes());
        let nonce = attributes.get("nonce");
        let marked = self
            .placeholder
            .as_ref()
            .is_some_and(|placeholder| nonce.is_some_and(|nonce| placeholder.is_in(nonce)));
        let nonced = selected || marked || nonce.is_some_and(|nonce| !nonce.is_empty());

        if name == "base" && self.base.is_none() {
            self.base(&attributes);
        }
        for (attribute, value) in attributes.iter() {
            if is_handler(attribute) {
                self.keep_inline(Name::ScriptSrcAttr, value, false);
            } else if attribute == "style" {
                self.keep_inline(Name::StyleSrcAttr, value, false);
            } else if let Some((directive, kind)) = directive(&name, attribute, &attributes) {
                match kind {
                    Kind::Url => self.keep_url(directive, value, nonced),
                    Kind::Script => {
                        if let Some(value) = value
                            && let Target::Script(_) = url::target(value, None)
                        {
                            self.keep_url(directive, Some(value), nonced);
                        }
                    }
                    Kind::Set => match value {
                        None => self.keep(directive, What::Unreadable, nonced),
                        Some(set) => {
                            for url in candidates(set) {
                                self.keep_url(directive.clone(), Some(url), nonced);
                            }
                        }
                    },
                }
            }
        }
        self.begin_text(element, &name, &attributes, nonced)
    }

    fn base(&mut self, attributes: &Attributes) {
        let Some(href) = attributes.get("href") else {
            return;
        };
        self.keep_url(Name::BaseUri, Some(href), false);
        if let Target::Source(source) = url::target(href, None) {
            self.base = Some(source);
        }
    }

    fn begin_text(
        &mut self,
        element: &Element<'_, '_>,
        name: &str,
        attributes: &Attributes,
        nonced: bool,
    ) -> bool {
        let foreign = element.namespace_uri() != HTML;
        let directive = match name {
            "script" if is_inline_script(attributes, foreign) => SCRIPT,
            "style" if is_style(attributes) => STYLE,
            _ => return false,
        };
        if !element.can_have_content() {
            return false;
        }
        self.text = Some(Text {
            from: element.source_location().bytes().end,
            directive,
            nonced,
            foreign,
            unreadable: false,
            decoder: self.encoding.new_decoder_without_bom_handling(),
            hasher: Hasher::new(self.algorithm),
        });
        true
    }
}

/// The directive of scripts, and of URLs that are scripts.
const SCRIPT: Name = Name::ScriptSrcElem;
/// The directive of styles.
const STYLE: Name = Name::StyleSrcElem;

/// An element's attributes, the first of each name, with their values as a browser has them.
struct Attributes(Vec<(String, Option<String>)>);

impl Attributes {
    fn of(attributes: &[Attribute<'_>]) -> Self {
        let mut list = Vec::<(String, Option<String>)>::new();
        for attribute in attributes.iter().take(ATTRIBUTES) {
            let name = attribute.name();
            if list.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let value = normalized(&attribute.value());
            let value = entities::decode(&value).map(std::borrow::Cow::into_owned);
            list.push((name, value));
        }
        Self(list)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (&**name, value.as_deref()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(known, value)| (known == name).then_some(value))
            .flatten()
    }

    fn has(&self, name: &str) -> bool {
        self.iter().any(|(known, _)| known == name)
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.get(name)
            .is_some_and(|known| known.trim_ascii().eq_ignore_ascii_case(value))
    }
}

/// A text as the tokenizer has it: with line feeds alone, and without NUL.
fn normalized(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\0', "\u{FFFD}")
}

/// Whether it is the name of an event handler. Which events there are only browsers know.
fn is_handler(name: &str) -> bool {
    name.strip_prefix("on").is_some_and(|event| {
        !event.is_empty() && event.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

/// The types of scripts that run ("JavaScript MIME type essence match" of WHATWG's MIME Sniffing).
/// The directive of scripts, and of URLs that are scripts.
const SCRIPT_TYPES: &[&str] = &[
    "application/ecmascript",
    "application/javascript",
    "application/x-ecmascript",
    "application/x-javascript",
    "text/ecmascript",
    "text/javascript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/javascript1.5",
    "text/jscript",
    "text/livescript",
    "text/x-ecmascript",
    "text/x-javascript",
];

/// Whether an element `script` has a script in it: not data, and not one elsewhere.
fn is_inline_script(attributes: &Attributes, foreign: bool) -> bool {
    let elsewhere = if foreign {
        attributes.has("href") || attributes.has("xlink:href")
    } else {
        attributes.has("src")
    };
    !elsewhere && runs(attributes)
}

/// Whether an element `script` is a script, by its type.
fn runs(attributes: &Attributes) -> bool {
    let kind = match (attributes.get("type"), attributes.get("language")) {
        (Some(kind), _) => kind.trim_ascii().to_ascii_lowercase(),
        (None, Some(language)) if !language.is_empty() => {
            format!("text/{}", language.to_ascii_lowercase())
        }
        (None, _) => String::new(),
    };
    kind.is_empty()
        || ["module", "importmap", "speculationrules"].contains(&&*kind)
        || SCRIPT_TYPES.contains(&&*kind)
}

fn is_style(attributes: &Attributes) -> bool {
    attributes
        .get("type")
        .is_none_or(|kind| kind.is_empty() || kind.eq_ignore_ascii_case("text/css"))
}

/// What there is in an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A URL.
    Url,
    /// A URL that counts only if it is a script.
    Script,
    /// URLs with what they are for: `srcset`.
    Set,
}

/// What an attribute loads, if anything.
fn directive(name: &str, attribute: &str, of: &Attributes) -> Option<(Name, Kind)> {
    Some(match (name, attribute) {
        ("script", "src" | "href" | "xlink:href") if runs(of) => (SCRIPT, Kind::Url),
        ("link", "href") => (link(of)?, Kind::Url),
        ("link", "imagesrcset") if of.is("as", "image") => (Name::ImgSrc, Kind::Set),
        ("img" | "image", "src" | "lowsrc")
        | ("image" | "feimage", "href" | "xlink:href")
        | ("video", "poster")
        | ("body" | "table" | "thead" | "tbody" | "tfoot" | "tr" | "td" | "th", "background") => {
            (Name::ImgSrc, Kind::Url)
        }
        ("input", "src") if of.is("type", "image") => (Name::ImgSrc, Kind::Url),
        ("img" | "source", "srcset") => (Name::ImgSrc, Kind::Set),
        ("audio" | "video" | "source" | "track", "src") => (Name::MediaSrc, Kind::Url),
        ("iframe" | "frame", "src") => (Name::FrameSrc, Kind::Url),
        ("object", "data") | ("embed", "src") => (Name::ObjectSrc, Kind::Url),
        ("form", "action") | ("button" | "input", "formaction") => (Name::FormAction, Kind::Url),
        ("a" | "area", "href" | "xlink:href") => (SCRIPT, Kind::Script),
        _ => return None,
    })
}

/// The directive about what a `link` loads.
fn link(of: &Attributes) -> Option<Name> {
    let rel = of.get("rel")?.to_ascii_lowercase();
    let is = |kind: &str| rel.split_ascii_whitespace().any(|word| word == kind);
    if is("stylesheet") {
        return Some(STYLE);
    }
    if is("manifest") {
        return Some(Name::ManifestSrc);
    }
    if is("modulepreload") {
        return Some(SCRIPT);
    }
    if is("icon") || is("apple-touch-icon") || is("apple-touch-icon-precomposed") {
        return Some(Name::ImgSrc);
    }
    if !is("preload") && !is("prefetch") {
        return None;
    }
    Some(match &*of.get("as")?.trim_ascii().to_ascii_lowercase() {
        "script" => SCRIPT,
        "style" => STYLE,
        "font" => Name::FontSrc,
        "image" => Name::ImgSrc,
        "audio" | "video" | "track" => Name::MediaSrc,
        "fetch" => Name::ConnectSrc,
        "worker" => Name::WorkerSrc,
        _ => return None,
    })
}

/// The URLs of a `srcset`.
fn candidates(set: &str) -> Vec<&str> {
    let mut list = Vec::new();
    let mut rest = set;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return list;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (url, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let alone = url.trim_end_matches(',');
        list.push(alone);
        rest = after;
        if alone.len() == url.len() {
            // What it is for, until the next comma outside of brackets.
            let mut depth = 0_u32;
            let end = rest.find(|c: char| {
                match c {
                    '(' => depth = depth.saturating_add(1),
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                c == ',' && depth == 0
            });
            rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
        }
    }
}

impl Text {
    fn pass(&mut self, bytes: &[u8]) {
        if self.foreign && bytes.iter().any(|byte| b"<&".contains(byte)) {
            self.unreadable = true;
        }
        self.decode(bytes, false);
    }

    fn decode(&mut self, mut bytes: &[u8], last: bool) {
        let mut text = [0; 1024];
        loop {
            let (result, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut text, last);
            let decoded = text
                .get(..written)
                .and_then(|text| std::str::from_utf8(text).ok())
                .unwrap_or_default();
            self.hasher.text(decoded);
            bytes = bytes.get(read..).unwrap_or_default();
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }

    /// `None`: there is no text, and nothing to allow.
    fn finish(mut self) -> Option<What> {
        self.decode(&[], true);
        if self.unreadable {
            return Some(What::Unreadable);
        }
        let any = self.hasher.any;
        any.then(|| self.hasher.finish().map_or(What::Unreadable, What::Hash))
    }
}

/// Hashes a text as a browser has it.
struct Hasher {
    digest: Sha,
    /// Whether the last character was a carriage return, which was taken for a line feed.
    returned: bool,
    /// Whether there was any text.
    any: bool,
}

enum Sha {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            digest: match algorithm {
                Algorithm::Sha256 => Sha::Sha256(Sha256::new()),
                Algorithm::Sha384 => Sha::Sha384(Sha384::new()),
                Algorithm::Sha512 => Sha::Sha512(Sha512::new()),
            },
            returned: false,
            any: false,
        }
    }

    fn text(&mut self, mut text: &str) {
        if text.is_empty() {
            return;
        }
        self.any = true;
        if std::mem::take(&mut self.returned) {
            text = text.strip_prefix('\n').unwrap_or(text);
        }
        while let Some(at) = text.find(['\r', '\0']) {
            let (before, from) = text.split_at_checked(at).unwrap_or((text, ""));
            self.bytes(before.as_bytes());
            if let Some(after) = from.strip_prefix('\r') {
                self.bytes(b"\n");
                self.returned = after.is_empty();
                text = after.strip_prefix('\n').unwrap_or(after);
            } else {
                self.bytes("\u{FFFD}".as_bytes());
                text = from.strip_prefix('\0').unwrap_or_default();
            }
        }
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match &mut self.digest {
            Sha::Sha256(digest) => digest.update(bytes),
            Sha::Sha384(digest) => digest.update(bytes),
            Sha::Sha512(digest) => digest.update(bytes),
        }
    }

    fn finish(self) -> Option<Hash> {
        let (algorithm, hash) = match self.digest {
            Sha::Sha256(digest) => (Algorithm::Sha256, STANDARD.encode(digest.finalize())),
            Sha::Sha384(digest) => (Algorithm::Sha384, STANDARD.encode(digest.finalize())),
            Sha::Sha512(digest) => (Algorithm::Sha512, STANDARD.encode(digest.finalize())),
        };
        Hash::parse(&format!("{}-{hash}", algorithm.as_str()))
    }
}
