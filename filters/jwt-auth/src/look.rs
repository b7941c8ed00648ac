//! One look at the tokens of a request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::SystemTime;

use legation::fingerprint::{Fingerprint, Fingerprints};
use legation::{Error, clock};
use legation_jose::confirmation::{CertificateSource, Digest, forwarded_certificate};
use legation_jose::dpop::{Scheme, Shown};
use legation_jose::{ClaimError, Limits, Token};
use smallvec::SmallVec;

use crate::accepted::Accepted;
use crate::counts::Counts;
use crate::extract::{Found, Locations, Seen};
use crate::memo::Memo;
use crate::outputs::Source;
use crate::provider::{Provider, Verdict};
use crate::refusal::Reason;
use crate::requirement::Tokens;

/// What it takes to look at tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Desk<'a> {
    pub(crate) providers: &'a [Provider],
    pub(crate) locations: &'a Locations,
    pub(crate) fingerprints: &'a Fingerprints,
    pub(crate) counts: &'a Counts,
    /// The time that the last tick left behind, if it did.
    pub(crate) tick: Option<SystemTime>,
}

/// What has to be found out before it is known whether a token is accepted.
/// Not `Debug`, like the other types here with the text of tokens.
pub(crate) enum Question {
    /// The keys of this provider.
    Keys { provider: usize, token: usize },
    /// Newer ones than these.
    NewerKeys {
        provider: usize,
        token: usize,
        key_id: Option<String>,
        generation: u64,
    },
    /// What its issuer says of it.
    Introspection {
        provider: usize,
        token: usize,
        text: Vec<u8>,
    },
    /// The certificate of the client's connection.
    Certificate,
    /// Nothing: the host failed.
    Failed(Error),
}

/// A look.
pub(crate) struct Look<'a, 'b, 'c> {
    desk: Desk<'a>,
    seen: &'b Seen<'c>,
    memo: &'b mut Memo,
    /// One for each token, once they are needed.
    fingerprints: SmallVec<[Fingerprint; 2]>,
    now: Cell<Option<SystemTime>>,
}

impl<'a, 'b, 'c> Look<'a, 'b, 'c> {
    pub(crate) fn new(desk: Desk<'a>, seen: &'b Seen<'c>, memo: &'b mut Memo) -> Self {
        Self {
            desk,
            seen,
            memo,
            fingerprints: SmallVec::new(),
            now: Cell::new(None),
        }
    }

    /// The time, asked for once.
    pub(crate) fn now(&self) -> Result<SystemTime, Error> {
        if let Some(now) = self.now.get() {
            return Ok(now);
        }
        let now = clock::now()?;
        self.now.set(Some(now));
        Ok(now)
    }

    fn fingerprint(&mut self, token: usize) -> Option<Fingerprint> {
        if self.fingerprints.is_empty() {
            let tokens = self.seen.tokens.iter();
            let of = |found: &Found<'_>| self.desk.fingerprints.of(&found.text);
            self.fingerprints = tokens.map(of).collect();
        }
        self.fingerprints.get(token).copied()
    }

    fn text(&self, token: usize) -> &'b [u8] {
        let found = self.seen.tokens.get(token);
        found.map_or(b"", |found| &found.text)
    }

    /// The provider of an issuer, as Envoy finds it: the first that has it, else
    /// the first that has none; of an issuer that some provider takes from where
    /// the token was.
    fn provider_of(&self, issuer: &str, token: usize) -> Result<usize, Reason> {
        let providers = || self.desk.providers.iter().enumerate();
        let is_taken = providers().any(|(number, provider)| {
            self.is_for(token, number) && provider.issuer().is_none_or(|own| own == issuer)
        });
        if !is_taken {
            return Err(Reason::UnknownIssuer);
        }
        let own = providers().find(|(_, provider)| provider.issuer() == Some(issuer));
        let any = || providers().find(|(_, provider)| provider.issuer().is_none());
        let found = own.or_else(any).map(|(number, _)| number);
        found.ok_or(Reason::UnknownIssuer)
    }

    /// Whether a token is the provider's, whoever sent it.
    fn accept(
        &mut self,
        token: usize,
        number: usize,
        provider: &Provider,
        audiences: Option<&[Box<str>]>,
    ) -> Checked {
        let known = match self.memo.answer((token, number)) {
            Some(Err(reason)) => return Ok(Err(reason.clone())),
            Some(Ok(accepted)) => Some((Rc::clone(accepted), None)),
            None if provider.introspects() => match provider.introspected(self.text(token)) {
                Some(Err(reason)) => return Ok(Err(reason)),
                Some(Ok(accepted)) => Some((accepted, None)),
                None => None,
            },
            None => self.remembered(token, provider),
        };
        if let Some((accepted, remembered)) = known {
            let checked = provider
                .recheck(&accepted, audiences, self.desk.tick, || self.now())
                .map_err(Question::Failed)?;
            return Ok(match (checked, remembered) {
                (Ok(()), _) => Ok(accepted),
                (Err(reason), remembered) => {
                    if let Some(fingerprint) = remembered
                        && reason == Reason::Claim(ClaimError::Expired)
                    {
                        provider.forget(fingerprint);
                    }
                    Err(reason)
                }
            });
        }
        if provider.introspects() {
            return Err(Question::Introspection {
                provider: number,
                token,
                text: self.text(token).to_vec(),
            });
        }
        let read = match Token::parse(self.text(token), provider.limits()) {
            Ok(read) => read,
            Err(error) => return Ok(Err(error.into())),
        };
        let now = self.now().map_err(Question::Failed)?;
        let has_newer_keys = self.memo.has_newer_keys((token, number));
        match provider.verify(&read, audiences, now, has_newer_keys) {
            Verdict::Accepted(accepted) => {
                self.remember(token, number, provider, &accepted);
                Ok(provider.check_demands(&accepted, now).map(|()| accepted))
            }
            Verdict::Refused(reason) => Ok(Err(reason)),
            Verdict::NeedsKeys => Err(Question::Keys {
                provider: number,
                token,
            }),
            Verdict::NeedsNewerKeys { generation } => Err(Question::NewerKeys {
                provider: number,
                token,
                key_id: read.key_id().map(str::to_owned),
                generation,
            }),
        }
    }

    /// What is remembered of a token, and by what.
    fn remembered(
        &mut self,
        token: usize,
        provider: &Provider,
    ) -> Option<(Rc<Accepted>, Option<Fingerprint>)> {
        if !provider.remembers() {
            return None;
        }
        let fingerprint = self.fingerprint(token)?;
        let accepted = provider.remembered(fingerprint);
        let tally = match accepted {
            Some(_) => &self.desk.counts.cache_hit,
            None => &self.desk.counts.cache_miss,
        };
        tally.add(1);
        Some((accepted?, Some(fingerprint)))
    }

    fn remember(
        &mut self,
        token: usize,
        number: usize,
        provider: &Provider,
        accepted: &Rc<Accepted>,
    ) {
        let fingerprint = provider.remembers().then(|| self.fingerprint(token));
        match fingerprint.flatten() {
            Some(fingerprint) => {
                provider.remember(fingerprint, self.text(token).len(), accepted);
            }
            None => self.memo.note((token, number), Ok(Rc::clone(accepted))),
        }
    }

    /// Whether a token comes from whom it is bound to.
    fn prove(
        &mut self,
        token: usize,
        number: usize,
        provider: &Provider,
        accepted: &Accepted,
    ) -> Result<Result<(), Reason>, Question> {
        let scheme = self.scheme(token);
        if provider.is_anybodys(&accepted.confirmation, scheme) {
            return Ok(Ok(()));
        }
        if let Some(proof) = self.memo.proof((token, number)) {
            return Ok(proof.clone());
        }
        let certificate = if provider.needs_certificate(&accepted.confirmation) {
            self.certificate(provider)?
        } else {
            None
        };
        let now = self.now().map_err(Question::Failed)?;
        let beside = &self.seen.beside;
        let shown = Shown {
            proofs: &beside.proofs,
            method: beside.method,
            scheme: beside.scheme,
            authority: beside.authority,
            path: beside.path,
        };
        let text = self.text(token);
        let proof = provider.prove(
            &accepted.confirmation,
            scheme,
            text,
            &shown,
            certificate,
            now,
        );
        self.memo.note_proof((token, number), proof.clone());
        Ok(proof)
    }

    fn certificate(&self, provider: &Provider) -> Result<Option<Digest>, Question> {
        match provider.certificate_source() {
            CertificateSource::Connection => match self.memo.certificate() {
                Some(certificate) => Ok(*certificate),
                None => Err(Question::Certificate),
            },
            CertificateSource::ForwardedClientCert => {
                let values = self.seen.beside.forwarded_certificates.iter().copied();
                Ok(forwarded_certificate(values))
            }
        }
    }

    fn scheme(&self, token: usize) -> Scheme {
        self.desk.locations.scheme(self.location(token))
    }
}

type Checked = Result<Result<Rc<Accepted>, Reason>, Question>;

impl Tokens for Look<'_, '_, '_> {
    type Question = Question;

    fn count(&self) -> usize {
        self.seen.tokens.len()
    }

    fn location(&self, token: usize) -> usize {
        let found = self.seen.tokens.get(token);
        found.map_or(usize::MAX, |found| found.location)
    }

    fn is_for(&self, token: usize, provider: usize) -> bool {
        self.desk.locations.looks(provider, self.location(token))
    }

    fn provider(&mut self, token: usize) -> Result<usize, Reason> {
        // One that was accepted before need not be read for that.
        if self.desk.providers.iter().any(Provider::remembers)
            && let Some(fingerprint) = self.fingerprint(token)
        {
            let mut known = self.desk.providers.iter();
            if let Some(accepted) = known.find_map(|provider| provider.known(fingerprint)) {
                return self.provider_of(accepted.issuer.as_deref().unwrap_or(""), token);
            }
        }
        match Token::parse(self.text(token), &Limits::default()) {
            Ok(read) => self.provider_of(read.claims().issuer().unwrap_or(""), token),
            // What cannot be read says nothing of its issuer.
            Err(error) => {
                let mut providers = self.desk.providers.iter().enumerate();
                let asks = providers.find(|(number, provider)| {
                    provider.introspects() && self.is_for(token, *number)
                });
                asks.map(|(number, _)| number).ok_or(error.into())
            }
        }
    }

    fn check(&mut self, token: usize, number: usize, audiences: Option<&[Box<str>]>) -> Checked {
        let Some(provider) = self.desk.providers.get(number) else {
            return Ok(Err(Reason::NoKeys));
        };
        let accepted = match self.accept(token, number, provider, audiences)? {
            Ok(accepted) => accepted,
            Err(reason) => return Ok(Err(reason)),
        };
        let proved = self.prove(token, number, provider, &accepted)?;
        Ok(proved.map(|()| accepted))
    }

    fn extract(&mut self, token: usize) -> Option<(usize, Rc<Accepted>)> {
        let read = Token::parse(self.text(token), &Limits::default()).ok()?;
        let issuer = read.claims().issuer().unwrap_or("");
        let number = self.provider_of(issuer, token).ok()?;
        let provider = self.desk.providers.get(number)?;
        let accepted = provider.accept(&Source::of(&read)).ok()?;
        Some((number, Rc::new(accepted)))
    }
}
