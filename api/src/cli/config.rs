//! `area config`: every setting, explained; or what is in effect.

use clap::Args;

use super::{Context, Failure, out};
use crate::settings::{FILE, in_effect};

/// Print every setting with its default and why, as a file to start from
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  area config > config/area.toml
  area config --current                        what is in effect, after file, environment and flags
  AREA_NET__TIMEOUT=5s area config --current --json | jq '.\"net.timeout\"'")]
pub struct Config {
    /// Print what is in effect instead; passwords and keys are hidden
    #[arg(long)]
    current: bool,
    /// With --current: print one JSON object, by key
    #[arg(long, requires = "current")]
    json: bool,
}

impl Config {
    pub fn run(self, context: &Context) -> Result<(), Failure> {
        if !self.current {
            print!("{FILE}");
            return Ok(());
        }
        let all = in_effect(&context.settings);
        if self.json {
            return out::json(&all);
        }
        all.iter().for_each(|(key, value)| println!("{key} = {value}"));
        Ok(())
    }
}
