//! `http.*`: a list of objects, or anything else that an address answers. Credentials are in a header and in the query.

use serde_json::{Value, json};

use super::{Case, Gives, SECRET, Thing, json_bytes};
use crate::server::Reply;

pub static NEW_ITEM: Case = Case {
    action: "http.new_item",
    data: |base| with(base, json!({ "items": "/orders", "key": "/id" })),
    serve,
    gives: Gives::List,
};

pub static CHANGED: Case =
    Case { action: "http.changed", data: |base| with(base, json!({ "watch": "/orders" })), serve, gives: Gives::Value };

pub static DOWN: Case =
    Case { action: "http.down", data: |base| with(base, json!({ "timeout": "300ms" })), serve, gives: Gives::Health };

pub static UP: Case =
    Case { action: "http.up", data: |base| with(base, json!({ "timeout": "300ms" })), serve, gives: Gives::Health };

fn with(base: &str, mut data: Value) -> Value {
    data["url"] = json!(format!("{base}/orders?key={SECRET}"));
    data["headers"] = json!({ "authorization": format!("Bearer {SECRET}") });
    data
}

fn serve(things: &[Thing]) -> Reply {
    let orders: Vec<Value> =
        things.iter().rev().map(|thing| json!({ "id": thing.id, "at": thing.at, "text": thing.text })).collect();
    Reply::ok("application/json", json_bytes(&json!({ "orders": orders })))
}
