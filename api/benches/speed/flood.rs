//! Load on hook URLs. `flood` is a closed loop: so many messages may be under way (sent and not yet delivered), and as many are sent
//! as come out. `pace` is an open loop: so many a second whatever happens, and how long each took from its instant to its delivery.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use crate::wire::Wire;

/// Before what is delivered counts.
const WARM: Duration = Duration::from_secs(1);
/// How long what is under way may still come when the load has ended.
const DRAIN: Duration = Duration::from_secs(10);

/// Where messages go: each path in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    pub port: u16,
    pub paths: Vec<String>,
}

/// A closed loop.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flood {
    pub target: Target,
    pub connections: usize,
    /// Messages under way at most.
    pub window: usize,
    pub seconds: f64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flooded {
    /// Deliveries a second.
    pub rate: f64,
    /// Messages that were accepted and not delivered.
    pub lost: i64,
    /// Messages that were refused.
    pub refused: u64,
}

/// An open loop.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pace {
    pub target: Target,
    pub connections: usize,
    /// Messages a second.
    pub rate: f64,
    pub seconds: f64,
}

/// What came of it, in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Paced {
    pub p50: f64,
    pub p99: f64,
    pub lost: i64,
}

/// What is delivered is told here.
#[derive(Default)]
pub struct Receiver {
    count: AtomicU64,
    round: Mutex<Arc<Round>>,
}

/// One load.
struct Round {
    next: AtomicUsize,
    window: Semaphore,
    refused: AtomicU64,
    stop: AtomicBool,
    /// Open loop: when each message was due.
    due: Mutex<Vec<Instant>>,
    took: Mutex<Vec<Duration>>,
}

impl Default for Round {
    fn default() -> Self {
        Self {
            next: AtomicUsize::new(0),
            window: Semaphore::new(0),
            refused: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            due: Mutex::default(),
            took: Mutex::default(),
        }
    }
}

impl Receiver {
    /// A message was delivered.
    pub fn took(&self, number: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let round = Arc::clone(&lock(&self.round));
        round.window.add_permits(1);
        let due = lock(&round.due).get(number).copied();
        if let Some(due) = due {
            lock(&round.took).push(due.elapsed());
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn begin(&self) -> Arc<Round> {
        let round = Arc::<Round>::default();
        *lock(&self.round) = Arc::clone(&round);
        round
    }

    /// Waits until so many were delivered since `from`; how many are missing in the end.
    async fn drain(&self, from: u64, sent: u64) -> i64 {
        let deadline = Instant::now() + DRAIN;
        while self.count() < from + sent && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (from + sent) as i64 - self.count() as i64
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request(target: &Target, number: usize) -> Vec<u8> {
    let path = &target.paths[number % target.paths.len()];
    let body = format!(
        r#"{{"n":{number},"order":{{"customer":"Ann","total":19.9,"status":"paid","note":"leave it at the door, please"}}}}"#
    );
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn send(wire: &mut Wire, target: &Target, round: &Round, number: usize) {
    wire.stream.write_all(&request(target, number)).await.unwrap();
    let answer = wire.next().await.unwrap().expect("an answer");
    if !wire.head(&answer).starts_with(b"HTTP/1.1 202") {
        if round.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            eprintln!("refused: {}", String::from_utf8_lossy(wire.head(&answer)));
        }
        round.window.add_permits(1);
    }
}

/// Sends as fast as messages are delivered.
pub async fn flood(flood: Flood, receiver: &Receiver) -> Flooded {
    let (from, round) = (receiver.count(), receiver.begin());
    round.window.add_permits(flood.window);
    let target = Arc::new(flood.target);
    let senders: Vec<_> = (0..flood.connections)
        .map(|_| {
            let (round, target) = (Arc::clone(&round), Arc::clone(&target));
            tokio::spawn(async move {
                let mut wire = Wire::connect(target.port).await.unwrap();
                while !round.stop.load(Ordering::Relaxed) {
                    round.window.acquire().await.unwrap().forget();
                    let number = round.next.fetch_add(1, Ordering::Relaxed);
                    send(&mut wire, &target, &round, number).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(WARM).await;
    let (before, began) = (receiver.count(), Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(flood.seconds)).await;
    let rate = (receiver.count() - before) as f64 / began.elapsed().as_secs_f64();
    round.stop.store(true, Ordering::Relaxed);
    round.window.add_permits(flood.connections);
    for sender in senders {
        sender.await.unwrap();
    }
    let refused = round.refused.load(Ordering::Relaxed);
    let sent = round.next.load(Ordering::Relaxed) as u64 - refused;
    Flooded { rate, lost: receiver.drain(from, sent).await, refused }
}

/// Sends so many a second.
pub async fn pace(pace: Pace, receiver: &Receiver) -> Paced {
    let (from, round) = (receiver.count(), receiver.begin());
    let target = Arc::new(pace.target);
    let (queue, waiting) = mpsc::unbounded_channel::<usize>();
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let senders: Vec<_> = (0..pace.connections)
        .map(|_| {
            let (round, target, waiting) = (Arc::clone(&round), Arc::clone(&target), Arc::clone(&waiting));
            tokio::spawn(async move {
                let mut wire = Wire::connect(target.port).await.unwrap();
                loop {
                    let number = waiting.lock().await.recv().await;
                    let Some(number) = number else { return };
                    send(&mut wire, &target, &round, number).await;
                }
            })
        })
        .collect();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut sent) = (Instant::now(), 0);
    while began.elapsed().as_secs_f64() < pace.seconds {
        ticks.tick().await;
        let until = (began.elapsed().as_secs_f64() * pace.rate) as usize;
        for number in sent..until {
            lock(&round.due).push(Instant::now());
            queue.send(number).unwrap();
        }
        sent = until;
    }
    drop(queue);
    for sender in senders {
        sender.await.unwrap();
    }
    let lost = receiver.drain(from, sent as u64 - round.refused.load(Ordering::Relaxed)).await;
    let mut took = std::mem::take(&mut *lock(&round.took));
    took.sort_unstable();
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).map_or(f64::NAN, |t| t.as_secs_f64() * 1000.0);
    Paced { p50: at(0.5), p99: at(0.99), lost }
}
