//! `/v1/auth/export`: everything that is a person's own, as one document, written as it is read: page by page, whatever its size.
//! Secrets are no part of it. A database that fails on the way cuts the answer off, so that no half is taken for the whole.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::history;
use engine::ids::{AreaId, AreaNo, EventId, UserId};
use engine::limits::LIST_MAX;
use engine::store::areas::{self, Filter};
use engine::store::{audit, profile, sessions, tokens};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{events, runs};
use crate::rest::auth::Known;
use crate::rest::problem::Problem;
use crate::rest::{App, view};

/// Pieces that are written ahead of a slow reader.
const AHEAD: usize = 4;

/// Gives everything that is yours as one JSON document: profile, pictures, sessions, tokens, linked accounts, AREAs, runs, events,
/// and what the audit log says of you. Without secrets.
#[utoipa::path(get, path = "/v1/auth/export", tag = "Your account", operation_id = "export",
    responses((status = 200, description = "The document", content_type = "application/json")))]
pub async fn export(State(app): State<Arc<App>>, Known(caller): Known) -> Result<Response, Problem> {
    let (pieces, read) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut writer = Writer { app: &app, user: caller.user, pieces: pieces.clone() };
        if let Err(error) = writer.write().await {
            tracing::warn!(?error, "an export was cut off");
            let _ = pieces.send(Err(std::io::Error::other("cut off"))).await;
        }
    });
    let pieces = stream::unfold(read, |mut read| async move { read.recv().await.map(|piece| (piece, read)) });
    let name = "attachment; filename=\"area-export.json\"";
    Ok(([(CONTENT_TYPE, "application/json"), (CONTENT_DISPOSITION, name)], Body::from_stream(pieces)).into_response())
}

struct Writer<'a> {
    app: &'a App,
    user: UserId,
    pieces: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

impl Writer<'_> {
    async fn write(&mut self) -> Result<(), Problem> {
        let (db, now) = (&self.app.desk.db, self.app.desk.clock.now());
        let person = profile::get(db, self.user).await?.ok_or_else(|| Problem::no("account"))?;
        self.put(format!("{{\"profile\":{}", json!(person))).await?;
        self.avatars().await?;
        self.list("sessions", sessions::list(db, self.user, now).await?.iter().map(|s| json!(s))).await?;
        self.list("tokens", tokens::list(db, self.user).await?.iter().map(|t| json!(t))).await?;
        let accounts = engine::store::accounts::of(db, self.user).await?;
        self.list("accounts", accounts.iter().map(|account| json!(account))).await?;
        let areas = self.areas().await?;
        self.runs(&areas).await?;
        self.events().await?;
        self.audit().await?;
        self.put("}\n".to_owned()).await
    }

    async fn avatars(&mut self) -> Result<(), Problem> {
        let db = &self.app.desk.db;
        self.begin("avatars").await?;
        for (i, avatar) in profile::avatars(db, self.user).await?.iter().enumerate() {
            let mut shown = json!(avatar);
            let picture = profile::picture(db, self.user, avatar.id).await?;
            shown["base64"] = json!(picture.map(|picture| STANDARD.encode(picture.body)));
            self.item(i == 0, &shown).await?;
        }
        self.end().await
    }

    async fn areas(&mut self) -> Result<Vec<AreaId>, Problem> {
        let (mut ids, mut before): (Vec<AreaId>, Option<AreaNo>) = (Vec::new(), None);
        self.begin("areas").await?;
        loop {
            let rows = areas::list(&self.app.desk.db, self.user, before, LIST_MAX, &Filter::default()).await?;
            let Some(last) = rows.last() else { break };
            before = Some(last.no);
            for (row, shown) in rows.iter().zip(view::areas(self.app, &rows).await?) {
                self.item(ids.is_empty(), &shown).await?;
                ids.push(row.id);
            }
        }
        self.end().await?;
        Ok(ids)
    }

    async fn runs(&mut self, areas: &[AreaId]) -> Result<(), Problem> {
        let mut first = true;
        self.begin("runs").await?;
        for area in areas {
            let mut before = None;
            loop {
                let rows = history::runs(&self.app.desk.db, self.user, *area, before, None, LIST_MAX).await?;
                let Some(last) = rows.last() else { break };
                before = Some((last.event_id, last.replay));
                for row in &rows {
                    self.item(first, &runs::shown(row)).await?;
                    first = false;
                }
            }
        }
        self.end().await
    }

    async fn events(&mut self) -> Result<(), Problem> {
        let (mut first, mut before): (bool, Option<EventId>) = (true, None);
        self.begin("events").await?;
        loop {
            let rows = history::events(&self.app.desk.db, self.user, before, LIST_MAX).await?;
            let Some(last) = rows.last() else { break };
            before = Some(last.id);
            for row in &rows {
                self.item(first, &events::shown(row, None)).await?;
                first = false;
            }
        }
        self.end().await
    }

    async fn audit(&mut self) -> Result<(), Problem> {
        let filter = audit::Filter { user: Some(self.user), action: None };
        let (mut first, mut before) = (true, None);
        self.begin("audit").await?;
        loop {
            let rows = audit::list(&self.app.desk.db, before, LIST_MAX, &filter).await?;
            let Some(last) = rows.last() else { break };
            before = Some(last.id);
            for row in &rows {
                let mut shown = json!(row);
                shown["at"] = view::time(row.at);
                self.item(first, &shown).await?;
                first = false;
            }
        }
        self.end().await
    }

    async fn list(&mut self, name: &str, items: impl Iterator<Item = Value>) -> Result<(), Problem> {
        self.begin(name).await?;
        for (i, item) in items.enumerate() {
            self.item(i == 0, &item).await?;
        }
        self.end().await
    }

    async fn begin(&mut self, name: &str) -> Result<(), Problem> {
        self.put(format!(",\n\"{name}\":[")).await
    }

    async fn item(&mut self, first: bool, item: &Value) -> Result<(), Problem> {
        self.put(format!("{}{item}", if first { "\n" } else { ",\n" })).await
    }

    async fn end(&mut self) -> Result<(), Problem> {
        self.put("]".to_owned()).await
    }

    async fn put(&mut self, text: String) -> Result<(), Problem> {
        self.pieces.send(Ok(text.into())).await.map_err(|_| Problem::internal("whoever asked for an export went away"))
    }
}
