//! What nodes ask each other: the last poll of a source lives in its owner's memory. Nodes know each other by the keys that they
//! share; a request carries a MAC over the source and the minute, so that nobody else can ask and none can be used for long.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::ids::SourceId;
use engine::net::{Call, Trust};
use engine::node::Engine;
use engine::why::Seen;
use serde_json::Value;
use url::Url;

use crate::rest::App;
use crate::rest::problem::{Kind, Problem};
use crate::rest::query::PathVars;

const HEADER: &str = "area-node";
const PURPOSE: &str = "peer";
/// How long a node waits for another's answer: an explanation without it is better than none.
const PATIENCE: Duration = Duration::from_secs(2);

/// What this node saw of a source, for another node.
pub async fn seen(State(app): State<Arc<App>>, path: PathVars, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let source: SourceId = path.parsed("id", "source")?;
    let mac = headers.get(HEADER).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok()).unwrap_or_default();
    let minute = minute(&app.engine);
    let known = (minute - 1..=minute + 1).any(|m| app.engine.ring.verify_mac(PURPOSE, &asked(source, m), &mac));
    match known {
        true => serde_json::to_value(app.engine.seen(source)).map(Json).map_err(Problem::internal),
        false => Err(Problem::new(Kind::NotFound, "there is nothing at this path: see /docs")),
    }
}

/// What the owner of a source saw of it: this node itself, or the one that has its partition.
pub async fn ask(engine: &Arc<Engine>, source: SourceId) -> Option<Seen> {
    if engine.schedule_of(source).is_some() || engine.is_embedded() {
        return Some(engine.seen(source));
    }
    let owner = engine::lease::url_of_owner(&engine.db, source).await.ok()??;
    let url = Url::parse(&owner).ok()?.join(&format!("/internal/sources/{source}")).ok()?;
    let mac = engine.ring.mac(PURPOSE, &asked(source, minute(engine)));
    let call = Call::new(Method::GET, url).timeout(PATIENCE).header(HEADER, &URL_SAFE_NO_PAD.encode(mac)).ok()?;
    let answer = engine.http.send(Trust::Provider, call, engine.clock.now()).await;
    match answer {
        Ok(answer) if answer.status == 200 => serde_json::from_slice(&answer.body).ok(),
        Ok(answer) => {
            tracing::debug!(status = %answer.status, owner, "the owner of a source did not say what it saw");
            None
        }
        Err(fault) => {
            tracing::debug!(why = fault.why(), owner, "the owner of a source does not answer");
            None
        }
    }
}

fn minute(engine: &Engine) -> i64 {
    engine.clock.micros() / 60_000_000
}

fn asked(source: SourceId, minute: i64) -> Vec<u8> {
    format!("{source}:{minute}").into_bytes()
}
