//! `area keys rotate|list|reseal`.

use clap::{Args, Subcommand};
use engine::vault::reseal::{self, Walked};
use serde_json::json;

use super::context::{KEY, fingerprint};
use super::{Code, Context, Failure, out};
use engine::store::{Db, meta};
use engine::vault::KeyRing;

/// Rotate, list and apply the keys that seal tokens and secrets in the database
#[derive(Debug, Subcommand)]
pub enum Keys {
    Rotate(Rotate),
    List(List),
    Reseal(Reseal),
}

/// Add a new key, which seals from now on; what older keys sealed still opens
#[derive(Debug, Args)]
#[command(after_help = "\
The key file is replaced; daemons take the new key up when they meet it, within a minute at most. Where nodes have key files of their
own, copy the file to each, then run `area keys reseal`. With AREA_KEYS or keys_command the new ring is printed, for
the secret store.

Examples:
  area keys rotate && area keys reseal")]
pub struct Rotate {}

/// List the keys, and how much each of them seals
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON: {"items":[{id,active,values}]}
    #[arg(long)]
    json: bool,
}

/// Seal everything with the active key, while the daemon runs
#[derive(Debug, Args)]
#[command(after_help = "\
In small steps; it may be stopped and run again. When `area keys list` shows that a key seals nothing, it may go from the key file:
backups from before still need it.

Examples:
  area keys reseal")]
pub struct Reseal {}

impl Keys {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let db = context.db().await?;
        let ring = context.ring(&db).await?;
        let done = match self {
            Self::Rotate(_) => rotate(context, &db, &ring).await,
            Self::List(list) => list.run(&db, &ring).await,
            Self::Reseal(_) => reseal(&db, &ring).await,
        };
        db.close().await;
        done
    }
}

async fn rotate(context: &Context, db: &Db, ring: &KeyRing) -> Result<(), Failure> {
    let rotated = ring.rotated().map_err(|e| Failure::failed(e.to_string()))?;
    debug_assert_eq!(fingerprint(&rotated), fingerprint(ring));
    if !context.settings.keys_are_in_a_file() {
        println!("{}", rotated.text().as_str());
        eprintln!(
            "put this where AREA_KEYS or keys_command take it from, restart every node, then run `area keys reseal`"
        );
        return Ok(());
    }
    let file = context.settings.keys_file();
    rotated.save(&file).map_err(|e| Failure::failed(e.to_string()))?;
    meta::claim(db, &format!("{KEY}{}", rotated.active()), "").await?;
    println!("{}", rotated.active());
    eprintln!("{} has a new key, which seals from now on; copy it apart from the backups", file.display());
    Ok(())
}

impl List {
    async fn run(self, db: &Db, ring: &KeyRing) -> Result<(), Failure> {
        let walked = reseal::walk(db, None).await?;
        let mut ids = ring.ids();
        ids.extend(walked.by_key.keys().filter(|id| !ring.ids().contains(id)).cloned());
        let values = |id: &String| walked.by_key.get(id).copied().unwrap_or(0);
        if self.json {
            let items: Vec<_> = ids
                .iter()
                .map(|id| json!({ "id": id, "active": *id == ring.active(), "held": ring.ids().contains(id), "values": values(id) }))
                .collect();
            return out::json(&json!({ "items": items }));
        }
        let state = |id: &String| match () {
            () if *id == ring.active() => "active",
            () if ring.ids().contains(id) => "opens",
            () => "missing",
        };
        let rows: Vec<[String; 3]> =
            ids.iter().map(|id| [id.clone(), state(id).to_owned(), format!("{} values", values(id))]).collect();
        out::columns(&rows);
        Ok(())
    }
}

async fn reseal(db: &Db, ring: &KeyRing) -> Result<(), Failure> {
    let walked = reseal::walk(db, Some(ring)).await?;
    forget_unused(db, ring, &walked).await?;
    println!("{} rows sealed with {}", walked.resealed, ring.active());
    match walked.broken.first() {
        None => Ok(()),
        Some((at, why)) => {
            let more = walked.broken.len();
            Err(Failure::new(Code::Failed, format!("{more} rows do not open; the first: {at} is {why}")))
        }
    }
}

/// A key that seals nothing any more may be missing from now on.
async fn forget_unused(db: &Db, ring: &KeyRing, walked: &Walked) -> Result<(), Failure> {
    if !walked.broken.is_empty() {
        return Ok(());
    }
    // Counted again: what was written during the walk may be sealed with an older key still.
    let now = reseal::walk(db, None).await?;
    for id in meta::named(db, KEY).await? {
        if id != ring.active() && !now.by_key.contains_key(&id) {
            meta::forget(db, &format!("{KEY}{id}")).await?;
        }
    }
    Ok(())
}
