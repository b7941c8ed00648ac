//! Signs browsers in: the `OpenID` Connect authorization code flow with PKCE.
#![allow(dead_code)]

mod cookies;
mod flow;
mod place;
mod seal;
mod session;
