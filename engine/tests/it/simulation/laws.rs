//! The laws: what must hold after each step, and what must hold when all has healed.

use std::collections::BTreeMap;

use engine::store::Db;
use serde_json::Value;

use super::far::far;
use super::policies;
use super::recorded::{News, Run};
use super::world::World;

const SOURCES: &str = "SELECT id, params, every_us FROM sources";
const OWNER: &str = "SELECT l.node, n.until_at FROM runs r JOIN leases l ON l.part = r.part
    LEFT JOIN nodes n ON n.no = l.node WHERE r.id = $1";
const MINUTE: i64 = 60_000_000;
const RECORDED: &str = "SELECT source_id, key, COUNT(*) FROM events GROUP BY source_id, key";
const OPEN: &str = "SELECT (SELECT COUNT(*) FROM runs WHERE ended_at IS NULL),
    (SELECT COUNT(*) FROM events WHERE undecided IS NOT NULL),
    (SELECT COUNT(*) FROM areas WHERE joined_at IS NULL AND state <> 'paused')";

impl World {
    /// Laws of what was written in the last step.
    pub async fn judge_news(&mut self, news: &[News]) {
        if let Some(wrong) = self.recorded.wrong.first().cloned() {
            self.broken(&wrong);
        }
        let writer = self.goer.filter(|goer| goer.label.contains("ledger::serve"));
        for run in news.iter().filter(|one| one.kind == "born" || one.kind == "run").map(|one| one.id) {
            if let Some(writer) = writer {
                self.owns(writer.group, run, "wrote").await;
            }
        }
        for one in news.iter().filter(|one| one.kind == "born" || one.kind == "run") {
            let (state, why) = (one.state.as_deref().unwrap_or_default(), one.text.as_deref().unwrap_or_default());
            self.trace(|| format!("  run {} of AREA no {:?} is {state} {why}", one.id, one.x));
        }
    }

    /// Nothing is new: a poll writes nothing.
    pub fn judge_still(&self) {
        if self.still && self.goer.is_some_and(|goer| goer.label.contains("ledger::serve")) {
            self.broken("a poll without items was written down");
        }
    }

    /// Laws of the calls that were received in the last step.
    pub async fn judge_calls(&mut self) {
        let mut all = far(|far| std::mem::take(&mut far.received));
        self.mutate_calls(&mut all);
        for received in all {
            let mut name = received.key.trim_start_matches("area-").split('-');
            let (run, step, index) = (name.next().unwrap(), name.next().unwrap().to_owned(), name.next());
            let (run, index) = (run.parse::<i64>().unwrap(), index.map(|i| i.parse::<usize>().unwrap()));
            self.trace(|| format!("  call {} of {}", received.call, received.key));
            let sent = self.sent.entry(received.key.clone()).or_default();
            sent.calls += 1;
            let (first, maybe) = (sent.calls == 1, std::mem::replace(&mut sent.maybe, true));
            if first {
                sent.bytes.clone_from(&received.bytes);
            } else if sent.bytes != received.bytes {
                let was = sent.bytes.clone();
                self.broken(&format!("{} was sent as {was} and then as {}", received.key, received.bytes));
            }
            if !first && maybe && !received.repeated {
                self.broken(&format!("{} may have happened and is sent as if it had not", received.key));
            }
            let Some(known) = self.recorded.runs.get(&run) else {
                self.broken(&format!("{} is of a run that is not recorded", received.key));
            };
            let (area, revision) = (known.area, known.revision);
            let caller = self.goer;
            if let Some(caller) = caller {
                self.owns(caller.group, run, "called for").await;
            }
            let known = &self.recorded.runs[&run];
            if is_done(&known.steps, &step, index) {
                self.broken(&format!("{} was recorded as done and is sent again", received.key));
            }
            let doc = self.areas.iter().find(|a| a.row.as_ref().is_some_and(|row| row.no == area));
            let doc = doc.and_then(|a| a.docs.get(&revision)).cloned().unwrap_or_default();
            if !first && maybe && doc["policy"]["delivery"] == "at_most_once" {
                self.broken(&format!("{} may have happened and is sent again, at most once", received.key));
            }
            let order = &doc["policy"]["order"];
            if !self.recorded.runs[&run].begun && doc.is_object() && (order.is_null() || order == "queued") {
                self.in_order(run, area);
            }
            self.recorded.runs.get_mut(&run).unwrap().begun = true;
        }
    }

    /// A run of a queued AREA begins: none before it may be ready and unbegun. Two deliveries that came at about the same time are
    /// decided by two tasks, and may begin in either order.
    fn in_order(&self, run: i64, area: i64) {
        let known = &self.recorded.runs[&run];
        let two_tasks = !self.areas.iter().any(|a| a.row.as_ref().is_some_and(|r| r.no == area) && a.list().is_some());
        let older = self.recorded.runs.range(..run).find(|(_, older)| {
            let waits = older.ended.is_none() && !older.begun && older.state == "ready";
            let before = older.ready < known.ready && !(two_tasks && older.born_at >= known.born_at - MINUTE);
            older.area == area && waits && !older.found_late && before
        });
        if let Some((older, _)) = older {
            self.broken(&format!("run {run} began before run {older}, which is older and ready"));
        }
    }

    /// The node of `group` did something for a run: it must own the run's partition, and be alive.
    async fn owns(&self, group: u32, run: i64, what: &str) {
        let Some(node) = self.nodes.iter().flatten().find(|node| node.group == group) else { return };
        if self.nodes.len() == 1 {
            return;
        }
        let owner: Option<(Option<i64>, Option<i64>)> =
            engine::on!(&self.db, pool => sqlx::query_as(OWNER).bind(run).fetch_optional(pool).await).unwrap();
        let Some((owner, until)) = owner else { return };
        // What a node that stops had begun to write is written while nobody else has taken the partition: its epoch still stands.
        let wrote = what == "wrote";
        let alive = wrote || until.is_some_and(|until| until > self.now());
        if owner.map_or(!wrote, |owner| owner != node.engine.leases.node()) || !alive {
            self.broken(&format!(
                "node group {group} {what} run {run}, whose partition is {owner:?}'s until {until:?}"
            ));
        }
    }

    /// How much is open: runs, undecided events, baselines.
    pub async fn open(&self) -> (i64, i64, i64) {
        engine::on!(&self.db, pool => sqlx::query_as(OPEN).fetch_one(pool).await).unwrap()
    }

    /// What must hold when all has healed.
    pub async fn judge_all(&mut self) {
        let open = self.open().await;
        if open != (0, 0, 0) {
            self.broken(&format!("when all had healed there were open runs, undecided events, baselines: {open:?}"));
        }
        let sources: Vec<(i64, String, Option<i64>)> = fetch(&self.db, SOURCES).await;
        let counted: Vec<(i64, String, i64)> = fetch(&self.db, RECORDED).await;
        let counted: BTreeMap<(i64, String), i64> = counted.into_iter().map(|(s, k, n)| ((s, k), n)).collect();
        if let Some((key, count)) = counted.iter().find(|(_, count)| **count != 1) {
            self.broken(&format!("{key:?} was recorded {count} times"));
        }
        self.judge_recorded(&sources, &counted);
        self.judge_fates(&sources);
        for area in &self.areas {
            let Some(row) = &area.row else { continue };
            let own: Vec<(i64, &Run)> =
                self.recorded.runs.iter().filter(|(_, r)| r.area == row.no).map(|(i, r)| (*i, r)).collect();
            if let Err(wrong) = policies::kept(&area.doc["policy"], &own, self.set_back) {
                self.broken(&format!("AREA no {}: {wrong}", row.no));
            }
        }
    }

    fn judge_recorded(&self, sources: &[(i64, String, Option<i64>)], counted: &BTreeMap<(i64, String), i64>) {
        for (source, params, every) in sources {
            let Some(list) = list_of(params).filter(|_| every.is_some()) else { continue };
            for made in far(|far| far.lists[list].clone()) {
                if !counted.contains_key(&(*source, made.id.to_string())) {
                    self.broken(&format!("item {} of list {list} was not recorded", made.id));
                }
            }
        }
        for delivery in self.deliveries.iter().filter(|d| d.taken) {
            let Some(row) = &self.areas[delivery.area].row else { continue };
            if !counted.contains_key(&(row.source_id, delivery.id.to_string())) {
                self.broken(&format!("delivery {} was taken and is not recorded", delivery.id));
            }
        }
    }

    fn judge_fates(&self, sources: &[(i64, String, Option<i64>)]) {
        if let Some(((area, event), runs)) = self.recorded.fates.iter().find(|(_, runs)| runs.len() > 1) {
            self.broken(&format!("event {event} fired more than once for AREA no {area}: {runs:?}"));
        }
        for (at, area) in self.areas.iter().enumerate() {
            let Some(row) = &area.row else { continue };
            for (source, key) in &area.must {
                if self.recorded.fate(row.no, *source, key).is_empty() {
                    self.broken(&format!("AREA {at} (no {}) never fired for {key} of source {source}", row.no));
                }
            }
            for (list, key) in &area.must_not {
                let own = sources.iter().filter(|(_, params, _)| list_of(params) == Some(*list));
                for (source, ..) in own {
                    if let Some(run) = self.recorded.fate(row.no, *source, key).first() {
                        self.broken(&format!("AREA {at} (no {}) fired {run} for {key}, which was old to it", row.no));
                    }
                }
            }
        }
    }
}

fn list_of(params: &str) -> Option<usize> {
    let params: Value = serde_json::from_str(params).unwrap();
    params["list"].as_u64().map(|list| list as usize)
}

fn is_done(detail: &Value, step: &str, index: Option<usize>) -> bool {
    let steps = detail["steps"].as_array().into_iter().flatten();
    let Some(known) = steps.into_iter().find(|known| known["id"] == step) else { return false };
    match index {
        Some(index) => known["output"].as_array().is_some_and(|done| done.len() > index),
        None => known["state"] == "done",
    }
}

async fn fetch<T>(db: &Db, sql: &'static str) -> Vec<T>
where
    T: engine::store::batch::Row,
{
    engine::on!(db, pool => sqlx::query_as(sql).fetch_all(pool).await).unwrap()
}
