//! Tasks that take turns: on a thread that has begun a game, a task of the engine goes only when the game says so, until it waits
//! for something that is not the database. Nothing else goes meanwhile, so the order of everything is the game's. A task can be
//! killed where it stands, or at the next passing of a crash point.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Rounds of the runtime without anything new, after which all that could go has gone.
const CALM: u32 = 3;
/// Rounds after which a task that still goes is stuck.
const STUCK: u64 = 50_000_000;

/// Number of a task within its game.
pub type TaskId = u64;

/// A task as the game sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Player {
    /// Its number.
    pub id: TaskId,
    /// Whose it is: tasks belong to the group of the task that spawned them.
    pub group: u32,
    /// What it does.
    pub label: &'static str,
}

struct Task {
    group: u32,
    label: &'static str,
    waker: Option<Waker>,
    ready: bool,
    dead: bool,
}

#[derive(Default)]
struct Game {
    next: TaskId,
    current: Option<TaskId>,
    group: u32,
    tasks: BTreeMap<TaskId, Task>,
    polls: u64,
    crash: Option<(&'static str, u32)>,
    crashed: bool,
    lost: BTreeMap<&'static str, u32>,
    panic: Option<String>,
}

/// What a crash point throws: no panic, nothing is printed.
struct Crash;

thread_local! {
    static GAME: RefCell<Option<Game>> = const { RefCell::new(None) };
}

fn with<T>(body: impl FnOnce(&mut Game) -> T) -> Option<T> {
    GAME.with(|game| game.borrow_mut().as_mut().map(body))
}

/// A game on this thread, until it is dropped.
#[derive(Debug)]
pub struct Turns(());

impl Turns {
    /// Begins a game: what this thread's engines spawn from here on takes turns. The runtime must be a current-thread one.
    pub fn begin() -> Self {
        GAME.with(|game| *game.borrow_mut() = Some(Game::default()));
        Self(())
    }

    /// Adds work of `group`; it goes when it is told to.
    pub fn spawn(&self, group: u32, label: &'static str, work: impl Future<Output = ()> + Send + 'static) -> TaskId {
        with(|game| game.group = group);
        let turn = turn(label, work);
        let id = turn.id.unwrap_or_default();
        tokio::spawn(turn);
        id
    }

    /// The tasks that could go on, the oldest first.
    pub fn ready(&self) -> Vec<Player> {
        let player = |(id, task): (&TaskId, &Task)| Player { id: *id, group: task.group, label: task.label };
        with(|game| game.tasks.iter().filter(|(_, task)| task.ready && !task.dead).map(player).collect())
            .unwrap_or_default()
    }

    /// The tasks that wait for something.
    pub fn waiting(&self) -> Vec<Player> {
        let player = |(id, task): (&TaskId, &Task)| Player { id: *id, group: task.group, label: task.label };
        with(|game| game.tasks.iter().filter(|(_, task)| !task.ready && !task.dead).map(player).collect())
            .unwrap_or_default()
    }

    /// Whether a task has not ended.
    pub fn lives(&self, id: TaskId) -> bool {
        with(|game| game.tasks.contains_key(&id)).unwrap_or(false)
    }

    /// Lets a task go until it waits or ends. `idle` tells whether the database is.
    pub async fn go(&self, id: TaskId, idle: impl Fn() -> bool) {
        let waker = with(|game| {
            game.current = Some(id);
            let task = game.tasks.get_mut(&id)?;
            game.group = task.group;
            task.ready = false;
            task.waker.take()
        });
        waker.flatten().into_iter().for_each(Waker::wake);
        calm(&idle).await;
        with(|game| game.current = None);
        if let Some(panic) = with(|game| game.panic.take()).flatten() {
            panic!("{panic}");
        }
    }

    /// Lets the runtime do what it does by itself (timers fire), without letting any task go.
    pub async fn settle(&self, idle: impl Fn() -> bool) {
        calm(&idle).await;
    }

    /// Every task of a group ends where it stands.
    pub async fn kill(&self, group: u32, idle: impl Fn() -> bool) {
        let wakers = with(|game| {
            let own = game.tasks.values_mut().filter(|task| task.group == group);
            own.filter_map(|task| {
                task.dead = true;
                task.waker.take()
            })
            .collect::<Vec<Waker>>()
        });
        wakers.into_iter().flatten().for_each(Waker::wake);
        calm(&idle).await;
    }

    /// The task that goes dies at the `nth` passing of `point` from now on; `None`: nobody does.
    pub fn crash_at(&self, point: Option<(&'static str, u32)>) {
        with(|game| game.crash = point);
    }

    /// Whether a crash point was met since this was asked last.
    pub fn crashed(&self) -> bool {
        with(|game| std::mem::take(&mut game.crashed)).unwrap_or(false)
    }

    /// The next `times` answers of the database at this place are lost.
    pub fn lose(&self, place: &'static str, times: u32) {
        with(|game| game.lost.insert(place, times));
    }

    /// Whether answers are still to be lost.
    pub fn losing(&self) -> bool {
        with(|game| game.lost.values().any(|left| *left > 0)).unwrap_or(false)
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        GAME.with(|game| *game.borrow_mut() = None);
    }
}

async fn calm(idle: &impl Fn() -> bool) {
    let polls = || with(|game| game.polls).unwrap_or_default();
    let (mut calm, mut rounds) = (0, 0);
    while calm < CALM {
        let before = polls();
        tokio::task::yield_now().await;
        calm = if idle() && polls() == before { calm + 1 } else { 0 };
        rounds += 1;
        assert!(rounds < STUCK, "a task neither ends nor waits");
    }
}

/// The work, which takes its turns if there is a game.
pub(crate) fn taken<F: Future<Output = ()>>(work: F) -> Turn<F> {
    turn(std::any::type_name::<F>(), work)
}

fn turn<F: Future<Output = ()>>(label: &'static str, work: F) -> Turn<F> {
    let id = with(|game| {
        game.next += 1;
        let task = Task { group: game.group, label, waker: None, ready: true, dead: false };
        game.tasks.insert(game.next, task);
        game.next
    });
    Turn { id, work: Some(Box::pin(work)) }
}

/// Work that goes when it is its turn.
pub(crate) struct Turn<F> {
    id: Option<TaskId>,
    work: Option<Pin<Box<F>>>,
}

enum May {
    Go,
    Wait,
    Die,
}

impl<F: Future<Output = ()>> Future for Turn<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let id = self.id;
        let may = id.map_or(May::Go, |id| may(id, cx));
        let Some(work) = self.work.as_mut() else { return Poll::Ready(()) };
        let done = match may {
            May::Go => catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))),
            May::Wait => return Poll::Pending,
            May::Die => Ok(Poll::Ready(())),
        };
        match done {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                self.work = None;
                Poll::Ready(())
            }
            Err(thrown) => {
                self.work = None;
                fell(thrown, id);
                Poll::Ready(())
            }
        }
    }
}

impl<F> Drop for Turn<F> {
    fn drop(&mut self) {
        self.work = None;
        if let Some(id) = self.id {
            with(|game| game.tasks.remove(&id));
        }
    }
}

fn may(id: TaskId, cx: &Context<'_>) -> May {
    let judged = with(|game| {
        game.polls += 1;
        let current = game.current == Some(id);
        let Some(task) = game.tasks.get_mut(&id) else { return May::Die };
        if task.dead {
            return May::Die;
        }
        if current {
            return May::Go;
        }
        task.ready = true;
        task.waker = Some(cx.waker().clone());
        May::Wait
    });
    judged.unwrap_or(May::Go)
}

/// A task threw: by a crash point it dies in silence, else its panic is the game's.
fn fell(thrown: Box<dyn Any + Send>, id: Option<TaskId>) {
    if thrown.is::<Crash>() {
        return;
    }
    if id.is_none() {
        resume_unwind(thrown);
    }
    let said = thrown.downcast_ref::<String>().cloned();
    let said = said.or_else(|| thrown.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    with(|game| game.panic = Some(format!("a task panicked: {}", said.unwrap_or_default())));
}

/// A crash point is passed.
pub(crate) fn passing(point: &str) {
    let dies = with(|game| {
        let (wanted, left) = game.crash.as_mut()?;
        if *wanted != point || game.current.is_none() {
            return None;
        }
        *left = left.saturating_sub(1);
        (*left == 0).then(|| {
            (game.crash, game.crashed) = (None, true);
        })
    });
    if dies.flatten().is_some() {
        resume_unwind(Box::new(Crash));
    }
}

/// Whether the answer of the database at `place` is lost this time.
pub(crate) fn is_lost(place: &str) -> bool {
    let lost = with(|game| {
        let left = game.lost.get_mut(place)?;
        *left = left.checked_sub(1)?;
        Some(())
    });
    lost.flatten().is_some()
}
