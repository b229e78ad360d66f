//! `/v1/runs/stream`: what happens to your runs, as it happens (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use engine::node::Note;
use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;

use crate::rest::App;
use crate::rest::auth::Known;
use crate::rest::problem::Problem;

/// A comment is sent so often, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A stream ends after this time, and its reader, who comes back, is asked again who they are: nobody goes on reading for long whose
/// session ended.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Streams what happens to your runs on this node. An event `run` carries the run; an event `missed` says how many a slow reader
/// missed. It ends after 15 minutes: ask again, as every `EventSource` does by itself.
#[utoipa::path(get, path = "/v1/runs/stream", tag = "Runs", operation_id = "streamRuns",
    responses((status = 200, description = "text/event-stream", content_type = "text/event-stream")))]
pub async fn stream(
    State(app): State<Arc<App>>,
    Known(caller): Known,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let notes = app.engine.notes();
    let own = stream::unfold((notes, caller.user), |(mut notes, user)| async move {
        loop {
            match notes.recv().await {
                Ok(note) if note.user == user => return Some((Ok(event(&note)), (notes, user))),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    let event = Event::default().event("missed").data(missed.to_string());
                    return Some((Ok(event), (notes, user)));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let own = own.take_until(Box::pin(tokio::time::sleep(LONGEST)));
    Ok(Sse::new(own).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn event(note: &Note) -> Event {
    let data = serde_json::to_string(note).unwrap_or_default();
    Event::default().event("run").id(note.run.to_string()).data(data)
}
