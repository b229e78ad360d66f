//! The command line: one file a command. `failure` has the exit codes, `context` opens what commands share, `progress` the bars.
//! What a program would read goes to stdout, everything said to people to stderr.

mod apply;
mod backup;
mod catalog;
mod check;
mod completions;
mod config;
mod context;
mod dry_run;
mod export;
mod failure;
mod keys;
mod migrate;
mod out;
mod owner;
mod progress;
mod restore;
mod serve;
mod token;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use context::{Context, Global};
pub use failure::{Code, Failure};

/// The daemon that watches actions of services and fires reactions, unattended.
#[derive(Debug, Parser)]
#[command(name = "area", version, propagate_version = true, after_help = AFTER_HELP, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Examples:
  area                                          start here, on built-in defaults, with example AREAs
  area serve --listen 0.0.0.0:8080              start, reachable from other machines
  TOKEN=$(area token create --email me@example.org)
  curl -H \"Authorization: Bearer $TOKEN\" localhost:8080/v1/areas
  area catalog http.request                     what a reaction needs, with its schema
  area apply areas/ --diff                      what would change; without --diff, change it
  AREA_DATABASE_URL=postgres://… area serve     the same on PostgreSQL, on as many machines as needed

Settings: defaults < config/area.toml < environment (AREA_LISTEN, AREA_NET__ALLOW …) < flags.

Exit codes: 0 ok, 1 failed, 2 wrong use or setting, 3 not found, 4 the database cannot be used,
  5 another `area` holds the data folder, 6 an input file is wrong";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Migrate(migrate::Migrate),
    Check(check::Check),
    Config(config::Config),
    Catalog(catalog::Catalog),
    #[command(subcommand)]
    User(user::User),
    #[command(subcommand)]
    Token(token::Token),
    Apply(apply::Apply),
    Export(export::Export),
    DryRun(dry_run::DryRun),
    Backup(backup::Backup),
    Restore(restore::Restore),
    #[command(subcommand)]
    Keys(keys::Keys),
    Completions(completions::Completions),
}

/// Reads the command line, does what it says and gives the process's exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(e) => Err(Failure::failed(format!("cannot start: {e}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("area: {failure}");
            failure.code.into()
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let command = cli.command.unwrap_or_else(|| Command::Serve(serve::Serve::default()));
    if let Command::Completions(c) = command {
        return c.run();
    }
    let context = Context::new(&cli.global)?;
    match command {
        Command::Serve(c) => c.run(&context).await,
        Command::Migrate(c) => c.run(&context).await,
        Command::Check(c) => c.run(&context).await,
        Command::Config(c) => c.run(&context),
        Command::Catalog(c) => c.run(),
        Command::User(c) => c.run(&context).await,
        Command::Token(c) => c.run(&context).await,
        Command::Apply(c) => c.run(&context).await,
        Command::Export(c) => c.run(&context).await,
        Command::DryRun(c) => c.run(&context).await,
        Command::Backup(c) => c.run(&context).await,
        Command::Restore(c) => c.run(&context).await,
        Command::Keys(c) => c.run(&context).await,
        Command::Completions(c) => c.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_and_flag_says_what_it_is_for() {
        let mut root = Cli::command();
        root.build();
        root.clone().debug_assert();
        let mut open = vec![root];
        while let Some(command) = open.pop() {
            assert!(command.get_about().is_some(), "`{}` has no help", command.get_name());
            let arguments = command.get_arguments().filter(|a| !a.is_hide_set());
            for argument in arguments {
                assert!(argument.get_help().is_some(), "`{}`: {} has no help", command.get_name(), argument.get_id());
            }
            open.extend(command.get_subcommands().filter(|c| c.get_name() != "help").cloned());
        }
    }

    #[test]
    fn every_exit_code_is_documented_in_the_help() {
        for code in Code::ALL {
            assert!(AFTER_HELP.contains(&format!("{} ", code as u8)), "{code:?}");
        }
    }
}
