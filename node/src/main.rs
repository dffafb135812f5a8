//! `post-node`: a lean node.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0 done; 1 a network's nodes disagree; 2 the call or its input is wrong,
//! or something failed.
#![forbid(unsafe_code)]

mod cmd;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A lean node: takes proofs of space-time from provers, makes ATXs of them and checks everyone else's
#[derive(Parser)]
#[command(name = "post-node", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Account(cmd::account::Args),
    Run(Box<cmd::run::Args>),
    Status(cmd::status::Args),
    Devnet(cmd::devnet::Args),
    Sim(cmd::sim::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Only a closed pipe can fail here, and then nobody listens.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match cli.command {
        Command::Account(args) => cmd::account::run(&args),
        Command::Run(args) => cmd::run::run(&args),
        Command::Status(args) => cmd::status::run(&args),
        Command::Devnet(args) => cmd::devnet::run(&args),
        Command::Sim(args) => cmd::sim::run(&args),
    };
    result.unwrap_or_else(|error| {
        use std::io::Write;
        // Nobody is there to be told when stderr is closed.
        let _ = writeln!(std::io::stderr(), "error: {}", chain(&error));
        ExitCode::from(2)
    })
}

/// An error and its causes; a cause that the message before it tells already is left out.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        told if told.contains(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}
