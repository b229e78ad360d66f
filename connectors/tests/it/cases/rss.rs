//! `rss.new_entry`.

use chrono::DateTime;
use serde_json::json;

use super::{Case, SECRET, broken};
use crate::server::Reply;

pub static NEW_ENTRY: Case = Case {
    action: "rss.new_entry",
    data: |base| json!({"url": format!("{base}/feed.xml?key={SECRET}")}),
    serve: |things| {
        let item = |t: &super::Thing| {
            let at = DateTime::from_timestamp(1_800_000_000 + t.at, 0).expect("a time").to_rfc2822();
            let text = t.text.replace('&', "&amp;").replace('<', "&lt;");
            format!("<item><guid>{}</guid><pubDate>{at}</pubDate><title>{text}</title></item>", t.id)
        };
        let items: String = things.iter().rev().map(item).collect();
        let feed = format!("<rss version=\"2.0\"><channel><title>Things</title>{items}</channel></rss>");
        Reply::ok("application/rss+xml", broken(&feed))
    },
};
