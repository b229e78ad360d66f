//! What a feed must make of every failure: a fault of the right kind, that shows no credential and leaves the source whole.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::fault::Fault;
use engine::port::{ActionSpec, Verdict};

use crate::bench::{Bench, Checked, things};
use crate::cases::{Case, SECRET};
use crate::driver::Log;
use crate::server::Reply;

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
    match good.clone() {
        Reply::Whole { status, headers, body } => {
            Reply::Whole { status, headers, body: body[..body.len() / 2].to_vec() }
        }
        Reply::Api(api) => Reply::ok("application/json", &api.main[..api.main.len() / 2]),
        other => other,
    }
}

/// Every failure is a fault of the right kind, shows no credential, and leaves the source whole.
pub async fn faults(case: &Case, action: &'static ActionSpec) -> Checked {
    let log = Log::listen();
    let good = (case.serve)(&things(1..=3));
    for (what, reply, kind) in table(&good) {
        // A fresh source each: what one failure teaches about the host must not colour the next.
        let mut bench = Bench::new(case, action).await;
        bench.expect("baseline", &things(1..=3), case.gives.at_baseline(3)).await?;
        let cursor = bench.source.cursor.clone();
        bench.server.reply(reply);
        let now = bench.source.now;
        let answer = tokio::time::timeout(Duration::from_secs(20), bench.source.poll()).await;
        let fault = match answer.map_err(|_| format!("{what}: no end"))? {
            Err(fault) => fault,
            Ok(polled) => return Err(format!("{what}: taken for good: {polled:?}")),
        };
        judge(&fault, kind, now).map_err(|wrong| format!("{what}: {wrong}: {fault:?}"))?;
        // As the engine would: not before the far side's time has come.
        if let Fault::Later { not_before: Some(at), .. } = fault {
            bench.source.now = bench.source.now.max(at);
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

fn judge(fault: &Fault, kind: Kind, now: DateTime<Utc>) -> Checked {
    let right = match (fault, kind) {
        // It counts from the answer, which came a moment after the poll began.
        (Fault::Later { not_before: Some(at), .. }, Kind::In120) => (120..150).contains(&(*at - now).num_seconds()),
        (Fault::Later { .. }, Kind::Later) => true,
        (Fault::Rejected { .. } | Fault::Reconnect { .. }, Kind::Refused) => true,
        _ => false,
    };
    let why = fault.why();
    match right {
        false => Err(format!("should be {kind:?}")),
        true if why.is_empty() || why.contains('\n') => Err("the reason is no line".into()),
        true if format!("{fault:?} {fault}").contains(SECRET) => Err("a credential is shown".into()),
        true => Ok(()),
    }
}

/// A health check makes events of what is a fault to others: down once, up once, and no credential in either.
pub async fn health(case: &Case, action: &'static ActionSpec) -> Checked {
    let log = Log::listen();
    let data = (case.data)("http://127.0.0.1");
    let good = (case.serve)(&things(1..=3));
    for (what, reply, _) in table(&good) {
        let down = !matches!(reply, Reply::Whole { status: 200, .. } | Reply::Huge);
        let mut bench = Bench::new(case, action).await;
        bench.expect("baseline", &things(1..=3), 0).await?;
        let mut told = Vec::new();
        for reply in [&reply, &reply, &reply, &good, &good] {
            bench.server.reply(reply.clone());
            let polled = bench.source.poll().await.map_err(|fault| format!("{what}: a fault: {fault:?}"))?;
            told.extend(polled.new.into_iter().map(|item| item.body));
        }
        let taken = told.iter().filter(|event| (action.select)(&data, event, None) == Verdict::Take).count();
        if (told.len(), taken) != if down { (2, 1) } else { (0, 0) } {
            return Err(format!("{what}: {taken} of these are taken: {told:?}"));
        }
        if let Some(shown) = told.iter().find(|event| event["why"].to_string().contains(SECRET)) {
            return Err(format!("{what}: a credential is shown: {shown}"));
        }
    }
    match log.text().contains(SECRET) {
        true => Err(format!("a credential is in the log: {}", log.text())),
        false => Ok(()),
    }
}
