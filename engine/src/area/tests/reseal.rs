//! After a rotation everything moves to the new key, wherever it is sealed.

use serde_json::json;

use super::secrets::secretive;
use super::{desk, put};
use crate::area::Plan;
use crate::area::source::open_params;
use crate::ids::AccountId;
use crate::secret::Secret;
use crate::testkit::databases;
use crate::vault::reseal::walk;
use crate::vault::{KeyRing, SealError};
use crate::{on, on_write};

const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    refresh_token, id_token) VALUES ($1, 'oauth', 'acme', $2, $3, $4, $5, NULL)";

#[tokio::test]
async fn every_sealed_column_moves_to_the_new_key_and_opens_without_the_old_one() {
    for t in databases().await {
        let (mut desk, ann) = desk(&t).await;
        let old = desk.ring.clone();
        let row = desk.create(ann, &secretive(), false).await.unwrap().area;
        desk.replace(ann, row.id, &put(secretive(), "/name", json!("Other")), None).await.unwrap();
        let watched =
            put(secretive(), "/action/data", json!({"url": "https://example.com/a", "headers": {"x": "hunter2"}}));
        let watching = desk.create(ann, &watched, false).await;
        let (account, plain) = (AccountId::new(), AccountId::new());
        let place = |column: &str| format!("next_auth_accounts/{account}/{column}");
        let seal = |column: &str| old.seal(&place(column), &Secret::new("CANARY"));
        for (id, access, refresh) in
            [(account, seal("access_token"), seal("refresh_token")), (plain, "a".into(), "r".into())]
        {
            on_write!(&t.db, pool => {
                let link = sqlx::query(LINK).bind(id).bind(id.to_string()).bind(ann).bind(&access).bind(&refresh);
                link.execute(pool).await.map(drop)
            })
            .unwrap();
        }
        let before = walk(&t.db, None).await.unwrap();
        assert_eq!(before.by_key.keys().collect::<Vec<_>>(), [&old.active()], "{}", t.label);
        let values = before.by_key[&old.active()];
        assert!(values >= 8 && watching.is_ok(), "{}: {before:?}", t.label);
        let new = old.rotated().unwrap();
        let walked = walk(&t.db, Some(&new)).await.unwrap();
        assert_eq!(walked.by_key, [(new.active(), values)].into(), "{}", t.label);
        assert!(walked.resealed >= 5 && walked.broken.is_empty(), "{}: {walked:?}", t.label);
        assert_eq!(walk(&t.db, Some(&new)).await.unwrap().resealed, 0, "{}", t.label);
        // A ring that has the new key alone.
        desk.ring = new.without(&old.active());
        let stored = desk.get(ann, row.id).await.unwrap();
        assert!(Plan::compile(&stored, desk.services, &desk.ring).is_ok(), "{}", t.label);
        let sources = "SELECT id, params FROM sources";
        let sources: Vec<(crate::ids::SourceId, String)> =
            on!(&t.db, pool => sqlx::query_as(sources).fetch_all(pool).await).unwrap();
        assert!(sources.iter().all(|(id, params)| open_params(*id, params, &desk.ring).is_ok()), "{}", t.label);
        let tokens = "SELECT refresh_token FROM next_auth_accounts ORDER BY id";
        let tokens: Vec<String> = on!(&t.db, pool => sqlx::query_scalar(tokens).fetch_all(pool).await).unwrap();
        let opened = tokens.iter().map(|text| match KeyRing::is_sealed(text) {
            true => desk.ring.open(&place("refresh_token"), text).unwrap().expose().to_owned(),
            false => text.clone(),
        });
        assert_eq!(opened.collect::<Vec<_>>(), ["CANARY", "r"], "{}", t.label);
    }
}

#[tokio::test]
async fn what_does_not_open_is_named_and_the_rest_moves_on() {
    for t in databases().await {
        let (desk, ann) = desk(&t).await;
        let stranger = KeyRing::generate().unwrap();
        let id = AccountId::new();
        let sealed = stranger.seal(&format!("next_auth_accounts/{id}/access_token"), &Secret::new("x"));
        on_write!(&t.db, pool => {
            sqlx::query(LINK).bind(id).bind("x").bind(ann).bind(&sealed).bind("r").execute(pool).await.map(drop)
        })
        .unwrap();
        desk.create(ann, &secretive(), false).await.unwrap();
        let walked = walk(&t.db, Some(&desk.ring.rotated().unwrap())).await.unwrap();
        let why = SealError::UnknownKey { key: stranger.active() };
        assert_eq!(walked.broken, [(format!("next_auth_accounts {id}"), why)], "{}", t.label);
        assert!(walked.resealed >= 2, "{}", t.label);
    }
}
