//! AREAs change while a poll of theirs is under way: what the poll brings is decided by what they are then.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::place::Place;
use super::world::{World, tell};
use super::{Duration, until};

const SOON: Duration = Duration::from_secs(90);

/// A list that answers when it is let.
#[derive(Clone)]
struct Slow {
    items: Arc<Mutex<Vec<Value>>>,
    asked: Arc<watch::Sender<u64>>,
    held: Arc<watch::Sender<bool>>,
}

impl Slow {
    async fn start() -> (Self, String) {
        let slow = Self {
            items: Arc::default(),
            asked: Arc::new(watch::channel(0).0),
            held: Arc::new(watch::channel(false).0),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/list", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(slow.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (slow, url)
    }

    fn add(&self, id: &str, n: u64) {
        self.items.lock().unwrap().push(json!({ "id": id, "n": n }));
    }

    /// Does `change` while a poll that will bring the item waits for its answer.
    async fn while_polled(&self, id: &str, n: u64, change: impl Future<Output = ()>) {
        self.held.send_replace(true);
        self.add(id, n);
        let mut asked = self.asked.subscribe();
        asked.borrow_and_update();
        tokio::time::timeout(SOON, asked.changed()).await.expect("a poll begins").unwrap();
        change.await;
        self.held.send_replace(false);
    }
}

async fn answer(State(slow): State<Slow>) -> Json<Value> {
    slow.asked.send_modify(|n| *n += 1);
    let _ = slow.held.subscribe().wait_for(|held| !held).await;
    Json(json!({ "items": slow.items.lock().unwrap().clone() }))
}

async fn change_while_polled(place: Place) {
    let Some(mut world) = World::new(place).await else { return };
    let daemon = world.place.start().await;
    let (slow, url) = Slow::start().await;
    // A poll that is held until the change is made must not be one that began before the item was there.
    slow.add("old", 0);
    let data = json!({ "url": url, "items": "/items", "key": "/id" });
    let area = json!({ "name": "slow",
        "action": { "service": "http", "name": "new_item", "data": data, "every": "1s" },
        "when": "event.n > 10",
        "reactions": [tell(&world.receiver.url, "tell", "slow/{{ event.id }}", json!(null))] });
    let mut again = area.clone();
    again["name"] = json!("again");
    world.create(area).await;
    assert!(until(SOON, async || world.joined("slow").await).await, "{}", daemon.tail());
    let (api, path) = (world.api.clone(), world.area("slow"));
    let arrived = |id: &str| world.receiver.requests().iter().any(|r| r.path == format!("slow/{id}"));
    let arrives = async |id: &str| {
        let came = until(SOON, async || arrived(id)).await;
        assert!(came, "{}: `{id}` did not fire\n{}", world.place.label, daemon.tail());
    };
    let patch = async |body: Value| {
        api.ask(Method::PATCH, &path, Some(&body)).await;
    };

    slow.while_polled("wider", 5, patch(json!({ "when": "event.n > 3" }))).await;
    arrives("wider").await;
    slow.while_polled("narrower", 5, patch(json!({ "when": "event.n > 10" }))).await;
    slow.add("seen-1", 50);
    arrives("seen-1").await;
    let pause = format!("{path}/pause");
    slow.while_polled("paused", 50, async { drop(api.ask(Method::POST, &pause, None).await) }).await;
    api.ask(Method::POST, &format!("{path}/resume"), None).await;
    assert!(until(SOON, async || world.joined("slow").await).await);
    slow.add("seen-2", 50);
    arrives("seen-2").await;
    slow.while_polled("deleted", 50, async { drop(api.ask(Method::DELETE, &path, None).await) }).await;
    world.create(again).await;
    let (arrived, world) =
        (|id: &str| world.receiver.requests().iter().any(|r| r.path == format!("slow/{id}")), &world);
    assert!(until(SOON, async || world.joined("again").await).await);
    slow.add("seen-3", 50);
    assert!(until(SOON, async || arrived("seen-3")).await, "{}", daemon.tail());
    for id in ["old", "narrower", "paused", "deleted"] {
        assert!(!arrived(id), "{}: `{id}` fired\n{}", world.place.label, daemon.tail());
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_poll_brings_is_decided_by_the_area_as_it_is_then_with_sqlite() {
    change_while_polled(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_poll_brings_is_decided_by_the_area_as_it_is_then_with_postgres() {
    let Some(place) = Place::postgres().await else { return };
    change_while_polled(place).await;
}
