//! `#[derive(Schema)]`: the JSON Schema of what users write.

mod options;
mod read;

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Expr, Fields, Lit, Meta, Type};

use options::Options;
use read::Reading;

const BY_HAND: &str = "what is read by hand says what it is: #[schema({ \"type\": \"string\" })]";

pub(crate) fn expand(input: &DeriveInput) -> Result<Tokens, Error> {
    let options = Options::of(&input.attrs)?;
    let reading = Reading::of(&input.attrs)?;
    let given = options.given();
    let (inline, body) = match (&options.stands_for, &reading, &input.data) {
        _ if options.nothing => (
            quote!(true),
            quote!(let mut schema = schema::Document::from(false);),
        ),
        (Some(other), ..) => (
            quote!(<#other as schema::JsonSchema>::inline_schema()),
            quote! {
                let mut schema = <#other as schema::JsonSchema>::json_schema(generator);
                schema.remove("default");
            },
        ),
        (None, Some(reading), Data::Struct(data)) => (
            quote!(false),
            fields(&data.fields, reading, &options, &docs(&input.attrs))?,
        ),
        (None, Some(reading), Data::Enum(data)) => (quote!(true), choices(data, reading)?),
        (None, None, Data::Enum(data)) if given.is_none() => (quote!(false), keys(data)?),
        _ if given.is_some() => (
            if options.definition {
                quote!(false)
            } else {
                quote!(true)
            },
            quote!(let mut schema = schema::Document::default();),
        ),
        _ => return Err(Error::new_spanned(&input.ident, BY_HAND)),
    };
    let given = given.map(|given| quote!(schema::merge(&mut schema, #given);));
    let described = described(&options, &input.attrs);

    let mut generics = input.generics.clone();
    let names: Vec<_> = generics.type_params().map(|of| of.ident.clone()).collect();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(schema::JsonSchema));
    }
    let (parameters, arguments, conditions) = generics.split_for_impl();
    let ident = &input.ident;
    let name = ident.to_string();
    Ok(quote! {
        // Modules do without.
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            use ::legation::config::schema;

            impl #parameters schema::JsonSchema for #ident #arguments #conditions {
                fn inline_schema() -> bool {
                    #inline
                }

                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    schema::name(#name, &[#(<#names as schema::JsonSchema>::schema_name()),*])
                }

                fn schema_id() -> ::std::borrow::Cow<'static, str> {
                    schema::name(
                        ::std::concat!(::std::module_path!(), "::", #name),
                        &[#(<#names as schema::JsonSchema>::schema_id()),*],
                    )
                }

                fn json_schema(generator: &mut schema::SchemaGenerator) -> schema::Document {
                    let _ = &generator;
                    #body
                    #given
                    schema::describe_type(&mut schema, #described);
                    schema
                }
            }
        };
    })
}

/// An object, as `deserr` reads the struct.
fn fields(
    fields: &Fields,
    reading: &Reading,
    options: &Options,
    docs: &str,
) -> Result<Tokens, Error> {
    let Fields::Named(fields) = fields else {
        let problem = "only structs with named fields are read so";
        return Err(Error::new_spanned(fields, problem));
    };
    let mut written = Vec::new();
    for field in &fields.named {
        let options = Options::of(&field.attrs)?;
        let of_field = Reading::of(&field.attrs)?.unwrap_or_default();
        if options.skip || of_field.skip {
            continue;
        }
        let ident = field.ident.as_ref().map(ToString::to_string);
        let ident = ident.unwrap_or_default();
        let name = of_field.name(reading, ident.strip_prefix("r#").unwrap_or(&ident))?;
        let ty = options.stands_for.as_ref().unwrap_or(&field.ty);
        let presence = match (
            of_field.default,
            is_named(ty, "bool"),
            is_named(ty, "Option"),
        ) {
            (true, true, _) => quote!(schema::Presence::Flag),
            (true, false, _) => quote!(schema::Presence::OrDefault),
            (false, _, true) => quote!(schema::Presence::Optional),
            (false, _, false) => quote!(schema::Presence::Required),
        };
        let described = described(&options, &field.attrs);
        let given = option(options.given());
        written.push(quote! {
            object.field::<#ty>(generator, #name, #presence, #described, #given);
        });
    }
    let closed = reading.deny_unknown_fields;
    let readme = (!options.readme.is_empty()).then(|| {
        let headings = &options.readme;
        let prefix = options.prefix.as_ref().map(syn::LitStr::value);
        let prefix = prefix.unwrap_or_default();
        quote! {
            schema::Readme {
                text: ::std::include_str!(::std::concat!(
                    ::std::env!("CARGO_MANIFEST_DIR"),
                    "/README.md"
                )),
                headings: &[#(#headings),*],
                prefix: #prefix,
            }
        }
    });
    let readme = option(readme);
    Ok(quote! {
        let mut object = schema::Object::new(#closed, #docs, #readme);
        #(#written)*
        let mut schema = object.finish();
    })
}

/// One of several words, as `deserr` reads the enum.
fn choices(data: &DataEnum, reading: &Reading) -> Result<Tokens, Error> {
    let mut words = Vec::new();
    let mut default = None;
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "only words are read so"));
        }
        let options = Options::of(&variant.attrs)?;
        let of_variant = Reading::of(&variant.attrs)?.unwrap_or_default();
        if options.skip || of_variant.skip {
            continue;
        }
        let word = of_variant.name(reading, &variant.ident.to_string())?;
        let mut attributes = variant.attrs.iter();
        if attributes.any(|attribute| attribute.path().is_ident("default")) {
            default = Some(quote!(#word));
        }
        let described = described(&options, &variant.attrs);
        words.push(quote!((#word, #described)));
    }
    let default = option(default);
    Ok(quote!(let mut schema = schema::choices(&[#(#words),*], #default);))
}

/// An object with one of several keys, as `one_of!` reads it.
fn keys(data: &DataEnum) -> Result<Tokens, Error> {
    let mut keys = Vec::new();
    for variant in &data.variants {
        let options = Options::of(&variant.attrs)?;
        let (Some(key), Fields::Unnamed(fields)) = (&options.key, &variant.fields) else {
            return Err(Error::new_spanned(variant, BY_HAND));
        };
        let ty = fields.unnamed.iter().map(|field| &field.ty);
        let described = described(&options, &variant.attrs);
        keys.push(quote!((#key, #described, #(generator.subschema_for::<#ty>()),*)));
    }
    Ok(quote!(let mut schema = schema::one_key([#(#keys),*]);))
}

/// What is said of an item in the place of its doc comment, or that.
fn described(options: &Options, attributes: &[Attribute]) -> Tokens {
    let given = options.description.as_ref().map(syn::LitStr::value);
    let text = given.unwrap_or_else(|| docs(attributes));
    quote!(#text)
}

/// The text of a doc comment.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            Expr::Lit(literal) if meta.path.is_ident("doc") => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn option(value: Option<Tokens>) -> Tokens {
    value.map_or_else(
        || quote!(::std::option::Option::None),
        |value| quote!(::std::option::Option::Some(#value)),
    )
}

/// Whether a type is written with this name, which is all a macro sees of it.
fn is_named(ty: &Type, name: &str) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|segment| segment.ident == name)
}
