//! `area restore FILE`: puts a backup in the place of the embedded database. Everything is done to a copy, which takes the
//! database's name last; the database that was there is kept beside it. See `engine::store::restored` for what is marked and why.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use engine::store::db::FolderLock;
use engine::store::restored::{self, Marked};
use engine::store::{Db, DbConfig, migrate};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};

use super::backup::{beside, sound, sync_folder_of};
use super::{Code, Context, Failure, out, progress};
use crate::settings::DatabaseUrl;

/// Put a backup in the place of the embedded database, with the daemon stopped
#[derive(Debug, Args)]
#[command(after_help = "\
What happened since the backup may have fired already. So every source takes a new baseline (nothing older fires), and runs that
were open become `uncertain`: look at them and replay those that you need. The database that was there is kept beside the new one.

Examples:
  area restore /backups/area-2026-11-01.db
  area restore --mark-only        after pg_restore or a point-in-time recovery: only marks the database")]
pub struct Restore {
    /// The backup
    #[arg(required_unless_present = "mark_only", conflicts_with = "mark_only")]
    file: Option<PathBuf>,
    /// Mark the database as restored, where it was put back by other means
    #[arg(long)]
    mark_only: bool,
    /// Print {"sources","runs","events","kept"} as JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let now = context.clock.now();
        let (marked, kept) = match &self.file {
            Some(file) => replace(context, file, now).await?,
            None => (mark_only(context, now).await?, None),
        };
        if self.json {
            let mut all = json!(marked);
            all["kept"] = json!(kept);
            return out::json(&all);
        }
        let Marked { sources, runs, events } = marked;
        eprintln!("restored: {sources} sources take a new baseline, {runs} open runs are uncertain now");
        if events > 0 {
            eprintln!("{events} recorded events that nobody had decided will not fire");
        }
        if let Some(kept) = kept {
            eprintln!("the database that was there is kept as {}", kept.display());
        }
        Ok(())
    }
}

async fn mark_only(context: &Context, now: DateTime<Utc>) -> Result<Marked, Failure> {
    let _lock = context.settings.lock_folder().map(|folder| FolderLock::take(&folder)).transpose()?;
    let db = context.db().await?;
    let alive = restored::nodes_alive(&db).await?;
    let done = if alive == 0 {
        restored::mark(&db, now).await.map_err(Failure::from)
    } else {
        Err(Failure::new(
            Code::Busy,
            format!("{alive} nodes are running on this database: stop them, wait for their lease to end"),
        ))
    };
    db.close().await;
    done
}

async fn replace(context: &Context, file: &Path, now: DateTime<Utc>) -> Result<(Marked, Option<PathBuf>), Failure> {
    let database = context.embedded_file(
        "this database is PostgreSQL: put it back with pg_restore or point-in-time recovery, then run `area restore --mark-only`",
    )?;
    let folder = context.settings.lock_folder().unwrap_or_default();
    let _lock = FolderLock::take(&folder)?;
    let growing = beside(&database, "restoring")?;
    let prepared = prepare(file, &growing, now).await;
    let done = match prepared {
        Ok(marked) => put_in_place(&growing, &database, now).await.map(|kept| (marked, kept)),
        Err(e) => Err(e),
    };
    if done.is_err() {
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(with_end(&growing, end));
        }
    }
    done
}

/// Copies the backup, checks that it is one of ours, brings it to this version and marks it.
async fn prepare(file: &Path, growing: &Path, now: DateTime<Utc>) -> Result<Marked, Failure> {
    let size = file.metadata().map_err(|e| Failure::file(file, &e))?.len();
    let bar = progress::bytes(size, "restoring");
    copy(file, growing, &bar).await.map_err(|e| Failure::file(file, &e))?;
    bar.finish_and_clear();
    sound(growing)
        .await
        .map_err(|f| Failure::new(f.code, f.message.replace(&*growing.to_string_lossy(), &file.to_string_lossy())))?;
    let url = DatabaseUrl::sqlite(growing).expose().to_owned();
    let db = Db::open(&DbConfig { url, connections: 1 }).await?;
    let marked = ours(&db, file, now).await;
    db.close().await;
    single(growing).await?;
    std::fs::File::open(growing).and_then(|f| f.sync_all()).map_err(|e| Failure::file(growing, &e))?;
    marked
}

async fn ours(db: &Db, file: &Path, now: DateTime<Utc>) -> Result<Marked, Failure> {
    if migrate::version(db).await?.is_none() {
        return Err(Failure::new(Code::Invalid, format!("{} is a database of another program", file.display())));
    }
    migrate::migrate(db).await.map_err(|e| Failure::new(Code::Invalid, format!("{}: {e}", file.display())))?;
    Ok(restored::mark(db, now).await?)
}

async fn copy(from: &Path, to: &Path, bar: &indicatif::ProgressBar) -> std::io::Result<()> {
    let (from, to, bar) = (from.to_owned(), to.to_owned(), bar.clone());
    let copying = move || {
        let mut source = bar.wrap_read(std::fs::File::open(from)?);
        let mut options = std::fs::File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        std::io::copy(&mut source, &mut options.open(to)?).map(drop)
    };
    tokio::task::spawn_blocking(copying).await.map_err(std::io::Error::other)?
}

/// Makes an SQLite file one file: without a write-ahead log beside it.
async fn single(file: &Path) -> sqlx::Result<()> {
    let c = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Delete).connect().await?;
    c.close().await
}

/// Gives the copy the database's name. The old one's log is emptied first: a log that outlives its database would be played
/// into the new one.
async fn put_in_place(growing: &Path, database: &Path, now: DateTime<Utc>) -> Result<Option<PathBuf>, Failure> {
    let failed = |e: std::io::Error| Failure::file(database, &e);
    let kept =
        database.is_file().then(|| with_end(database, &format!(".before-restore-{}", now.format("%Y%m%dT%H%M%SZ"))));
    if let Some(kept) = &kept {
        // A database too broken to be opened is kept with its log.
        let _ = single(database).await;
        std::fs::hard_link(database, kept).or_else(|_| std::fs::copy(database, kept).map(drop)).map_err(failed)?;
        for end in ["-wal", "-shm"] {
            let (old, new) = (with_end(database, end), with_end(kept, end));
            if old.exists() {
                std::fs::rename(old, new).map_err(failed)?;
            }
        }
    }
    std::fs::rename(growing, database).map_err(failed)?;
    sync_folder_of(database).map_err(failed)?;
    Ok(kept)
}

fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
