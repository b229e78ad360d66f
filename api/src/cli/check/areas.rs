//! Whether the stored AREAs can run.

use engine::area::{Document, Plan, check, secrets};
use engine::ids::AreaNo;
use engine::net::Http;
use engine::port::Invalid;
use engine::store::Db;
use engine::store::areas::{self, AreaRow};
use engine::vault::KeyRing;

use super::findings::Findings;
use crate::cli::{Context, progress};

/// AREAs read at a time.
const PAGE: i64 = 500;
/// AREAs that cannot run of which each is told.
const SHOWN: usize = 10;

/// Whether every stored AREA can run with this program: its services, schedules, templates, secrets.
pub(super) async fn areas(context: &Context, db: &Db, ring: &KeyRing, found: &mut Findings) -> sqlx::Result<()> {
    let http = match Http::new(context.settings.net.config()) {
        Ok(http) => http,
        Err(why) => {
            found.wrong("net", why);
            return Ok(());
        }
    };
    let count = areas::count(db).await?;
    let bar = progress::bar(u64::try_from(count).unwrap_or(0), "checking AREAs");
    let (mut after, mut bad) = (AreaNo(0), 0);
    loop {
        let page = areas::after(db, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.no;
        for row in &page {
            let Some(first) = wrong_with(row, ring, &http) else { continue };
            bad += 1;
            if bad <= SHOWN {
                found.wrong("AREA", format!("{} ({:?}) cannot run: {first}; edit it", row.id, row.name));
            }
        }
        bar.inc(page.len() as u64);
    }
    bar.finish_and_clear();
    match bad {
        0 => found.ok("AREAs", format!("all {count} can run")),
        bad => found.wrong("AREAs", format!("{bad} of {count} cannot run")),
    }
    Ok(())
}

/// The first thing that is wrong with a stored AREA: what was right when it was saved may be refused today.
fn wrong_with(row: &AreaRow, ring: &KeyRing, http: &Http) -> Option<String> {
    let wrong = || -> Result<Vec<Invalid>, Vec<Invalid>> {
        let unreadable = |e: serde_json::Error| vec![Invalid::new("", e.to_string())];
        let mut json = serde_json::from_str(&row.body).map_err(unreadable)?;
        secrets::open(&mut json, row.id, ring)?;
        let wrong = check::check(&Document::read(&json)?, connectors::all(), http);
        Ok(if wrong.is_empty() { Plan::compile(row, connectors::all(), ring).err().unwrap_or_default() } else { wrong })
    };
    let wrong = wrong().unwrap_or_else(|wrong| wrong);
    wrong.first().map(|w| format!("{}: {}", w.pointer, w.detail))
}
