//! `Db` is SQLite or PostgreSQL; the macro `on!` writes a query once and type-checks it for both. SQLite has one writer
//! connection, whose transactions begin IMMEDIATE, and a pool of readers.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

/// Readers of an embedded database.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL, unless the configuration says otherwise.
pub const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a statement waits for a free connection or for SQLite's lock.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

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
            $crate::store::Db::Postgres($pool) => $body,
        }
    };
}

/// Runs a body on the pool that writes: one statement, or a transaction begun with `begin!`.
#[macro_export]
macro_rules! on_write {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { write: $pool, .. } => $body,
            $crate::store::Db::Postgres($pool) => $body,
        }
    };
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
                    $tx.commit().await?;
                }
                done
            }
            $crate::store::Db::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let done = async { $body }.await;
                if done.is_ok() {
                    $tx.commit().await?;
                }
                done
            }
        }
    };
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
        Ok(Self::Sqlite { read: write.clone(), write })
    }

    async fn sqlite(path: &str) -> Result<Self, StoreError> {
        let file = Path::new(path.split('?').next().unwrap_or(path));
        if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| StoreError::Folder(folder.to_owned(), e))?;
        }
        let options = sqlite_options(SqliteConnectOptions::new().filename(file).create_if_missing(true));
        let write = pool(1).connect_with(options.clone()).await?;
        let read = pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self::Sqlite { read, write })
    }

    async fn postgres(config: &DbConfig) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&config.url)?
            .application_name("area")
            .options([("synchronous_commit", "on"), ("timezone", "UTC")]);
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        Ok(Self::Postgres(pool))
    }

    /// Closes every connection; what is under way finishes first.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// `sqlite` or `postgres`, for people.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
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
