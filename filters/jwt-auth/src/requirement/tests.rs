use legation_jose::{ClaimError, TokenError};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const BAD: Reason = Reason::Signature;

/// Tokens by number: what is said of each by the provider of the same number; to
/// all others it is of an unknown issuer.
struct Fake {
    tokens: Vec<Result<(), Reason>>,
    /// Those of which it is not known yet.
    unknown: Vec<usize>,
    checked: Vec<(usize, usize)>,
}

fn accepted() -> Rc<Accepted> {
    Rc::new(Accepted {
        issuer: None,
        audiences: Box::default(),
        not_before: None,
        expires_at: None,
        headers: Box::default(),
        states: Box::default(),
        confirmation: legation_jose::confirmation::Confirmation::default(),
        lacks: None,
        claims: None,
    })
}

impl Tokens for Fake {
    type Question = usize;

    fn count(&self) -> usize {
        self.tokens.len()
    }

    fn location(&self, token: usize) -> usize {
        token
    }

    fn is_for(&self, token: usize, _: usize) -> bool {
        self.tokens[token] != Err(Reason::Missing)
    }

    fn provider(&mut self, token: usize) -> Result<usize, Reason> {
        match &self.tokens[token] {
            Err(reason @ (Reason::UnknownIssuer | Reason::Malformed(_))) => Err(reason.clone()),
            _ => Ok(token),
        }
    }

    fn check(
        &mut self,
        token: usize,
        provider: usize,
        _: Option<&[Box<str>]>,
    ) -> Result<Result<Rc<Accepted>, Reason>, usize> {
        if self.unknown.contains(&token) {
            return Err(token);
        }
        self.checked.push((token, provider));
        if token != provider {
            return Ok(Err(Reason::UnknownIssuer));
        }
        Ok(self.tokens[token].clone().map(|()| accepted()))
    }

    fn extract(&mut self, token: usize) -> Option<(usize, Rc<Accepted>)> {
        let is_token = !matches!(self.tokens[token], Err(Reason::Malformed(_)));
        is_token.then(|| (token, accepted()))
    }
}

fn of(provider: usize) -> Requirement {
    Requirement::Provider {
        provider,
        audiences: None,
    }
}

fn any(of: Vec<Requirement>) -> Requirement {
    Requirement::Any {
        of: of.into(),
        missing: false,
        failed: false,
    }
}

fn all(of: Vec<Requirement>) -> Requirement {
    Requirement::All(of.into())
}

/// The reason of the refusal, or the tokens that passed.
fn look(requirement: &Requirement, tokens: &[Result<(), Reason>]) -> Result<Vec<usize>, Reason> {
    let mut fake = Fake {
        tokens: tokens.to_vec(),
        unknown: Vec::new(),
        checked: Vec::new(),
    };
    let mut passed = Passed::default();
    let Ok(met) = requirement.look(&mut fake, &mut passed) else {
        panic!("nothing is asked");
    };
    let tokens = passed.tokens.iter().map(|pass| pass.token).collect();
    met.map(|()| tokens).map_err(|refusal| refusal.reason)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_provider_takes_all_tokens_that_are_there_or_none() {
    assert_eq!(look(&of(0), &[]), Err(Reason::Missing));
    assert_eq!(look(&of(0), &[Err(Reason::Missing)]), Err(Reason::Missing));
    assert_eq!(look(&of(0), &[Ok(())]), Ok(vec![0]));
    assert_eq!(look(&of(0), &[Err(BAD)]), Err(BAD));
    assert_eq!(look(&of(0), &[Ok(()), Ok(())]), Err(Reason::UnknownIssuer));
    assert_eq!(look(&of(0), &[Ok(()), Err(Reason::Missing)]), Ok(vec![0]));
}

#[wasm_bindgen_test(unsupported = test)]
fn of_several_reasons_the_one_that_tells_most_is_told() {
    let expired = Reason::Claim(ClaimError::Expired);
    let gone = || Err(Reason::Missing);
    let either = any(vec![of(0), of(1)]);
    assert_eq!(look(&either, &[]), Err(Reason::Missing));
    assert_eq!(look(&either, &[Err(expired.clone())]), Err(expired.clone()));
    assert_eq!(
        look(&either, &[gone(), Err(expired.clone())]),
        Err(expired.clone())
    );
    assert_eq!(
        look(&any(vec![of(2), of(3)]), &[Ok(())]),
        Err(Reason::UnknownIssuer)
    );
    // Of two that tell as much, the later one.
    let nested = any(vec![all(vec![of(0)]), all(vec![of(1)])]);
    assert_eq!(look(&nested, &[gone(), Err(BAD)]), Err(BAD));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_branch_that_fails_leaves_nothing_behind() {
    let gone = || Err(Reason::Missing);
    let requirement = any(vec![all(vec![of(0), of(1)]), of(0)]);
    assert_eq!(look(&requirement, &[Ok(()), gone()]), Ok(vec![0]));
    let requirement = any(vec![all(vec![of(0), of(1)]), of(2)]);
    assert_eq!(look(&requirement, &[Ok(()), gone(), Ok(())]).ok(), None);
    let nested = any(vec![
        all(vec![Requirement::AllowMissing, of(1)]),
        Requirement::Nothing,
    ]);
    assert_eq!(look(&nested, &[Ok(())]), Ok(vec![]));
    let requirement = any(vec![all(vec![of(0), of(1)]), of(1)]);
    assert_eq!(look(&requirement, &[gone(), gone()]), Err(Reason::Missing));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_passes_twice_is_one() {
    let twice = all(vec![of(0), of(0)]);
    assert_eq!(look(&twice, &[Ok(())]), Ok(vec![0]));
}

#[wasm_bindgen_test(unsupported = test)]
fn missing_is_allowed_and_nothing_else() {
    let malformed = || Err(Reason::Malformed(TokenError::NotThreeParts));
    let missing = Requirement::AllowMissing;
    assert_eq!(look(&missing, &[]), Ok(vec![]));
    assert_eq!(look(&missing, &[Ok(()), Ok(())]), Ok(vec![1, 0]));
    assert_eq!(look(&missing, &[Err(BAD), Ok(())]), Err(BAD));
    assert_eq!(
        look(&missing, &[Err(Reason::UnknownIssuer)]),
        Err(Reason::UnknownIssuer)
    );
    assert_eq!(look(&missing, &[malformed()]).ok(), None);

    let or_missing = Requirement::Any {
        of: [of(0)].into(),
        missing: true,
        failed: false,
    };
    assert_eq!(look(&or_missing, &[]), Ok(vec![]));
    assert_eq!(look(&or_missing, &[Ok(())]), Ok(vec![0]));
    assert_eq!(look(&or_missing, &[Err(BAD)]), Err(BAD));
    // CVE-2021-21378
    let foreign = [Err(Reason::Missing), Ok(())];
    assert_eq!(look(&or_missing, &foreign), Err(Reason::UnknownIssuer));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_failed_is_allowed_and_does_not_pass() {
    let failed = Requirement::AllowMissingOrFailed;
    assert_eq!(look(&failed, &[Err(BAD), Ok(())]), Ok(vec![1]));
    let or_failed = Requirement::Any {
        of: [of(0)].into(),
        missing: false,
        failed: true,
    };
    assert_eq!(look(&or_failed, &[Err(BAD)]), Ok(vec![]));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_question_ends_the_look() {
    let mut fake = Fake {
        tokens: vec![Ok(()), Ok(())],
        unknown: vec![1],
        checked: Vec::new(),
    };
    let both = Requirement::AllowMissing;
    let looked = both.look(&mut fake, &mut Passed::default());
    assert_eq!(looked.unwrap_err(), 1);
    assert_eq!(fake.checked, []);
}
