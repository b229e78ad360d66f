//! The action `google.new_mail`. All AREAs of a mailbox share one feed; what they look for is a selection on it, unless only Gmail can
//! judge the query: then it is a search, and a feed of its own (`query`, `mailbox`).

use std::time::Duration;

use engine::port::{About, ActionSpec, Cadence, FeedKind, FeedSpec, Invalid, Verdict, params};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::query::{answers, has_label, has_words, names_place, simple, unbalanced};
use super::{TRIED_EMULATOR, mail, mailbox};
use crate::when::localize;

/// Which mails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// What Gmail's search box takes: `subject:invoice -from:shop`. Terms with `from:`, `to:`, `cc:`, `subject:`, `label:`, `in:`,
    /// `is:`, `category:` and `has:attachment` cost nothing more. With anything else (OR, brackets, words alone, a space behind the colon)
    /// Gmail is asked apart, and what it does not find is not known here, nor told by `why`. All mails where it is left out.
    #[serde(default)]
    #[schemars(length(max = 1000), example = "subject:invoice")]
    query: String,
    /// Only mails with this label, by name or id, at the moment when they come in: `INBOX`, `Work/Invoices`. What is in spam or trash,
    /// or was only sent, comes only where this or the query names that place: `SPAM`, `in:trash`, `in:sent`.
    #[serde(default)]
    #[schemars(extend("x-options" = "label"), example = &"INBOX")]
    label: String,
    /// Only mails whose sender has these words in the name or address: `ann@example.org`, `example.org`.
    #[serde(default)]
    #[schemars(example = "ann@example.org")]
    from: String,
    /// Only mails with attachments, or only those without; both where it is left out.
    #[serde(default)]
    #[schemars(example = true)]
    has_attachment: Option<bool>,
    /// The time zone of the event's local time: `Europe/Paris`.
    #[serde(default = "utc")]
    #[schemars(example = "Europe/Paris")]
    zone: String,
}

pub(super) fn utc() -> String {
    "UTC".to_owned()
}

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "new_mail",
    title: "A mail arrives",
    description: "Fires for each mail that comes into your Gmail mailbox, oldest first.",
    params: params::<Filter>,
    sample_params: r#"{"query": "subject:invoice", "from": "example.org", "has_attachment": true, "zone": "Europe/Paris"}"#,
    sample_event: r#"{
        "id": "18c2f0a1b2c3d4e5", "thread_id": "18c2f0a1b2c3d4e5", "message_id": "invoice-42@shop.example.org",
        "in_reply_to": null, "link": "https://mail.google.com/mail/#all/18c2f0a1b2c3d4e5",
        "subject": "Invoice 42", "from": "Ann Smith <ann@example.org>", "from_name": "Ann Smith",
        "from_address": "ann@example.org", "to": "Bob <bob@example.com>", "to_addresses": ["bob@example.com"],
        "cc": "", "cc_addresses": [], "reply_to": "ann@example.org", "snippet": "Dear Bob, the invoice is attached.",
        "text": "Dear Bob,\nthe invoice is attached.", "html": "<p>Dear Bob,<br>the invoice is attached.</p>",
        "truncated": false, "labels": ["INBOX", "UNREAD", "Work/Invoices"], "label_ids": ["INBOX", "UNREAD", "Label_7"],
        "unread": true, "has_attachment": true, "attachments": [{"name": "invoice.pdf", "type": "application/pdf",
        "size": 48213, "message": "18c2f0a1b2c3d4e5", "part": "1"}], "size": 66012,
        "received_at": "2026-11-06T08:49:37Z", "received_at_local": "2026-11-06T09:49:37+01:00",
        "sent_at": "2026-11-06T08:49:30Z"
    }"#,
    scopes: &["gmail.readonly"],
    about: About {
        cost: "2 units a poll for all AREAs of a mailbox (5 for a query that only Gmail can judge), 20 for each new mail, and for each of its texts that Gmail gives apart",
        tried: TRIED_EMULATOR,
        gives: Some(params::<mail::Mail>),
        large: mail::LARGE,
    },
    feed: &FEED,
    feed_params: |data| {
        let query = data["query"].as_str().map(str::trim).filter(|query| !query.is_empty());
        mailbox::params(query.filter(|query| simple(query).is_none()))
    },
    select: |data, event, _| match select(data, event) {
        Ok(()) => Verdict::Take,
        Err(why) => Verdict::Leave(why),
    },
    view: Some(|data, event| localize(data, event, "received_at")),
    check,
};

static FEED: FeedSpec = FeedSpec {
    name: "mail",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(15),
        default: Duration::from_secs(60),
        cadence: Cadence::Interval,
        poll: |cx| Box::pin(mailbox::poll(cx)),
    },
};

fn select(data: &Value, event: &Value) -> Result<(), String> {
    let filter = Filter::deserialize(data).map_err(|e| e.to_string())?;
    if let Some(terms) = simple(&filter.query) {
        answers(&terms, event)?;
    }
    if !filter.label.is_empty() && !has_label(event, &filter.label) {
        return Err(format!("its labels are {}, without `{}`", event["labels"], filter.label));
    }
    if !filter.from.trim().is_empty() && !has_words(event["from"].as_str().unwrap_or_default(), &filter.from) {
        return Err(format!("from is {}, not `{}`", event["from"], filter.from));
    }
    if filter.has_attachment.is_some_and(|wanted| event["has_attachment"] != wanted) {
        return Err(format!("has_attachment is {}", event["has_attachment"]));
    }
    let is_named = |place: &str| filter.label.trim().eq_ignore_ascii_case(place) || names_place(&filter.query, place);
    match elsewhere(event).filter(|(place, _)| !is_named(place)) {
        Some((_, shown)) => Err(format!("it is in {shown}, which neither `label` nor `query` names")),
        None => Ok(()),
    }
}

/// Where a mail is that did not arrive: as queries name it, and for people.
fn elsewhere(event: &Value) -> Option<(&'static str, &'static str)> {
    let is_in = |label: &str| has_label(event, label);
    match () {
        () if is_in("SPAM") => Some(("spam", "spam")),
        () if is_in("TRASH") => Some(("trash", "the trash")),
        () if is_in("SENT") && !is_in("INBOX") => Some(("sent", "sent mail")),
        () => None,
    }
}

fn check(data: &Value) -> Vec<Invalid> {
    match Filter::deserialize(data) {
        Ok(filter) => {
            let query = unbalanced(&filter.query).map(|why| Invalid::new("/query", why));
            let zone = engine::zone::zone(&filter.zone).err().map(|why| Invalid::new("/zone", why));
            query.into_iter().chain(zone).collect()
        }
        Err(wrong) => vec![Invalid::new("", wrong.to_string())],
    }
}
