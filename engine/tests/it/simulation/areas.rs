//! The AREAs as the simulation knows them: what each must fire for, and what it must not.

use std::collections::{BTreeMap, BTreeSet};

use engine::ids::AreaId;
use engine::store::Db;
use serde_json::{Value, json};
use uuid::Uuid;

use super::dice::Dice;
use super::far::{KINDS, LISTS, Made, TICKS};
use super::recorded::Recorded;
use super::world::Pace;

const STORED: &str =
    "SELECT a.no, a.id, a.state, a.joined_at, a.source_id, a.revision, a.body FROM areas a ORDER BY a.no";

/// An AREA's row, as far as laws speak of it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Stored {
    pub no: i64,
    pub id: AreaId,
    pub state: String,
    pub joined_at: Option<i64>,
    pub source_id: i64,
    pub revision: i64,
    pub body: String,
}

/// Every AREA that is stored.
pub async fn stored(db: &Db) -> Vec<Stored> {
    engine::on!(db, pool => sqlx::query_as(STORED).fetch_all(pool).await).unwrap()
}

/// One AREA.
#[derive(Clone, Debug)]
pub struct Area {
    pub id: AreaId,
    /// Once it is stored.
    pub row: Option<Stored>,
    /// The document that is stored.
    pub doc: Value,
    /// A change of it is under way: what comes now may be decided before or after it.
    pub changing: bool,
    pub deleted: bool,
    /// It joined what it watches now: what was there already is not asked for again.
    pub has_joined: bool,
    /// Keys that must have exactly one fate, with their source.
    pub must: BTreeSet<(i64, String)>,
    /// Keys of items that were old when it joined, or came while its user had paused it.
    pub must_not: BTreeSet<(usize, String)>,
    /// Documents by revision.
    pub docs: BTreeMap<i64, Value>,
}

impl Area {
    pub fn new(number: usize, doc: Value) -> Self {
        let id = AreaId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number as u128));
        let (must, must_not) = (BTreeSet::new(), BTreeSet::new());
        Self {
            id,
            row: None,
            doc,
            changing: false,
            deleted: false,
            has_joined: false,
            must,
            must_not,
            docs: BTreeMap::new(),
        }
    }

    /// The list that it watches; `None`: a hook.
    pub fn list(&self) -> Option<usize> {
        self.doc["action"]["data"]["list"].as_u64().map(|list| list as usize)
    }

    pub fn state(&self) -> &str {
        self.row.as_ref().map_or("none", |row| &row.state)
    }

    /// Whether its selection and condition take an item of this kind.
    pub fn takes(&self, kind: &str) -> bool {
        let only = self.doc["action"]["data"]["only"].as_str();
        only.is_none_or(|only| only == kind) && !(self.doc.get("when").is_some_and(Value::is_string) && kind == "c")
    }

    /// An item came into existence: it must fire if the AREA watches its list and nothing is under way.
    pub fn comes(&mut self, list: usize, made: Made) {
        let Some(row) = self.row.as_ref().filter(|_| !self.changing && !self.deleted) else { return };
        if self.list() == Some(list) && row.joined_at.is_some() && row.state != "paused" && self.takes(made.kind) {
            self.must.insert((row.source_id, made.id.to_string()));
        }
    }

    /// What is not decided yet may be decided after a change that begins now.
    pub fn unsettled(&mut self, recorded: &Recorded) {
        let Some(no) = self.row.as_ref().map(|row| row.no) else { return };
        self.must.retain(|(source, key)| !recorded.fate(no, *source, key).is_empty());
    }

    /// Everything in this list that it has not fired for is old to it from now on.
    pub fn joins(&mut self, list: usize, items: &[Made], recorded: &Recorded) {
        for made in items {
            let key = made.id.to_string();
            if !self.row.as_ref().is_some_and(|row| recorded.has_fired(row.no, &key)) {
                self.must_not.insert((list, key));
            }
        }
    }

    /// What the database says of it now.
    pub fn sync(&mut self, rows: &[Stored]) {
        let row = rows.iter().find(|row| row.id == self.id).cloned();
        if self.row.is_some() && row.is_none() {
            self.deleted = true;
            self.must.clear();
        }
        if let Some(row) = &row {
            self.doc = serde_json::from_str(&row.body).unwrap();
            self.docs.insert(row.revision, self.doc.clone());
        }
        self.has_joined |= row.as_ref().is_some_and(|row| row.joined_at.is_some());
        self.row = row;
    }
}

/// A new AREA's document.
pub fn document(dice: &mut Dice, pace: Pace, now: i64) -> Value {
    let kind = dice.below(100);
    let mut action = match kind {
        0..20 => json!({"service": "far", "name": "received", "data": {}}),
        20..30 => json!({"service": "far", "name": "ticked", "data": {"list": TICKS}}),
        _ => {
            let every = dice.of(&pace.of(["10m", "1h", "3h", "6h"], ["1d", "4d", "7d", "14d"]));
            json!({"service": "far", "name": "new", "every": every, "data": {"list": dice.below(LISTS)}})
        }
    };
    if dice.percent(25) {
        action["data"]["only"] = json!(dice.of(&KINDS));
    }
    if kind >= 30 && dice.percent(10) {
        action["backfill"] = json!(true);
    }
    let mut doc = json!({"name": "sim", "action": action, "reactions": reactions(dice), "policy": policy(dice, now)});
    if dice.percent(25) {
        doc["when"] = json!("event.kind != 'c'");
    }
    doc
}

/// What it does: one to three steps, one of them over a list.
pub fn reactions(dice: &mut Dice) -> Value {
    let text = dice.of(&["{{ event.text }}", "{{ event.text }} at {{ now }}"]);
    let mut steps = vec![json!({"id": "one", "service": "far", "name": "send", "data": {"text": text}})];
    if dice.percent(25) {
        let each = json!({"id": "each", "service": "far", "name": "send", "for_each": "event.parts",
            "on_error": dice.of(&["stop", "continue"]), "data": {"part": "{{ item }}", "n": "{{ index }}"}});
        steps.push(each);
    }
    if dice.percent(40) {
        let on_error = dice.of(&["stop", "continue"]);
        steps.push(json!({"id": "last", "service": "far", "name": "send", "on_error": on_error,
            "data": {"text": "{{ steps.one.echo }}"}}));
    }
    Value::Array(steps)
}

fn policy(dice: &mut Dice, now: i64) -> Value {
    let mut policy = json!({"retry": {"attempts": dice.within(2, 6), "base": dice.of(&["5s", "10m"]), "max": "1h"}});
    match dice.below(8) {
        0 => policy["order"] = json!({"parallel": 3}),
        1 => policy["order"] = json!("single"),
        2 => policy["order"] = json!("restart"),
        _ => {}
    }
    if dice.percent(20) {
        let over = dice.of(&["hold", "drop"]);
        policy["throttle"] = json!({"max": dice.within(1, 4), "per": dice.of(&["1h", "1d"]), "over": over});
    }
    match dice.below(10) {
        0 => policy["debounce"] = json!(dice.of(&["5m", "2h"])),
        1 | 2 => {
            policy["digest"] = match dice.percent(50) {
                true => json!({"every": dice.of(&["1h", "1d"]), "max": dice.within(2, 5)}),
                false => json!({"at": {"cron": "0 9 * * *"}}),
            };
        }
        _ => {}
    }
    if dice.percent(10) {
        policy["quiet_hours"] = json!({"from": "22:00", "to": "07:00", "over": dice.of(&["hold", "drop"])});
    }
    if dice.percent(5) {
        let at = engine::clock::from_micros(now + dice.within(1, 20) * 86_400_000_000);
        policy["expires_at"] = json!(at.to_rfc3339());
    }
    if dice.percent(15) {
        policy["delivery"] = json!("at_most_once");
    }
    policy
}
