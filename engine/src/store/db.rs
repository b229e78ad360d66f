//! `Db` is SQLite or PostgreSQL; the macro `on!` writes a query once and type-checks it for both. SQLite has one writer
//! connection, whose transactions begin IMMEDIATE, and a pool of readers.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};

/// Readers of an embedded database.
const SQLITE_READERS: u32 = 4;
/// Rows that SQLite's own thread may be ahead of who reads them: so that a read of a page does not make the two wait for each other.
const ROWS_AHEAD: usize = 1_000;
/// Connections to PostgreSQL, unless the configuration says otherwise.
pub const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a statement waits for a free connection or for SQLite's lock.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long PostgreSQL may take to answer. A connection that was cut without a word would be waited for for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing may be said in a transaction on PostgreSQL: it holds locks, and who began it may be stopped or cut off. What is
/// done in one never waits for anything else.
const SILENT_TRANSACTION: &str = "5s";
/// How PostgreSQL is to find rows. Every statement here names its rows by an index, a few thousand at most. Without statistics (a
/// young table, a batch that comes as JSON) its planner would rather read whole tables, and keep to that plan as they grow.
const PLANS: [(&str, &str); 4] =
    [("jit", "off"), ("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is not in use may take to say that it is well.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that was used this recently is not asked.
const SURELY_WELL: Duration = Duration::from_secs(1);

/// Where the database is.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// `sqlite:path/to/file.db` or `postgres://user:password@host/database`.
    pub url: String,
    /// Connections to PostgreSQL.
    pub connections: u32,
}

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no engine that we speak.
    #[error("the database URL must begin with `sqlite:` or `postgres://`")]
    Url,
    /// Another process holds the data folder.
    #[error("another `area` is running on {0}: stop it first, or give this one its own AREA_DATA_DIR")]
    Locked(PathBuf),
    /// The folder or lock file cannot be made.
    #[error("cannot use {0}: {1}")]
    Folder(PathBuf, std::io::Error),
    /// The database said no.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// A migration failed, or the database is newer than this program.
    #[error("cannot migrate the database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// The database. Clones share its pools.
#[derive(Clone, Debug)]
pub enum Db {
    /// Embedded: one node, one writer.
    Sqlite {
        /// Everything that only reads.
        read: SqlitePool,
        /// The one connection that writes.
        write: SqlitePool,
        /// Simulated nodes share it: their leases run out as on PostgreSQL, by the clock that they are handed.
        shared: bool,
    },
    /// Shared: many nodes.
    Postgres(PgPool),
}

/// Runs a body on the pool that reads: `on!(db, pool => sqlx::query_as(SQL).fetch_all(pool).await)`.
#[macro_export]
macro_rules! on {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { read: $pool, .. } => $body,
            $crate::store::Db::Postgres($pool) => $crate::store::db::answered(async { $body }).await,
        }
    };
}

/// Runs a body on the pool that writes: one statement, or a transaction begun with `begin!`.
#[macro_export]
macro_rules! on_write {
    ($db:expr, $pool:ident => $body:expr) => {{
        $crate::crash::point("store.before_write");
        let done = match $db {
            $crate::store::Db::Sqlite { write: $pool, .. } => $body,
            $crate::store::Db::Postgres($pool) => $crate::store::db::answered(async { $body }).await,
        };
        $crate::crash::point("store.after_write");
        done
    }};
}

/// Runs a body in one transaction: `in_tx!(db, tx => { sqlx::query(SQL).execute(&mut *tx).await?; Ok(()) })`. The body is an async
/// block's content that ends in a `Result` whose error takes `sqlx::Error`; `Ok` commits, `Err` rolls back.
#[macro_export]
macro_rules! in_tx {
    ($db:expr, $tx:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { write, .. } => {
                let mut $tx = write.begin_with("BEGIN IMMEDIATE").await?;
                let done = async { $body }.await;
                if done.is_ok() {
                    $crate::crash::point("store.before_commit");
                    $tx.commit().await?;
                    $crate::crash::point("store.after_commit");
                }
                done
            }
            $crate::store::Db::Postgres(pool) => {
                let mut $tx = $crate::store::db::answered(pool.begin()).await?;
                let done = $crate::store::db::answered(async { $body }).await;
                if done.is_ok() {
                    $crate::crash::point("store.before_commit");
                    $crate::store::db::answered($tx.commit()).await?;
                    $crate::crash::point("store.after_commit");
                }
                done
            }
        }
    };
}

/// Waits for PostgreSQL's answer, but not for ever. What was asked may have happened all the same.
pub async fn answered<T, E: From<sqlx::Error>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = |_| Err(sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut)).into());
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(late)
}

impl Db {
    /// Opens the database that the URL names, creating an SQLite file and its folder where there is none. Does not migrate.
    pub async fn open(config: &DbConfig) -> Result<Self, StoreError> {
        match config.url.split_once(':') {
            Some(("sqlite", path)) => Self::sqlite(path.trim_start_matches("//")).await,
            Some(("postgres" | "postgresql", _)) => Self::postgres(config).await,
            _ => Err(StoreError::Url),
        }
    }

    /// A database in memory, for simulations: it is gone with the last clone.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let options = sqlite_options(SqliteConnectOptions::from_str("sqlite::memory:")?);
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let write = one.connect_with(options).await?;
        Ok(Self::Sqlite { read: write.clone(), write, shared: false })
    }

    async fn sqlite(path: &str) -> Result<Self, StoreError> {
        let file = Path::new(path.split('?').next().unwrap_or(path));
        if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| StoreError::Folder(folder.to_owned(), e))?;
        }
        let options = sqlite_options(SqliteConnectOptions::new().filename(file).create_if_missing(true));
        let write = pool(1).after_release(|connection, _| Box::pin(is_idle(connection)));
        let write = write.connect_with(options.clone()).await?;
        let read = pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self::Sqlite { read, write, shared: false })
    }

    async fn postgres(config: &DbConfig) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&config.url)?
            .application_name("area")
            .options([("synchronous_commit", "on"), ("timezone", "UTC")])
            .options(PLANS)
            .options([("idle_in_transaction_session_timeout", SILENT_TRANSACTION)]);
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, was| Box::pin(is_well(connection, was.idle_for)))
            .after_release(|connection, _| Box::pin(is_well(connection, Duration::MAX)))
            .connect_with(options)
            .await?;
        Ok(Self::Postgres(pool))
    }

    /// Closes every connection; what is under way finishes first.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            // A connection that was cut off says no goodbye.
            Self::Postgres(pool) => drop(tokio::time::timeout(CLOSE_TIMEOUT, pool.close()).await),
        }
    }

    /// Whether one node works alone on it.
    pub fn is_alone(&self) -> bool {
        matches!(self, Self::Sqlite { shared: false, .. })
    }

    /// `sqlite` or `postgres`, for people.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// Whether a connection answers; one that does not is given up. `Ok(false)` would wait for it to say goodbye.
async fn is_well(connection: &mut PgConnection, idle_for: Duration) -> sqlx::Result<bool> {
    if idle_for < SURELY_WELL {
        return Ok(true);
    }
    match tokio::time::timeout(PING_TIMEOUT, connection.ping()).await {
        Ok(well) => well.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Whether a connection that was released is out of its transaction. SQLite itself ends a transaction when the disk is full, and
/// then refuses the rollback; sqlx counts such a transaction as open for ever, and would never begin another.
async fn is_idle(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // Whoever is asked after a rollback that was begun is asked when it has ended.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

fn sqlite_options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .pragma("cache_size", "-8000")
        .pragma("temp_store", "MEMORY")
        .statement_cache_capacity(100)
        .row_buffer_size(ROWS_AHEAD)
}

/// The lock on a data folder: held as long as it lives, released by the system when the process dies.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] std::fs::File);

impl FolderLock {
    /// Takes the lock on `folder`, making the folder where there is none.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        let failed = |e| StoreError::Folder(folder.to_owned(), e);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked(folder.to_owned())),
            Err(std::fs::TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit;

    #[tokio::test]
    async fn a_transaction_that_sqlite_itself_ended_is_not_the_last() {
        let t = testkit::sqlite().await;
        let ended: sqlx::Result<()> = async {
            in_tx!(&t.db, tx => {
                // As SQLite does when the disk is full.
                sqlx::query("ROLLBACK").execute(&mut *tx).await?;
                Err(sqlx::Error::WorkerCrashed)
            })
        }
        .await;
        ended.unwrap_err();
        let next: sqlx::Result<()> = async {
            in_tx!(&t.db, tx => {
                sqlx::query("CREATE TABLE next (x BIGINT)").execute(&mut *tx).await?;
                Ok(())
            })
        }
        .await;
        next.unwrap();
    }
}
