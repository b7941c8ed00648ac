//! Signs browsers in: the `OpenID` Connect authorization code flow with PKCE.
#![allow(dead_code)]

pub mod config;

mod access;
mod cookies;
mod flow;
mod oidc;
mod outputs;
mod pages;
mod place;
mod rules;
mod seal;
mod session;
