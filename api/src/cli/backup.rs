//! `area backup FILE`: a copy of the embedded database, taken while the daemon goes on. The copy grows under another name, is
//! checked and synced, and gets its name last: a file with that name is a whole backup.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::{Code, Context, Failure, out, progress};

/// How often the bar looks at the copy.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Copy the embedded database to a file, while the daemon goes on
#[derive(Debug, Args)]
#[command(after_help = "\
The copy holds everything but the keys: keep a copy of DATA_DIR/keys.json in another place, sealed values need them.
On PostgreSQL use pg_dump or its point-in-time recovery, and `area restore --mark-only` after putting a copy back.

Examples:
  area backup /backups/area-$(date +%F).db
  area restore /backups/area-2026-11-01.db")]
pub struct Backup {
    /// The file to make
    file: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
    /// Print {"file","bytes"} as JSON
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let database = context.embedded_file(
            "this database is PostgreSQL: back it up with pg_dump or by point-in-time recovery, and after putting a copy back run \
             `area restore --mark-only`",
        )?;
        if !database.is_file() {
            return Err(Failure::new(Code::NotFound, format!("there is no database {}", database.display())));
        }
        if self.file.exists() && !self.force {
            return Err(Failure::failed(format!("{} exists: name another file, or give --force", self.file.display())));
        }
        let growing = beside(&self.file, "part")?;
        let copied = copy(&database, &growing).await;
        let done = match copied {
            Ok(()) => finish(&growing, &self.file),
            Err(e) => Err(e),
        };
        if done.is_err() {
            let _ = std::fs::remove_file(&growing);
        }
        let bytes = done?;
        if self.json {
            return out::json(&json!({ "file": self.file, "bytes": bytes }));
        }
        eprintln!("backed up {} to {} ({bytes} bytes)", database.display(), self.file.display());
        eprintln!(
            "the keys in {} are not in it: keep a copy of them elsewhere",
            context.settings.keys_file().display()
        );
        Ok(())
    }
}

/// A name in the same folder that nobody else uses.
pub(super) fn beside(file: &Path, suffix: &str) -> Result<PathBuf, Failure> {
    let name =
        file.file_name().ok_or_else(|| Failure::new(Code::Usage, format!("{} is no file name", file.display())))?;
    Ok(file.with_file_name(format!(".{}.{}.{suffix}", name.to_string_lossy(), std::process::id())))
}

async fn copy(database: &Path, to: &Path) -> Result<(), Failure> {
    // Made here, so that nobody else may read it from the first byte on.
    private(to)?;
    let mut c = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::from_secs(60)).connect().await?;
    let bytes: i64 = sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        .fetch_one(&mut c)
        .await?;
    let bar = progress::bytes(u64::try_from(bytes).unwrap_or(0), "copying");
    let name = to.to_string_lossy().into_owned();
    {
        let copying = sqlx::query("VACUUM INTO $1").bind(name).execute(&mut c);
        tokio::pin!(copying);
        loop {
            tokio::select! {
                done = &mut copying => { done?; break; }
                () = tokio::time::sleep(LOOK_EVERY) => bar.set_position(to.metadata().map_or(0, |m| m.len())),
            }
        }
    }
    bar.finish_and_clear();
    c.close().await?;
    sound(to).await
}

#[cfg(unix)]
fn private(file: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = File::options().write(true).create_new(true).mode(0o600).open(file);
    made.map(drop).map_err(|e| Failure::file(file, &e))
}

#[cfg(not(unix))]
fn private(file: &Path) -> Result<(), Failure> {
    File::options().write(true).create_new(true).open(file).map(drop).map_err(|e| Failure::file(file, &e))
}

/// Fails unless SQLite finds the file whole.
pub(super) async fn sound(file: &Path) -> Result<(), Failure> {
    let said = ask(file).await.unwrap_or_else(|e| e.to_string());
    if said == "ok" {
        return Ok(());
    }
    Err(Failure::new(Code::Invalid, format!("{} is no sound SQLite database: {said}", file.display())))
}

async fn ask(file: &Path) -> sqlx::Result<String> {
    let mut c = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true).connect().await?;
    let said: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut c).await?;
    c.close().await?;
    Ok(said)
}

/// Syncs the copy, gives it its name, syncs the folder; tells its size in bytes.
fn finish(growing: &Path, file: &Path) -> Result<u64, Failure> {
    let failed = |e: std::io::Error| Failure::file(file, &e);
    let copy = File::open(growing).map_err(failed)?;
    copy.sync_all().map_err(failed)?;
    let bytes = copy.metadata().map_err(failed)?.len();
    std::fs::rename(growing, file).map_err(failed)?;
    sync_folder_of(file).map_err(failed)?;
    Ok(bytes)
}

/// Makes a rename in the folder of `file` durable.
pub(super) fn sync_folder_of(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
