//! `area migrate`: brings the database to this program's version.

use clap::Args;

use super::{Context, Failure};

/// Bring the database to this program's version (every other command does so too)
#[derive(Debug, Args)]
#[command(after_help = "\
On SQLite stop the daemon first when its version is older. On PostgreSQL nodes of the last version go on meanwhile.

Examples:
  area migrate
  area migrate --database-url postgres://area@db/area")]
pub struct Migrate {}

impl Migrate {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let db = context.db().await?;
        let last = engine::store::migrate::known().last();
        db.close().await;
        let (number, name) = last.unwrap_or((0, "nothing"));
        eprintln!("{} is at version {number} ({name})", context.settings.database_url());
        Ok(())
    }
}
