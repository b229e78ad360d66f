//! `area check`: configuration, data folder, database, clock, keys, stored AREAs, providers: what is wrong and how to mend it. It changes nothing.

mod areas;
mod findings;
mod providers;

use std::path::Path;

use clap::Args;
use engine::store::db::FolderLock;
use engine::store::restored::restored_at;
use engine::store::{Db, StoreError, meta, migrate};
use engine::vault::KeyRing;

use super::context::{KEY, KEYS, OTHER_KEYS, fingerprint, lost};
use super::{Context, Failure, out};
use findings::{Finding, Findings, State};

/// A difference between our clock and the database's that is worth a word, in microseconds.
const CLOCKS_APART: i64 = 2_000_000;

const DATABASE_CLOCK: &str = "SELECT CAST(extract(epoch from clock_timestamp()) * 1000000 AS BIGINT)";

/// Look for what is wrong with settings, data folder, database, clock, keys, AREAs and providers, and say how to mend it
#[derive(Debug, Args)]
#[command(after_help = "\
Changes nothing. The exit code is 1 when something is wrong; a warning is not.

Examples:
  area check
  area check --json --database-url postgres://area@db/area")]
pub struct Check {
    /// Print {"items":[{"what","state","said"}]} as JSON; `state` is ok, warning or wrong
    #[arg(long)]
    json: bool,
}

impl Check {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut found = Findings::default();
        addresses(context, &mut found);
        folder(&context.settings.data_dir, &mut found);
        match missing(context) {
            Some(said) => {
                found.ok("database", said);
                keys(context, None, &[], &mut found).await;
            }
            None => database(context, &mut found).await,
        }
        providers::providers(context, &mut found).await?;
        self.tell(&found)
    }

    fn tell(&self, Findings(all): &Findings) -> Result<(), Failure> {
        if self.json {
            out::json(&serde_json::json!({ "items": all }))?;
        } else {
            let row = |f: &Finding| [format!("{:?}", f.state).to_lowercase(), f.what.to_owned(), f.said.clone()];
            out::columns(&all.iter().map(row).collect::<Vec<_>>());
        }
        match all.iter().filter(|f| f.state == State::Wrong).count() {
            0 => Ok(()),
            1 => Err(Failure::failed("one thing is wrong")),
            n => Err(Failure::failed(format!("{n} things are wrong"))),
        }
    }
}

fn addresses(context: &Context, found: &mut Findings) {
    let (listen, public) = (context.settings.listen, context.settings.public_url());
    found.ok("settings", format!("listens on {listen}, reached as {public}"));
    let local = public.host_str().is_some_and(|h| h == "localhost" || h.starts_with("127.") || h == "[::1]");
    if !listen.ip().is_loopback() && public.scheme() == "http" {
        found.warning("settings", "the API can be reached from other machines without TLS: put a proxy with TLS before it and set public_url to its https:// address");
    }
    if !listen.ip().is_loopback() && local {
        found.warning(
            "settings",
            format!("hook URLs begin with {public}, which only this machine can reach: set public_url"),
        );
    }
}

fn folder(data_dir: &Path, found: &mut Findings) {
    let shown = data_dir.display();
    if !data_dir.exists() {
        return found.ok("data", format!("{shown} will be made at the first start"));
    }
    match tempfile_in(data_dir) {
        Ok(()) => found.ok("data", format!("{shown} can be written")),
        Err(e) => found.wrong("data", format!("cannot write in {shown}: {e}; give it to the user that runs `area`")),
    }
}

fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".check.{}", std::process::id()));
    std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe))
}

/// The ring of keys, where there is one; looking must not make one.
async fn keys(context: &Context, known: Option<&str>, used: &[String], found: &mut Findings) -> Option<KeyRing> {
    let file = context.settings.keys_file();
    if context.settings.keys_are_in_a_file() && !file.exists() {
        match known {
            Some(_) => found.wrong("keys", format!("{} is missing: {OTHER_KEYS}", file.display())),
            None => found.ok("keys", format!("{} will be made at the first start", file.display())),
        }
        return None;
    }
    let ring = context.ring_as_it_is().await.map_err(|e| found.wrong("keys", e.message)).ok()?;
    if known.is_some_and(|known| known != fingerprint(&ring)) {
        found.wrong("keys", format!("these are other keys than the database's: {OTHER_KEYS}"));
        return None;
    }
    if let Some(why) = lost(&ring, used) {
        found.wrong("keys", why);
        return None;
    }
    found.ok("keys", format!("sealed with the key {}", ring.active()));
    Some(ring)
}

/// What to say where there is no embedded database yet: looking must not make one.
fn missing(context: &Context) -> Option<String> {
    let file = context.settings.database_file().filter(|file| !file.exists())?;
    Some(format!("{} will be made at the first start", file.display()))
}

async fn database(context: &Context, found: &mut Findings) {
    let url = context.settings.database_url();
    let db = match context.db_as_it_is().await {
        Ok(db) => db,
        Err(e) => return found.wrong("database", format!("{}; is it running, and is the URL right?", e.message)),
    };
    found.ok("database", format!("{url} can be opened"));
    if let Err(e) = ask(context, &db, found).await {
        found.wrong("database", e.to_string());
    }
    db.close().await;
}

async fn ask(context: &Context, db: &Db, found: &mut Findings) -> sqlx::Result<()> {
    let has = migrate::version(db).await?;
    version(has, found);
    match db {
        Db::Sqlite { read, .. } => {
            let said: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(read).await?;
            match said.as_str() {
                "ok" => found.ok("database", "its pages are sound"),
                broken => found.wrong("database", format!("is damaged: {broken}; restore the last backup")),
            }
            daemon(context, found);
        }
        Db::Postgres(pool) => {
            let theirs: i64 = sqlx::query_scalar(DATABASE_CLOCK).fetch_one(pool).await?;
            let apart = (context.clock.micros() - theirs).abs();
            let said = format!("this machine's and the database's are {:.1} s apart", apart as f64 / 1e6);
            if apart > CLOCKS_APART {
                found.warning(
                    "clock",
                    format!("{said}: synchronise them (leases go by the database's, schedules by this one)"),
                );
            } else {
                found.ok("clock", said);
            }
        }
    }
    if has != migrate::known().last().map(|m| m.0) {
        return Ok(());
    }
    if let Some(at) = restored_at(db).await? {
        found.ok("database", format!("was restored from a backup at {at}"));
    }
    let known = meta::get(db, KEYS).await?;
    let used = meta::named(db, KEY).await?;
    if let Some(ring) = keys(context, known.as_deref(), &used, found).await {
        areas::areas(context, db, &ring, found).await?;
    }
    Ok(())
}

fn version(has: Option<i64>, found: &mut Findings) {
    let knows = migrate::known().last().map_or(0, |m| m.0);
    match has {
        None => found.ok("database", "is empty: it will be filled at the first start"),
        Some(has) if has < knows => {
            found.ok("database", format!("is at version {has}; the next start brings it to {knows}"))
        }
        Some(has) if has > knows => {
            found.wrong("database", format!("is at version {has}, this program knows {knows}: use a newer `area`"));
        }
        Some(has) => found.ok("database", format!("is at version {has}")),
    }
}

fn daemon(context: &Context, found: &mut Findings) {
    let Some(folder) = context.settings.lock_folder() else { return };
    match FolderLock::take(&folder) {
        Ok(_) => found.ok("daemon", "is not running"),
        Err(StoreError::Locked(_)) => found.ok("daemon", format!("is running on {}", folder.display())),
        Err(e) => found.wrong("daemon", e.to_string()),
    }
}
