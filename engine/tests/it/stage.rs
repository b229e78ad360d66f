//! A node over a database of a test, whose clock a test moves, and what it is asked.

use std::sync::Arc;
use std::time::Duration;

use engine::clock::{Clock, from_micros};
use engine::ids::{AreaId, UserId};
use engine::limits::Limits;
use engine::net::{Http, NetConfig};
use engine::node::{Engine, Parts};
use engine::store::Db;
use engine::store::people::{self, NewUser};
use engine::vault::KeyRing;
use serde_json::{Value, json};

use crate::scripted::{SERVICES, world};

/// Noon of some day.
const START: i64 = 1_800_000_000_000_000;
pub const SECOND: i64 = 1_000_000;
/// Real time that a test waits for something at most.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub db: Db,
    pub ring: KeyRing,
    pub clock: Clock,
    pub user: UserId,
    pub engine: Arc<Engine>,
}

impl Stage {
    pub async fn set(db: &Db) -> Self {
        let ring = KeyRing::generate().unwrap();
        let clock = Clock::manual(from_micros(START));
        let new = NewUser { email: "ann@example.org", ..NewUser::default() };
        let user = people::create(db, &new, clock.now()).await.unwrap().id;
        let engine = start(db, &ring, &clock).await;
        Self { db: db.clone(), ring, clock, user, engine }
    }

    pub async fn create(&self, area: Value) -> AreaId {
        let changed = self.engine.desk().create(self.user, &area, false).await.unwrap();
        self.engine.changed(&changed).await;
        changed.area.id
    }

    /// Time passes, a quarter of a second at each look, until it holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds().await {
            assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
            self.clock.set(self.clock.micros() + SECOND / 4);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn received(&self, name: &str, count: usize) -> Vec<(String, Value)> {
        let what = format!("{count} received in {name}");
        self.until(&what, async || world(name, |w| w.received.len()) >= count).await;
        world(name, |w| w.received.clone())
    }

    pub async fn why(&self, area: AreaId) -> Value {
        let seen = async |source| Some(self.engine.seen(source));
        let why = engine::why::why(&self.engine, self.user, area, 10, seen).await.unwrap().unwrap();
        serde_json::to_value(why).unwrap()
    }

    pub async fn joined(&self, area: AreaId) {
        self.until("joined", async || self.engine.desk().get(self.user, area).await.unwrap().joined_at.is_some()).await;
    }

    /// The daemon stops and another one starts on what it left.
    pub async fn restart(&mut self) {
        self.engine.stop(Duration::from_secs(5)).await;
        self.engine = start(&self.db, &self.ring, &self.clock).await;
    }
}

pub async fn start(db: &Db, ring: &KeyRing, clock: &Clock) -> Arc<Engine> {
    let (engine, wakes) = Engine::new(parts(db, ring, clock)).await.unwrap();
    engine.run(wakes);
    engine
}

pub fn parts(db: &Db, ring: &KeyRing, clock: &Clock) -> Parts {
    Parts {
        db: db.clone(),
        services: SERVICES,
        clock: clock.clone(),
        ring: ring.clone(),
        http: Http::new(NetConfig::default()).unwrap(),
        limits: Limits { failed_runs: 2, fan_out: 20, ..Limits::default() },
        providers: Vec::new(),
        vault: Default::default(),
        name: "one".into(),
        url: None,
        lease: Duration::from_secs(20),
    }
}

pub fn area(world: &str, more: Value) -> Value {
    let mut area = json!({
        "name": "a",
        "action": {"service": "script", "name": "new", "data": {"world": world}, "every": "10s"},
        "reactions": [{"id": "one", "service": "script", "name": "send", "data": {"world": world, "text": "{{ event.text }}"}}]
    });
    engine::area::document::merge_patch(&mut area, &more);
    area
}

pub fn item(id: i64) -> Value {
    json!({"id": id, "kind": "k", "text": format!("t{id}")})
}
