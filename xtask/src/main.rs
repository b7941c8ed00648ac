//! The project's commands: `cargo xtask …`.

mod bench;
mod build;
mod cargo;
mod clean;
mod demo;
mod dist;
mod filter_config;
mod module;
mod new;
mod prune;
mod run;
mod schema;
mod soak;
mod stop;
mod suggest;
mod target;
mod terminal;
mod test;
mod tools;
mod validate;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, shows, tests and measures the filters.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::Args),
    Build(build::Args),
    Demo(demo::Args),
    Test(test::Args),
    Bench(bench::Args),
    Soak(soak::Args),
    Run(run::Args),
    Validate(validate::Args),
    Dist(dist::Args),
    Schema(schema::Args),
    Clean(clean::Args),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse().command {
        Command::New(args) => new::run(&args).map(done),
        Command::Build(args) => build::run(&args).map(done),
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args).map(done),
        Command::Soak(args) => soak::run(&args).map(done),
        Command::Run(args) => run::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Dist(args) => dist::run(&args).map(done),
        Command::Schema(args) => schema::run(&args).map(done),
        Command::Clean(args) => clean::run(&args).map(done),
    };
    result.unwrap_or_else(|error| {
        terminal::error(&error);
        ExitCode::FAILURE
    })
}
