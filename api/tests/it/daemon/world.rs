//! A daemon's surroundings: an nginx, a sender, a receiver, and AREAs that join them.
//!
//! | AREA | watches | does |
//! |---|---|---|
//! | `list` | a JSON list of nginx | one request |
//! | `feed` | an RSS feed of nginx | one request |
//! | `tick` | a timer, every second | one request |
//! | `hook` | a signed webhook | a request; one for each part of the event; one that says what the first answered; starts `chain` |
//! | `chain` | nothing that comes | one request |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::ids::AreaId;
use engine::on;
use engine::partition::PARTITIONS;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::audit::{Figures, Wrong, audit};
use super::feeder::Feeder;
use super::load::{Load, Produced};
use super::place::Place;
use super::process::{Daemon, client};
use super::receiver::{Receiver, Request};
use super::sender::{SECRET, Sender};
use super::until;

/// How long all that was produced may take to arrive, once nothing new comes, on a machine that does much else.
const ARRIVES: Duration = Duration::from_secs(90);
const OPEN: &str = "SELECT COUNT(*) FROM runs WHERE ended_at IS NULL";
const FACTS: &str = "SELECT r.id, r.event_id, r.state, r.ended_at, r.detail FROM runs r WHERE r.ended_at IS NOT NULL AND r.detail IS NOT NULL";
const PART: &str = "SELECT s.part FROM sources s JOIN areas a ON a.source_id = s.id WHERE a.id = $1";
const LEFT: &str = "SELECT id, state, reason, due_at FROM runs WHERE ended_at IS NULL ORDER BY id LIMIT 20";
const UNDECIDED: &str = "SELECT COUNT(*) FROM events WHERE undecided IS NOT NULL";
const RUNS: &str =
    "SELECT COUNT(*), COUNT(DISTINCT r.event_id), SUM(CASE WHEN r.state = 'done' THEN 1 ELSE 0 END) FROM runs r
    JOIN areas a ON a.no = r.area_no WHERE a.id = $1";
const EVENTS: &str = "SELECT COUNT(*) FROM events e JOIN areas a ON a.source_id = e.source_id WHERE a.id = $1 AND e.key NOT LIKE 'old-%'";

/// The API, with a token.
#[derive(Clone)]
pub struct Api {
    /// Where: `http://127.0.0.1:PORT`.
    pub url: String,
    token: String,
    http: reqwest::Client,
}

impl Api {
    /// Asks the API; fails unless it answers 2xx.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.try_ask(method, path, body).await.unwrap();
        assert!(status.is_success(), "{path} answered {status}: {answer}");
        answer
    }

    /// Asks the API, which may be away.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }
}

/// See the module.
pub struct World {
    pub place: Place,
    pub receiver: Receiver,
    pub feeder: Feeder,
    pub sender: Sender,
    pub produced: Produced,
    pub api: Api,
    areas: BTreeMap<String, String>,
}

impl World {
    /// Puts it up in `place`, with the AREAs joined to their sources; the daemon has stopped again. `None` where nginx is missing.
    pub async fn new(place: Place) -> Option<Self> {
        let feeder = Feeder::start().await?;
        let receiver = Receiver::start().await;
        let api = Api { url: place.url(), token: place.token(), http: client() };
        let produced = Produced::default();
        produced.publish(&feeder.www());
        let (areas, sender) = (BTreeMap::new(), Sender::new(Vec::new()));
        let mut world = Self { place, receiver, feeder, sender, produced, api, areas };
        let daemon = world.place.start().await;
        for area in areas_of(&world.feeder.url, &world.receiver.url) {
            world.create(area).await;
        }
        world.create(hook_of(&world.receiver.url, &world.areas["chain"])).await;
        world.sender = Sender::new(vec![world.hook_url("hook").await]);
        assert!(until(ARRIVES, async || world.all_joined().await).await, "not every AREA joined\n{}", daemon.log());
        daemon.stop().await;
        Some(world)
    }

    /// Creates an AREA, remembered by its name.
    pub async fn create(&mut self, area: Value) -> String {
        let made = self.api.ask(Method::POST, "/v1/areas", Some(&area)).await;
        let id = made["id"].as_str().unwrap().to_owned();
        self.areas.insert(area["name"].as_str().unwrap().to_owned(), id.clone());
        id
    }

    /// The path of an AREA.
    pub fn area(&self, name: &str) -> String {
        format!("/v1/areas/{}", self.areas[name])
    }

    /// Where an AREA's hook is called.
    pub async fn hook_url(&self, name: &str) -> String {
        self.api.ask(Method::GET, &self.area(name), None).await["hook_url"].as_str().unwrap().to_owned()
    }

    /// Whether an AREA has joined its source.
    pub async fn joined(&self, name: &str) -> bool {
        let area = self.api.ask(Method::GET, &self.area(name), None).await;
        !area["source"]["joined_at"].is_null()
    }

    async fn all_joined(&self) -> bool {
        for name in self.areas.keys() {
            if !self.joined(name).await {
                return false;
            }
        }
        true
    }

    /// Moves `list` to an address of nginx whose partition another node owns than that of `hook`: two nodes halve the partitions.
    pub async fn spread(&self) {
        let db = self.place.db().await;
        let part = async |name: &str| {
            let id: AreaId = self.areas[name].parse().unwrap();
            let (part,): (i64,) = on!(&db, pool => sqlx::query_as(PART).bind(id).fetch_one(pool).await).unwrap();
            part
        };
        let hook = part("hook").await;
        for host in 2..40 {
            let url = self.feeder.url.replace("127.0.0.1", &format!("127.0.0.{host}"));
            let data = json!({ "url": format!("{url}/items.json") });
            self.api.ask(Method::PATCH, &self.area("list"), Some(&json!({ "action": { "data": data } }))).await;
            if (part("list").await < PARTITIONS / 2) != (hook < PARTITIONS / 2) {
                break;
            }
        }
        db.close().await;
        assert!(until(ARRIVES, async || self.joined("list").await).await, "list did not join");
    }

    /// Begins to produce.
    pub fn load(&self) -> Load {
        Load::start(self)
    }

    /// Waits until everything that was produced has arrived; fails where it is not all well. A daemon must run.
    pub async fn settle(&self, daemon: &Daemon) -> Figures {
        match self.settled(ARRIVES).await {
            Ok(figures) => figures,
            Err(wrong) => panic!("{}: {wrong}\n{}\n{}", self.place.label, self.left().await, daemon.tail()),
        }
    }

    /// Waits until everything that was produced has arrived, but no longer than `within`; then what arrived is looked at.
    pub async fn settled(&self, within: Duration) -> Result<Figures, Wrong> {
        let produced = self.produced.reactions();
        let expected = |requests: &[Request]| {
            let ticks = ticks(requests.iter().map(|r| r.path.as_str()));
            produced.iter().cloned().chain(ticks).collect::<BTreeSet<String>>()
        };
        let all_there = async || {
            let requests = self.receiver.requests();
            let arrived: BTreeSet<&str> = requests.iter().map(|r| r.path.as_str()).collect();
            expected(&requests).iter().all(|path| arrived.contains(path.as_str()))
        };
        until(within, all_there).await;
        let requests = self.receiver.requests();
        audit(&requests, &expected(&requests))
    }

    /// What is still to be done, for messages.
    pub async fn left(&self) -> String {
        let db = self.place.db().await;
        let runs: Vec<(i64, String, Option<String>, i64)> =
            on!(&db, pool => sqlx::query_as(LEFT).fetch_all(pool).await).unwrap();
        let undecided: (i64,) = on!(&db, pool => sqlx::query_as(UNDECIDED).fetch_one(pool).await).unwrap();
        db.close().await;
        format!(
            "now {}, undecided events: {}, open runs: {runs:?}",
            engine::clock::Clock::system().micros(),
            undecided.0
        )
    }

    /// How many runs are open.
    pub async fn open_runs(&self) -> i64 {
        let db = self.place.db().await;
        let (open,): (i64,) = on!(&db, pool => sqlx::query_as(OPEN).fetch_one(pool).await).unwrap();
        db.close().await;
        open
    }

    /// Waits until no run is open.
    pub async fn quiet(&self) {
        let quiet = until(ARRIVES, async || self.open_runs().await == 0).await;
        assert!(quiet, "{}: runs stay open", self.place.label);
    }

    /// What is recorded of all runs that ended, each as a line.
    pub async fn facts(&self) -> BTreeSet<String> {
        let db = self.place.db().await;
        let facts: Vec<(i64, i64, String, i64, String)> =
            on!(&db, pool => sqlx::query_as(FACTS).fetch_all(pool).await).unwrap();
        db.close().await;
        facts.into_iter().map(|fact| format!("{fact:?}")).collect()
    }

    /// The last edit that the API confirmed stands, or one that followed it.
    pub async fn edits_stand(&self) {
        let area = self.api.ask(Method::GET, &self.area("list"), None).await;
        let name = area["name"].as_str().unwrap_or_default();
        let stands: u64 = name.strip_prefix("list ").and_then(|n| n.parse().ok()).unwrap_or(0);
        assert!(stands >= self.produced.edit(), "edit {} is gone: it is called {name}", self.produced.edit());
    }

    /// What the database says, now that the daemon has stopped: each item recorded once, each event one run, each run done.
    pub async fn recorded_once(&self) {
        let db = self.place.db().await;
        let produced = self.produced.counts();
        for (name, count) in [("list", produced.list), ("feed", produced.feed), ("hook", produced.hooks)] {
            let id: AreaId = self.areas[name].parse().unwrap();
            let (events,): (i64,) = on!(&db, pool => sqlx::query_as(EVENTS).bind(id).fetch_one(pool).await).unwrap();
            let (runs, of, done): (i64, i64, Option<i64>) =
                on!(&db, pool => sqlx::query_as(RUNS).bind(id).fetch_one(pool).await).unwrap();
            let want = i64::try_from(count).unwrap();
            assert_eq!((events, runs, of, done.unwrap_or(0)), (want, want, want, want), "{} {name}", self.place.label);
        }
        db.close().await;
    }
}

/// The ticks that had to come: as many as the highest that came.
fn ticks<'a>(paths: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    let last = paths.filter_map(|p| p.strip_prefix("tick/")?.parse::<u64>().ok()).max();
    (1..=last.unwrap_or(0)).map(|tick| format!("tick/{tick}"))
}

/// A request to the receiver that says all it knows: its bytes tell whether a repetition is the same.
pub fn tell(receiver: &str, id: &str, path: &str, more: Value) -> Value {
    let json = json!({ "event": "{{ event }}", "now": "{{ now }}", "area": "{{ area.name }}", "more": more });
    let data = json!({ "url": format!("{receiver}/{path}"), "json": json });
    json!({ "id": id, "service": "http", "name": "request", "data": data })
}

fn policy() -> Value {
    json!({ "order": { "parallel": 20 } })
}

fn areas_of(feeder: &str, receiver: &str) -> Vec<Value> {
    let list =
        json!({ "url": format!("{feeder}/items.json"), "items": "/items", "key": "/id", "order": "oldest_first" });
    let feed = json!({ "url": format!("{feeder}/feed.xml") });
    let tick = json!({ "every": "1s", "misfire": "all" });
    vec![
        json!({ "name": "list", "action": { "service": "http", "name": "new_item", "data": list, "every": "1s" },
            "reactions": [tell(receiver, "tell", "list/{{ event.id }}", json!(null))], "policy": policy() }),
        json!({ "name": "feed", "action": { "service": "rss", "name": "new_entry", "data": feed, "every": "1s" },
            "reactions": [tell(receiver, "tell", "feed/{{ event.id }}", json!(null))], "policy": policy() }),
        json!({ "name": "tick", "action": { "service": "timer", "name": "every", "data": tick },
            "reactions": [tell(receiver, "tell", "tick/{{ event.tick }}", json!(null))], "policy": policy() }),
        json!({ "name": "chain",
            "action": { "service": "webhook", "name": "received", "data": { "verify": { "kind": "none" } } },
            "reactions": [tell(receiver, "tell", "chain/{{ event.n }}", json!(null))], "policy": policy() }),
    ]
}

fn hook_of(receiver: &str, chain: &str) -> Value {
    let verify = json!({ "kind": "standard_webhooks", "secret": SECRET });
    let mut each = tell(receiver, "each", "part/{{ event.body.n }}-{{ item }}", json!("{{ item }}"));
    each["for_each"] = json!("event.body.parts");
    let start = json!({ "area": chain, "event": { "n": "{{ event.body.n }}" } });
    json!({ "name": "hook",
        "action": { "service": "webhook", "name": "received", "data": { "verify": verify } },
        "reactions": [
            tell(receiver, "first", "hook/{{ event.body.n }}", json!(null)),
            each,
            tell(receiver, "then", "then/{{ event.body.n }}", json!("{{ steps.first.json.number }}")),
            { "id": "start", "service": "area", "name": "run", "data": start },
        ],
        "policy": policy() })
}
