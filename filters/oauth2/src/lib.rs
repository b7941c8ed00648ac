//! Signs browsers in: the `OpenID` Connect authorization code flow with PKCE.
//!
//! What names no host: [`config`] is what users write; the rest of the modules say what they are of.

pub mod config;

mod access;
mod cookies;
mod counts;
mod ended;
mod filter;
mod flow;
mod grant;
mod oidc;
mod outputs;
mod pages;
mod place;
mod renewal;
mod rules;
mod seal;
#[cfg(test)]
mod sent;
mod session;
mod sign_in;
mod sign_out;

pub use filter::{OAuth2, Stream};

#[cfg(feature = "module")]
legation::register!(OAuth2);
