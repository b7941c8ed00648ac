//! The documentation: what it shows is run, and what it leads to is there.
//!
//! Each fenced block of the book (`docs/src`) and of `README.md` says behind its language how it is
//! checked; one that does not say so fails. The next ones of a page belong to it:
//!
//! | fence | what is done |
//! |---|---|
//! | `yaml FILTER [FILE]` | the filter takes it, in an Envoy that all pages share; the page's commands find it as `FILE` |
//! | `yaml FILTER FILE refused` | a command of the page is told what is wrong with it |
//! | `yaml envoy`, `bootstrap`, `hcm`, `http_filters`, `plugin` | Envoy takes it: as it stands, or in that place of a whole configuration |
//! | `sh` | each command is known to [`commands`], and run or taken by what would run it |
//! | `text`, behind `sh` | what the commands print; `…` stands for anything |
//! | `rust`, in the README | compiled and run as an example of the SDK's |
//! | `LANGUAGE file=PATH` | a file of the tutorial ([`tutorial`]), or of the upstream that the requests go to |

#![cfg(target_os = "linux")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test; the lints spare only functions marked as tests"
)]

mod book;
mod commands;
mod curl;
mod envoy;
mod links;
mod output;
mod tables;
mod tutorial;
