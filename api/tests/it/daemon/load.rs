//! What produces: a list and a feed that grow, senders of webhooks, somebody who edits. And the truth about what was produced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::feeder::Www;
use super::sender::Sender;
use super::world::{Api, World};

/// Between two items of the list.
const LIST_EVERY: Duration = Duration::from_millis(40);
/// Between two entries of the feed.
const FEED_EVERY: Duration = Duration::from_millis(160);
/// Between two edits.
const EDIT_EVERY: Duration = Duration::from_millis(150);
/// Senders of webhooks, each with one under way.
const SENDERS: u64 = 3;
/// Between two webhooks of one sender.
const HOOK_EVERY: Duration = Duration::from_millis(30);
/// Items that the list and the feed show: more than come while a daemon is away.
const SHOWN: u64 = 1_500;
/// How long a webhook may take to be accepted: daemons come back.
const ACCEPTED: Duration = Duration::from_secs(90);

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub list: u64,
    pub feed: u64,
    pub hooks: u64,
}

impl Counts {
    /// Items produced.
    pub fn all(&self) -> u64 {
        self.list + self.feed + self.hooks
    }
}

/// What was produced so far. Clones share it.
#[derive(Clone, Default)]
pub struct Produced(Arc<Truth>);

#[derive(Default)]
struct Truth {
    list: AtomicU64,
    feed: AtomicU64,
    /// Accepted ones.
    hooks: Mutex<BTreeSet<u64>>,
    next_hook: AtomicU64,
    /// The last edit that the API confirmed.
    edit: AtomicU64,
}

impl Produced {
    /// How many there are.
    pub fn counts(&self) -> Counts {
        let hooks = self.0.hooks.lock().unwrap().len() as u64;
        Counts { list: self.0.list.load(Ordering::SeqCst), feed: self.0.feed.load(Ordering::SeqCst), hooks }
    }

    /// The paths that must be called for them.
    pub fn reactions(&self) -> BTreeSet<String> {
        let counts = self.counts();
        let list = (1..=counts.list).map(|n| format!("list/{}", key(n)));
        let feed = (1..=counts.feed).map(|n| format!("feed/{}", key(n)));
        let hooks: Vec<u64> = self.0.hooks.lock().unwrap().iter().copied().collect();
        let hooks = hooks.into_iter().flat_map(|n| {
            [
                format!("hook/{n}"),
                format!("part/{n}-a"),
                format!("part/{n}-b"),
                format!("then/{n}"),
                format!("chain/{n}"),
            ]
        });
        list.chain(feed).chain(hooks).collect()
    }

    /// The last edit that was confirmed.
    pub fn edit(&self) -> u64 {
        self.0.edit.load(Ordering::SeqCst)
    }

    /// Puts list and feed where nginx serves them. What they show before anything is produced is old to everybody.
    pub fn publish(&self, www: &Www) {
        let counts = self.counts();
        www.put("items.json", &list(counts.list));
        www.put("feed.xml", &feed(counts.feed));
    }

    /// One more item in the list.
    pub fn grow_list(&self, www: &Www) {
        let n = self.0.list.load(Ordering::SeqCst) + 1;
        www.put("items.json", &list(n));
        self.0.list.store(n, Ordering::SeqCst);
    }

    /// One more entry in the feed.
    pub fn grow_feed(&self, www: &Www) {
        let n = self.0.feed.load(Ordering::SeqCst) + 1;
        www.put("feed.xml", &feed(n));
        self.0.feed.store(n, Ordering::SeqCst);
    }

    /// Sends the next webhook until it is accepted.
    pub async fn send(&self, sender: &Sender) {
        let n = self.0.next_hook.fetch_add(1, Ordering::SeqCst) + 1;
        let body = json!({ "n": n, "parts": ["a", "b"], "text": "é\u{0}\"\\ 1e2", "big": "x".repeat(500) });
        let accepted = sender.send(&format!("msg_{n}"), &body, ACCEPTED).await;
        assert!(accepted, "webhook {n} was never accepted: {:?}", sender.answers());
        self.0.hooks.lock().unwrap().insert(n);
    }

    /// Edits an AREA, whether or not there is somebody to hear it.
    async fn change(&self, api: &Api, path: &str) {
        let n = self.edit() + 1;
        // Its name is in what its reactions send: a run that was born before goes on under the old one.
        let named = json!({ "name": format!("list {n}") });
        if let Ok((status, answer)) = api.try_ask(Method::PATCH, path, Some(&named)).await {
            assert!(status.is_success() || status == 503, "an edit was answered {status}: {answer}");
            if status.is_success() {
                self.0.edit.store(n, Ordering::SeqCst);
            }
        }
    }
}

/// All texts have one length, so that size and second tell nothing about a change.
fn key(n: u64) -> String {
    format!("{n:06}")
}

fn shown(newest: u64) -> impl DoubleEndedIterator<Item = String> {
    (newest.saturating_sub(SHOWN) + 1..=newest).map(key)
}

fn list(newest: u64) -> String {
    let old = std::iter::once(json!({ "id": "old-01", "text": "before" }));
    let items: Vec<_> = old.chain(shown(newest).map(|id| json!({ "text": format!("item {id}"), "id": id }))).collect();
    json!({ "items": items }).to_string()
}

fn feed(newest: u64) -> String {
    let entry = |id: String| {
        format!(
            "<item><guid isPermaLink=\"false\">{id}</guid><title>Entry {id}</title><link>http://a.example/{id}</link></item>"
        )
    };
    let entries: String = shown(newest).rev().chain(std::iter::once("old-01".to_owned())).map(entry).collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title><link>http://a.example/</link>\
         <description>d</description>{entries}</channel></rss>"
    )
}

/// Production under way.
pub struct Load {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Load {
    /// Begins.
    pub fn start(world: &World) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (produced, www) = (world.produced.clone(), world.feeder.www());
        tasks.spawn(again(stop.clone(), LIST_EVERY, async move || produced.grow_list(&www)));
        let (produced, www) = (world.produced.clone(), world.feeder.www());
        tasks.spawn(again(stop.clone(), FEED_EVERY, async move || produced.grow_feed(&www)));
        for _ in 0..SENDERS {
            let (produced, sender) = (world.produced.clone(), world.sender.clone());
            tasks.spawn(again(stop.clone(), HOOK_EVERY, async move || produced.send(&sender).await));
        }
        let (produced, api, path) = (world.produced.clone(), world.api.clone(), world.area("list"));
        tasks.spawn(again(stop.clone(), EDIT_EVERY, async move || produced.change(&api, &path).await));
        Self { stop, tasks }
    }

    /// Ends it; a webhook under way is sent until it is accepted, so a daemon must run.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

async fn again(stop: CancellationToken, every: Duration, mut once: impl AsyncFnMut()) {
    while !stop.is_cancelled() {
        once().await;
        tokio::time::sleep(every).await;
    }
}
