//! What every polled feed must do, by its case. Each check gives back what is wrong, so that a connector that is wrong on purpose
//! can show that the check sees it.

use engine::port::ActionSpec;
use serde_json::Value;

use crate::bench::{Bench, Checked, things};
use crate::cases::{self, Case, Gives, SECRET};
use crate::driver::Source;
use crate::faults::{faults, health};
use crate::lists;
use crate::server::{Reply, Server};

/// The suite: every check, each with a fresh source.
async fn suite(case: &Case, action: &'static ActionSpec) -> Checked {
    match case.gives {
        Gives::List => {
            lists::recognises(Bench::new(case, action).await).await?;
            lists::endures_disorder(Bench::new(case, action).await).await?;
            lists::starts_from_nothing(Bench::new(case, action).await).await?;
            lists::takes_strange_text(Bench::new(case, action).await).await?;
            let (whole, spared) = (Bench::new(case, action).await, Bench::new(case, action).await);
            lists::leaves_out_what_is_large(whole, spared, action.about.large).await?;
            faults(case, action).await
        }
        Gives::Value => {
            tells_each_change_once(Bench::new(case, action).await).await?;
            faults(case, action).await
        }
        Gives::Health => health(case, action).await,
    }
}

/// A value that changes: each change is one item with a key of its own, also a change back, also when its commit is lost.
async fn tells_each_change_once(mut bench: Bench) -> Checked {
    bench.expect("baseline", &things(1..=3), 0).await?;
    bench.expect("the same", &things(1..=3), 0).await?;
    let before = bench.source.cursor.clone();
    bench.expect("a change", &things(1..=4), 1).await?;
    bench.source.cursor = before;
    let again = bench.expect("the same change, its commit lost", &things(1..=4), 0).await?;
    if again.items.len() != 1 {
        return Err(format!("the same change, its commit lost: it did not come again: {again:?}"));
    }
    bench.expect("the change back", &things(1..=3), 1).await?;
    bench.expect("the first change again", &things(1..=4), 1).await?;
    bench.expect("the same", &things(1..=4), 0).await.map(drop)
}

#[test]
fn every_polled_feed_has_a_case_and_every_case_a_feed() {
    for (path, _) in cases::wanted() {
        let count = cases::ALL.iter().filter(|case| case.action == path).count();
        assert_eq!(count, 1, "`{path}` needs one entry in tests/it/cases: how to serve it");
    }
    for case in cases::ALL {
        case.spec();
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
        if !(case.data)(&bench.server.base).to_string().contains(SECRET) && !case.has_account() {
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
