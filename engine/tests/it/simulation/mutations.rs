//! Breaches made on purpose, each of which a law must find: what is recorded is corrupted, or what was sent is.

use engine::port::{Item, Page};
use serde_json::json;

use super::far::Received;
use super::world::World;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    None,
    AnEventIsLost,
    ARunIsLost,
    ARunIsDoubled,
    AnEndedRunIsWrittenTo,
    APausedAreaFires,
    AnOldItemFires,
    ARunStaysOpen,
    AnEventStaysUndecided,
    ABaselineStaysOpen,
    OtherBytesAreSent,
    AnotherKeyIsSent,
    ADoneStepIsSentAgain,
    ARepetitionIsNotTold,
    AnEmptyPollIsWritten,
}

/// Each of them, with what the law that finds it says.
pub const ALL: [(Mutation, &str); 14] = [
    (Mutation::AnEventIsLost, "was not recorded"),
    (Mutation::ARunIsLost, "never fired for"),
    (Mutation::ARunIsDoubled, "fired more than once"),
    (Mutation::AnEndedRunIsWrittenTo, "had ended and was written to"),
    (Mutation::APausedAreaFires, "was born while its AREA was"),
    (Mutation::AnOldItemFires, "which was old to it"),
    (Mutation::ARunStaysOpen, "when all had healed there were open"),
    (Mutation::AnEventStaysUndecided, "when all had healed there were open"),
    (Mutation::ABaselineStaysOpen, "when all had healed there were open"),
    (Mutation::OtherBytesAreSent, "was sent as"),
    (Mutation::AnotherKeyIsSent, "is of a run that is not recorded"),
    (Mutation::ADoneStepIsSentAgain, "was recorded as done and is sent again"),
    (Mutation::ARepetitionIsNotTold, "is sent as if it had not"),
    (Mutation::AnEmptyPollIsWritten, "a poll without items was written down"),
];

const INSERT: &str = "INSERT INTO runs (id, area_no, event_id, replay, revision, part, state, due_at, ended_at)
    SELECT (SELECT MAX(id) FROM runs) + 1, r.area_no, MAX(r.event_id), 77, a.revision, r.part, ";

impl World {
    /// Breaks what is recorded, when all has healed.
    pub async fn mutate(&mut self) {
        let fired = self.areas.iter().enumerate().find_map(|(at, area)| {
            let row = area.row.as_ref().filter(|row| row.state == "active" && area.list().is_some())?;
            let (source, key) = area.must.iter().rfind(|(source, _)| *source == row.source_id)?;
            Some((at, row.no, *source, key.clone()))
        });
        let (at, no, source, key) = fired.expect("some AREA of a list fired");
        let event = self.recorded.keys[&(source, key.clone())][0];
        let run = self.recorded.fate(no, source, &key)[0];
        let of = |end: &str| format!("{INSERT}{end} FROM runs r JOIN areas a ON a.no = r.area_no WHERE a.no = {no}");
        let sql = match self.mutation {
            Mutation::AnEventIsLost => format!("DELETE FROM events WHERE id = {event}"),
            Mutation::ARunIsLost => format!("DELETE FROM runs WHERE id = {run}"),
            Mutation::ARunIsDoubled => of("'done', 0, 1"),
            Mutation::ARunStaysOpen => of("'ready', 0, NULL"),
            Mutation::AnEndedRunIsWrittenTo => format!("UPDATE runs SET reason = 'x' WHERE id = {run}"),
            Mutation::APausedAreaFires => {
                self.write(format!("UPDATE areas SET state = 'paused' WHERE no = {no}")).await;
                of("'ready', 0, NULL")
            }
            Mutation::AnEventStaysUndecided => format!("UPDATE events SET undecided = 1 WHERE id = {event}"),
            Mutation::ABaselineStaysOpen => format!("UPDATE areas SET joined_at = NULL WHERE no = {no}"),
            Mutation::AnOldItemFires => {
                let list = self.areas[at].list().unwrap();
                self.areas[at].must_not.insert((list, key));
                return;
            }
            _ => return,
        };
        self.write(sql).await;
        self.after().await;
    }

    async fn write(&self, sql: String) {
        let sql = sqlx::AssertSqlSafe(sql);
        engine::on_write!(&self.db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
    }

    /// Breaks what a poll is answered when nothing is new.
    pub fn mutate_page(&self, page: &mut Page) {
        if self.still && self.mutation == Mutation::AnEmptyPollIsWritten {
            page.items.push(Item { key: "x".into(), body: json!({"kind": "a"}), at: None });
        }
    }

    /// Breaks what was sent.
    pub fn mutate_calls(&mut self, all: &mut Vec<Received>) {
        match self.mutation {
            Mutation::OtherBytesAreSent => {
                let again = all.iter_mut().filter(|call| self.sent.contains_key(&call.key));
                again.for_each(|call| call.bytes.push('x'));
            }
            Mutation::ARepetitionIsNotTold => all.iter_mut().for_each(|call| call.repeated = false),
            Mutation::AnotherKeyIsSent => all.iter_mut().for_each(|call| call.key.replace_range(5..6, "1")),
            Mutation::ADoneStepIsSentAgain => {
                let done = |key: &&String| {
                    let run = key.split('-').nth(1).and_then(|run| run.parse::<i64>().ok());
                    let run = run.and_then(|run| self.recorded.runs.get(&run));
                    key.ends_with("-one") && run.is_some_and(|run| run.state == "done")
                };
                if let Some((key, sent)) = self.sent.iter().find(|(key, _)| done(key)) {
                    all.push(Received { call: 0, key: key.clone(), bytes: sent.bytes.clone(), repeated: true });
                }
            }
            _ => {}
        }
    }
}
