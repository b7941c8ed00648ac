//! How `deserr` reads an item: what `#[deserr(…)]` says.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, Ident, LitStr, Token};

/// What is said by all `#[deserr(…)]` of an item.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) deny_unknown_fields: bool,
    pub(super) default: bool,
    pub(super) skip: bool,
    rename: Option<String>,
    rename_all: Option<Ident>,
}

impl Reading {
    /// `None` where nothing is said.
    pub(super) fn of(attributes: &[Attribute]) -> Result<Option<Self>, Error> {
        let mut all = None;
        for attribute in attributes {
            if attribute.path().is_ident("deserr") {
                let read: &mut Self = all.get_or_insert_default();
                attribute.parse_nested_meta(|meta| read.take(&meta))?;
            }
        }
        Ok(all)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        let word = meta.path.get_ident().map(ToString::to_string);
        match word.as_deref() {
            Some("deny_unknown_fields") => self.deny_unknown_fields = true,
            Some("skip") => self.skip = true,
            Some("default") => {
                self.default = true;
                if meta.input.peek(Token![=]) {
                    meta.value()?.parse::<Expr>()?;
                }
            }
            Some("rename") => self.rename = Some(meta.value()?.parse::<LitStr>()?.value()),
            Some("rename_all") => self.rename_all = Some(meta.value()?.parse()?),
            // What is done to the value when it is read, which no schema tells.
            Some("error" | "missing_field_error" | "deny_unknown_fields_error") => {
                meta.value()?.parse::<Expr>()?;
            }
            Some("validate") => {
                meta.value()?.parse::<Expr>()?;
                meta.input.parse::<Token![->]>()?;
                meta.input.parse::<Expr>()?;
            }
            _ => {
                return Err(meta.error(
                    "not known to #[derive(Schema)]: read the type by hand, and say what it is by #[schema({ … })]",
                ));
            }
        }
        Ok(())
    }

    /// The name in a document of what is called so in Rust, inside of what is read so.
    pub(super) fn name(&self, around: &Self, ident: &str) -> Result<String, Error> {
        if let Some(name) = &self.rename {
            return Ok(name.clone());
        }
        let Some(rule) = &around.rename_all else {
            return Ok(ident.to_owned());
        };
        match rule.to_string().as_str() {
            "lowercase" => Ok(ident.to_lowercase()),
            "camelCase" => Ok(camel(ident)),
            _ => Err(Error::new(rule.span(), "expected lowercase or camelCase")),
        }
    }
}

/// As `deserr` does it: `max_age` and `MaxAge` are `maxAge`.
fn camel(ident: &str) -> String {
    let mut name = String::new();
    let mut raised = false;
    for char in ident.chars() {
        if char == '_' {
            raised = true;
        } else if name.is_empty() {
            name.extend(char.to_lowercase());
        } else if std::mem::take(&mut raised) {
            name.extend(char.to_uppercase());
        } else {
            name.push(char);
        }
    }
    name
}
