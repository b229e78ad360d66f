//! What was recorded, in the order in which it was: triggers of the test's own write down every row that comes or changes, and
//! `Recorded` is what follows from them. So each commit is seen as it was made, not as a later one left it.

use std::collections::BTreeMap;

use engine::store::Db;
use serde_json::Value;

const TRIGGERS: [&str; 7] = [
    "CREATE TABLE told (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id BIGINT NOT NULL, x BIGINT, y BIGINT,
     z BIGINT, text TEXT, state TEXT, due BIGINT, ended BIGINT, detail TEXT, area_state TEXT, area_revision BIGINT,
     joined BIGINT)",
    "CREATE TRIGGER told_event AFTER INSERT ON events BEGIN
     INSERT INTO told (kind, id, x, y, text) VALUES ('event', NEW.id, NEW.source_id, NEW.undecided, NEW.key); END",
    "CREATE TRIGGER told_decided AFTER UPDATE ON events BEGIN
     INSERT INTO told (kind, id, x, y, text) VALUES ('decided', NEW.id, NEW.source_id, NEW.undecided, NEW.key); END",
    "CREATE TRIGGER told_gone AFTER DELETE ON events BEGIN INSERT INTO told (kind, id) VALUES ('gone', OLD.id); END",
    "CREATE TRIGGER told_born AFTER INSERT ON runs BEGIN
     INSERT INTO told (kind, id, x, y, z, text, state, due, ended, detail, area_state, area_revision, joined)
     SELECT 'born', NEW.id, NEW.area_no, NEW.event_id, NEW.revision, NEW.reason, NEW.state, NEW.due_at, NEW.ended_at,
     NEW.detail, (SELECT state FROM areas WHERE no = NEW.area_no), (SELECT revision FROM areas WHERE no = NEW.area_no),
     (SELECT joined_at FROM areas WHERE no = NEW.area_no); END",
    "CREATE TRIGGER told_run_gone AFTER DELETE ON runs BEGIN
     INSERT INTO told (kind, id) VALUES ('run gone', OLD.id); END",
    "CREATE TRIGGER told_run AFTER UPDATE ON runs BEGIN
     INSERT INTO told (kind, id, x, y, z, text, state, due, ended, detail) VALUES ('run', NEW.id, NEW.area_no, NEW.event_id,
     OLD.ended_at, NEW.reason, NEW.state, NEW.due_at, NEW.ended_at, NEW.detail); END",
];
const NEWS: &str = "SELECT seq, kind, id, x, y, z, text, state, due, ended, detail, area_state, area_revision FROM told
     WHERE seq > $1 ORDER BY seq";
const SEQ: &str = "SELECT COALESCE(MAX(seq), 0) FROM told";

/// A row that came or changed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct News {
    pub seq: i64,
    pub kind: String,
    pub id: i64,
    pub x: Option<i64>,
    pub y: Option<i64>,
    pub z: Option<i64>,
    pub text: Option<String>,
    pub state: Option<String>,
    pub due: Option<i64>,
    pub ended: Option<i64>,
    pub detail: Option<String>,
    pub area_state: Option<String>,
    pub area_revision: Option<i64>,
}

/// An event as it was recorded.
#[derive(Clone, Debug)]
pub struct Event {
    pub source: i64,
    pub key: String,
    pub undecided: bool,
}

/// A run as it was recorded last.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub area: i64,
    pub revision: i64,
    pub born_at: i64,
    /// When its policies let it go: what it was due at before it began.
    pub planned: i64,
    pub state: String,
    pub reason: Option<String>,
    pub due: i64,
    pub ended: Option<i64>,
    /// A digest's events.
    pub events: Vec<i64>,
    pub steps: Value,
    pub begun: bool,
    /// The number of the change since which it is ready.
    pub ready: i64,
    /// The answer to the commit of its birth was lost: it is found later.
    pub found_late: bool,
}

/// Everything that was recorded.
#[derive(Default)]
pub struct Recorded {
    seen: i64,
    pub events: BTreeMap<i64, Event>,
    pub keys: BTreeMap<(i64, String), Vec<i64>>,
    numbers: BTreeMap<String, Vec<i64>>,
    pub runs: BTreeMap<i64, Run>,
    /// The runs that took an event for an AREA.
    pub fates: BTreeMap<(i64, i64), Vec<i64>>,
    /// What broke a law in the very moment that it was written.
    pub wrong: Vec<String>,
    /// Answers of the database are being lost.
    pub losing: bool,
}

impl Recorded {
    pub async fn begin(db: &Db) {
        for sql in TRIGGERS {
            engine::on_write!(db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
        }
    }

    /// Reads what is new; tells it.
    pub async fn look(&mut self, db: &Db, now: i64) -> Vec<News> {
        let seen = self.seen;
        let (last,): (i64,) = engine::on!(db, pool => sqlx::query_as(SEQ).fetch_one(pool).await).unwrap();
        if last == seen {
            return Vec::new();
        }
        let news: Vec<News> = engine::on!(db, pool => sqlx::query_as(NEWS).bind(seen).fetch_all(pool).await).unwrap();
        self.seen = last;
        for one in &news {
            match one.kind.as_str() {
                "event" => self.event(one),
                "decided" => self.decided(one),
                "gone" => self.gone(one),
                "run gone" => self.run_gone(one.id),
                "born" => self.born(one, now),
                _ => self.moved(one),
            }
        }
        news
    }

    fn event(&mut self, news: &News) {
        let (source, key) = (news.x.unwrap(), news.text.clone().unwrap());
        self.numbers.entry(key.clone()).or_default().push(news.id);
        self.keys.entry((source, key.clone())).or_default().push(news.id);
        self.events.insert(news.id, Event { source, key, undecided: news.y.is_some() });
    }

    fn run_gone(&mut self, run: i64) {
        self.runs.remove(&run);
        self.fates.values_mut().for_each(|runs| runs.retain(|known| *known != run));
    }

    fn gone(&mut self, news: &News) {
        let Some(event) = self.events.remove(&news.id) else { return };
        if let Some(ids) = self.keys.get_mut(&(event.source, event.key)) {
            ids.retain(|id| *id != news.id);
        }
    }

    fn decided(&mut self, news: &News) {
        if let Some(event) = self.events.get_mut(&news.id) {
            event.undecided = news.y.is_some();
        }
    }

    fn born(&mut self, news: &News, now: i64) {
        let (area, event, revision) = (news.x.unwrap(), news.y.unwrap(), news.z.unwrap());
        let steps = parsed(news);
        let run = Run {
            area,
            revision,
            born_at: now,
            planned: news.due.unwrap(),
            state: news.state.clone().unwrap(),
            reason: news.text.clone(),
            due: news.due.unwrap(),
            ended: news.ended,
            events: digest_of(&steps),
            steps,
            begun: false,
            ready: news.seq,
            found_late: self.losing,
        };
        let fires = run.ended.is_none();
        if fires && news.area_state.as_deref() != Some("active") {
            self.wrong.push(format!("run {} was born while its AREA was {:?}", news.id, news.area_state));
        }
        if fires && news.area_revision != Some(revision) {
            self.wrong.push(format!("run {} was born at revision {revision}, not {:?}", news.id, news.area_revision));
        }
        if run.events.is_empty() {
            self.fates.entry((area, event)).or_default().push(news.id);
        }
        self.takes(news.id, area, &run.events);
        self.runs.insert(news.id, run);
    }

    fn moved(&mut self, news: &News) {
        let steps = parsed(news);
        let events = digest_of(&steps);
        let Some(run) = self.runs.get_mut(&news.id) else { return };
        if run.ended.is_some() {
            self.wrong.push(format!("run {} had ended and was written to", news.id));
        }
        let area = run.area;
        if run.state != "ready" {
            run.ready = news.seq;
        }
        run.state = news.state.clone().unwrap();
        run.reason = news.text.clone();
        (run.due, run.ended) = (news.due.unwrap(), news.ended);
        run.steps = steps;
        if !run.begun && run.state == "held" {
            run.planned = run.due;
        }
        let lost: Vec<i64> = run.events.iter().copied().filter(|event| !events.contains(event)).collect();
        let more: Vec<i64> = events.iter().copied().filter(|event| !run.events.contains(event)).collect();
        run.events = events;
        if !lost.is_empty() {
            self.wrong.push(format!("the digest {} lost the events {lost:?}", news.id));
        }
        self.takes(news.id, area, &more);
    }

    fn takes(&mut self, run: i64, area: i64, events: &[i64]) {
        for event in events {
            self.fates.entry((area, *event)).or_default().push(run);
        }
    }

    /// Where a key of a source stands for an AREA: the runs that took it.
    pub fn fate(&self, area: i64, source: i64, key: &str) -> &[i64] {
        let event = self.keys.get(&(source, key.to_owned())).and_then(|ids| ids.first());
        event.and_then(|event| self.fates.get(&(area, *event))).map_or(&[], Vec::as_slice)
    }
}

impl Recorded {
    /// Whether an AREA has fired for a key, whatever source it came from: every item has a number of its own.
    pub fn has_fired(&self, area: i64, key: &str) -> bool {
        let of_key = self.numbers.get(key).into_iter().flatten();
        of_key.into_iter().any(|event| self.fates.contains_key(&(area, *event)))
    }
}

fn parsed(news: &News) -> Value {
    news.detail.as_deref().map_or(Value::Null, |detail| serde_json::from_str(detail).unwrap())
}

fn digest_of(detail: &Value) -> Vec<i64> {
    let all = detail["events"].as_array().into_iter().flatten();
    all.map(|id| id.as_str().unwrap().parse().unwrap()).collect()
}
