//! Whether a request is let in: requirements, looked at as Envoy's `jwt_authn`
//! does, with its order and its choice of the reason that is told.
//!
//! Nothing here asks the host. A token of which it is not known yet whether it
//! is accepted ends the look with a question; whoever asked finds out and looks
//! again.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::accepted::Accepted;
use crate::config;
use crate::refusal::{Reason, Refusal};

/// What is required of a request.
#[derive(Debug)]
pub(crate) enum Requirement {
    /// Nothing: nothing is verified.
    Nothing,
    /// Tokens of a provider, perhaps for other audiences than its own.
    Provider {
        provider: usize,
        audiences: Option<Box<[Box<str>]>>,
    },
    /// One of these.
    Any {
        of: Box<[Requirement]>,
        missing: bool,
        failed: bool,
    },
    /// All of these.
    All(Box<[Requirement]>),
    /// All tokens that are there.
    AllowMissing,
    /// None.
    AllowMissingOrFailed,
    /// None, and nothing is verified.
    ExtractOnly,
}

/// The tokens of a request, as a requirement looks at them.
pub(crate) trait Tokens {
    /// What has to be found out first.
    type Question;

    /// How many there are.
    fn count(&self) -> usize;

    /// Where one of them is.
    fn location(&self, token: usize) -> usize;

    /// Whether this provider takes tokens from where this one is.
    fn is_for(&self, token: usize, provider: usize) -> bool;

    /// The provider that this token is of, by what it says itself.
    fn provider(&mut self, token: usize) -> Result<usize, Reason>;

    /// Whether this provider accepts this token, for these audiences or its own.
    fn check(
        &mut self,
        token: usize,
        provider: usize,
        audiences: Option<&[Box<str>]>,
    ) -> Result<Result<Rc<Accepted>, Reason>, Self::Question>;

    /// What this token says, accepted by nobody.
    fn extract(&mut self, token: usize) -> Option<(usize, Rc<Accepted>)>;
}

/// What came of the look at a requirement.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The tokens that were accepted.
    pub(crate) tokens: SmallVec<[Pass; 2]>,
    /// The providers that accepted none, and why.
    pub(crate) failed: SmallVec<[Refusal; 2]>,
}

/// A token that was accepted.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) token: usize,
    /// Where it was.
    pub(crate) location: usize,
    pub(crate) provider: usize,
    pub(crate) accepted: Rc<Accepted>,
    /// Whether it was; else what it says is passed on as it is.
    pub(crate) is_verified: bool,
}

impl Passed {
    fn add(&mut self, pass: Pass) {
        let known = self.tokens.iter();
        let mut known = known.map(|known| (known.token, known.provider));
        if !known.any(|known| known == (pass.token, pass.provider)) {
            self.tokens.push(pass);
        }
    }
}

/// Whether a requirement is met, or what has to be found out first.
type Met<T> = Result<Result<(), Refusal>, <T as Tokens>::Question>;

impl Requirement {
    /// From the configuration. Providers that it does not have were refused.
    pub(crate) fn new(requires: &config::Requires, config: &config::Config) -> Self {
        match &requires.0 {
            Some(requirement) => Self::of(requirement, config),
            None => Self::Nothing,
        }
    }

    fn of(requirement: &config::Requirement, config: &config::Config) -> Self {
        use config::Requirement as Written;
        let number = |name: &config::Name| {
            let mut providers = config.providers.iter();
            let number = providers.position(|(own, _)| own == name);
            number.unwrap_or(usize::MAX)
        };
        match requirement {
            Written::ProviderName(name) => Self::Provider {
                provider: number(name),
                audiences: None,
            },
            Written::ProviderAndAudiences(one) => {
                let audiences = one
                    .audiences
                    .iter()
                    .map(|audience| audience.as_str().into());
                let audiences: Box<[Box<str>]> = audiences.collect();
                Self::Provider {
                    provider: number(&one.provider_name),
                    audiences: (!audiences.is_empty()).then_some(audiences),
                }
            }
            Written::RequiresAny(list) => Self::any(list, config),
            Written::RequiresAll(list) => {
                let list = list.requirements.iter();
                Self::All(list.map(|one| Self::of(one, config)).collect())
            }
            Written::AllowMissing(_) => Self::AllowMissing,
            Written::AllowMissingOrFailed(_) => Self::AllowMissingOrFailed,
            Written::ExtractOnly(_) => Self::ExtractOnly,
        }
    }

    fn any(list: &config::Requirements, config: &config::Config) -> Self {
        let (mut missing, mut failed) = (false, false);
        let mut of = Vec::new();
        for one in &*list.requirements {
            match Self::of(one, config) {
                Self::AllowMissing => missing = true,
                Self::AllowMissingOrFailed => failed = true,
                other => of.push(other),
            }
        }
        match (of.is_empty(), failed) {
            (true, true) => Self::AllowMissingOrFailed,
            (true, false) => Self::AllowMissing,
            (false, _) => Self::Any {
                of: of.into(),
                missing,
                failed,
            },
        }
    }

    /// Whether it verifies nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Whether a request meets it.
    pub(crate) fn look<T: Tokens>(&self, tokens: &mut T, passed: &mut Passed) -> Met<T> {
        match self {
            Self::Nothing => Ok(Ok(())),
            Self::Provider {
                provider,
                audiences,
            } => look_at_provider(*provider, audiences.as_deref(), tokens, passed),
            Self::Any {
                of,
                missing,
                failed,
            } => look_at_any(of, *missing, *failed, tokens, passed),
            Self::All(of) => {
                for one in of {
                    if let Err(refusal) = one.look(tokens, passed)? {
                        return Ok(Err(refusal));
                    }
                }
                Ok(Ok(()))
            }
            Self::AllowMissing => look_at_all(false, tokens, passed),
            Self::AllowMissingOrFailed => look_at_all(true, tokens, passed),
            Self::ExtractOnly => {
                for token in (0..tokens.count()).rev() {
                    if let Some((provider, accepted)) = tokens.extract(token) {
                        passed.add(Pass {
                            token,
                            location: tokens.location(token),
                            provider,
                            accepted,
                            is_verified: false,
                        });
                    }
                }
                Ok(Ok(()))
            }
        }
    }
}

/// Every token where the provider looks must be accepted, and one be there: with
/// a good one beside a bad one, who knows which of them the upstream takes.
fn look_at_provider<T: Tokens>(
    provider: usize,
    audiences: Option<&[Box<str>]>,
    tokens: &mut T,
    passed: &mut Passed,
) -> Met<T> {
    let before = passed.tokens.len();
    let mut refused = Some(Reason::Missing);
    for token in (0..tokens.count()).rev() {
        if !tokens.is_for(token, provider) {
            continue;
        }
        match tokens.check(token, provider, audiences)? {
            Ok(accepted) => {
                refused = None;
                passed.add(Pass {
                    token,
                    location: tokens.location(token),
                    provider,
                    accepted,
                    is_verified: true,
                });
            }
            Err(reason) => {
                refused = Some(reason);
                break;
            }
        }
    }
    let Some(reason) = refused else {
        return Ok(Ok(()));
    };
    passed.tokens.truncate(before);
    let refusal = Refusal::of(Some(provider), reason);
    passed.failed.push(refusal.clone());
    Ok(Err(refusal))
}

fn look_at_any<T: Tokens>(
    of: &[Requirement],
    missing: bool,
    failed: bool,
    tokens: &mut T,
    passed: &mut Passed,
) -> Met<T> {
    let mut told: Option<Refusal> = None;
    for one in of {
        let before = passed.tokens.len();
        let Err(refusal) = one.look(tokens, passed)? else {
            return Ok(Ok(()));
        };
        passed.tokens.truncate(before);
        // What is wrong with a token tells more than that it is another's, and
        // that tells more than that there is none.
        let tells_little = |told: &Refusal| !told.reason.has_token();
        if refusal.reason.is_of_the_token() || told.as_ref().is_none_or(tells_little) {
            told = Some(refusal);
        }
    }
    Ok(match told {
        _ if failed => Ok(()),
        Some(refusal) if missing && !refusal.reason.has_token() => Ok(()),
        Some(refusal) => Err(refusal),
        None => Ok(()),
    })
}

/// Every token that is there, of whatever provider.
fn look_at_all<T: Tokens>(allow_failed: bool, tokens: &mut T, passed: &mut Passed) -> Met<T> {
    let before = passed.tokens.len();
    for token in (0..tokens.count()).rev() {
        let (provider, checked) = match tokens.provider(token) {
            Ok(provider) => (Some(provider), tokens.check(token, provider, None)?),
            Err(reason) => (None, Err(reason)),
        };
        match (provider, checked) {
            (Some(provider), Ok(accepted)) => passed.add(Pass {
                token,
                location: tokens.location(token),
                provider,
                accepted,
                is_verified: true,
            }),
            (_, Ok(_)) => {}
            (provider, Err(reason)) => {
                let refusal = Refusal::of(provider, reason);
                passed.failed.push(refusal.clone());
                if !allow_failed {
                    passed.tokens.truncate(before);
                    return Ok(Err(refusal));
                }
            }
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
