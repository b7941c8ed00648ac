//! One look at the tokens of a request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::SystemTime;

use legation::{Error, clock};
use legation_jose::Token;
use smallvec::SmallVec;

use crate::accepted::Accepted;
use crate::cache::{Fingerprint, Fingerprints};
use crate::counts::Counts;
use crate::extract::{Found, Locations};
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
    /// The time that the last tick left behind.
    pub(crate) tick: SystemTime,
}

/// What has to be found out before it is known whether a token is accepted.
#[derive(Debug)]
pub(crate) enum Question {
    /// The keys of this provider.
    Keys { provider: usize, token: usize },
    /// Newer ones than these.
    NewerKeys {
        provider: usize,
        token: usize,
        generation: u64,
    },
    /// Nothing: the host failed.
    Failed(Error),
}

/// What was found out about a token beyond one look.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) token: usize,
    pub(crate) provider: usize,
    pub(crate) answer: Result<Rc<Accepted>, Reason>,
}

/// A look.
pub(crate) struct Look<'a, 'b> {
    desk: Desk<'a>,
    tokens: &'b [Found<'b>],
    answers: &'b mut Vec<Answer>,
    /// One for each token, once they are needed.
    fingerprints: SmallVec<[Fingerprint; 2]>,
    now: Cell<Option<SystemTime>>,
}

impl<'a, 'b> Look<'a, 'b> {
    pub(crate) fn new(
        desk: Desk<'a>,
        tokens: &'b [Found<'b>],
        answers: &'b mut Vec<Answer>,
    ) -> Self {
        Self {
            desk,
            tokens,
            answers,
            fingerprints: SmallVec::new(),
            now: Cell::new(None),
        }
    }

    fn now(&self) -> Result<SystemTime, Error> {
        if let Some(now) = self.now.get() {
            return Ok(now);
        }
        let now = clock::now()?;
        self.now.set(Some(now));
        Ok(now)
    }

    fn fingerprint(&mut self, token: usize) -> Option<Fingerprint> {
        if self.fingerprints.is_empty() {
            let tokens = self.tokens.iter();
            let of = |found: &Found<'_>| self.desk.fingerprints.of(&found.text);
            self.fingerprints = tokens.map(of).collect();
        }
        self.fingerprints.get(token).copied()
    }

    fn text(&self, token: usize) -> &'b [u8] {
        self.tokens.get(token).map_or(b"", |found| &found.text)
    }

    fn read(&self, token: usize, provider: &Provider) -> Result<Token<'b>, Reason> {
        Ok(Token::parse(self.text(token), provider.limits())?)
    }

    /// The provider of an issuer, as Envoy finds it: the first that has it, else
    /// the first that has none; of an issuer that some provider takes from where
    /// the token was.
    fn provider_of(&self, issuer: &str, token: usize) -> Result<usize, Reason> {
        let location = self.tokens.get(token).map(|found| found.location);
        let providers = || self.desk.providers.iter().enumerate();
        let is_taken = providers().any(|(number, provider)| {
            location.is_some_and(|location| self.desk.locations.looks(number, location))
                && provider.issuer().is_none_or(|own| own == issuer)
        });
        if !is_taken {
            return Err(Reason::UnknownIssuer);
        }
        let own = providers().find(|(_, provider)| provider.issuer() == Some(issuer));
        let any = || providers().find(|(_, provider)| provider.issuer().is_none());
        let found = own.or_else(any).map(|(number, _)| number);
        found.ok_or(Reason::UnknownIssuer)
    }

    /// What was found out about a token before.
    fn answer(&self, token: usize, provider: usize) -> Option<Result<Rc<Accepted>, Reason>> {
        let mut answers = self.answers.iter();
        let known = answers.find(|known| (known.token, known.provider) == (token, provider));
        known.map(|known| known.answer.clone())
    }
}

type Checked = Result<Result<Rc<Accepted>, Reason>, Question>;

impl Tokens for Look<'_, '_> {
    type Question = Question;

    fn count(&self) -> usize {
        self.tokens.len()
    }

    fn location(&self, token: usize) -> usize {
        self.tokens
            .get(token)
            .map_or(usize::MAX, |found| found.location)
    }

    fn is_for(&self, token: usize, provider: usize) -> bool {
        let location = self.tokens.get(token).map(|found| found.location);
        location.is_some_and(|location| self.desk.locations.looks(provider, location))
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
        let limits = legation_jose::Limits::default();
        let read = Token::parse(self.text(token), &limits)?;
        self.provider_of(read.claims().issuer().unwrap_or(""), token)
    }

    fn check(&mut self, token: usize, number: usize, audiences: Option<&[Box<str>]>) -> Checked {
        let Some(provider) = self.desk.providers.get(number) else {
            return Ok(Err(Reason::NoKeys));
        };
        let answered = self.answer(token, number);
        let known = match answered {
            Some(Err(reason)) => return Ok(Err(reason)),
            Some(Ok(accepted)) => Some((accepted, None)),
            None if provider.remembers() => self.fingerprint(token).and_then(|fingerprint| {
                let accepted = provider.remembered(fingerprint);
                let tally = match accepted {
                    Some(_) => &self.desk.counts.cache_hit,
                    None => &self.desk.counts.cache_miss,
                };
                tally.add(1);
                accepted.map(|accepted| (accepted, Some(fingerprint)))
            }),
            None => None,
        };
        if let Some((accepted, remembered)) = known {
            let checked = provider
                .recheck(&accepted, audiences, self.desk.tick, || self.now())
                .map_err(Question::Failed)?;
            return Ok(match checked {
                Ok(()) => Ok(accepted),
                Err(reason) => {
                    if let (Some(fingerprint), Reason::Claim(legation_jose::ClaimError::Expired)) =
                        (remembered, reason)
                    {
                        provider.forget(fingerprint);
                    }
                    Err(reason)
                }
            });
        }
        let read = match self.read(token, provider) {
            Ok(read) => read,
            Err(reason) => return Ok(Err(reason)),
        };
        let now = self.now().map_err(Question::Failed)?;
        match provider.verify(&read, audiences, now) {
            Verdict::Accepted(accepted) => {
                if provider.remembers() {
                    if let Some(fingerprint) = self.fingerprint(token) {
                        provider.remember(fingerprint, self.text(token).len(), &accepted);
                    }
                } else {
                    self.answers.push(Answer {
                        token,
                        provider: number,
                        answer: Ok(Rc::clone(&accepted)),
                    });
                }
                Ok(Ok(accepted))
            }
            Verdict::Refused(reason) => Ok(Err(reason)),
            Verdict::NeedsKeys => Err(Question::Keys {
                provider: number,
                token,
            }),
            Verdict::NeedsNewerKeys { generation } => Err(Question::NewerKeys {
                provider: number,
                token,
                generation,
            }),
        }
    }

    fn extract(&mut self, token: usize) -> Option<(usize, Rc<Accepted>)> {
        let limits = legation_jose::Limits::default();
        let read = Token::parse(self.text(token), &limits).ok()?;
        let number = self
            .provider_of(read.claims().issuer().unwrap_or(""), token)
            .ok()?;
        let provider = self.desk.providers.get(number)?;
        Some((number, Rc::new(provider.accept(&Source::of(&read)))))
    }
}
