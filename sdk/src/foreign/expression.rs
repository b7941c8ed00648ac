//! Expressions in CEL, evaluated by the host.

use super::{ForeignError, Function, ask};
use crate::attributes::FromAttribute;
use crate::error::Status;

/// An expression over Envoy's attributes in the Common Expression Language,
/// such as `request.method == "GET" && source.port > 1024`.
///
/// Made when the filter is configured, kept in it and evaluated for its
/// requests, and gone with that configuration: to another one, the number that
/// this is known by is another expression. What is made for a single request
/// is to be [`delete`](Self::delete)d.
///
/// Official builds of Envoy have expressions; others may answer
/// [`ForeignError::NotSupported`].
#[derive(Debug, PartialEq, Eq)]
pub struct Expression {
    token: [u8; TOKEN],
}

/// Bytes of the number that the host knows an expression by.
const TOKEN: usize = 4;

impl Expression {
    /// Parses and compiles an expression. [`ForeignError::Refused`] where it
    /// is none: Envoy writes why to its log at level `info`. One host call.
    pub fn new(text: &str) -> Result<Self, ForeignError> {
        let answer = ask(Function::ExprCreate, text.as_bytes()).map_err(|error| {
            error.explained(Status::BAD_ARGUMENT, || {
                "the expression cannot be parsed".to_owned()
            })
        })?;
        let token = answer.try_into();
        let token = token.map_err(|_| ForeignError::malformed(Function::ExprCreate))?;
        Ok(Self { token })
    }

    /// The expression's value for the request whose callback is running.
    ///
    /// The type is that of the expression: `bool` for a condition. Envoy does
    /// not tell it, so that a wrong one is found by its size alone. An attribute
    /// that does not exist is an error, status "internal failure". One host call.
    pub fn evaluate<T: FromAttribute>(&self) -> Result<T, ForeignError> {
        let answer = ask(Function::ExprEvaluate, &self.token)?;
        T::from_attribute(answer).ok_or(ForeignError::malformed(Function::ExprEvaluate))
    }

    /// Has the host forget the expression. One host call. Where it is not called,
    /// the host forgets it with the configuration.
    ///
    /// Dropping an expression does not: Envoy numbers the expressions of each
    /// configuration from zero, and a filter of an old configuration may be
    /// dropped while a callback of the new one runs, whose expression of that
    /// number would go instead.
    pub fn delete(self) -> Result<(), ForeignError> {
        ask(Function::ExprDelete, &self.token).map(drop)
    }
}
