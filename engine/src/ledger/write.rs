//! One transaction: look at what the units rest on, leave out those that no longer stand, write the rest, commit.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::sql;
use super::unit::{Proof, Refused, RunState, Unit};
use crate::ids::{AreaNo, EventId};
use crate::store::Db;
use crate::store::batch::{Batch, Tx};

/// Commits what stands and answers each unit, in order. With `repeated`, every event is looked up first, also the fresh ones.
pub async fn write(db: &Db, units: &[&Unit], repeated: bool) -> sqlx::Result<Vec<Result<(), Refused>>> {
    crate::crash::answer("ledger.begin")?;
    let mut tx = Tx::begin(db).await?;
    let seen = Seen::look(&mut tx, units, repeated).await?;
    let answers: Vec<_> = units.iter().map(|unit| seen.judge(unit)).collect();
    let open = units.iter().zip(&answers).filter(|(unit, answer)| answer.is_ok() && !seen.has(unit));
    let standing: Vec<&Unit> = open.map(|(unit, _)| *unit).collect();
    if !standing.is_empty() {
        insert(&mut tx, &standing, &seen).await?;
        crate::crash::point("ledger.before_commit");
        tx.commit().await?;
        crate::crash::point("ledger.after_commit");
        crate::crash::answer("ledger.commit")?;
    }
    Ok(answers)
}

/// What the database says of the things that the units rest on.
#[derive(Default)]
struct Seen {
    lost: HashSet<Proof>,
    stale: HashSet<(i64, i64)>,
    let_go: HashSet<i64>,
    born: HashSet<i64>,
    settled: HashSet<i64>,
    recorded: HashMap<(i64, String), i64>,
    cursors: HashMap<i64, (i64, Option<String>)>,
}

impl Seen {
    async fn look(tx: &mut Tx, units: &[&Unit], repeated: bool) -> sqlx::Result<Self> {
        let mut seen = Self::default();
        let proofs: HashSet<Proof> = units.iter().filter_map(|u| u.proof).collect();
        let rows = read::<(i64, i64)>(tx, sql::LOST, proofs.iter().map(|p| (p.part, p.epoch))).await?;
        seen.lost = rows.into_iter().map(|(part, epoch)| Proof { part, epoch }).collect();
        let standing: HashSet<(i64, i64)> =
            units.iter().flat_map(|u| &u.standing).map(|(area, version)| (area.0, *version)).collect();
        seen.stale = read(tx, sql::STALE, standing.iter()).await?.into_iter().collect();
        let held: HashSet<i64> = units.iter().flat_map(|u| &u.held).map(|run| run.0).collect();
        let rows = read::<(i64,)>(tx, sql::LET_GO, held.iter().map(|run| (run,))).await?;
        seen.let_go = rows.into_iter().map(|(run,)| run).collect();
        // One that is let go in this very batch takes nothing any more.
        let let_go = units.iter().flat_map(|u| &u.updates).filter(|update| update.state == RunState::Ready);
        seen.let_go.extend(let_go.map(|update| update.id.0));
        let first = units.iter().filter(|_| repeated).filter_map(|u| u.runs.first());
        let rows = read::<(i64,)>(tx, sql::BORN, first.map(|run| (run.id.0,))).await?;
        seen.born = rows.into_iter().map(|(run,)| run).collect();
        let decided = units.iter().filter(|_| repeated).filter_map(|u| u.decided.first());
        let rows = read::<(i64,)>(tx, sql::SETTLED, decided.map(|(event, _)| (event.0,))).await?;
        seen.settled = rows.into_iter().map(|(event,)| event).collect();
        let keys = units.iter().flat_map(|u| &u.events).filter(|e| repeated || !e.fresh);
        let rows = read::<(i64, i64, String)>(tx, sql::RECORDED, keys.map(|e| (e.source.0, &e.key))).await?;
        seen.recorded = rows.into_iter().map(|(id, source, key)| ((source, key), id)).collect();
        let moves = units.iter().filter_map(|u| u.cursor.as_ref()).map(|c| (c.source.0,));
        let rows = read::<(i64, i64, Option<String>)>(tx, sql::CURSORS, moves).await?;
        seen.cursors = rows.into_iter().map(|(id, version, cursor)| (id, (version, cursor))).collect();
        Ok(seen)
    }

    /// Whether a unit was committed and only the answer was lost. What it rested on may have changed since: that is no reason to
    /// decide again what stands.
    fn has(&self, unit: &Unit) -> bool {
        // What is decided without a birth, as where a digest takes it.
        let lost = unit.proof.is_some_and(|proof| self.lost.contains(&proof));
        let settled = |decided: &(EventId, Option<AreaNo>)| decided.1.is_none() && self.settled.contains(&decided.0.0);
        unit.decided.first().is_some_and(|decided| !lost && settled(decided))
            || unit.runs.first().is_some_and(|run| self.born.contains(&run.id.0))
            || unit.events.first().is_some_and(|event| self.recorded(event) == Some(event.id.0))
    }

    fn judge(&self, unit: &Unit) -> Result<(), Refused> {
        if self.has(unit) {
            return Ok(());
        }
        if unit.proof.is_some_and(|p| self.lost.contains(&p)) {
            return Err(Refused::Lost);
        }
        let stale = unit.standing.iter().filter(|(area, version)| self.stale.contains(&(area.0, *version)));
        let stale: Vec<_> = stale.map(|(area, _)| *area).collect();
        if !stale.is_empty() || unit.held.iter().any(|run| self.let_go.contains(&run.0)) {
            return Err(Refused::Stale(stale));
        }
        let foreign = |e: &&super::NewEvent| self.recorded(e).is_some_and(|id| id != e.id.0);
        let duplicates: Vec<String> = unit.events.iter().filter(foreign).map(|e| e.key.clone()).collect();
        if !duplicates.is_empty() {
            return Err(Refused::Duplicate(duplicates));
        }
        match &unit.cursor {
            Some(to) => match self.cursors.get(&to.source.0) {
                Some((version, _)) if *version == to.from => Ok(()),
                Some((version, cursor)) if *version == to.from + 1 && *cursor == to.to => Ok(()),
                _ => Err(Refused::Moved),
            },
            None => Ok(()),
        }
    }

    /// The id under which the event's key is recorded.
    fn recorded(&self, event: &super::NewEvent) -> Option<i64> {
        if self.recorded.is_empty() {
            return None;
        }
        self.recorded.get(&(event.source.0, event.key.clone())).copied()
    }
}

/// Events before the cursor moves, births after their events: the order does not matter inside one transaction, but it reads so.
async fn insert(tx: &mut Tx, units: &[&Unit], seen: &Seen) -> sqlx::Result<()> {
    let all = || units.iter();
    let events = all().flat_map(|u| &u.events).filter(|e| seen.recorded(e).is_none());
    let events = events.map(|e| {
        let (mark, only_area) = (e.mark.map(|a| a.0), e.only_area.map(|a| a.0));
        (e.id.0, e.source.0, &e.key, &e.body, e.at, e.undecided, mark, only_area, e.depth)
    });
    run(tx, sql::EVENTS, events).await?;
    run(tx, sql::DECIDED, all().flat_map(|u| &u.decided).map(|(id, mark)| (id.0, mark.map(|a| a.0)))).await?;
    let runs = all().flat_map(|u| &u.runs).map(|r| {
        let due = (r.due_at, r.ended_at, &r.detail);
        (r.id.0, r.area.0, r.event.0, r.replay, r.revision, r.part, r.state.as_str(), &r.reason, due.0, due.1, due.2)
    });
    run(tx, sql::RUNS, runs).await?;
    let updates = all().flat_map(|u| &u.updates);
    let updates = updates.map(|r| (r.id.0, r.state.as_str(), &r.reason, r.due_at, r.ended_at, &r.detail));
    run(tx, sql::UPDATES, updates).await?;
    let moves = all().filter_map(|u| u.cursor.as_ref()).map(|c| (c.source.0, c.from, &c.to));
    run(tx, sql::MOVES, moves).await?;
    run(tx, sql::POLICIES, all().flat_map(|u| &u.policies).map(|(a, p)| (a.0, p))).await?;
    let joins = all().flat_map(|u| &u.joins).map(|j| (j.area.0, j.version, j.at, j.mark.map(|e| e.0)));
    run(tx, sql::JOINS, joins).await?;
    run(tx, sql::HEALTH, all().filter_map(|u| u.health.as_ref()).map(|(s, h)| (s.0, h))).await?;
    run(tx, sql::FAILURES, all().flat_map(|u| &u.failures).map(|(a, n, at)| (a.0, n, at))).await?;
    run(tx, sql::MARKS, all().flat_map(|u| &u.marks).map(|(a, mark)| (a.0, mark.map(|e| e.0)))).await?;
    // After every birth and mark of an AREA that stood until now: from here on a fault pauses it.
    run(tx, sql::FAULTED, all().flat_map(|u| &u.faulted).map(|(a, why, mark)| (a.0, why, mark.0))).await?;
    run(tx, sql::SILENCES, all().flat_map(|u| &u.silences).map(|(a, at)| (a.0, at))).await
}

async fn run<T: Serialize>(tx: &mut Tx, batch: Batch, rows: impl Iterator<Item = T>) -> sqlx::Result<()> {
    if let Some(json) = array(rows)? {
        tx.execute(batch, &json).await?;
    }
    Ok(())
}

async fn read<T: crate::store::batch::Row>(
    tx: &mut Tx,
    batch: Batch,
    rows: impl Iterator<Item = impl Serialize>,
) -> sqlx::Result<Vec<T>> {
    match array(rows)? {
        Some(json) => tx.fetch(batch, &json).await,
        None => Ok(Vec::new()),
    }
}

/// The rows as one JSON array; `None` where there are none.
fn array<T: Serialize>(rows: impl Iterator<Item = T>) -> sqlx::Result<Option<String>> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(None);
    }
    let mut json = Vec::with_capacity(256);
    let mut writer = serde_json::Serializer::new(&mut json);
    serde::Serializer::collect_seq(&mut writer, rows).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    String::from_utf8(json).map(Some).map_err(|e| sqlx::Error::Encode(Box::new(e)))
}

impl Unit {
    /// How many rows it adds or changes, about.
    pub(super) fn rows(&self) -> usize {
        self.events.len() + self.runs.len() + self.updates.len() + self.decided.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;
    use crate::testkit::databases;

    #[tokio::test]
    async fn what_was_decided_without_a_birth_and_its_answer_lost_is_not_decided_again() {
        for test in databases().await {
            let db = &test.db;
            let set = async |sql: &'static str| {
                crate::on_write!(db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap()
            };
            let (user, now) = (UserId::new(), crate::clock::Clock::system().now());
            let person = "INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, 'a@example.org', $2, $2)";
            crate::on_write!(db, pool => sqlx::query(person).bind(user).bind(now).execute(pool).await.map(drop))
                .unwrap();
            set("INSERT INTO sources (id, user_id, service, feed, identity, part, params, every_us, created_at)
                 SELECT 1, id, 's', 'f', '1', 7, '{}', 1, 0 FROM users")
            .await;
            set("INSERT INTO areas (no, id, user_id, name, state, revision, version, body, source_id, created_at, updated_at)
                 SELECT 1, id, id, 'n', 'active', 1, 1, '{}', 1, 0, 0 FROM users").await;
            set("INSERT INTO events (id, source_id, key, body, undecided) VALUES (10, 1, 'a', '{}', 7), (11, 1, 'b', '{}', 7)").await;
            set("UPDATE leases SET node = 1, epoch = 1 WHERE part = 7").await;
            let unit = |event, epoch| Unit {
                proof: Some(Proof { part: 7, epoch }),
                standing: vec![(AreaNo(1), 1)],
                decided: vec![(EventId(event), None)],
                ..Unit::default()
            };
            let write =
                async |event, epoch, repeated| write(db, &[&unit(event, epoch)], repeated).await.unwrap().remove(0);
            assert_eq!(write(10, 1, false).await, Ok(()), "{}", test.label);
            set("UPDATE areas SET version = 2").await;
            assert_eq!(write(10, 1, true).await, Ok(()), "{}: it stands", test.label);
            assert_eq!(write(11, 1, true).await, Err(Refused::Stale(vec![AreaNo(1)])), "{}", test.label);
            assert_eq!(write(10, 2, true).await, Err(Refused::Lost), "{}: others may have decided it", test.label);
        }
    }
}
