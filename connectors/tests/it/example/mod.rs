//! The connector that `README.md` shows, held to the suite like any other, and its wrong sisters, each of which the suite must see.

mod endoflife;
pub mod wrong;

use chrono::{DateTime, TimeDelta};
use serde_json::json;

pub use endoflife::ENDOFLIFE;

use crate::cases::{Case, Gives, Thing, json_bytes};
use crate::server::Reply;

/// How it is served.
pub static CASE: Case = Case {
    // `service.action`
    action: "endoflife.new_cycle",
    // Its `data`, for a server at this address.
    data: |base| json!({ "product": "python", "base": base }),
    // The answer that lists these things, and what the feed makes of it.
    serve,
    gives: Gives::List,
};

fn serve(things: &[Thing]) -> Reply {
    let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let cycles: Vec<_> = things
        .iter()
        .map(|thing| {
            let day = (start + TimeDelta::seconds(thing.at)).date_naive();
            json!({ "cycle": format!("v{}", thing.id), "releaseDate": day, "latest": thing.text })
        })
        .collect();
    Reply::ok("application/json", json_bytes(&json!(cycles)))
}
