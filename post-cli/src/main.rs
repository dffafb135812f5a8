//! `post`: fills drives with proof-of-space-time labels, proves that they are held, verifies such proofs.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0 done; 1 a proof is invalid, a set is not whole or has no
//! room; 2 the call or its input is wrong, or something failed; 130 interrupted.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cmd;
mod devices;
mod machine;
mod placement;
mod proving;
mod report;
mod serve;
mod stop;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Initialize storage for proofs of space-time, prove that it is held, verify proofs
#[derive(Parser)]
#[command(name = "post", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Plan(cmd::plan::Args),
    Init(cmd::init::Args),
    Prove(cmd::prove::Args),
    Serve(Box<cmd::serve::Args>),
    Verify(cmd::verify::Args),
    Inspect(cmd::inspect::Args),
    Check(cmd::check::Args),
    Nonce(cmd::nonce::Args),
    Grow(cmd::grow::Args),
    Merge(cmd::merge::Args),
    Prune(cmd::prune::Args),
    Link(cmd::link::Args),
    Bench(cmd::bench::Args),
    Devices(cmd::devices::Args),
    Doctor(cmd::doctor::Args),
    Demo(cmd::demo::Args),
}

const WRONG: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            report::complain(&args::one_line(&error));
            return ExitCode::from(WRONG);
        }
        Err(help) => {
            // Only a closed pipe can fail here, and then nobody listens.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let result = match cli.command {
        Command::Plan(args) => cmd::plan::run(args),
        Command::Init(args) => cmd::init::run(args),
        Command::Prove(args) => cmd::prove::run(args),
        Command::Serve(args) => cmd::serve::run(*args),
        Command::Verify(args) => cmd::verify::run(args),
        Command::Inspect(args) => cmd::inspect::run(&args),
        Command::Check(args) => cmd::check::run(&args),
        Command::Nonce(args) => cmd::nonce::run(&args),
        Command::Grow(args) => cmd::grow::run(&args),
        Command::Merge(args) => cmd::merge::run(&args),
        Command::Prune(args) => cmd::prune::run(&args),
        Command::Link(args) => cmd::link::run(&args),
        Command::Bench(args) => cmd::bench::run(&args),
        Command::Devices(args) => cmd::devices::run(&args),
        Command::Doctor(args) => cmd::doctor::run(&args),
        Command::Demo(args) => cmd::demo::run(&args),
    };
    result.unwrap_or_else(|error| {
        report::complain(&report::chain(&*error));
        ExitCode::from(if stop::requested() { INTERRUPTED } else { WRONG })
    })
}
