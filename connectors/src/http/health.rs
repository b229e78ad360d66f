//! The feed `health`: an address that goes down and comes up again. `down` and `up` are two selections on it, so an AREA of
//! each on one address costs one poll.
//!
//! Down is what fails `failures` times in a row: no connection, no answer in time, or a status that is not `ok`. An address
//! that is down already when the first AREA joins is told once it has failed that often; one that is up is not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::duration::Span;
use engine::fault::Fault;
use engine::net::{Call, Cause, Trust, parse_url};
use engine::port::{Cadence, FeedKind, FeedSpec, Invalid, Item, Page, PollCx, Verdict};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::target::{Headers, Statuses, check_url};

/// The longest that a check may wait.
const LONGEST: Duration = Duration::from_secs(60);

/// An address, and what counts as down.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The address to ask, for example `https://example.com/health`.
    #[schemars(length(min = 1, max = 8192), extend("x-guard" = true))]
    url: String,
    /// How to ask.
    #[serde(default)]
    method: Look,
    /// Headers to send, by name: credentials, `accept`.
    #[serde(default)]
    headers: Headers,
    /// Checks in a row that must fail before it counts as down.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    failures: u32,
    /// How long to wait for the answer, at most `60s`.
    #[serde(default = "ten_seconds")]
    timeout: Span,
    /// The statuses that count as up, alone (`401`) or by class (`"2xx"`).
    #[serde(default = "fine")]
    ok: Statuses,
}

fn two() -> u32 {
    2
}

fn ten_seconds() -> Span {
    Span::from_secs(10)
}

fn fine() -> Statuses {
    Statuses::classes(2..=3)
}

/// How to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
enum Look {
    /// The whole answer.
    #[default]
    Get,
    /// The head of the answer alone.
    Head,
}

pub static FEED: FeedSpec = FeedSpec {
    name: "health",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(poll(cx)),
    },
};

pub fn feed_params(data: &Value) -> Value {
    Health::deserialize(data).map_or_else(|_| data.clone(), |params| json!(params))
}

pub fn check(data: &Value) -> Vec<Invalid> {
    let params = match Health::deserialize(data) {
        Ok(params) => params,
        Err(e) => return vec![Invalid::new("", e.to_string())],
    };
    let mut wrong: Vec<_> = check_url(&params.url).into_iter().collect();
    wrong.extend(params.headers.check());
    if params.timeout.is_zero() || params.timeout.duration() > LONGEST {
        wrong.push(Invalid::new("/timeout", "is more than nothing and at most `60s`"));
    }
    wrong
}

/// Takes the items whose state is `wanted`.
pub fn select(item: &Value, wanted: &str) -> Verdict {
    match item["state"].as_str() {
        Some(state) if state == wanted => Verdict::Take,
        state => Verdict::Leave(format!("it went {}, not {wanted}", state.unwrap_or("elsewhere"))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Unknown,
    Up,
    Down,
}

/// What is remembered between checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    state: State,
    /// Checks in a row that failed.
    fails: u32,
    /// While it fails: since when.
    since: DateTime<Utc>,
}

async fn poll(cx: PollCx<'_>) -> Result<Page, Fault> {
    let params = Health::deserialize(cx.params).map_err(|e| Fault::rejected(format!("http.health: {e}")))?;
    let cursor = cx.cursor.map(Cursor::deserialize).transpose();
    let cursor = cursor.map_err(|_| Fault::resync("the cursor cannot be read"))?;
    let look = look(&params, &cx).await?;
    Ok(decide(&params, cursor, look, cx.now))
}

/// One look: the status, or why there is none.
struct Sight {
    status: Option<u16>,
    trouble: Option<String>,
}

async fn look(params: &Health, cx: &PollCx<'_>) -> Result<Sight, Fault> {
    let method = match params.method {
        Look::Get => Method::GET,
        Look::Head => Method::HEAD,
    };
    let call = params.headers.put(Call::new(method, parse_url(&params.url).map_err(Fault::rejected)?))?;
    let call = call.timeout(params.timeout.duration().min(LONGEST));
    match cx.http.probe(Trust::User, call, cx.now).await {
        Ok(answer) => {
            let trouble = (!params.ok.has(answer.status)).then(|| format!("it answered {}", answer.status));
            Ok(Sight { status: Some(answer.status.as_u16()), trouble })
        }
        Err(failure) => match failure.cause {
            Cause::Connect | Cause::Broken => Ok(Sight { status: None, trouble: Some(failure.fault.why().to_owned()) }),
            // It is there, and talkative.
            Cause::TooLarge => Ok(Sight { status: None, trouble: None }),
            Cause::Refused | Cause::Held => Err(failure.fault),
        },
    }
}

/// Pure: what a look means after what was known.
fn decide(params: &Health, cursor: Option<Cursor>, look: Sight, now: DateTime<Utc>) -> Page {
    let known = cursor.unwrap_or(Cursor { state: State::Unknown, fails: 0, since: now });
    let (after, why) = match look.trouble {
        None if known.state == State::Up && known.fails == 0 => (known, "it answers".to_owned()),
        None => (Cursor { state: State::Up, fails: 0, since: now }, "it answers".to_owned()),
        Some(why) => {
            let fails = known.fails.saturating_add(1);
            let since = if known.fails == 0 { now } else { known.since };
            let down = known.state == State::Down || (cursor.is_some() && fails >= params.failures);
            // A count beyond the threshold tells nothing new, and would move the cursor at every look.
            let fails = if known.state == State::Down { known.fails } else { fails };
            (Cursor { state: if down { State::Down } else { known.state }, fails, since }, why)
        }
    };
    let told = match (known.state, after.state) {
        (State::Unknown | State::Up, State::Down) => Some("down"),
        (State::Down, State::Up) => Some("up"),
        _ => None,
    };
    let answer = look.status.map_or_else(|| engine::net::printable(&why, 100), |status| status.to_string());
    let item = told.map(|state| Item {
        key: format!("{state}@{}", now.timestamp_micros()),
        at: Some(now),
        body: json!({
            "state": state, "url": params.url, "at": now, "since": if state == "down" { after.since } else { known.since },
            "status": look.status, "why": why,
        }),
    });
    let moved = cursor != Some(after);
    Page { items: item.into_iter().collect(), cursor: moved.then(|| json!(after)), answer, ..Page::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(failures: u32) -> Health {
        Health::deserialize(&json!({"url": "http://a.example/", "failures": failures})).unwrap()
    }

    fn at(second: u32) -> DateTime<Utc> {
        format!("2026-11-06T08:49:{second:02}Z").parse().unwrap()
    }

    /// Looks once a second: `+` answers, `-` does not; `want` has what was told at which second.
    #[track_caller]
    fn check(failures: u32, looks: &str, want: &[(u32, &str, u32)]) {
        let (mut cursor, mut told) = (None, Vec::new());
        for (second, look) in (0..).zip(looks.chars()) {
            let trouble = (look == '-').then(|| "no".to_owned());
            let page = decide(&params(failures), cursor, Sight { status: None, trouble }, at(second));
            cursor = page.cursor.map(|c| Cursor::deserialize(c).unwrap()).or(cursor);
            told.extend(page.items.into_iter().map(|item| (second, item.body)));
        }
        let told: Vec<_> =
            told.iter().map(|(second, body)| (*second, body["state"].as_str().unwrap(), &body["since"])).collect();
        let want: Vec<_> = want.iter().map(|&(second, state, since)| (second, state, json!(at(since)))).collect();
        assert_eq!(told, want.iter().map(|(second, state, since)| (*second, *state, since)).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_down_after_so_many_failures_in_a_row_and_up_at_the_first_answer() {
        check(2, "++--+", &[(3, "down", 2), (4, "up", 2)]);
        check(1, "+-+-", &[(1, "down", 1), (2, "up", 1), (3, "down", 3)]);
        check(3, "+--+--+", &[]);
        check(2, "+-----", &[(2, "down", 1)]);
    }

    #[test]
    fn what_is_down_at_the_start_is_told_but_not_at_the_baseline() {
        check(1, "--", &[(1, "down", 0)]);
        check(2, "-+", &[]);
        check(2, "---+", &[(1, "down", 0), (3, "up", 0)]);
        check(2, "+", &[]);
    }

    #[test]
    fn nothing_is_written_while_nothing_changes() {
        let down = Cursor { state: State::Down, fails: 2, since: at(0) };
        let up = Cursor { state: State::Up, fails: 0, since: at(0) };
        let quiet = |cursor, trouble: Option<&str>| {
            let look = Sight { status: None, trouble: trouble.map(str::to_owned) };
            decide(&params(2), Some(cursor), look, at(9)).cursor
        };
        assert_eq!(quiet(down, Some("no")), None);
        assert_eq!(quiet(up, None), None);
        assert!(quiet(up, Some("no")).is_some());
    }
}
