//! What every polled feed must do, by its case. Each check gives back what is wrong, so that a connector that is wrong on purpose
//! can show that the check sees it.

use std::time::Duration;

use chrono::TimeDelta;
use engine::fault::Fault;
use engine::port::ActionSpec;
use serde_json::Value;

use crate::cases::{self, Case, SECRET, Thing};
use crate::driver::{Log, Polled, Source};
use crate::server::{Reply, Server};

type Checked = Result<(), String>;

struct Bench {
    server: Server,
    source: Source,
    serve: fn(&[Thing]) -> Reply,
}

impl Bench {
    async fn new(case: &Case, action: &'static ActionSpec) -> Self {
        let server = Server::start().await;
        let source = Source::new(action, &(case.data)(&server.base));
        Self { server, source, serve: case.serve }
    }

    /// Serves these things and polls once.
    async fn poll(&mut self, things: &[Thing]) -> Result<Polled, String> {
        self.server.reply((self.serve)(things));
        self.source.poll().await.map_err(|fault| format!("a good answer is a fault: {fault:?}"))
    }

    /// The same; so many items must be new.
    async fn expect(&mut self, what: &str, things: &[Thing], new: usize) -> Result<Polled, String> {
        let polled = self.poll(things).await.map_err(|e| format!("{what}: {e}"))?;
        match polled.new.len() == new {
            true => Ok(polled),
            false => Err(format!("{what}: {} new instead of {new}: {:?}", polled.new.len(), polled.new)),
        }
    }
}

fn thing(id: u32, at: i64) -> Thing {
    Thing { id, at, text: format!("thing {id}") }
}

fn things(ids: impl IntoIterator<Item = u32>) -> Vec<Thing> {
    ids.into_iter().map(|id| thing(id, i64::from(id) * 60)).collect()
}

/// The suite: every check, each with a fresh source.
async fn suite(case: &Case, action: &'static ActionSpec) -> Checked {
    recognises(Bench::new(case, action).await).await?;
    endures_disorder(Bench::new(case, action).await).await?;
    starts_from_nothing(Bench::new(case, action).await).await?;
    takes_strange_text(Bench::new(case, action).await).await?;
    faults(case, action).await
}

/// Two fetches give no key twice; what is new comes once.
async fn recognises(mut bench: Bench) -> Checked {
    let first = bench.expect("baseline", &things(1..=3), 3).await?;
    if bench.source.cursor.is_none() {
        return Err("the baseline gives no cursor".into());
    }
    if first.items.iter().any(|item| item.key.is_empty() || !item.body.is_object()) {
        return Err(format!("an item without a key, or whose event is no object: {:?}", first.items));
    }
    let again = bench.expect("the same again", &things(1..=3), 0).await?;
    if !again.items.is_empty() {
        return Err(format!("the same again: the cursor alone does not know {:?}", again.items));
    }
    let new = bench.expect("one more", &things(1..=4), 1).await?;
    if new.items.len() != 1 {
        return Err(format!("one more: {} items came", new.items.len()));
    }
    bench.expect("two more", &things(1..=6), 2).await?;
    bench.expect("nothing more", &things(1..=6), 0).await.map(drop)
}

/// Vanished, late, reordered, equal-time items; an empty answer keeps the cursor.
async fn endures_disorder(mut bench: Bench) -> Checked {
    bench.expect("baseline", &things([1, 2, 5]), 3).await?;
    bench.expect("vanished", &things([1, 5]), 0).await?;
    bench.expect("back again", &things([1, 2, 5]), 0).await?;
    bench.expect("late, and older than others", &things([1, 2, 3, 5]), 1).await?;
    bench.expect("reordered", &things([5, 3, 1, 2]), 0).await?;
    let mut twins = things([1, 2, 3, 5]);
    twins.extend([thing(8, 600), thing(9, 600)]);
    bench.expect("two of the same time", &twins, 2).await?;
    let mut third = twins.clone();
    third.push(thing(10, 600));
    bench.expect("a third of that time, a poll later", &third, 1).await?;
    bench.server.reply((bench.serve)(&[third.clone(), vec![thing(11, 660), thing(11, 660)]].concat()));
    match bench.source.poll().await {
        Ok(polled) if polled.new.len() == 1 => {}
        // An answer that contradicts itself may be refused, as long as that loses nothing.
        Err(Fault::Later { .. }) => {
            let once = [third.clone(), vec![thing(11, 660)]].concat();
            bench.expect("what came twice, once", &once, 1).await?;
        }
        other => return Err(format!("a thing twice in one answer: {other:?}")),
    }
    bench.expect("an empty answer", &[], 0).await?;
    third.extend([thing(11, 660), thing(12, 720)]);
    let after = bench.expect("after the empty answer", &third, 1).await?;
    match after.items.len() {
        1 => Ok(()),
        n => Err(format!("after the empty answer the cursor no longer knows what it knew: {n} items came")),
    }
}

/// A source that was empty at its baseline fires for its first item.
async fn starts_from_nothing(mut bench: Bench) -> Checked {
    bench.expect("an empty baseline", &[], 0).await?;
    if bench.source.cursor.is_none() {
        return Err("an empty baseline gives no cursor: its first item would be taken for old".into());
    }
    bench.expect("the first", &things([1]), 1).await.map(drop)
}

/// U+0000, broken UTF-8 and long text are items like others.
async fn takes_strange_text(mut bench: Bench) -> Checked {
    bench.expect("baseline", &things([1]), 1).await?;
    let strange = ["a\u{0}b", "a\u{e000}b", "\u{202e}<b>&amp;\"'\\", "日本🦀"];
    let mut all = things([1]);
    for (i, text) in (2..).zip(strange) {
        all.push(Thing { id: i, at: i64::from(i), text: text.to_owned() });
    }
    let polled = bench.expect("strange text", &all, strange.len()).await?;
    let body = |item: &engine::port::Item| serde_json::to_string(&item.body).is_ok_and(|text| text.len() > 2);
    if !polled.new.iter().all(body) {
        return Err("strange text: an event is lost".into());
    }
    bench.expect("strange text again", &all, 0).await.map(drop)
}

/// What a fault should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Later,
    /// `Later`, no sooner than in two minutes.
    In120,
    /// `Rejected`, or `Reconnect` where there is an account.
    Refused,
}

fn table(good: &Reply) -> Vec<(&'static str, Reply, Kind)> {
    vec![
        ("401", Reply::status(401), Kind::Refused),
        ("403", Reply::status(403), Kind::Refused),
        ("404", Reply::status(404), Kind::Refused),
        ("410", Reply::status(410), Kind::Refused),
        ("429", Reply::status(429), Kind::Later),
        ("429 with Retry-After", Reply::status(429).with("retry-after", "120"), Kind::In120),
        ("500", Reply::status(500), Kind::Later),
        ("503 with Retry-After", Reply::status(503).with("retry-after", "120"), Kind::In120),
        ("truncated", Reply::Truncated(good.body().to_vec()), Kind::Later),
        ("huge", Reply::Huge, Kind::Refused),
        ("slow", Reply::Silent, Kind::Later),
        ("no HTTP", Reply::Noise, Kind::Later),
        ("a page in place of the data", Reply::ok("text/html", "<!doctype html><title>Sign in</title>"), Kind::Later),
        ("half the data, as if it were whole", half(good), Kind::Later),
        ("bytes", Reply::ok("application/octet-stream", [0u8, 159, 146, 150, 255]), Kind::Later),
        ("nothing at all", Reply::ok("application/json", ""), Kind::Later),
    ]
}

fn half(good: &Reply) -> Reply {
    let Reply::Whole { status, headers, body } = good.clone() else { return good.clone() };
    Reply::Whole { status, headers, body: body[..body.len() / 2].to_vec() }
}

/// Every failure is a fault of the right kind, shows no credential, and leaves the source whole.
async fn faults(case: &Case, action: &'static ActionSpec) -> Checked {
    let log = Log::listen();
    let good = (case.serve)(&things(1..=3));
    for (what, reply, kind) in table(&good) {
        // A fresh source each: what one failure teaches about the host must not colour the next.
        let mut bench = Bench::new(case, action).await;
        bench.expect("baseline", &things(1..=3), 3).await?;
        let cursor = bench.source.cursor.clone();
        bench.server.reply(reply);
        let now = bench.source.now;
        let answer = tokio::time::timeout(Duration::from_secs(20), bench.source.poll()).await;
        let fault = match answer.map_err(|_| format!("{what}: no end"))? {
            Err(fault) => fault,
            Ok(polled) => return Err(format!("{what}: taken for good: {polled:?}")),
        };
        let right = match (&fault, kind) {
            (Fault::Later { not_before, .. }, Kind::In120) => *not_before == Some(now + TimeDelta::seconds(120)),
            (Fault::Later { .. }, Kind::Later) | (Fault::Rejected { .. } | Fault::Reconnect { .. }, Kind::Refused) => {
                true
            }
            _ => false,
        };
        if !right {
            return Err(format!("{what}: should be {kind:?}: {fault:?}"));
        }
        if fault.why().is_empty() || fault.why().contains('\n') || format!("{fault:?} {fault}").contains(SECRET) {
            return Err(format!("{what}: the reason is empty, several lines or shows a credential: {fault:?}"));
        }
        if bench.source.cursor != cursor {
            return Err(format!("{what}: the cursor moved"));
        }
        bench.expect(&format!("after {what}"), &things(1..=4), 1).await?;
    }
    match log.text().contains(SECRET) {
        true => Err(format!("a credential is in the log: {}", log.text())),
        false => Ok(()),
    }
}

#[test]
fn every_polled_feed_has_a_case_and_every_case_a_feed() {
    let known = |path: &str| cases::ALL.iter().any(|case| case.action == path);
    for (path, _) in cases::wanted() {
        let excused = cases::WITHOUT.iter().any(|(name, reason)| *name == path && !reason.is_empty());
        assert!(
            known(&path) != excused,
            "`{path}` needs one entry: a `Case` in tests/it/cases, or a reason in WITHOUT"
        );
    }
    for case in cases::ALL {
        case.spec();
    }
    for (name, _) in cases::WITHOUT {
        assert!(cases::wanted().iter().any(|(path, _)| path == name), "no polled action `{name}`");
    }
}

#[test]
fn the_data_of_every_case_follows_its_schema() {
    for case in cases::ALL {
        let (data, spec) = ((case.data)("http://127.0.0.1:8080"), case.spec());
        let validator = jsonschema::validator_for(&(spec.params)()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&data).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", case.action);
        assert_eq!((spec.check)(&data), [], "{}", case.action);
    }
}

#[tokio::test]
async fn every_feed_holds() {
    for case in cases::ALL {
        suite(case, case.spec()).await.unwrap_or_else(|wrong| panic!("{}: {wrong}", case.action));
    }
}

#[tokio::test]
async fn every_feed_sends_its_credential_to_its_server_alone_and_to_it_surely() {
    for case in cases::ALL {
        let mut bench = Bench::new(case, case.spec()).await;
        if !(case.data)(&bench.server.base).to_string().contains(SECRET) {
            continue;
        }
        bench.poll(&things([1])).await.unwrap();
        let requests = bench.server.requests();
        assert!(requests.iter().any(|head| head.contains(SECRET)), "{}: {requests:?}", case.action);

        let other = Server::start().await;
        bench.server.reply(Reply::status(302).with("location", &format!("{}/elsewhere", other.base)));
        let _ = bench.source.poll().await;
        assert!(!other.requests().iter().any(|head| head.contains(SECRET)), "{}: {:?}", case.action, other.requests());
    }
}

#[tokio::test]
async fn a_timer_needs_no_server() {
    for service in connectors::all().iter().filter(|s| s.name == "timer") {
        for action in service.actions {
            let data: Value = serde_json::from_str(action.sample_params).unwrap();
            let mut source = Source::new(action, &data);
            let baseline = source.poll().await.unwrap();
            assert!(baseline.items.is_empty() && source.cursor.is_some(), "{}", action.name);
        }
    }
}

#[tokio::test]
async fn the_suite_sees_what_is_wrong() {
    use crate::example::wrong;
    for (action, expected) in wrong::ALL {
        let found = suite(&crate::example::CASE, action).await;
        let found = found.expect_err(&format!("nothing is wrong with {}", action.title));
        assert!(found.contains(expected), "{}: {found}", action.title);
    }
}
