//! A node at work: its parts, and the loops that turn them. `lease` decides which partitions are ours, `take_over` loads and drops
//! what belongs to them, `timing` polls who is due, `crate::react` runs what was born, `wake` hears what changed,
//! `outside` what another process changed, `pauses` keeps to what providers asked for, `housekeeping` does what is done now and then.

mod housekeeping;
mod lease;
mod outside;
mod pauses;
mod stand;
#[cfg(feature = "testkit")]
mod steps;
mod take_over;
mod timing;
mod wake;

pub use stand::{Gap, Standing};
#[cfg(feature = "testkit")]
pub use steps::Steps;
pub(crate) use take_over::{hash, instant_of};
pub use wake::{Wake, announce};

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::area::desk::Desk;
use crate::clock::{Clock, Micros};
use crate::ids::{AreaId, AreaNo, IdGen, RunId, SourceId};
use crate::lease::{Leases, id_floor};
use crate::ledger::{Ledger, Proof};
use crate::limits::Limits;
use crate::net::Http;
use crate::plans::Plans;
use crate::port::{FeedSpec, Service, Services};
use crate::react::Fresh;
use crate::react::queue::Queue;
use crate::schedule::due::{Due, Slot};
use crate::store::{self, Db, StoreError};
use crate::vault::{self, KeyRing, Provider, Vault, VaultConfig};

/// Notes that a slow listener may lag behind before it misses some.
const STREAM: usize = 1_024;
/// Wakes that wait to be heard.
const WAKES: usize = 16_384;

/// What a node is made of.
#[derive(Clone)]
pub struct Parts {
    /// The database, migrated.
    pub db: Db,
    /// Every service, in order.
    pub services: Services,
    /// The one clock.
    pub clock: Clock,
    /// The keys.
    pub ring: KeyRing,
    /// The HTTP client.
    pub http: Http,
    /// The limits.
    pub limits: Limits,
    /// Who issues tokens.
    pub providers: Vec<Provider>,
    /// What the operator set of the vault.
    pub vault: VaultConfig,
    /// This node's name among the nodes.
    pub name: String,
    /// Where other nodes reach it.
    pub url: Option<String>,
    /// How long it is alive after a heartbeat.
    pub lease: Duration,
}

/// A node. It works as long as it is not stopped.
pub struct Engine {
    /// The database.
    pub db: Db,
    /// Every service, in order.
    pub services: Services,
    /// The one clock.
    pub clock: Clock,
    /// The keys.
    pub ring: KeyRing,
    /// The HTTP client.
    pub http: Http,
    /// The limits.
    pub limits: Limits,
    /// Makes ids.
    pub ids: Arc<IdGen>,
    /// Where facts are written.
    pub ledger: Ledger,
    /// What we own.
    pub leases: Arc<Leases>,
    providers: Arc<[Provider]>,
    /// Hands out the tokens of accounts.
    pub vault: Vault,
    /// AREAs ready to run.
    pub plans: Plans,
    /// Somebody must be written to: `store::letters` has something new.
    pub letters: Notify,
    /// The embedded database's mark of what others wrote, from before this node read anything.
    as_it_was: Option<i64>,
    feeds: Vec<(&'static Service, &'static FeedSpec)>,
    due: Mutex<Due>,
    due_changed: Notify,
    /// When the schedule's loop looks next: who is due before that has to say so.
    looks_at: AtomicI64,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) queue_changed: Notify,
    pub(crate) fresh: Mutex<HashMap<RunId, Fresh>>,
    /// Waiting runs whose every call is recorded, with the epoch at which that was so.
    pub(crate) recorded: Mutex<HashMap<RunId, i64>>,
    pub(crate) failing: Mutex<HashMap<AreaNo, (i64, Option<Micros>)>>,
    /// Cursors that moved without items: written with the next event, at hand-over, or hourly.
    pub(crate) dirty: Mutex<HashMap<SourceId, (i64, Value)>>,
    /// Sources with AREAs whose baseline is open.
    joining: Mutex<HashSet<SourceId>>,
    /// Partitions whose open runs are queued, with the epoch since which they are: before that nothing new is decided there.
    loaded: Mutex<HashMap<i64, i64>>,
    standing: Mutex<HashMap<SourceId, Standing>>,
    gaps: Mutex<HashMap<SourceId, Gap>>,
    stream: broadcast::Sender<Note>,
    wakes: mpsc::Sender<Wake>,
    polls: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    loops: TaskTracker,
    /// Everything ends at once.
    halted: CancellationToken,
    writer: tokio::task::AbortHandle,
    /// What each running run listens to for its end.
    pub(crate) going: Mutex<HashMap<RunId, CancellationToken>>,
    /// What sources answered last, for `why`: of as many as plans are cached. Beyond them, of those that somebody asks about.
    answers: Mutex<HashMap<SourceId, Arc<str>>>,
    /// Polls of each feed, by its number.
    pub(crate) polled: Vec<metrics::Counter>,
    pub(crate) hook_targets: moka::sync::Cache<AreaId, (SourceId, i64)>,
    pub(crate) deciding: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("node", &self.leases.node()).finish_non_exhaustive()
    }
}

/// Something that happened to a run, for whoever listens.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Note {
    /// Whose AREA it is; never shown to anybody else.
    #[serde(skip)]
    pub user: crate::ids::UserId,
    /// The AREA.
    pub area: crate::ids::AreaId,
    /// The AREA's name.
    pub area_name: String,
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: chrono::DateTime<chrono::Utc>,
}

/// A lock that a panicking thread left is taken over: what it guards is changed in single steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Puts a node together and makes it known; it owns nothing until `run`.
    pub async fn new(parts: Parts) -> Result<(Arc<Self>, Wakes), StoreError> {
        // Before anything is read: what another process writes from now on is looked for.
        let as_it_was = outside::data_version(&parts.db).await.ok();
        let floor = id_floor(&parts.db).await?;
        let leases = Leases::arrive(parts.db.clone(), parts.clock.clone(), parts.name, parts.url, parts.lease).await?;
        let leases = Arc::new(leases);
        let providers = parts.providers.clone().into();
        let vault = Vault::new(vault::Parts {
            db: parts.db.clone(),
            ring: parts.ring.clone(),
            http: parts.http.clone(),
            clock: parts.clock.clone(),
            providers: parts.providers,
            config: parts.vault,
            leases: Some(Arc::clone(&leases)),
        });
        let paused = store::pauses::standing(&parts.db, parts.clock.micros()).await?;
        vault.usage().learn(paused, parts.clock.now());
        let ids = Arc::new(IdGen::new(parts.clock.clone(), leases.node(), floor));
        let (ledger, writer) = Ledger::start(parts.db.clone());
        let (wakes, heard) = mpsc::channel(WAKES);
        let plans = Plans::new(parts.db.clone(), parts.services, parts.ring.clone(), parts.limits.plans_cached);
        let engine = Self {
            letters: Notify::new(),
            feeds: feeds(parts.services),
            due: Mutex::default(),
            due_changed: Notify::new(),
            looks_at: AtomicI64::new(0),
            queue: Mutex::new(Queue::new(parts.limits.runs_per_user)),
            queue_changed: Notify::new(),
            fresh: Mutex::default(),
            recorded: Mutex::default(),
            failing: Mutex::default(),
            dirty: Mutex::default(),
            joining: Mutex::default(),
            loaded: Mutex::default(),
            standing: Mutex::default(),
            gaps: Mutex::default(),
            stream: broadcast::channel(STREAM).0,
            wakes,
            polls: Arc::new(Semaphore::new(parts.limits.polls_at_once)),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            loops: TaskTracker::new(),
            halted: CancellationToken::new(),
            writer: writer.abort_handle(),
            going: Mutex::default(),
            answers: Mutex::default(),
            polled: feeds(parts.services)
                .iter()
                .map(|(s, _)| metrics::counter!("area_polls_total", "service" => s.name))
                .collect(),
            hook_targets: moka::sync::Cache::new(parts.limits.plans_cached),
            deciding: tokio::sync::Mutex::default(),
            db: parts.db,
            services: parts.services,
            clock: parts.clock,
            ring: parts.ring,
            http: parts.http,
            limits: parts.limits,
            ids,
            ledger,
            leases,
            providers,
            vault,
            plans,
            as_it_was,
        };
        Ok((Arc::new(engine), Wakes(heard)))
    }

    /// Sets every loop going. They end by `stop`.
    pub fn run(self: &Arc<Self>, wakes: Wakes) {
        self.turn(lease::keep(Arc::clone(self)));
        self.turn(wake::hear(Arc::clone(self), wakes.0));
        if matches!(self.db, Db::Postgres(_)) {
            self.turn(wake::listen(Arc::clone(self)));
        } else {
            self.turn(outside::look(Arc::clone(self)));
        }
        self.turn(timing::poll_who_is_due(Arc::clone(self)));
        self.turn(crate::react::serve(Arc::clone(self)));
        self.turn(housekeeping::keep_house(Arc::clone(self)));
        self.turn(crate::accounts::keep(Arc::clone(self)));
        self.turn(pauses::keep(Arc::clone(self)));
    }

    fn turn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.loops.spawn(self.halted.clone().run_until_cancelled_owned(work));
    }

    /// Ends when the node is told to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Work that `stop` waits for.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.halted.clone().run_until_cancelled_owned(crate::turns::taken(work)));
    }

    /// Drains: no new polls and runs; what is in flight finishes, or ends unfinished after `within` and is the next owner's;
    /// cursors are written; the partitions are let go.
    pub async fn stop(&self, within: Duration) {
        self.stop.cancel();
        self.loops.close();
        self.loops.wait().await;
        self.tasks.close();
        // A token that a provider has handed out must still be stored.
        let finished = async { tokio::join!(self.tasks.wait(), self.vault.settle()) };
        let drained = tokio::select! {
            drained = tokio::time::timeout(within, finished) => drained.map(drop),
            () = lease::stay(self) => Ok(()),
        };
        if drained.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "not everything in flight finished in time; it is handed back");
        }
        self.halted.cancel();
        self.vault.halt();
        pauses::tell(self).await;
        let held = self.leases.held();
        self.write_cursors(&held).await;
        crate::crash::point("node.before_leave");
        if let Err(error) = self.leases.leave().await {
            tracing::warn!(%error, "could not let go of the partitions; they run out by themselves");
        }
    }

    /// Ends everything at once, as a loss of power would: nothing is finished, nothing written, nothing let go.
    pub fn halt(&self) {
        self.stop.cancel();
        self.halted.cancel();
        self.vault.halt();
        self.writer.abort();
    }

    /// What happens to runs from now on.
    pub fn notes(&self) -> broadcast::Receiver<Note> {
        self.stream.subscribe()
    }

    /// Tells whoever listens. Nobody may.
    pub(crate) fn tell(&self, note: impl FnOnce() -> Note) {
        if self.stream.receiver_count() > 0 {
            let _ = self.stream.send(note());
        }
    }

    pub(crate) fn due(&self) -> MutexGuard<'_, Due> {
        lock(&self.due)
    }

    /// Where AREAs are written.
    pub fn desk(&self) -> Desk {
        Desk {
            db: self.db.clone(),
            services: self.services,
            ring: self.ring.clone(),
            http: self.http.clone(),
            providers: Arc::clone(&self.providers),
            clock: self.clock.clone(),
            ids: Arc::clone(&self.ids),
        }
    }

    /// Tells the owners what changed. Call it after the commit.
    pub async fn changed(&self, changed: &crate::store::areas::Changed) {
        for touched in &changed.sources {
            self.wake(Wake::Source { part: touched.part, source: touched.source }).await;
        }
    }

    /// The proof to decide for a partition with: it is ours, and what was open there when we took it over is queued, so that nothing
    /// new goes before it.
    pub(crate) fn decides(&self, part: i64) -> Option<Proof> {
        let proof = self.leases.proof(part)?;
        (lock(&self.loaded).get(&part) == Some(&proof.epoch)).then_some(proof)
    }

    pub(crate) fn is_joining(&self, source: SourceId) -> bool {
        lock(&self.joining).contains(&source)
    }

    /// A baseline is complete: who joined is joined from now on.
    pub(crate) async fn joined(&self, source: SourceId) {
        self.plans.forget(source);
        // First forgotten, then looked up: an AREA that comes in between is remembered either way.
        lock(&self.joining).remove(&source);
        if self.plans.is_joining(source).await {
            lock(&self.joining).insert(source);
        }
    }

    /// What a source answered last; where that is not known, it is from its next poll on.
    pub fn answer_of(&self, source: SourceId) -> Option<Arc<str>> {
        let mut answers = lock(&self.answers);
        if let Some(known) = answers.get(&source) {
            return Some(Arc::clone(known)).filter(|known| !known.is_empty());
        }
        if answers.len() as u64 >= self.limits.plans_cached
            && let Some(other) = answers.keys().next().copied()
        {
            answers.remove(&other);
        }
        answers.insert(source, Arc::default());
        None
    }

    /// What the schedule knows of a source that this node owns, and when it is due next.
    pub fn schedule_of(&self, source: SourceId) -> Option<(Slot, Option<Micros>)> {
        self.due().look(source)
    }

    pub(crate) fn answered(&self, source: SourceId, answer: String) {
        let mut answers = lock(&self.answers);
        let room = (answers.len() as u64) < self.limits.plans_cached;
        match answers.get_mut(&source) {
            Some(known) if **known == *answer => {}
            Some(known) => *known = answer.into(),
            None if room => drop(answers.insert(source, answer.into())),
            None => {}
        }
    }

    pub(crate) fn poll_finished(&self) {
        let next = self.due().next();
        if next.is_some_and(|next| next < self.looks_at.load(Ordering::Relaxed)) {
            self.due_changed.notify_one();
        }
    }

    /// The feed of that name, with its service and its number in the catalogue.
    pub fn feed(&self, service: &str, feed: &str) -> Option<(u16, &'static Service, &'static FeedSpec)> {
        let at = self.feeds.iter().position(|(s, f)| s.name == service && f.name == feed)?;
        let (service, spec) = self.feeds[at];
        Some((u16::try_from(at).unwrap_or(u16::MAX), service, spec))
    }
}

/// What was sent to a node before it runs.
#[derive(Debug)]
pub struct Wakes(mpsc::Receiver<Wake>);

/// Every feed once, in the catalogue's order.
fn feeds(services: Services) -> Vec<(&'static Service, &'static FeedSpec)> {
    let mut feeds: Vec<(&'static Service, &'static FeedSpec)> = Vec::new();
    for service in services {
        for action in service.actions {
            if !feeds.iter().any(|(s, f)| s.name == service.name && f.name == action.feed.name) {
                feeds.push((service, action.feed));
            }
        }
    }
    feeds
}
