//! What is found out about a request's tokens, so that nothing is asked twice.

use std::cell::OnceCell;
use std::rc::Rc;

use legation_jose::confirmation::Digest;

use crate::accepted::Accepted;
use crate::refusal::Reason;

/// A token's number, and a provider's.
pub(crate) type Pair = (usize, usize);

/// What was found out so far. It goes with the request from one look at its tokens
/// to the next.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Whether a token is one of the provider's.
    answers: Vec<(Pair, Result<Rc<Accepted>, Reason>)>,
    /// Whether it comes from whom it is bound to. A proof is good once.
    proofs: Vec<(Pair, Result<(), Reason>)>,
    /// For which newer keys were waited.
    newer_keys: Vec<Pair>,
    /// The certificate of the client's connection, or that it has none.
    certificate: OnceCell<Option<Digest>>,
}

impl Memo {
    pub(crate) fn answer(&self, pair: Pair) -> Option<&Result<Rc<Accepted>, Reason>> {
        of(&self.answers, pair)
    }

    pub(crate) fn note(&mut self, pair: Pair, answer: Result<Rc<Accepted>, Reason>) {
        self.answers.push((pair, answer));
    }

    pub(crate) fn proof(&self, pair: Pair) -> Option<&Result<(), Reason>> {
        of(&self.proofs, pair)
    }

    pub(crate) fn note_proof(&mut self, pair: Pair, proof: Result<(), Reason>) {
        self.proofs.push((pair, proof));
    }

    /// The certificate of the client's connection, if it is known which.
    pub(crate) fn certificate(&self) -> Option<&Option<Digest>> {
        self.certificate.get()
    }

    pub(crate) fn note_certificate(&mut self, certificate: Option<Digest>) {
        self.certificate = OnceCell::from(certificate);
    }

    pub(crate) fn has_newer_keys(&self, pair: Pair) -> bool {
        self.newer_keys.contains(&pair)
    }

    pub(crate) fn note_newer_keys(&mut self, pair: Pair) {
        self.newer_keys.push(pair);
    }
}

fn of<T>(known: &[(Pair, T)], pair: Pair) -> Option<&T> {
    let mut known = known.iter();
    known.find(|(own, _)| *own == pair).map(|(_, value)| value)
}
