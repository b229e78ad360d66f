//! Connectors that are wrong on purpose: what the suite would let through, it would let through in a real one.

use std::time::Duration;

use engine::fault::Fault;
use engine::net::{Call, Trust};
use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Item, Page, PollCx, Verdict};
use serde_json::{Value, json};

/// Each with what the suite says of it.
pub static ALL: &[(&ActionSpec, &str)] = &[
    (&POSITIONS, "one more: 4 new"),
    (&WATERMARK, "late, and older than others: 0 new"),
    (&FORGETFUL, "the cursor alone does not know"),
    (&EAGER, "the cursor no longer knows what it knew"),
    (&BASELESS, "the baseline gives no cursor"),
    (&DEAF, "401: taken for good"),
    (&CURIOUS, "it asked what is used all the same"),
    (&CARELESS, "two more, spared"),
    (&IMPATIENT, "429 with Retry-After: should be In120"),
];

macro_rules! wrong {
    ($id:ident, $title:literal, $flaw:literal, $poll:expr) => {
        static $id: ActionSpec = ActionSpec {
            name: "wrong",
            title: $title,
            description: "",
            params: || json!({}),
            sample_params: "{}",
            sample_event: "{}",
            scopes: &[],
            about: About::NONE,
            feed: {
                static FEED: FeedSpec = FeedSpec {
                    name: "wrong",
                    kind: FeedKind::Polled {
                        floor: Duration::ZERO,
                        default: Duration::ZERO,
                        cadence: Cadence::Interval,
                        poll: |cx| Box::pin(async move { $poll(&cx, ask(&cx).await?) }),
                    },
                };
                &FEED
            },
            feed_params: |data| {
                let mut params = data.clone();
                params[$flaw] = json!(true);
                params
            },
            select: |_, _, _| Verdict::Take,
            view: None,
            check: |_| Vec::new(),
        };
    };
}

/// What is right with all of them.
async fn ask(cx: &PollCx<'_>) -> Result<Vec<Value>, Fault> {
    let url = format!("{}/api/python.json", cx.params["base"].as_str().unwrap());
    let answer = cx.http.send(Trust::User, Call::get(&url)?, cx.now).await?;
    match answer.fault(cx.now) {
        Some(Fault::Rejected { .. }) if cx.params["deaf"] == true => Ok(Vec::new()),
        Some(Fault::Later { why, .. }) if cx.params["impatient"] == true => Err(Fault::later(why)),
        Some(fault) => Err(fault),
        None => {
            let mut cycles: Vec<Value> =
                serde_json::from_value(answer.json()?).map_err(|e| Fault::later(e.to_string()))?;
            if cx.params["curious"] == true {
                cx.wants_large().await;
            }
            let known = cx.cursor.and_then(Value::as_object).map_or(0, |known| known.len());
            if cx.params["careless"] == true && cycles.len() > known && !cx.wants_large().await {
                cycles.iter_mut().for_each(|cycle| cycle["latest"] = Value::Null);
            }
            Ok(cycles)
        }
    }
}

fn page(cx: &PollCx<'_>, cycles: &[Value], cursor: bool) -> Page {
    let known = |key: &str| cx.cursor.is_some_and(|seen| seen[key] == true);
    let item = |cycle: &Value| Item { key: cycle["cycle"].as_str().unwrap().into(), body: cycle.clone(), at: None };
    Page {
        items: cycles.iter().map(item).filter(|item| !known(&item.key)).collect(),
        cursor: cursor.then(|| cycles.iter().map(|c| (c["cycle"].as_str().unwrap(), true)).collect()),
        ..Page::default()
    }
}

fn cursor_unless_empty(cx: &PollCx<'_>, cycles: &[Value]) -> bool {
    cx.cursor.is_none() || !cycles.is_empty()
}

wrong!(POSITIONS, "keys are positions", "page", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    // It counts what it ever saw: the same thing has another key in every poll in which the list is longer.
    let known = cx.cursor.map_or(0, |cursor| cursor["count"].as_u64().unwrap());
    let total = cycles.len() as u64;
    let fresh = if total == known { 0 } else { cycles.len() };
    let items = cycles.into_iter().take(fresh).enumerate();
    let items = items.map(|(i, body)| Item { key: format!("{}", known + i as u64), body, at: None }).collect();
    Ok::<Page, Fault>(Page { items, cursor: Some(json!({ "count": total })), ..Page::default() })
});

wrong!(WATERMARK, "a strict watermark", "page", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    let number = |cycle: &Value| cycle["cycle"].as_str().unwrap()[1..].parse::<u64>().unwrap();
    let mark = cx.cursor.map_or(0, |cursor| cursor["mark"].as_u64().unwrap());
    let top = cycles.iter().map(number).max().unwrap_or(mark).max(mark);
    let fresh: Vec<Value> = cycles.into_iter().filter(|cycle| number(cycle) > mark).collect();
    Ok::<Page, Fault>(Page { cursor: Some(json!({ "mark": top })), ..page(cx, &fresh, false) })
});

wrong!(FORGETFUL, "nothing is remembered", "page", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    let all = PollCx { cursor: None, ..*cx };
    Ok::<Page, Fault>(Page { cursor: Some(json!({})), ..page(&all, &cycles, false) })
});

wrong!(EAGER, "an empty answer is believed", "page", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    Ok::<Page, Fault>(page(cx, &cycles, true))
});

wrong!(BASELESS, "no cursor", "page", |cx: &PollCx<'_>, cycles: Vec<Value>| Ok::<Page, Fault>(page(
    cx, &cycles, false
)));

wrong!(DEAF, "a refusal is an empty list", "deaf", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    Ok::<Page, Fault>(page(cx, &cycles, cursor_unless_empty(cx, &cycles)))
});

wrong!(IMPATIENT, "Retry-After is not read", "impatient", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    Ok::<Page, Fault>(page(cx, &cycles, cursor_unless_empty(cx, &cycles)))
});

wrong!(CURIOUS, "it always asks what is used", "curious", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    Ok::<Page, Fault>(page(cx, &cycles, cursor_unless_empty(cx, &cycles)))
});

wrong!(CARELESS, "it leaves out what it does not call large", "careless", |cx: &PollCx<'_>, cycles: Vec<Value>| {
    Ok::<Page, Fault>(page(cx, &cycles, cursor_unless_empty(cx, &cycles)))
});
