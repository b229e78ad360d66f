//! Statements that take a whole batch as one JSON parameter (an array of arrays): a statement a row costs a thread hop or a
//! round trip each. This is the one place where the SQL of the two engines differs: how the array is unpacked into rows `v`, and
//! the lock that a reading statement takes. SQLite reads each row where it lies (`jsonb_each`, since 3.51): as text it would be written out
//! and parsed anew for each row, at nearly twice the cost.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Postgres, Sqlite, Transaction};

use super::Db;
use super::db::answered;

/// One statement in both dialects; `$1` is the JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

/// `batch!([0 id bigint, 1 key text] "SELECT … FROM v")`; between semicolons what only PostgreSQL is told (a row lock).
#[macro_export]
macro_rules! batch {
    ([$($i:literal $name:ident $kind:ident),+] $sql:literal) => { $crate::batch!([$($i $name $kind),+] $sql; ""; "") };
    ([$($i:literal $name:ident $kind:ident),+] $sql:literal; $postgres:literal; $end:literal) => {
        $crate::store::batch::Batch {
            sqlite: concat!(
                "WITH v AS (SELECT ", $("value->>", $i, " AS ", stringify!($name), ", ",)+ "1 AS one FROM jsonb_each($1)) ", $sql, $end
            ),
            postgres: concat!(
                "WITH v AS (SELECT ",
                $("(value->>", $i, ")::", stringify!($kind), " AS ", stringify!($name), ", ",)+
                "1 AS one FROM jsonb_array_elements($1::jsonb)) ", $sql, $postgres, $end
            ),
        }
    };
}

/// A row that both engines can read.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for T {}

/// A transaction that writes, on either engine. Dropped without `commit` it rolls back.
#[derive(Debug)]
pub enum Tx {
    /// SQLite, begun IMMEDIATE on the one writer.
    Sqlite(Transaction<'static, Sqlite>),
    /// PostgreSQL, read committed.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Begins.
    pub async fn begin(db: &Db) -> sqlx::Result<Self> {
        Ok(match db {
            Db::Sqlite { write, .. } => Self::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?),
            Db::Postgres(pool) => Self::Postgres(pool.begin().await?),
        })
    }

    /// Runs `batch` over `rows` and tells how many rows it changed.
    pub async fn execute(&mut self, batch: Batch, rows: &str) -> sqlx::Result<u64> {
        Ok(match self {
            Self::Sqlite(tx) => sqlx::query(batch.sqlite).bind(rows).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => sqlx::query(batch.postgres).bind(rows).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Runs `batch` over `rows` and gives what it answers.
    pub async fn fetch<T: Row>(&mut self, batch: Batch, rows: &str) -> sqlx::Result<Vec<T>> {
        match self {
            Self::Sqlite(tx) => sqlx::query_as(batch.sqlite).bind(rows).fetch_all(&mut **tx).await,
            Self::Postgres(tx) => sqlx::query_as(batch.postgres).bind(rows).fetch_all(&mut **tx).await,
        }
    }

    /// Makes it durable.
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

impl Batch {
    /// Runs it outside a transaction, on the pool that reads.
    pub async fn read<T: Row>(self, db: &Db, rows: &str) -> sqlx::Result<Vec<T>> {
        match db {
            Db::Sqlite { read, .. } => sqlx::query_as(self.sqlite).bind(rows).fetch_all(read).await,
            Db::Postgres(pool) => answered(sqlx::query_as(self.postgres).bind(rows).fetch_all(pool)).await,
        }
    }
}

/// Whether the database may be well again in a moment: no connection, no answer, shutting down, locked. Everything else is the
/// statement's own fault.
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            let code = code.as_ref();
            // PostgreSQL: connection, resources, operator intervention, its system's I/O, serialisation, a transaction in which
            // nothing was said. SQLite: busy, locked, I/O, full.
            ["08", "53", "57", "58", "40", "25P03"].iter().any(|class| code.len() == 5 && code.starts_with(class))
                || code.parse::<i32>().is_ok_and(|c| code.len() < 5 && matches!(c & 0xff, 5 | 6 | 10 | 13 | 14))
        }),
        _ => false,
    }
}
