//! One page, from its bytes as they come to its bytes as they go.

use super::Coding;
use super::charset::Charset;
use super::coding::Decoder;
use super::markup::Markup;
use super::{Failure, Found, Nonce, Plan, Skipped};

/// A page that passes.
///
/// Its bytes come as the upstream sends them and go uncompressed. After a [`Failure`] nothing
/// more comes out of it.
pub struct Page {
    decoder: Decoder,
    body: Body,
    failure: Option<Failure>,
}

/// The page behind its compression.
struct Body {
    /// What is to be begun with once the first bytes are there.
    begin: Option<Begin>,
    markup: Option<Markup>,
}

struct Begin {
    plan: Plan,
    nonce: Option<Nonce>,
    label: Option<Box<str>>,
    /// The first bytes of the page, three at most.
    start: Vec<u8>,
}

impl Page {
    /// A page of a response that says `charset` in its `content-type`, if it does. Without a nonce
    /// it only collects.
    pub fn new(plan: &Plan, nonce: Option<&Nonce>, coding: Coding, charset: Option<&str>) -> Self {
        Self {
            decoder: Decoder::new(coding),
            body: Body {
                begin: Some(Begin {
                    plan: plan.clone(),
                    nonce: nonce.cloned(),
                    label: charset.map(Into::into),
                    start: Vec::new(),
                }),
                markup: None,
            },
            failure: None,
        }
    }

    /// Takes what comes next, and adds to `out` what can go on.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let body = &mut self.body;
        let pushed = self.decoder.push(chunk, &mut |piece| body.push(piece, out));
        self.failure = pushed.err();
        pushed
    }

    /// Reads the page no further: what is held back goes on, and the rest passes as it is but for the
    /// placeholder. For whoever sees that reading takes too long, as it does at about 1 MiB in a
    /// second where thousands of elements are open and end tags of none of them follow.
    pub fn give_up(&mut self, out: &mut Vec<u8>) {
        self.body.begin(true, out);
        if let Some(markup) = &mut self.body.markup {
            markup.stop(Skipped::Slow, out);
        }
    }

    /// Adds to `out` what was held back, and says what was found.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Found, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.decoder.finish()?;
        self.body.begin(true, out);
        let finished = self.body.markup.map(|markup| markup.finish(out));
        Ok(finished.unwrap_or_default())
    }
}

impl Body {
    fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        while let (Some(begin), Some((first, rest))) = (&mut self.begin, piece.split_first()) {
            begin.start.push(*first);
            piece = rest;
            self.begin(false, out);
        }
        if let Some(markup) = &mut self.markup {
            markup.push(piece, out);
        }
    }

    /// Begins with the page, if the bytes that are there are enough to.
    fn begin(&mut self, whole: bool, out: &mut Vec<u8>) {
        let Some((begin, charset)) = self.begin.as_ref().and_then(|begin| {
            let charset = Charset::sniff(&begin.start, whole, begin.label.as_deref())?;
            Some((begin, charset))
        }) else {
            return;
        };
        let mut markup = Markup::new(&begin.plan, begin.nonce.as_ref(), charset);
        markup.push(&begin.start, out);
        self.markup = Some(markup);
        self.begin = None;
    }
}
