//! The reactions that reach no provider: the owner's own AREAs, the log, the clock.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::ids::AreaId;
use engine::net::{Http, NetConfig};
use engine::port::{AreaPort, Boxed, ReactCx, Reacted, Started};
use serde_json::{Value, json};

use crate::driver::Log;

const AREA: &str = "019a9f3e-7c1b-7cc2-9d0e-3a1f6f1f7a10";

/// Writes down what it is asked; knows one AREA.
#[derive(Default)]
struct Areas(Mutex<Vec<String>>);

impl Areas {
    fn asked(&self, area: AreaId, what: String) -> Result<(), Fault> {
        if area.to_string() != AREA {
            return Err(Fault::rejected(format!("no AREA {area}")));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        Ok(())
    }
}

impl AreaPort for Areas {
    fn run<'a>(&'a self, area: AreaId, event: &'a Value, key: &'a str) -> Boxed<'a, Result<Started, Fault>> {
        let asked = self.asked(area, format!("run {event} {key}"));
        Box::pin(async move { asked.map(|()| Started { event: "77".into() }) })
    }
    fn pause<'a>(&'a self, area: AreaId) -> Boxed<'a, Result<(), Fault>> {
        let asked = self.asked(area, "pause".into());
        Box::pin(async move { asked })
    }
    fn resume<'a>(&'a self, area: AreaId) -> Boxed<'a, Result<(), Fault>> {
        let asked = self.asked(area, "resume".into());
        Box::pin(async move { asked })
    }
}

fn born() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Calls a reaction 30 s after its run was born; gives its answer and what the AREAs were asked.
async fn react(path: &str, params: Value) -> (Result<Reacted, Fault>, Vec<String>) {
    let (service, name) = path.split_once('.').unwrap();
    let service = connectors::all().iter().find(|s| s.name == service).unwrap();
    let spec = service.reactions.iter().find(|r| r.name == name).unwrap();
    let (areas, http) = (Areas::default(), Http::new(NetConfig::default()).unwrap());
    let now = born() + TimeDelta::seconds(30);
    let cx = ReactCx {
        params: &params,
        key: "k1",
        auth: None,
        http: &http,
        born: born(),
        now,
        repeated: false,
        slept_until: None,
        areas: &areas,
    };
    let answer = (spec.react)(cx).await;
    (answer, areas.0.into_inner().unwrap())
}

#[tokio::test]
async fn an_area_starts_pauses_and_resumes_another() {
    let (answer, asked) = react("area.run", json!({"area": AREA, "event": {"text": "hi"}})).await;
    assert_eq!(
        (answer, asked),
        (Ok(Reacted::Done(json!({"event": "77"}))), vec![r#"run {"text":"hi"} k1"#.to_owned()])
    );
    let (answer, asked) = react("area.run", json!({"area": AREA})).await;
    assert!(answer.is_ok());
    assert_eq!(asked, ["run {} k1"]);
    for name in ["pause", "resume"] {
        let (answer, asked) = react(&format!("area.{name}"), json!({"area": AREA})).await;
        assert_eq!((answer, asked), (Ok(Reacted::Done(json!({"area": AREA}))), vec![name.to_owned()]));
    }
}

#[tokio::test]
async fn an_area_that_is_not_there_is_rejected() {
    let other = AREA.replace("10", "11");
    for path in ["area.run", "area.pause", "area.resume"] {
        for area in [json!(other), json!("x"), json!(7), json!(null)] {
            let (answer, asked) = react(path, json!({ "area": area })).await;
            assert!(matches!(answer, Err(Fault::Rejected { .. })), "{path} {area}: {answer:?}");
            assert_eq!(asked, [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_line_is_written_to_the_log_at_its_level_and_kept_whole_in_the_run() {
    for (level, mark) in [("debug", "DEBUG"), ("info", " INFO"), ("warn", " WARN"), ("error", "ERROR")] {
        let log = Log::listen();
        let text = "first\nsecond \u{1b}[31m";
        let (answer, _) = react("log.write", json!({"text": text, "level": level})).await;
        assert_eq!(answer, Ok(Reacted::Done(json!({ "text": text }))));
        let logged = log.text();
        assert!(logged.contains(&format!("{mark} area::log")), "{logged}");
        assert!(logged.contains(r"first\nsecond \u{1b}[31m") && logged.lines().count() == 1, "{logged}");
    }
    let (answer, _) = react("log.write", json!({"text": 7})).await;
    assert!(matches!(answer, Err(Fault::Rejected { .. })));
}

#[tokio::test]
async fn a_delay_holds_no_task() {
    let (answer, _) = react("timer.delay", json!({"for": "10m"})).await;
    assert_eq!(answer, Ok(Reacted::WakeAt(born() + TimeDelta::seconds(30) + TimeDelta::minutes(10))));
    let (answer, _) = react("timer.delay", json!({"until": "2027-01-15T08:00:30Z"})).await;
    assert_eq!(answer, Ok(Reacted::Done(json!({"until": "2027-01-15T08:00:30Z"}))));
}
