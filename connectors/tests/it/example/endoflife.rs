//! The service `endoflife`: which version lines a product has, as endoflife.date lists them. Needs no account.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{NaiveDate, NaiveTime};
use engine::fault::Fault;
use engine::net::{Call, Trust};
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Item, Page, PollCx, Service, Verdict, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The whole service: what the catalogue shows.
pub static ENDOFLIFE: Service = Service {
    name: "endoflife",
    title: "endoflife.date",
    description: "Watches the version lines of a product.",
    provider: None,
    options: &[],
    actions: &[&NEW_CYCLE],
    reactions: &[],
};

/// `data` of the action: the schema, the form and the docs come from these comments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewCycle {
    /// The product's name on endoflife.date: `python`, `postgresql`.
    #[schemars(regex(pattern = "^[a-z0-9.-]+$"))]
    product: String,
    /// Only version lines whose name begins so: `3.`.
    #[serde(default)]
    begins: String,
    /// Where the API is, if not at endoflife.date.
    #[serde(default = "public")]
    #[schemars(extend("x-guard" = true))]
    base: String,
}

fn public() -> String {
    "https://endoflife.date".into()
}

/// The action.
pub static NEW_CYCLE: ActionSpec = ActionSpec {
    name: "new_cycle",
    title: "A new version line",
    description: "A product gets a version line that it did not have.",
    params: params::<NewCycle>,
    sample_params: r#"{"product": "python", "begins": "3."}"#,
    sample_event: r#"{"cycle": "3.15", "latest": "3.15.0", "releaseDate": "2026-10-01"}"#,
    scopes: &[],
    about: About::NONE,
    feed: &CYCLES,
    // What is fetched: AREAs that agree on this share one poll. `begins` is no part of it, it selects.
    feed_params: |data| json!({ "product": data["product"], "base": data.get("base").unwrap_or(&json!(public())) }),
    select,
    view: None,
    check: |_| Vec::new(),
};

fn select(data: &Value, item: &Value, _previous: Option<&Value>) -> Verdict {
    let begins = NewCycle::deserialize(data).map(|params| params.begins).unwrap_or_default();
    let cycle = item["cycle"].as_str().unwrap_or_default();
    match cycle.starts_with(&begins) {
        true => Verdict::Take,
        false => Verdict::Leave(format!("cycle is `{cycle}`, which does not begin with `{begins}`")),
    }
}

static CYCLES: FeedSpec = FeedSpec {
    name: "cycles",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(60),
        default: Duration::from_secs(3600),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

/// One entry of the answer; what else it holds goes into the event untouched.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cycle {
    cycle: String,
    release_date: Option<NaiveDate>,
    #[serde(flatten)]
    more: serde_json::Map<String, Value>,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let params = NewCycle::deserialize(cx.params).map_err(|e| Fault::rejected(e.to_string()))?;
    let call = Call::get(&format!("{}/api/{}.json", params.base, params.product))?;
    let answer = cx.http.send(Trust::User, call, cx.now).await?;
    if let Some(fault) = answer.fault(cx.now) {
        return Err(fault);
    }
    let cycles = Vec::<Cycle>::deserialize(answer.json()?)
        .map_err(|e| Fault::later(format!("endoflife.date answered with another shape: {e}")))?;
    // The list is in no order that could be trusted, so the cursor is what the last whole answer held.
    let names: BTreeSet<&str> = cycles.iter().map(|cycle| cycle.cycle.as_str()).collect();
    let known = |cycle: &Cycle| cx.cursor.is_some_and(|seen| seen[&cycle.cycle] == true);
    Ok(Page {
        items: cycles.iter().rev().filter(|cycle| !known(cycle)).map(item).collect(),
        // An empty answer is more likely a mishap than the end of every version.
        cursor: (cx.cursor.is_none() || !names.is_empty()).then(|| names.iter().map(|name| (*name, true)).collect()),
        answer: answer.status.to_string(),
        ..Page::default()
    })
}

fn item(cycle: &Cycle) -> Item {
    Item {
        key: cycle.cycle.clone(),
        body: json!(cycle),
        at: cycle.release_date.map(|day| day.and_time(NaiveTime::MIN).and_utc()),
    }
}
