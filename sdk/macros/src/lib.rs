//! The macros of the crate `legation`.

mod schema;

use proc_macro::TokenStream;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::token::Async;
use syn::{DeriveInput, Error, Ident, ImplItem, ItemImpl, parse_macro_input};

/// The callbacks of `HttpFilter`, and the constant of `Callbacks` for each.
const CALLBACKS: [(&str, &str); 9] = [
    ("on_request_headers", "REQUEST_HEADERS"),
    ("on_request_body", "REQUEST_BODY"),
    ("on_request_trailers", "REQUEST_TRAILERS"),
    ("on_response_headers", "RESPONSE_HEADERS"),
    ("on_response_body", "RESPONSE_BODY"),
    ("on_response_trailers", "RESPONSE_TRAILERS"),
    ("on_done", "DONE"),
    ("on_log", "LOG"),
    ("on_tick", "TICK"),
];

/// Those that are plain `fn`, always.
const PLAIN: [&str; 2] = ["on_done", "on_log"];

/// What may be asked before an `async fn`, and that.
const AT_ONCE: (&str, &str) = ("on_request_headers_at_once", "on_request_headers");

/// Notes which callbacks an implementation of `HttpFilter` holds, so that the
/// host enters the module for those alone, and which of them are `async fn`.
///
/// It writes the constants `CALLBACKS`, `AWAITS` and `AT_ONCE`, makes `async fn` of
/// every callback that may be one, and leaves the rest as it is. A callback under
/// `#[cfg]` is noted under the same `#[cfg]`.
///
/// ```text
/// #[legation::filter]
/// impl HttpFilter for MyFilter { … }
/// ```
#[proc_macro_attribute]
pub fn filter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    match expand(&arguments.into(), item) {
        Ok(tokens) => tokens.into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// The JSON Schema of what users write, for editors: names, what is required, the
/// words to choose from and the doc comments, as `#[deserr(…)]` has them. No module
/// holds it.
///
/// What `#[schema(…)]` adds is described in `legation::config::schema`.
#[proc_macro_derive(Schema, attributes(schema, deserr))]
pub fn derive_schema(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    match schema::expand(&item) {
        Ok(tokens) => tokens.into(),
        Err(error) => error.into_compile_error().into(),
    }
}

fn expand(arguments: &Tokens, mut item: ItemImpl) -> Result<Tokens, Error> {
    if !arguments.is_empty() {
        return Err(Error::new(
            arguments.span(),
            "#[legation::filter] takes no arguments",
        ));
    }
    let of_filter = item
        .trait_
        .as_ref()
        .and_then(|(path, _)| path.segments.last())
        .is_some_and(|segment| segment.ident == "HttpFilter");
    if !of_filter {
        return Err(Error::new(
            item.self_ty.span(),
            "#[legation::filter] stands before `impl HttpFilter for …`",
        ));
    }
    check_at_once(&item)?;
    let mut held = Vec::new();
    let mut awaiting = Vec::new();
    let mut at_once = Vec::new();
    for item in &mut item.items {
        let ImplItem::Fn(function) = item else {
            continue;
        };
        let conditions = function
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"));
        if function.sig.ident == AT_ONCE.0 {
            at_once.push(quote! {
                #(#conditions)*
                let at_once = true;
            });
            continue;
        }
        let known = CALLBACKS
            .iter()
            .find(|(callback, _)| function.sig.ident == callback);
        let Some((callback, name)) = known else {
            continue;
        };
        let name = Ident::new(name, Span::call_site());
        let note = quote! {
            #(#conditions)*
            let callbacks = callbacks.and(::legation::Callbacks::#name);
        };
        if !PLAIN.contains(callback) {
            if function.sig.asyncness.is_some() {
                awaiting.push(note.clone());
            } else {
                function.sig.asyncness = Some(Async(function.sig.fn_token.span));
            }
        }
        held.push(note);
    }
    for (constant, noted) in [("CALLBACKS", held), ("AWAITS", awaiting)] {
        let constant = Ident::new(constant, Span::call_site());
        item.items
            .push(ImplItem::Verbatim(quote_spanned! {Span::call_site()=>
                const #constant: ::legation::Callbacks = {
                    let callbacks = ::legation::Callbacks::NONE;
                    #(#noted)*
                    callbacks
                };
            }));
    }
    item.items
        .push(ImplItem::Verbatim(quote_spanned! {Span::call_site()=>
            const AT_ONCE: bool = {
                let at_once = false;
                #(#at_once)*
                at_once
            };
        }));
    Ok(quote!(#item))
}

/// Refuses what is asked at once where nothing awaits.
fn check_at_once(item: &ItemImpl) -> Result<(), Error> {
    let (at_once, awaiting) = AT_ONCE;
    let callback = |name: &str| {
        item.items.iter().find_map(|item| match item {
            ImplItem::Fn(function) if function.sig.ident == name => Some(&function.sig),
            _ => None,
        })
    };
    match (callback(at_once), callback(awaiting)) {
        (Some(asked), Some(other)) if other.asyncness.is_some() && asked.asyncness.is_none() => {
            Ok(())
        }
        (None, _) => Ok(()),
        (Some(asked), _) => Err(Error::new(
            asked.ident.span(),
            format!("`fn {at_once}` stands beside an `async fn {awaiting}`"),
        )),
    }
}
