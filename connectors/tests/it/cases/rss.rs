//! `rss.new_entry`: an RSS document.

use chrono::{DateTime, TimeDelta};
use serde_json::json;

use super::{Case, Gives, SECRET, Thing, broken};
use crate::server::Reply;

/// Entries known by their `guid`; a credential is in the query.
pub static NEW_ENTRY: Case = Case {
    action: "rss.new_entry",
    data: |base| json!({ "url": format!("{base}/feed.xml?key={SECRET}") }),
    serve,
    gives: Gives::List,
};

fn serve(things: &[Thing]) -> Reply {
    let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<rss version=\"2.0\"><channel><title>Things</title>");
    for thing in things.iter().rev() {
        let text = thing.text.replace('&', "&amp;").replace('<', "&lt;");
        let date = (start + TimeDelta::seconds(thing.at)).to_rfc2822();
        let id = thing.id;
        xml.push_str(&format!(
            "<item><title>{text}</title><guid isPermaLink=\"false\">id-{id}</guid><pubDate>{date}</pubDate></item>"
        ));
    }
    xml.push_str("</channel></rss>");
    Reply::ok("application/rss+xml", broken(&xml))
}
