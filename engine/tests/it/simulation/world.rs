//! The world of one seed: the database, which outlives every crash, the clocks, the nodes with the steps of their loops, and what
//! the simulation remembers of all that happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::clock::{Clock, from_micros};
use engine::hooks::HookAnswer;
use engine::ids::UserId;
use engine::limits::Limits;
use engine::net::{Http, NetConfig};
use engine::node::{Engine, Parts, Steps};
use engine::store::{Db, migrate};
use engine::testkit::turns::{Player, TaskId, Turns};
use engine::vault::KeyRing;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use uuid::Uuid;

use super::areas::Area;
use super::dice::Dice;
use super::far::{FIRST_TICK, Far, KINDS, Made, SERVICES, TICK_EVERY, TICKS, far};
use super::mutations::Mutation;
use super::recorded::Recorded;

pub const START: i64 = 1_800_000_000_000_000;
pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
/// Steps that a failing seed shows.
const SHOWN: usize = 60;

/// How time passes in a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Sources are polled every few minutes or hours, and much breaks.
    Dense,
    /// Sources are polled every few days, and little happens in a year.
    Quiet,
}

impl Pace {
    /// How long a node is alive after a heartbeat.
    pub fn lease(self) -> Duration {
        Duration::from_secs(self.of(8, 12 * 24) * 3_600)
    }

    /// How often a node looks for what was left behind.
    pub fn scan(self) -> Duration {
        Duration::from_secs(self.of(4, 3 * 24) * 3_600)
    }

    /// One of two, by the pace.
    pub fn of<T>(self, dense: T, quiet: T) -> T {
        match self {
            Self::Dense => dense,
            Self::Quiet => quiet,
        }
    }
}

const KEYS: &str = r#"{"format":"area-keys-1","active":"a","keys":{"a":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    "identity":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

/// A loop of a node: one of a kind goes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loop {
    Beat,
    Poll,
    React,
    Hear,
    Scan,
    Cursors,
}

/// A node that is up.
pub struct Node {
    /// Its tasks' group: another one after each start.
    pub group: u32,
    pub engine: Arc<Engine>,
    pub steps: Arc<Steps>,
    /// When each loop looks next.
    pub next: BTreeMap<Loop, Arc<AtomicI64>>,
    pub going: BTreeMap<Loop, TaskId>,
    /// Wakes that other nodes sent.
    pub inbox: VecDeque<engine::node::Wake>,
    /// It was told to stop: its loops take no further turn.
    pub stopping: bool,
    /// Its last task, which drains it.
    pub leaving: Option<TaskId>,
    /// It stands still until then: nothing of it goes.
    pub frozen_until: i64,
}

impl Node {
    pub fn next(&self, which: Loop) -> i64 {
        self.next[&which].load(Ordering::Relaxed)
    }

    pub fn poke(&self, which: Loop) {
        self.next[&which].store(i64::MIN, Ordering::Relaxed);
    }
}

/// A hook's delivery: sent until it is taken.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub area: usize,
    pub id: i64,
    pub kind: &'static str,
    pub task: Option<TaskId>,
    pub answer: Arc<Mutex<Option<HookAnswer>>>,
    pub taken: bool,
    /// Since when its AREA takes what comes, as it was sent last.
    pub joined: Option<i64>,
    pub sent: u32,
}

/// A change of an AREA that is under way.
pub struct Change {
    pub area: usize,
    pub task: TaskId,
}

/// What is known of a reaction's key.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub bytes: String,
    pub calls: u32,
    /// It may have taken effect: at most once means never again.
    pub maybe: bool,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub steps: u64,
    pub polls: u64,
    pub calls: u64,
    pub crashes: u64,
    pub stops: u64,
    pub boots: u64,
    pub items: u64,
    pub changes: u64,
}

pub struct World {
    pub seed: u64,
    pub pace: Pace,
    pub dice: Dice,
    pub turns: Turns,
    pub db: Db,
    pool: SqlitePool,
    /// Something was committed since this was looked at last.
    pub written: Arc<AtomicBool>,
    pub clock: Clock,
    ring: KeyRing,
    http: Http,
    pub user: UserId,
    pub nodes: Vec<Option<Node>>,
    groups: u32,
    pub areas: Vec<Area>,
    pub deliveries: Vec<Delivery>,
    pub changes: Vec<Change>,
    pub recorded: Recorded,
    pub sent: BTreeMap<String, Sent>,
    pub made: i64,
    pub mutation: Mutation,
    /// Nothing breaks any more.
    pub healed: bool,
    /// Nothing is new any more: nobody has anything to write.
    pub still: bool,
    /// Answers of the database are being lost.
    pub losing: bool,
    pub tally: Tally,
    /// Who goes in this step.
    pub goer: Option<Player>,
    /// The clock was set back.
    pub set_back: bool,
    pub print: bool,
    pub last: VecDeque<String>,
    pub hash: u64,
}

impl World {
    pub async fn new(seed: u64, nodes: usize, pace: Pace, mutation: Mutation) -> Self {
        let mut dice = Dice::new(seed);
        far(|far| *far = Far::default());
        let turns = Turns::begin();
        let written = Arc::new(AtomicBool::new(true));
        let pool = pool(&written).await;
        let db = Db::Sqlite { read: pool.clone(), write: pool.clone(), shared: nodes > 1 };
        migrate::migrate(&db).await.unwrap();
        Recorded::begin(&db).await;
        let start = START + dice.within(0, 24) * HOUR;
        let clock = Clock::manual(from_micros(start));
        let user = UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_ffff_ffff_ffff));
        let add = "INSERT INTO users (id, email, created_at, updated_at) VALUES ($1, 'a@example.org', $2, $2)";
        sqlx::query(add).bind(user).bind(clock.now()).execute(&pool).await.unwrap();
        Self {
            seed,
            pace,
            dice,
            turns,
            db,
            pool,
            written,
            clock,
            ring: KeyRing::parse(KEYS).unwrap(),
            http: Http::new(NetConfig::default()).unwrap(),
            user,
            nodes: (0..nodes).map(|_| None).collect(),
            groups: 0,
            areas: Vec::new(),
            deliveries: Vec::new(),
            changes: Vec::new(),
            recorded: Recorded::default(),
            sent: BTreeMap::new(),
            made: 0,
            mutation,
            healed: false,
            still: false,
            losing: false,
            tally: Tally::default(),
            goer: None,
            set_back: false,
            print: false,
            last: VecDeque::new(),
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub fn now(&self) -> i64 {
        self.clock.micros()
    }

    /// Whether nothing is asked of the database.
    pub fn idle(&self) -> impl Fn() -> bool + use<> {
        let pool = self.pool.clone();
        move || pool.num_idle() == 1
    }

    /// Writes down a step.
    pub fn trace(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>6} +{:>10.3}h {}", self.tally.steps, (self.now() - START) as f64 / HOUR as f64, what());
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.print {
            eprintln!("{line}");
        }
        self.last.push_back(line);
        if self.last.len() > SHOWN {
            self.last.pop_front();
        }
    }

    /// A law was broken.
    pub fn broken(&self, what: &str) -> ! {
        let trace: Vec<&str> = self.last.iter().map(String::as_str).collect();
        let (seed, test) = (self.seed, self.pace.of("seeds", "quiet_years"));
        panic!(
            "seed {seed}: {what}\nthe last steps:\n{}\nrepeat it: AREA_SIM_SEED={seed} cargo test -p engine --test it simulation::{test} -- --nocapture",
            trace.join("\n")
        );
    }

    /// Lets a task go until it waits.
    pub async fn go(&mut self, id: TaskId) {
        let idle = self.idle();
        self.turns.go(id, idle).await;
    }

    /// Starts node `at` over what is stored.
    pub async fn boot(&mut self, at: usize) {
        self.groups += 1;
        self.tally.boots += 1;
        let group = self.groups;
        let parts = Parts {
            db: self.db.clone(),
            services: SERVICES,
            clock: self.clock.clone(),
            ring: self.ring.clone(),
            http: self.http.clone(),
            limits: limits(self.pace),
            providers: Vec::new(),
            vault: Default::default(),
            name: format!("node{at}"),
            url: None,
            lease: self.pace.lease(),
        };
        let made = Arc::new(Mutex::new(None));
        let put = Arc::clone(&made);
        let work = async move { *put.lock().unwrap() = Engine::new(parts).await.ok() };
        let task = self.turns.spawn(group, "boot", work);
        self.go(task).await;
        self.turns.crash_at(None);
        let Some((engine, wakes)) = made.lock().unwrap().take().filter(|_| !self.turns.crashed()) else {
            let idle = self.idle();
            self.turns.kill(group, idle).await;
            return;
        };
        let now = Arc::new(AtomicI64::new(i64::MIN)).load(Ordering::Relaxed);
        let loops = [Loop::Beat, Loop::Poll, Loop::React, Loop::Hear, Loop::Scan, Loop::Cursors];
        let next = loops.map(|which| (which, Arc::new(AtomicI64::new(now)))).into();
        let steps = Arc::new(Steps::of(&engine, wakes));
        let (going, inbox) = (BTreeMap::new(), VecDeque::new());
        let (stopping, leaving, frozen_until) = (false, None, i64::MIN);
        self.nodes[at] = Some(Node { group, engine, steps, next, going, inbox, stopping, leaving, frozen_until });
    }

    /// Node `at` dies where it stands.
    pub async fn crash(&mut self, at: usize) {
        self.tally.crashes += u64::from(self.nodes[at].is_some());
        self.end(at).await;
    }

    /// The process of node `at` ends.
    pub async fn end(&mut self, at: usize) {
        let Some(node) = self.nodes[at].take() else { return };
        let idle = self.idle();
        self.turns.crash_at(None);
        let _ = self.turns.crashed();
        self.turns.kill(node.group, idle).await;
        node.engine.halt();
        drop(node);
        let idle = self.idle();
        self.turns.settle(idle).await;
    }

    /// Time passes, for the wall clock and the monotonic one.
    pub async fn advance(&mut self, by: i64) {
        self.clock.set(self.now() + by);
        self.tick();
        tokio::time::advance(Duration::from_micros(by.max(0) as u64)).await;
        let idle = self.idle();
        self.turns.settle(idle).await;
    }
}

impl World {
    /// The ticks that the clock has passed come into existence.
    fn tick(&mut self) {
        while !self.healed && FIRST_TICK + far(|far| far.lists[TICKS].len() as i64) * TICK_EVERY <= self.now() {
            self.made += 1;
            let made = Made { id: self.made, kind: self.dice.of(&KINDS) };
            far(|far| far.lists[TICKS].push(made));
            self.areas.iter_mut().for_each(|area| area.comes(TICKS, made));
        }
    }
}

async fn pool(written: &Arc<AtomicBool>) -> SqlitePool {
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true).statement_cache_capacity(200);
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let written = Arc::clone(written);
    let pool = pool.test_before_acquire(false).after_connect(move |one, _| {
        let written = Arc::clone(&written);
        Box::pin(async move {
            one.lock_handle().await?.set_commit_hook(move || {
                written.store(true, Ordering::Relaxed);
                true
            });
            Ok(())
        })
    });
    pool.connect_with(options).await.unwrap()
}

/// Small limits, so that they are met.
fn limits(pace: Pace) -> Limits {
    Limits { pages_per_poll: 3, failed_runs: 4, fan_out: 12, scan: pace.scan(), ..Limits::default() }
}
