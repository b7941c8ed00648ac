//! Finding elements in a page as it passes, and writing the nonce into their tags.
//!
//! `lol_html` reads the page and is not asked to change anything, so that what it gives out is
//! what it got. The tags to change are known by their places, and [`Flow`] changes them as they
//! come out: the nonce is put in and not a byte beside it is changed, be it valid in the page's
//! encoding or not. So it is known, too, how far the page has come out, and the rest of it can
//! follow untouched from any place.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use lol_html::errors::RewritingError;
use lol_html::html_content::Element;
use lol_html::{
    AsciiCompatibleEncoding, ElementContentHandlers, HandlerResult, HtmlRewriter, MemorySettings,
    OutputSink, Settings,
};

use super::charset::Charset;
use super::placeholder::Replacer;
use super::seen::Collector;
use super::tag::{self, Split};
use super::{Found, Nonce, Plan, Skipped};

/// How many bytes of a tag are held back while its end has not come: 64 KiB.
pub(super) const HELD: usize = 64 * 1024;

/// The same where what a page loads is collected, as images often stand in their tags: 256 KiB.
pub(super) const HELD_COLLECTING: usize = 256 * 1024;

/// What the parser may take beside that, for the elements that are open: 512 KiB, which is enough
/// for 2000. It knows no end tag that is not written, so that each paragraph of a page can be
/// within the one before it; and it looks for each end tag among all of them, so that a page with
/// as many and then with end tags of nothing takes the longest of all.
const OPEN: usize = 512 * 1024;

/// The elements that a nonce means something for.
const NONCED: &[&str] = &["script", "style", "link"];

/// The namespace of HTML's elements.
pub(super) const HTML: &str = "http://www.w3.org/1999/xhtml";

/// What the parser's handlers and its output share. They take turns, so that it is never
/// borrowed twice.
type Shared = Rc<RefCell<Flow>>;

/// A page's bytes on their way out.
struct Flow {
    /// Where in the page the next byte is that comes out. What has come out is as many bytes.
    at: usize,
    out: Vec<u8>,
    replacer: Option<Replacer>,
    nonce: Option<Nonce>,
    /// The tag that is to get the nonce when it comes out: where it begins, and how long its
    /// name is.
    selected: Option<(usize, usize)>,
    /// Where a tag begins after which the parser may not be where a browser is.
    doubtful: Option<(usize, usize)>,
    /// Whether it no longer is. Nothing is done from then on.
    adrift: bool,
    /// Where the last element begins that was refused by its namespace. More than one selector
    /// may select it.
    refused_at: Option<usize>,
    collector: Option<Collector>,
    found: Found,
}

impl Flow {
    /// Puts out what is not changed by anything but the placeholder.
    fn plain(&mut self, bytes: &[u8]) {
        match &mut self.replacer {
            None => self.out.extend_from_slice(bytes),
            Some(replacer) => replacer.push(bytes, &mut self.out),
        }
    }

    /// Puts out what the parser does. A tag that one of its handlers has seen comes alone.
    fn pass(&mut self, bytes: &[u8]) {
        let at = self.at;
        self.at = at.wrapping_add(bytes.len());
        if let Some(collector) = &mut self.collector {
            collector.pass(at, bytes);
        }
        match self.selected.take_if(|(tag, _)| *tag == at) {
            None => self.plain(bytes),
            Some((_, name)) => self.put_nonce(bytes, name),
        }
        if let Some((_, name)) = self.doubtful.take_if(|(tag, _)| *tag == at)
            && tag::ends_in_equals(bytes, name)
        {
            self.adrift = true;
            if let Some(collector) = &mut self.collector {
                collector.stop();
            }
        }
    }

    fn put_nonce(&mut self, tag: &[u8], name: usize) {
        let split = tag::split(tag, name);
        let (Some(split), Some(nonce)) = (split, self.nonce.take()) else {
            self.found.refused = self.found.refused.saturating_add(1);
            return self.plain(tag);
        };
        let Split {
            before,
            lead,
            trail,
            after,
        } = split;
        for part in [before, lead, nonce.as_str().as_bytes(), trail, after] {
            self.plain(part);
        }
        self.nonce = Some(nonce);
        self.found.nonces = self.found.nonces.saturating_add(1);
    }

    /// An element that a selector selects.
    fn select(&mut self, element: &Element<'_, '_>) {
        let name = element.tag_name();
        if self.adrift || self.nonce.is_none() || !NONCED.contains(&&*name) {
            return;
        }
        let tag = (element.source_location().bytes().start, name.len());
        // In SVG and MathML it takes the whole tree to know what a browser sees.
        if element.namespace_uri() == HTML {
            self.selected = Some(tag);
        } else if self.refused_at.replace(tag.0) != Some(tag.0) {
            self.found.refused = self.found.refused.saturating_add(1);
        }
    }

    /// An element whose content is text.
    fn doubt(&mut self, element: &Element<'_, '_>) {
        if element.namespace_uri() == HTML {
            let at = element.source_location().bytes().start;
            self.doubtful = Some((at, element.tag_name().len()));
        }
    }
}

/// Where the parser puts the page.
struct Tap(Shared);

impl OutputSink for Tap {
    fn handle_chunk(&mut self, chunk: &[u8]) {
        if !chunk.is_empty() {
            self.0.borrow_mut().pass(chunk);
        }
    }

    fn set_encoding(&mut self, encoding: AsciiCompatibleEncoding) {
        if let Some(collector) = &mut self.0.borrow_mut().collector {
            collector.encoding(encoding.into());
        }
    }
}

/// A page that is read, or of which nothing is left to find out.
pub(super) struct Markup {
    flow: Shared,
    /// `None`: the rest of the page passes as it is.
    rewriter: Option<HtmlRewriter<'static, Tap>>,
    /// What the parser has got and not given out.
    held: Vec<u8>,
    /// How long that may become.
    most: usize,
}

impl Markup {
    pub(super) fn new(plan: &Plan, nonce: Option<&Nonce>, charset: Charset) -> Self {
        let replacer = plan
            .placeholder
            .as_ref()
            .zip(nonce)
            .map(|(placeholder, nonce)| Replacer::new(placeholder.clone(), nonce.as_str()));
        let reads = plan.collect.is_some() || (nonce.is_some() && !plan.elements.is_empty());
        let (encoding, adjusts, skipped) = match charset {
            Charset::Said(encoding) => (Some(encoding), false, None),
            Charset::Unsaid(encoding) => (Some(encoding), true, None),
            Charset::Unreadable => (None, false, Some(Skipped::Charset)),
        };
        let flow = Rc::new(RefCell::new(Flow {
            at: 0,
            out: Vec::new(),
            replacer,
            nonce: nonce.cloned(),
            selected: None,
            doubtful: None,
            adrift: false,
            refused_at: None,
            collector: plan
                .collect
                .map(|algorithm| Collector::new(algorithm, plan.placeholder.clone())),
            found: Found {
                skipped: if reads { skipped } else { None },
                ..Found::default()
            },
        }));
        let most = plan.collect.map_or(HELD, |_| HELD_COLLECTING);
        let rewriter = encoding.filter(|_| reads).map(|encoding| {
            let settings = Settings {
                element_content_handlers: handlers(plan, &flow),
                encoding,
                memory_settings: MemorySettings {
                    max_allowed_memory_usage: most.saturating_add(OPEN),
                    ..MemorySettings::new()
                },
                strict: true,
                adjust_charset_on_meta_tag: adjusts,
                ..Settings::new()
            };
            HtmlRewriter::new(settings, Tap(Rc::clone(&flow)))
        });
        Self {
            flow,
            rewriter,
            held: Vec::new(),
            most,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.swap(out);
        self.read(chunk);
        self.swap(out);
    }

    /// Reads no further.
    pub(super) fn stop(&mut self, why: Skipped, out: &mut Vec<u8>) {
        if self.rewriter.is_some() {
            self.swap(out);
            self.give_up(why);
            self.swap(out);
        }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Found {
        self.swap(out);
        if let Some(rewriter) = self.rewriter.take() {
            let at = self.flow.borrow().at;
            if let Err(error) = rewriter.end() {
                self.keep(at, &[]);
                self.give_up(why(&error));
            }
        }
        let flow = &mut *self.flow.borrow_mut();
        if let Some(replacer) = &mut flow.replacer {
            replacer.finish(&mut flow.out);
            flow.found.placeholders = replacer.replaced;
        }
        let mut found = std::mem::take(&mut flow.found);
        if let Some(collector) = flow.collector.take() {
            found.seen = Some(collector.finish());
        }
        std::mem::swap(&mut flow.out, out);
        found
    }

    /// Exchanges what is written into, so that nothing is written twice.
    fn swap(&self, out: &mut Vec<u8>) {
        std::mem::swap(&mut self.flow.borrow_mut().out, out);
    }

    fn read(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let Some(rewriter) = &mut self.rewriter else {
                return self.flow.borrow_mut().plain(chunk);
            };
            // The parser never has more than it may hold, so whether a tag is too long does not
            // depend on how the page is cut.
            let room = self.most.saturating_sub(self.held.len());
            let (piece, rest) = chunk.split_at_checked(room).unwrap_or((chunk, &[]));
            chunk = rest;
            let at = self.flow.borrow().at;
            let read = rewriter.write(piece);
            self.keep(at, piece);
            let adrift = self.flow.borrow().adrift;
            match read {
                Err(error) => self.give_up(why(&error)),
                Ok(()) if adrift => self.give_up(Skipped::Ambiguous),
                Ok(()) if self.held.len() >= self.most => self.give_up(Skipped::Large),
                Ok(()) => {}
            }
        }
    }

    /// Keeps what the parser was given now and has not given out, which began there.
    fn keep(&mut self, began: usize, piece: &[u8]) {
        let out = self.flow.borrow().at.wrapping_sub(began);
        if let Some(out) = out.checked_sub(self.held.len()) {
            self.held.clear();
            self.held
                .extend_from_slice(piece.get(out..).unwrap_or_default());
        } else {
            self.held.drain(..out);
            self.held.extend_from_slice(piece);
        }
    }

    /// Lets the rest of the page pass as it is.
    fn give_up(&mut self, why: Skipped) {
        self.rewriter = None;
        let mut flow = self.flow.borrow_mut();
        flow.found.skipped.get_or_insert(why);
        if let Some(collector) = &mut flow.collector {
            collector.stop();
        }
        flow.plain(&self.held);
        self.held = Vec::new();
    }
}

fn why(error: &RewritingError) -> Skipped {
    match error {
        RewritingError::MemoryLimitExceeded(_) => Skipped::Large,
        _ => Skipped::Ambiguous,
    }
}

type Handlers = Vec<(
    Cow<'static, lol_html::Selector>,
    ElementContentHandlers<'static>,
)>;

/// What is done with which elements. The selected ones come first, so that the collector knows
/// of them.
fn handlers(plan: &Plan, flow: &Shared) -> Handlers {
    let on = |selector: &lol_html::Selector, act: fn(&Shared, &mut Element<'_, '_>)| {
        let flow = Rc::clone(flow);
        let handler = move |element: &mut Element<'_, '_>| -> HandlerResult {
            act(&flow, element);
            Ok(())
        };
        (
            Cow::Owned(selector.clone()),
            ElementContentHandlers::default().element(handler),
        )
    };
    let doubted = plan
        .doubted
        .iter()
        .map(|selector| on(selector, |flow, element| flow.borrow_mut().doubt(element)));
    let selected = plan.elements.iter().map(|selector| {
        on(selector.inner(), |flow, element| {
            flow.borrow_mut().select(element);
        })
    });
    let all = plan.all.iter().filter(|_| plan.collect.is_some());
    let collected = all.map(|selector| on(selector, collect));
    doubted.chain(selected).chain(collected).collect()
}

fn collect(shared: &Shared, element: &mut Element<'_, '_>) {
    let mut flow = shared.borrow_mut();
    let flow = &mut *flow;
    if flow.adrift {
        return;
    }
    let Some(collector) = &mut flow.collector else {
        return;
    };
    let at = element.source_location().bytes().start;
    let selected = flow.selected.is_some_and(|(tag, _)| tag == at);
    if collector.element(element, selected)
        && let Some(handlers) = element.end_tag_handlers()
    {
        let shared = Rc::clone(shared);
        handlers.push(Box::new(move |_| {
            if let Some(collector) = &mut shared.borrow_mut().collector {
                collector.end_of_text();
            }
            Ok(())
        }));
    }
}
