//! What `#[schema(…)]` says.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, LitStr, Path, Token, Type, braced, bracketed, token};

/// What is said by all `#[schema(…)]` of an item.
#[derive(Default)]
pub(super) struct Options {
    /// Not in the schema.
    pub(super) skip: bool,
    /// Takes no value at all.
    pub(super) nothing: bool,
    /// Under `definitions`, which what holds itself must be.
    pub(super) definition: bool,
    /// Instead of the doc comment.
    pub(super) description: Option<LitStr>,
    /// The schema of another type.
    pub(super) stands_for: Option<Type>,
    /// The one key of an object, for what `one_of!` declares.
    pub(super) key: Option<LitStr>,
    /// The headings of sections of the crate's README whose tables say what fields are.
    pub(super) readme: Vec<LitStr>,
    /// What stands there before the fields' names.
    pub(super) prefix: Option<LitStr>,
    /// A function that gives keys of the schema.
    pub(super) with: Option<Path>,
    /// Keys of the schema, with their braces.
    pub(super) json: Option<Tokens>,
}

impl Options {
    /// The keys that are given, as an expression.
    pub(super) fn given(&self) -> Option<Tokens> {
        let json = self.json.as_ref().map(|json| quote!(schema::json!(#json)));
        json.or_else(|| self.with.as_ref().map(|with| quote!(#with(generator))))
    }

    pub(super) fn of(attributes: &[Attribute]) -> Result<Self, Error> {
        let mut all = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("schema") {
                let read = attribute.parse_args::<Self>()?;
                all.skip |= read.skip;
                all.nothing |= read.nothing;
                all.definition |= read.definition;
                all.description = read.description.or(all.description);
                all.stands_for = read.stands_for.or(all.stands_for);
                all.key = read.key.or(all.key);
                all.readme.extend(read.readme);
                all.prefix = read.prefix.or(all.prefix);
                all.with = read.with.or(all.with);
                all.json = read.json.or(all.json);
            }
        }
        Ok(all)
    }
}

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Self, Error> {
        let mut read = Self::default();
        while !input.is_empty() {
            if input.peek(token::Brace) {
                let inside;
                braced!(inside in input);
                let json: Tokens = inside.parse()?;
                read.json = Some(quote!({ #json }));
            } else if input.peek(Token![as]) {
                input.parse::<Token![as]>()?;
                input.parse::<Token![=]>()?;
                read.stands_for = Some(input.parse()?);
            } else {
                let word: Ident = input.parse()?;
                match word.to_string().as_str() {
                    "skip" => read.skip = true,
                    "nothing" => read.nothing = true,
                    "definition" => read.definition = true,
                    "description" => {
                        input.parse::<Token![=]>()?;
                        read.description = Some(input.parse()?);
                    }
                    "readme" => {
                        input.parse::<Token![=]>()?;
                        read.readme = headings(input)?;
                    }
                    "prefix" => {
                        input.parse::<Token![=]>()?;
                        read.prefix = Some(input.parse()?);
                    }
                    "with" => {
                        input.parse::<Token![=]>()?;
                        read.with = Some(input.parse()?);
                    }
                    "key" => {
                        input.parse::<Token![=]>()?;
                        read.key = Some(input.parse()?);
                    }
                    _ => {
                        let known = "expected skip, nothing, definition, description, readme, prefix, as, with or { … }";
                        return Err(Error::new(word.span(), known));
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(read)
    }
}

/// One heading, or several in brackets.
fn headings(input: ParseStream) -> Result<Vec<LitStr>, Error> {
    if !input.peek(token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    let inside;
    bracketed!(inside in input);
    let all = inside.parse_terminated(<LitStr as Parse>::parse, Token![,])?;
    Ok(all.into_iter().collect())
}
