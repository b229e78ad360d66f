//! Two nodes on one PostgreSQL. Each has a runtime on a thread of its own, so that a test can freeze one as SIGSTOP would: every
//! task of it stands still, whatever it was about to do, while PostgreSQL's clock and its own deadline go on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use engine::clock::{Clock, from_micros};
use engine::fault::Fault;
use engine::hooks::{self, HookAnswer, Request};
use engine::ids::{AccountId, AreaId, EventId, SourceId, UserId};
use engine::ledger::{Ledger, NewEvent, Proof, Refused, Unit};
use engine::limits::Limits;
use engine::net::{Http, NetConfig};
use engine::node::{Engine, Parts};
use engine::partition::PARTITIONS;
use engine::port::{Auth, Share};
use engine::store::people::{self, NewUser};
use engine::store::{Db, DbConfig};
use engine::testkit::{self, TestDb};
use engine::vault::provider::Kind;
use engine::vault::{KeyRing, Provider, ProviderConfig};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use crate::scripted::{SERVICES, world};

/// Noon of some day.
const START: i64 = 1_800_000_000_000_000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Real time that a test waits for something at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough that a busy machine does not lose it by accident, short enough to wait for its end.
const LEASE: Duration = Duration::from_secs(4);
/// How often a node looks for what a lost wake left behind.
const SCAN: Duration = Duration::from_millis(300);

/// A node on a thread of its own.
struct Node {
    engine: Arc<Engine>,
    clock: Clock,
    runtime: Handle,
    _alive: oneshot::Sender<()>,
}

/// A node that stands still until this is dropped.
struct Frozen(#[expect(dead_code, reason = "its end is what counts")] mpsc::Sender<()>);

impl Node {
    async fn start(url: &str, ring: &KeyRing, name: &str, now: i64) -> Self {
        let clock = Clock::manual(from_micros(now));
        let (started, told) = oneshot::channel();
        let (alive, mut over) = oneshot::channel::<()>();
        let (url, ring, name, own) = (url.to_owned(), ring.clone(), name.to_owned(), clock.clone());
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let db = Db::open(&DbConfig { url, connections: 8 }).await.unwrap();
                let (engine, wakes) = Engine::new(parts(db, ring, own, name)).await.unwrap();
                engine.run(wakes);
                let _ = started.send((engine, Handle::current()));
                let _ = (&mut over).await;
            });
        });
        let (engine, runtime) = told.await.unwrap();
        Self { engine, clock, runtime, _alive: alive }
    }

    /// Does something on the node's own runtime.
    async fn on<T: Send + 'static>(&self, what: impl AsyncFnOnce(Arc<Engine>) -> T + Send + 'static) -> T {
        let engine = Arc::clone(&self.engine);
        let (tell, told) = oneshot::channel();
        let runtime = self.runtime.clone();
        // The future of an async closure is not known to be `Send`: it is run where it was made.
        std::thread::spawn(move || {
            let _ = tell.send(runtime.block_on(what(engine)));
        });
        told.await.unwrap()
    }

    fn held(&self) -> usize {
        self.engine.leases.held().len()
    }

    fn freeze(&self) -> Frozen {
        let (thaw, thawed) = mpsc::channel::<()>();
        let (frozen, is_frozen) = mpsc::channel();
        self.runtime.spawn(async move {
            let _ = frozen.send(());
            let _ = thawed.recv();
        });
        is_frozen.recv().unwrap();
        Frozen(thaw)
    }
}

fn parts(db: Db, ring: KeyRing, clock: Clock, name: String) -> Parts {
    Parts {
        db,
        services: SERVICES,
        clock,
        ring,
        http: Http::new(NetConfig::default()).unwrap(),
        limits: Limits { scan: SCAN, ..Limits::default() },
        providers: vec![acme()],
        vault: Default::default(),
        name,
        url: None,
        lease: LEASE,
    }
}

fn acme() -> Provider {
    let apis = [("mail".to_owned(), "https://mail.example".to_owned())].into();
    Provider::new("acme", &ProviderConfig { kind: Kind::Key, apis, ..ProviderConfig::default() }).unwrap()
}

/// One PostgreSQL database with its people.
struct Stage {
    test: TestDb,
    ring: KeyRing,
    user: UserId,
}

impl Stage {
    /// `None` where there is no PostgreSQL.
    async fn set() -> Option<Self> {
        let Some(test) = testkit::databases().await.into_iter().find(|t| t.label == "postgres") else {
            testkit::skip("PostgreSQL is not installed");
            return None;
        };
        let new = NewUser { email: "ann@example.org", ..NewUser::default() };
        let user = people::create(&test.db, &new, from_micros(START)).await.unwrap().id;
        Some(Self { test, ring: KeyRing::generate().unwrap(), user })
    }

    async fn node(&self, name: &str, now: i64) -> Node {
        Node::start(&self.test.url, &self.ring, name, now).await
    }

    /// Two nodes, each with its half.
    async fn two(&self, now: [i64; 2]) -> [Node; 2] {
        let both = [self.node("a", now[0]).await, self.node("b", now[1]).await];
        shared(&both).await;
        both
    }

    async fn create(&self, node: &Node, area: Value) -> AreaId {
        let user = self.user;
        node.on(async move |engine| {
            let changed = engine.desk().create(user, &area, false).await.unwrap();
            engine.changed(&changed).await;
            changed.area.id
        })
        .await
    }

    /// The source that an AREA watches, and its partition.
    async fn source(&self, area: AreaId) -> (SourceId, i64) {
        let sql = "SELECT s.id, s.part FROM sources s JOIN areas a ON a.source_id = s.id WHERE a.id = $1";
        engine::on!(&self.test.db, pool => sqlx::query_as(sql).bind(area).fetch_one(pool).await).unwrap()
    }

    async fn joined(&self, nodes: &[Node], areas: &[AreaId]) {
        let sql = "SELECT COUNT(*) FROM areas WHERE joined_at IS NOT NULL";
        until(nodes, "all joined", async || self.count(sql).await >= areas.len() as i64).await;
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let (count,): (i64,) = engine::on!(&self.test.db, pool => sqlx::query_as(sql).fetch_one(pool).await).unwrap();
        count
    }

    /// Nothing is open, undecided or doubled; what was received is what was expected, each text so often.
    async fn settled(&self, nodes: &[Node], worlds: &[String], expected: &[(&str, usize)]) {
        let open = "SELECT (SELECT COUNT(*) FROM runs WHERE ended_at IS NULL)
            + (SELECT COUNT(*) FROM events WHERE undecided IS NOT NULL)";
        until(nodes, "nothing open", async || self.count(open).await == 0).await;
        for name in worlds {
            let mut calls: HashMap<String, Vec<(String, Value)>> = HashMap::new();
            for (key, params) in world(name, |w| w.received.clone()) {
                calls.entry(params["text"].as_str().unwrap().to_owned()).or_default().push((key, params));
            }
            let mut counted: Vec<(&str, usize)> = calls.iter().map(|(text, all)| (text.as_str(), all.len())).collect();
            counted.sort_unstable();
            assert_eq!(counted, expected, "{name}");
            for (text, all) in &calls {
                assert!(
                    all.iter().all(|call| *call == all[0]),
                    "{name}: {text} was repeated with another key or bytes"
                );
            }
        }
    }
}

/// Time passes on every node, until it holds.
async fn until(nodes: &[Node], what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        nodes.iter().for_each(|node| node.clock.set(node.clock.micros() + SECOND / 4));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Each node has its fair share, and nobody another's.
async fn shared(nodes: &[Node]) {
    let share = usize::try_from(PARTITIONS).unwrap() / nodes.len();
    until(nodes, "a fair share each", async || nodes.iter().all(|node| node.held() == share)).await;
    let mut all: Vec<i64> = nodes.iter().flat_map(|node| node.engine.leases.held()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..PARTITIONS).collect::<Vec<_>>());
}

fn area(world: &str, more: Value) -> Value {
    let mut area = json!({
        "name": "a",
        "action": {"service": "script", "name": "new", "data": {"world": world}, "every": "10s"},
        "reactions": [{"id": "one", "service": "script", "name": "send", "data": {"world": world, "text": "{{ event.text }}"}}]
    });
    engine::area::document::merge_patch(&mut area, &more);
    area
}

fn hook_area(world: &str) -> Value {
    area(world, json!({"action": {"name": "received", "every": null}}))
}

fn produce(worlds: &[String], id: i64) {
    for name in worlds {
        world(name, |w| w.items.push(json!({"id": id, "kind": "k", "text": format!("t{id}")})));
    }
}

fn names(test: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("nodes-{test}-{n}")).collect()
}

/// The node that holds a partition, and the other.
fn owner(nodes: &[Node; 2], part: i64) -> (&Node, &Node) {
    match nodes[0].engine.leases.holds(part) {
        true => (&nodes[0], &nodes[1]),
        false => (&nodes[1], &nodes[0]),
    }
}

async fn send(node: &Node, key: &str, body: Value) -> HookAnswer {
    let (key, body) = (key.to_owned(), body.to_string());
    node.on(async move |engine| {
        let request = Request { method: "POST", url: "http://x/", query: "", headers: &[], body: body.as_bytes() };
        hooks::receive(&engine, &key, &request).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_shared_fairly_and_what_a_leaving_node_had_open_fires_on_the_other() {
    let Some(stage) = Stage::set().await else { return };
    let worlds = names("share", 12);
    let a = stage.node("a", START).await;
    until(std::slice::from_ref(&a), "all of it", async || a.held() as i64 == PARTITIONS).await;
    let mut areas = Vec::new();
    for name in &worlds {
        areas.push(stage.create(&a, area(name, json!({"policy": {"retry": {"base": "1h", "max": "1h"}}}))).await);
    }
    stage.joined(std::slice::from_ref(&a), &areas).await;
    produce(&worlds, 1);
    let nodes = [a, stage.node("b", START).await];
    shared(&nodes).await;
    produce(&worlds, 2);
    let all = async |count| worlds.iter().all(|name| world(name, |w| w.received.len()) >= count);
    until(&nodes, "both items everywhere", async || all(2).await).await;
    for id in &areas {
        let (source, _) = stage.source(*id).await;
        let polled_by = nodes.iter().filter(|node| node.engine.schedule_of(source).is_some()).count();
        assert_eq!(polled_by, 1, "one node polls a source");
    }
    // Every run waits for an hour when its node goes.
    worlds.iter().for_each(|name| world(name, |w| w.refusals = vec![Fault::later("503")]));
    produce(&worlds, 3);
    let waiting = "SELECT COUNT(*) FROM runs WHERE state = 'waiting'";
    until(&nodes, "all wait", async || stage.count(waiting).await == 12).await;
    nodes[1].on(async |engine| engine.stop(Duration::from_secs(5)).await).await;
    until(&nodes, "all of it again", async || nodes[0].held() as i64 == PARTITIONS).await;
    produce(&worlds, 4);
    nodes[0].clock.set(nodes[0].clock.micros() + HOUR);
    until(&nodes, "all received", async || all(5).await).await;
    stage.settled(&nodes, &worlds, &[("t1", 1), ("t2", 1), ("t3", 2), ("t4", 1)]).await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM events").await, 48);
    assert_eq!(stage.count("SELECT COUNT(*) FROM runs WHERE state = 'done'").await, 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_slept_past_its_lease_changes_nothing_and_fires_nothing_when_it_wakes() {
    let Some(stage) = Stage::set().await else { return };
    let worlds = names("sleep", 8);
    let nodes = stage.two([START, START]).await;
    let mut areas = Vec::new();
    for name in &worlds {
        areas.push(stage.create(&nodes[0], area(name, json!({}))).await);
    }
    stage.joined(&nodes, &areas).await;
    let (open, gate) = watch::channel(false);
    worlds.iter().for_each(|name| world(name, |w| w.gate = Some(gate.clone())));
    // One run of each AREA is in its call; the second waits behind it.
    worlds
        .iter()
        .for_each(|name| world(name, |w| w.items.extend([1, 2].map(|id| json!({"id": id, "text": format!("t{id}")})))));
    until(&nodes, "one call each", async || worlds.iter().all(|name| world(name, |w| w.received.len()) == 1)).await;
    let (slept, awake) = (&nodes[0], &nodes[1]);
    let had: Vec<i64> = slept.engine.leases.held();
    let proofs: Vec<Proof> = had.iter().map(|part| slept.engine.leases.proof(*part).unwrap()).collect();
    let mut slept_on = Vec::new();
    for (name, id) in worlds.iter().zip(&areas) {
        if had.contains(&stage.source(*id).await.1) {
            slept_on.push(name.clone());
        }
    }
    let others: Vec<String> = worlds.iter().filter(|name| !slept_on.contains(name)).cloned().collect();
    assert!(!slept_on.is_empty() && !others.is_empty());
    let frozen = slept.freeze();
    until(&nodes, "taken over", async || awake.held() as i64 == PARTITIONS).await;
    open.send(true).unwrap();
    produce(&worlds, 3);
    let done = "SELECT COUNT(*) FROM runs WHERE state = 'done'";
    until(&nodes, "the other did the work", async || stage.count(done).await == 24).await;
    let details = "SELECT SUM(hashtext(detail || state || ended_at || due_at)) FROM runs";
    let before = stage.count(details).await;
    drop(frozen);
    shared(&nodes).await;
    stage.settled(&nodes, &slept_on, &[("t1", 2), ("t2", 1), ("t3", 1)]).await;
    stage.settled(&nodes, &others, &[("t1", 1), ("t2", 1), ("t3", 1)]).await;
    assert_eq!(stage.count(details).await, before, "what the other recorded stands");
    let (ledger, _writer) = Ledger::start(stage.test.db.clone());
    for proof in proofs {
        assert_eq!(ledger.commit(Unit { proof: Some(proof), ..Unit::default() }).await, Err(Refused::Lost));
    }
    // It is a node like any other again.
    produce(&worlds, 4);
    until(&nodes, "t4", async || stage.count(done).await == 32).await;
    stage.settled(&nodes, &slept_on, &[("t1", 2), ("t2", 1), ("t3", 1), ("t4", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_on_a_node_that_does_not_own_it_is_durable_before_its_answer_and_decided_by_the_owner() {
    let Some(stage) = Stage::set().await else { return };
    let worlds = names("hook", 1);
    let nodes = stage.two([START, START]).await;
    let id = stage.create(&nodes[0], hook_area(&worlds[0])).await;
    let key = engine::area::hook_key::of(id, &stage.ring);
    let (source, part) = stage.source(id).await;
    let (owner, other) = owner(&nodes, part);
    let undecided = "SELECT COUNT(*) FROM events WHERE undecided IS NOT NULL";
    {
        let _frozen = owner.freeze();
        assert!(matches!(send(other, &key, json!({"id": "d1", "text": "t1"})).await, HookAnswer::Accepted(_)));
        assert_eq!(stage.count(undecided).await, 1, "durable, and left to the owner");
        assert_eq!(world(&worlds[0], |w| w.received.len()), 0);
    }
    let received = async |count| world(&worlds[0], |w| w.received.len()) >= count;
    until(&nodes, "decided by its owner", async || received(1).await).await;
    // The same delivery on both nodes at once: one of them is told that it is known.
    let body = json!({"id": "d2", "text": "t2"});
    let answers = futures::join!(send(owner, &key, body.clone()), send(other, &key, body));
    let accepted = |answer: &HookAnswer| usize::from(matches!(answer, HookAnswer::Accepted(_)));
    assert_eq!(accepted(&answers.0) + accepted(&answers.1), 1, "{answers:?}");
    until(&nodes, "the second", async || received(2).await).await;
    // The wake is lost: the event is appended, and nobody is told.
    let (ledger, _writer) = Ledger::start(stage.test.db.clone());
    let lost = NewEvent {
        id: EventId(owner.engine.ids.next()),
        source,
        key: "d3".into(),
        body: json!({"text": "t3"}).to_string(),
        at: None,
        fresh: false,
        undecided: Some(part),
        mark: None,
        only_area: None,
        depth: 0,
    };
    ledger.commit(Unit { events: vec![lost], ..Unit::default() }).await.unwrap();
    until(&nodes, "found by looking", async || received(3).await).await;
    // As if the answer to a commit had been lost: the run is there, and nobody works it.
    let sql = "INSERT INTO runs (id, area_no, event_id, replay, revision, part, state, due_at)
        SELECT id + 1, area_no, event_id, 1, revision, part, 'ready', $1 FROM runs ORDER BY id DESC LIMIT 1";
    engine::on!(&stage.test.db, pool => sqlx::query(sql).bind(START).execute(pool).await.map(drop)).unwrap();
    until(&nodes, "a forgotten run", async || received(4).await).await;
    let calls = world(&worlds[0], |w| w.received.split_off(3));
    assert_eq!(calls.len(), 1, "its own key: {calls:?}");
    stage.settled(&nodes, &worlds, &[("t1", 1), ("t2", 1), ("t3", 1)]).await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM events").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_partition_over_forgets_what_it_knew_of_its_policies() {
    let Some(stage) = Stage::set().await else { return };
    let worlds = names("digest", 1);
    let nodes = stage.two([START, START]).await;
    let digest = json!({"policy": {"digest": {"every": "1d"}}, "reactions": [{"id": "one", "service": "script", "name": "send",
        "data": {"world": worlds[0], "text": "{{ event.count }} came"}}]});
    let mut document = hook_area(&worlds[0]);
    engine::area::document::merge_patch(&mut document, &digest);
    let id = stage.create(&nodes[0], document).await;
    let key = engine::area::hook_key::of(id, &stage.ring);
    let (owner, other) = owner(&nodes, stage.source(id).await.1);
    // Known on the other node, when no digest was open; then the owner opens one.
    assert!(matches!(send(other, &key, json!({"id": "d1", "text": "t1"})).await, HookAnswer::Accepted(_)));
    let held = "SELECT COUNT(*) FROM runs WHERE state = 'held'";
    until(&nodes, "a digest", async || stage.count(held).await == 1).await;
    owner.on(async |engine| engine.stop(Duration::from_secs(5)).await).await;
    until(&nodes, "taken over", async || other.held() as i64 == PARTITIONS).await;
    assert!(matches!(send(other, &key, json!({"id": "d2", "text": "t2"})).await, HookAnswer::Accepted(_)));
    let undecided = "SELECT COUNT(*) FROM events WHERE undecided IS NOT NULL";
    until(&nodes, "decided", async || stage.count(undecided).await == 0).await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM runs").await, 1, "the open digest takes it");
    nodes.iter().for_each(|node| node.clock.set(node.clock.micros() + 24 * HOUR));
    until(&nodes, "it fires", async || world(&worlds[0], |w| w.received.len()) == 1).await;
    stage.settled(&nodes, &worlds, &[("2 came", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_is_edited_paused_and_deleted_on_the_node_that_does_not_own_it() {
    let Some(stage) = Stage::set().await else { return };
    let worlds = names("edit", 4);
    let nodes = stage.two([START, START]).await;
    let user = stage.user;
    let mut areas = Vec::new();
    for name in &worlds {
        areas.push(stage.create(&nodes[0], area(name, json!({}))).await);
    }
    stage.joined(&nodes, &areas).await;
    let received = async |count| worlds.iter().all(|name| world(name, |w| w.received.len()) >= count);
    produce(&worlds, 1);
    until(&nodes, "t1", async || received(1).await).await;
    let mut others = Vec::new();
    for id in &areas {
        others.push(owner(&nodes, stage.source(*id).await.1).1);
    }
    for ((id, name), other) in areas.iter().zip(&worlds).zip(&others) {
        let (id, text) = (
            *id,
            json!({"reactions": [{"id": "one", "service": "script", "name": "send",
            "data": {"world": name, "text": "new {{ event.text }}"}}]}),
        );
        other
            .on(async move |engine| {
                let changed = engine.desk().patch(user, id, &text, None).await.unwrap();
                engine.changed(&changed).await;
            })
            .await;
    }
    produce(&worlds, 2);
    until(&nodes, "t2", async || received(2).await).await;
    for (id, other) in areas.iter().zip(&others) {
        let id = *id;
        other
            .on(async move |engine| {
                let changed = engine.desk().pause(user, id, None).await.unwrap();
                engine.changed(&changed).await;
            })
            .await;
    }
    produce(&worlds, 3);
    for (id, other) in areas.iter().zip(&others) {
        let id = *id;
        other
            .on(async move |engine| {
                let changed = engine.desk().resume(user, id, None).await.unwrap();
                engine.changed(&changed).await;
            })
            .await;
    }
    stage.joined(&nodes, &areas).await;
    produce(&worlds, 4);
    until(&nodes, "t4", async || received(3).await).await;
    for (id, other) in areas.iter().zip(&others) {
        let id = *id;
        other
            .on(async move |engine| {
                let changed = engine.desk().delete(user, id, None).await.unwrap();
                engine.changed(&changed).await;
            })
            .await;
    }
    let polls: Vec<u32> = worlds.iter().map(|name| world(name, |w| w.polls)).collect();
    produce(&worlds, 5);
    let watched = async || {
        let scheduled = |source| nodes.iter().any(|node| node.engine.schedule_of(source).is_some());
        let sql = "SELECT id FROM sources";
        let all: Vec<(SourceId,)> =
            engine::on!(&stage.test.db, pool => sqlx::query_as(sql).fetch_all(pool).await).unwrap();
        all.into_iter().filter(|(source,)| scheduled(*source)).count()
    };
    until(&nodes, "nothing is scheduled", async || watched().await == 0).await;
    stage.settled(&nodes, &worlds, &[("new t2", 1), ("new t4", 1), ("t1", 1)]).await;
    for (name, before) in worlds.iter().zip(polls) {
        assert!(world(name, |w| w.polls) <= before + 2, "{name}: a deleted AREA is no longer polled for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_hours_wrong_owns_its_share_and_loses_and_doubles_nothing() {
    let Some(stage) = Stage::set().await else { return };
    let worlds = names("clock", 8);
    let nodes = stage.two([START, START - 5 * HOUR]).await;
    let mut areas = Vec::new();
    for (n, name) in worlds.iter().enumerate() {
        areas.push(stage.create(&nodes[n % 2], area(name, json!({}))).await);
    }
    stage.joined(&nodes, &areas).await;
    let received = async |count| worlds.iter().all(|name| world(name, |w| w.received.len()) >= count);
    produce(&worlds, 1);
    until(&nodes, "t1", async || received(1).await).await;
    // The clock is put right, and then wrong the other way.
    nodes[1].clock.set(nodes[0].clock.micros());
    produce(&worlds, 2);
    until(&nodes, "t2", async || received(2).await).await;
    nodes[1].clock.set(nodes[0].clock.micros() + 7 * HOUR);
    produce(&worlds, 3);
    until(&nodes, "t3", async || received(3).await).await;
    shared(&nodes).await;
    nodes[1].on(async |engine| engine.stop(Duration::from_secs(5)).await).await;
    until(&nodes, "all of it", async || nodes[0].held() as i64 == PARTITIONS).await;
    produce(&worlds, 4);
    until(&nodes, "t4", async || received(4).await).await;
    stage.settled(&nodes, &worlds, &[("t1", 1), ("t2", 1), ("t3", 1), ("t4", 1)]).await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM events").await, 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pause_holds_on_every_node_and_on_one_that_comes_later() {
    let Some(stage) = Stage::set().await else { return };
    let nodes = stage.two([START, START]).await;
    let (user, account) = (stage.user, AccountId::new());
    let held = async |node: &Node| {
        node.on(async move |engine| {
            let auth = engine.vault.auth(user, account, Some("acme"));
            auth.api("mail").unwrap().spend(1, engine.clock.now()).err().map(|fault| fault.why().to_owned())
        })
        .await
    };
    assert_eq!((held(&nodes[0]).await, held(&nodes[1]).await), (None, None));
    let hold = async move |engine: Arc<Engine>| {
        let (auth, now) = (engine.vault.auth(user, account, Some("acme")), engine.clock.now());
        auth.api("mail").unwrap().hold(Share::App, now + chrono::TimeDelta::days(1), "quota", now);
    };
    nodes[0].on(hold).await;
    assert_eq!(held(&nodes[0]).await.as_deref(), Some("quota"));
    until(&nodes, "the other node keeps to it", async || held(&nodes[1]).await.as_deref() == Some("quota")).await;
    let third = stage.node("c", nodes[1].clock.micros()).await;
    assert_eq!(held(&third).await.as_deref(), Some("quota"));
    assert_eq!(stage.count("SELECT COUNT(*) FROM pauses").await, 1);
}
