//! `area serve`: see `crate::serve`.

use clap::Args;

use super::{Context, Failure};

/// Start the daemon: the default when no command is given
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Ctrl-C or SIGTERM: no new polls, runs in flight finish or are handed back (at most `node.drain`, 20s).

Examples:
  area serve
  area serve --listen 0.0.0.0:8080 --public-url https://area.example.org --set log.format=json
  AREA_DATABASE_URL=postgres://area@db/area AREA_NODE__NAME=blue area serve")]
pub struct Serve {}

impl Serve {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        crate::serve::run(context).await
    }
}
