//! Fills a database with many AREAs at once: one is made as a user would make it, then its rows are copied by SQL, each copy with
//! an owner, a source and an address of its own, joined, at the cursor that a first poll gave.

use std::sync::Arc;

use engine::area::Desk;
use engine::clock::Clock;
use engine::ids::{AreaId, IdGen, SourceId};
use engine::net::{Http, NetConfig};
use engine::port::{FeedKind, PollCx};
use engine::store::Db;
use engine::store::people::{self, NewUser};
use engine::store::work;
use engine::{on, on_write};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use crate::daemon::Install;

/// What stands for the number of a copy in the URLs of the AREA that is copied.
pub const NUMBER: &str = "0000000";
/// The ids of copies: 12 hexadecimal digits follow.
const AREAS: &str = "0190000000007000800";
const USERS: &str = "0190000000007000900";

/// What the engines write differently.
struct Dialect {
    rows: &'static str,
    uuid: fn(&str, &str) -> String,
    bytes: &'static str,
    digits: &'static str,
}

const SQLITE: Dialect = Dialect {
    rows: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)",
    uuid: |prefix, i| format!("unhex('{prefix}0' || printf('%012x', {i}))"),
    bytes: "unhex(printf('%012x', n.i))",
    digits: "printf('%07d', n.i)",
};
const POSTGRES: Dialect = Dialect {
    rows: "WITH n AS (SELECT i FROM generate_series(1, $1) AS s(i))",
    uuid: |prefix, i| format!("('{prefix}0' || lpad(to_hex({i}), 12, '0'))::uuid"),
    bytes: "decode(lpad(to_hex(n.i), 12, '0'), 'hex')",
    digits: "lpad(n.i::text, 7, '0')",
};

/// The id of the `i`-th copy, from 1.
pub fn area(i: u128) -> AreaId {
    AreaId(Uuid::from_u128(u128::from_str_radix(AREAS, 16).unwrap() << 52 | i))
}

/// Makes `area` and `count` copies of it, owned by `users` people.
pub async fn fill(install: &Install, area: &Value, count: i64, users: i64) {
    let db = install.db().await;
    let made = make(&db, install, area).await;
    db.close().await;
    match install.file() {
        Some(file) => {
            let options = SqliteConnectOptions::new().filename(file).pragma("cache_size", "-200000");
            let options = options.journal_mode(SqliteJournalMode::Off).synchronous(SqliteSynchronous::Off);
            let mut connection = options.connect().await.unwrap();
            for sql in statements(&SQLITE, made, users) {
                sqlx::query(AssertSqlSafe(sql)).bind(count).execute(&mut connection).await.unwrap();
            }
            connection.close().await.unwrap();
        }
        None => {
            let mut connection = PgConnection::connect(&install.url).await.unwrap();
            for sql in statements(&POSTGRES, made, users) {
                sqlx::query(AssertSqlSafe(sql)).bind(count).execute(&mut connection).await.unwrap();
            }
            sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// The AREA to be copied, joined.
async fn make(db: &Db, install: &Install, area: &Value) -> SourceId {
    let clock = Clock::system();
    let new = NewUser { email: "bench@example.org", ..NewUser::default() };
    let user = people::create(db, &new, clock.now()).await.unwrap().id;
    let http = Http::new(NetConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], ..NetConfig::default() }).unwrap();
    let ids = IdGen::new(clock.clone(), 0, 0).into();
    let services = connectors::all();
    let desk = Desk {
        db: db.clone(),
        services,
        ring: install.ring(),
        http: http.clone(),
        providers: Arc::new([]),
        clock: clock.clone(),
        ids,
    };
    let source = desk.create(user, area, false).await.unwrap().area.source_id;
    let cursor = cursor(db, &http, &clock, source).await;
    let (remember, join) = ("UPDATE sources SET cursor = $1", "UPDATE areas SET joined_at = $1");
    on_write!(db, pool => sqlx::query(remember).bind(cursor).execute(pool).await.map(drop)).unwrap();
    on_write!(db, pool => sqlx::query(join).bind(clock.micros()).execute(pool).await.map(drop)).unwrap();
    source
}

/// What a first poll of the source remembers.
async fn cursor(db: &Db, http: &Http, clock: &Clock, source: SourceId) -> Option<String> {
    let row = work::sources(db, &[source]).await.unwrap().remove(0);
    let service = connectors::all().iter().find(|service| service.name == row.service).unwrap();
    let feed = service.actions.iter().find(|action| action.feed.name == row.feed).unwrap().feed;
    let FeedKind::Polled { poll, .. } = feed.kind else { return None };
    let params = serde_json::from_str(&row.params).unwrap();
    let cx = PollCx { params: &params, cursor: None, since: None, auth: None, http, now: clock.now(), wants: None };
    poll(cx).await.unwrap().cursor.map(|cursor| cursor.to_string())
}

fn statements(dialect: &Dialect, made: SourceId, users: i64) -> [String; 4] {
    let Dialect { rows, uuid, bytes, digits } = dialect;
    let (own, owner) = (uuid(AREAS, "n.i"), uuid(USERS, &format!("n.i % {users}")));
    let first = format!("a.source_id = {made}");
    [
        format!(
            "{rows} INSERT INTO users (id, email, created_at, updated_at)
             SELECT {}, 'user' || n.i || '@example.org', u.created_at, u.created_at FROM n CROSS JOIN users u
             WHERE n.i <= {users} AND u.email = 'bench@example.org'",
            uuid(USERS, "(n.i - 1)")
        ),
        format!(
            "{rows} INSERT INTO sources (id, user_id, service, feed, identity, part, params, every_us, cursor, version, created_at)
             SELECT s.id + n.i, {owner}, s.service, s.feed, {bytes}, n.i % 256, replace(s.params, '/{NUMBER}', '/' || {digits}),
             s.every_us, s.cursor, s.version, s.created_at FROM n CROSS JOIN sources s WHERE s.id = {made}"
        ),
        format!(
            "{rows} INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, every_us, joined_at,
             created_at, updated_at)
             SELECT a.no + n.i, {own}, {owner}, a.name, a.state, a.revision, a.version,
             replace(a.body, '/{NUMBER}', '/' || {digits}), a.source_id + n.i, a.every_us, a.joined_at, a.created_at, a.updated_at
             FROM n CROSS JOIN areas a WHERE {first}"
        ),
        format!(
            "{rows} INSERT INTO area_revisions (area_no, revision, body, created_at)
             SELECT a.no + n.i, a.revision, replace(a.body, '/{NUMBER}', '/' || {digits}), a.created_at
             FROM n CROSS JOIN areas a WHERE {first}"
        ),
    ]
}

/// Where PostgreSQL's log of changes stands, in bytes; 0 on SQLite, whose process writes itself.
pub async fn logged(db: &Db) -> f64 {
    match db {
        Db::Sqlite { .. } => 0.0,
        Db::Postgres(_) => {
            let sql = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8";
            let (bytes,): (f64,) = on!(db, pool => sqlx::query_as(sql).fetch_one(pool).await).unwrap();
            bytes
        }
    }
}
