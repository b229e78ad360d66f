//! `area completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};

/// Print a script that completes commands and flags in your shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  area completions bash > /etc/bash_completion.d/area
  area completions zsh  > ~/.zfunc/_area
  area completions fish > ~/.config/fish/completions/area.fish")]
pub struct Completions {
    /// Whose syntax
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<(), Failure> {
        clap_complete::generate(self.shell, &mut Cli::command(), "area", &mut std::io::stdout());
        Ok(())
    }
}
