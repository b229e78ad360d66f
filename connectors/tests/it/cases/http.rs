//! `http.new_item`.

use serde_json::json;

use super::{Case, SECRET, json_bytes};
use crate::server::Reply;

pub static NEW_ITEM: Case = Case {
    action: "http.new_item",
    data: |base| {
        json!({
            "url": format!("{base}/items?key={SECRET}"), "items": "/items", "key": "/id",
            "headers": {"Authorization": format!("Bearer {SECRET}")},
        })
    },
    serve: |things| {
        let items: Vec<_> = things.iter().rev().map(|t| json!({"id": t.id, "at": t.at, "text": t.text})).collect();
        Reply::ok("application/json", json_bytes(&json!({ "items": items })))
    },
};
