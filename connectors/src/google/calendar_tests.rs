//! What the calendar's parts make of what Google answers.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{ActionSpec, FeedKind, Page, PollCx, Verdict};
use serde_json::{Value, json};
use wiremock::matchers::{any, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{create_event, event_starts, new_event};
use crate::seen::Seen;
use crate::testing::{Account, http, now, react_as, serve};

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn event(id: &str, start: Value, more: Value) -> Value {
    let mut event =
        json!({"id": id, "status": "confirmed", "summary": id, "start": start, "end": start, "created": now()});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn list(zone: &str, items: Value, page: Option<&str>, sync: Option<&str>) -> ResponseTemplate {
    ok(json!({"summary": "Ann", "timeZone": zone, "items": items, "nextPageToken": page, "nextSyncToken": sync}))
}

async fn poll(
    spec: &ActionSpec,
    account: &Account,
    cursor: &mut Option<Value>,
    cx: Option<(DateTime<Utc>, Option<DateTime<Utc>>)>,
) -> Result<Page, Fault> {
    let FeedKind::Polled { poll, .. } = spec.feed.kind else { panic!("polled") };
    let (http, params) = (http(), (spec.feed_params)(&json!({})));
    let base = account.poll(&http, &params, cursor.as_ref());
    let (now, since) = cx.unwrap_or((now(), None));
    let page = poll(PollCx { now, since, ..base }).await?;
    *cursor = page.cursor.clone().or(cursor.take());
    Ok(page)
}

fn keys(page: &Page) -> Vec<&str> {
    page.items.iter().map(|item| item.key.as_str()).collect()
}

#[tokio::test]
async fn the_sync_token_is_taken_from_the_last_page_and_what_changes_is_not_new() {
    let (server, mut cursor) = (MockServer::start().await, None);
    let account = Account::at(&server.uri());
    let at = json!({"dateTime": "2026-11-07T09:00:00+01:00"});
    let first = list("Europe/Paris", json!([event("a", at.clone(), json!({}))]), Some("p2"), Some("too early"));
    Mock::given(query_param_is_missing("pageToken"))
        .and(query_param_is_missing("syncToken"))
        .respond_with(first)
        .mount(&server)
        .await;
    let second = list("Europe/Paris", json!([event("b", at.clone(), json!({}))]), None, Some("s1"));
    Mock::given(query_param("pageToken", "p2"))
        .and(query_param_is_missing("syncToken"))
        .respond_with(second)
        .mount(&server)
        .await;
    let page = poll(&new_event::SPEC, &account, &mut cursor, None).await.unwrap();
    assert_eq!((keys(&page), page.more), (vec!["a"], true));
    let page = poll(&new_event::SPEC, &account, &mut cursor, None).await.unwrap();
    assert_eq!((keys(&page), page.more), (vec![], false), "what is old stays old, on whichever page");

    let changed = json!([
        event("b", at.clone(), json!({"summary": "moved"})), event("c", at.clone(), json!({})),
        event("c_20261108T090000Z", at.clone(), json!({"recurringEventId": "c"})), {"id": "gone", "status": "cancelled"},
        event("d", json!({"date": "2026-11-08"}), json!({"recurrence": ["RRULE:FREQ=WEEKLY"], "summary": "\u{202e}🎉 יום"})),
    ]);
    Mock::given(query_param("syncToken", "s1"))
        .respond_with(list("Europe/Paris", changed, None, Some("s2")))
        .mount(&server)
        .await;
    let page = poll(&new_event::SPEC, &account, &mut cursor, None).await.unwrap();
    assert_eq!(keys(&page), ["c", "d"]);
    let day = &page.items[1].body;
    assert_eq!(
        (&day["all_day"], &day["start"], &day["recurring"]),
        (&json!(true), &json!("2026-11-07T23:00:00Z"), &json!(true))
    );
    assert_eq!(cursor.as_ref().unwrap()["sync"], "s2");

    let gone = ResponseTemplate::new(410)
        .set_body_json(json!({"error": {"code": 410, "errors": [{"reason": "fullSyncRequired"}]}}));
    Mock::given(query_param("syncToken", "s2")).respond_with(gone).mount(&server).await;
    assert!(matches!(poll(&new_event::SPEC, &account, &mut cursor, None).await, Err(Fault::Resync { .. })));
    server.reset().await;
    let old = json!({"created": now() - TimeDelta::days(9)});
    let all = json!([event("a", at.clone(), old), event("e", at, json!({}))]);
    Mock::given(any()).respond_with(list("UTC", all, None, Some("s3"))).mount(&server).await;
    let since = Some((now(), Some(now() - TimeDelta::hours(2))));
    let page = poll(&new_event::SPEC, &account, &mut None, since).await.unwrap();
    assert_eq!(keys(&page), ["e"], "of a whole list only what was made since");
    assert!(page.gap.unwrap().contains("could not be told from older ones"));
}

#[tokio::test]
async fn a_series_is_told_once_also_where_only_days_of_it_are_seen_and_not_where_it_was_there() {
    let (server, mut cursor) = (MockServer::start().await, None);
    let account = Account::at(&server.uri());
    let at = json!({"dateTime": "2026-11-07T09:00:00Z"});
    let whole = |id: &str| event(id, at.clone(), json!({"recurrence": ["RRULE:FREQ=WEEKLY"]}));
    let day = |series: &str, n: u8, more: Value| {
        let mut day = event(&format!("{series}_{n}"), at.clone(), json!({ "recurringEventId": series }));
        day.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        day
    };
    let mut told = async |items: Value| {
        serve(&server, list("UTC", items, None, Some("s"))).await;
        let page = poll(&new_event::SPEC, &account, &mut cursor, None).await.unwrap();
        page.items.into_iter().map(|item| (item.key, item.body["id"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    let own = |key: &str, id: &str| (key.to_owned(), id.to_owned());
    let off = json!({"status": "cancelled"});
    assert_eq!(told(json!([whole("ours"), day("lent", 1, json!({}))])).await.len(), 2);
    assert_eq!(
        told(json!([day("ours", 1, json!({})), day("ours", 2, off.clone()), day("lent", 1, json!({}))])).await,
        []
    );
    let days = json!([day("guest", 3, off), day("guest", 1, json!({})), day("guest", 2, json!({}))]);
    assert_eq!(told(days).await, [own("guest", "guest_1")]);
    assert_eq!(told(json!([day("guest", 4, json!({})), whole("guest")])).await, []);
    assert_eq!(told(json!([day("new", 1, json!({})), whole("new")])).await, [own("new", "new")]);
}

#[tokio::test]
async fn of_more_events_than_a_cursor_holds_the_latest_stay_known_and_the_others_are_told_by_their_time() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let mut seen = Seen::default();
    for n in 0..new_event::KNOWN {
        seen.add(&n.to_string());
    }
    let from = now() - TimeDelta::hours(1);
    let mut cursor = Some(json!({"sync": "s", "from": from, "seen": seen.text()}));
    let at = json!({"dateTime": "2026-11-07T09:00:00Z"});
    let made = |id: &str, created: DateTime<Utc>| event(id, at.clone(), json!({ "created": created }));
    let old = from - TimeDelta::days(1);
    for expected in [&["new"][..], &[]] {
        let all = json!([made("old", old), made("new", now()), made("0", old), made("19999", now())]);
        serve(&server, list("UTC", all, None, Some("s"))).await;
        assert_eq!(keys(&poll(&new_event::SPEC, &account, &mut cursor, None).await.unwrap()), expected);
    }
    let seen = Seen::read(cursor.unwrap()["seen"].as_str().unwrap()).unwrap();
    assert_eq!((seen.len(), seen.has("new"), seen.has("1")), (new_event::KNOWN, true, false));
}

#[tokio::test]
async fn no_time_is_too_far_away() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    for day in ["+262142-12-31", "-262143-01-01"] {
        let at = format!("{day}T00:00:00Z");
        let since = Some((now(), Some(at.parse().unwrap())));
        for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
            let more = json!({"created": at, "updated": at, "end": {"dateTime": now()}});
            let whole = event("day", json!({ "date": day }), more.clone());
            serve(
                &server,
                list(zone, json!([whole, event("instant", json!({ "dateTime": at }), more)]), None, Some("s")),
            )
            .await;
            let page = poll(&new_event::SPEC, &account, &mut None, None).await.unwrap();
            assert!(keys(&page).contains(&"instant"), "{day} {zone}");
            poll(&new_event::SPEC, &account, &mut None, since).await.unwrap();
            assert_eq!(poll(&event_starts::SPEC, &account, &mut None, since).await.unwrap().items, []);
        }
    }
}

#[tokio::test]
async fn only_what_is_mapped_is_asked_for_of_a_page() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let many: Vec<Value> = (0..300).map(|n| event(&n.to_string(), json!({"date": "2026-11-07"}), json!({}))).collect();
    for (spec, items, limit) in [(&new_event::SPEC, 250, "1000"), (&event_starts::SPEC, 0, "250")] {
        serve(&server, list("UTC", json!(many), None, Some("s"))).await;
        assert_eq!(poll(spec, &account, &mut None, None).await.unwrap().items.len(), items);
        let asked = server.received_requests().await.unwrap()[0].url.clone();
        let asked: std::collections::BTreeMap<_, _> = asked.query_pairs().collect();
        assert_eq!(asked["maxResults"], limit);
        let fields = &asked["fields"];
        assert!(fields.contains("nextSyncToken,items(id,status,") && !fields.contains(' '), "{fields}");
    }
}

#[tokio::test]
async fn a_page_token_that_is_no_longer_good_begins_anew() {
    let server = MockServer::start().await;
    let bad =
        ResponseTemplate::new(400).set_body_json(json!({"error": {"code": 400, "errors": [{"reason": "invalid"}]}}));
    serve(&server, bad).await;
    let mut cursor = Some(json!({"page": "p", "from": now(), "seen": ""}));
    let account = Account::at(&server.uri());
    assert!(matches!(poll(&new_event::SPEC, &account, &mut cursor, None).await, Err(Fault::Resync { .. })));
    let mut cursor = Some(json!({"sync": "s", "from": now(), "seen": ""}));
    assert!(matches!(poll(&new_event::SPEC, &account, &mut cursor, None).await, Err(Fault::Rejected { .. })));
}

#[tokio::test]
async fn starts_are_told_once_and_again_where_they_move() {
    let (server, mut cursor) = (MockServer::start().await, None);
    let account = Account::at(&server.uri());
    let at = |minutes: i64| json!({"dateTime": now() + TimeDelta::minutes(minutes)});
    let serve_events = async |items: Value| serve(&server, list("America/New_York", items, None, None)).await;
    let told = async |minutes: i64, cursor: &mut Option<Value>| {
        let cx = Some((now() + TimeDelta::minutes(minutes), None));
        let page = poll(&event_starts::SPEC, &account, cursor, cx).await.unwrap();
        page.items.into_iter().map(|item| item.body["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    serve_events(json!([event("early", at(3), json!({}))])).await;
    assert_eq!(told(0, &mut cursor).await, ["early"]);
    let series = |n: i64| event(&format!("s_{n}"), at(n), json!({"recurringEventId": "s"}));
    serve_events(json!([
        event("early", at(3), json!({})),
        series(12),
        series(1452),
        event("off", at(12), json!({"status": "cancelled"}))
    ]))
    .await;
    assert_eq!(told(1, &mut cursor).await, [""; 0], "not yet");
    assert_eq!(told(2, &mut cursor).await, ["s_12"]);
    assert_eq!(told(3, &mut cursor).await, [""; 0]);
    serve_events(json!([event("s_12", at(40), json!({})), event("soon", at(6), json!({}))])).await;
    assert_eq!(told(4, &mut cursor).await, ["soon"], "what comes in late is told at once");
    serve_events(json!([])).await;
    assert_eq!(told(5, &mut cursor).await, [""; 0]);
    serve_events(json!([event("s_12", at(40), json!({})), event("soon", at(6), json!({}))])).await;
    assert_eq!(told(31, &mut cursor).await, ["s_12"], "at its new time");
    // The daemon was away for two hours: what started meanwhile is told late, and once.
    serve_events(json!([event("missed", at(60), json!({})), event("next", at(155), json!({}))])).await;
    assert_eq!(told(150, &mut cursor).await, ["missed", "next"]);
    let cx = Some((now() + TimeDelta::days(3), None));
    let page = poll(&event_starts::SPEC, &account, &mut cursor, cx).await.unwrap();
    assert!(page.gap.unwrap().contains("was missed"));
    let asked = &server.received_requests().await.unwrap()[0];
    let pairs: Vec<_> = asked.url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    assert!(
        pairs.contains(&"singleEvents=true".to_owned()) && pairs.contains(&"orderBy=startTime".to_owned()),
        "{pairs:?}"
    );
}

#[tokio::test]
async fn a_whole_day_starts_at_midnight_where_the_calendar_is_also_where_there_is_none() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let check = async |zone: &str, date: &str, now: &str, start: &str| {
        serve(&server, list(zone, json!([event("day", json!({"date": date}), json!({}))]), None, None)).await;
        let cx = Some((now.parse().unwrap(), None));
        let page = poll(&event_starts::SPEC, &account, &mut None, cx).await.unwrap();
        assert_eq!(page.items[0].body["start_local"], start, "{zone}");
        let event = &page.items[0].body;
        assert!(matches!((event_starts::SPEC.select)(&json!({}), event, None), Verdict::Leave(_)));
        assert_eq!((event_starts::SPEC.select)(&json!({"all_day": true}), event, None), Verdict::Take);
    };
    check("Europe/Paris", "2026-11-07", "2026-11-06T22:55:00Z", "2026-11-07T00:00:00+01:00").await;
    check("Asia/Kathmandu", "2026-11-07", "2026-11-06T18:10:00Z", "2026-11-07T00:00:00+05:45").await;
    // Clocks there go from 23:59:59 to 01:00.
    check("America/Santiago", "2026-09-06", "2026-09-06T03:55:00Z", "2026-09-06T01:00:00-03:00").await;
}

/// What was sent to make an event of `data`.
async fn made(data: Value) -> Value {
    let server = MockServer::start().await;
    serve(&server, ok(json!({"id": "x", "htmlLink": "https://calendar.example.org/x"}))).await;
    react_as(&create_event::SPEC, data, Some(&Account::at(&server.uri()))).await.unwrap();
    serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap()
}

#[tokio::test]
async fn times_are_instants_times_in_a_zone_or_whole_days() {
    let check = async |data: Value, start: Value, end: Value| {
        let mut data = data;
        data["title"] = json!("x");
        let sent = made(data.clone()).await;
        assert_eq!((&sent["start"], &sent["end"]), (&start, &end), "{data}");
    };
    let at = |time: &str, zone: &str| json!({"dateTime": time, "timeZone": zone});
    let day = |date: &str| json!({ "date": date });
    check(
        json!({"start": "2026-11-06T10:00:00+01:00"}),
        at("2026-11-06T09:00:00Z", "UTC"),
        at("2026-11-06T10:00:00Z", "UTC"),
    )
    .await;
    let paris = "Europe/Paris";
    check(
        json!({"start": "2026-07-06T10:00", "minutes": 30, "zone": paris}),
        at("2026-07-06T08:00:00Z", paris),
        at("2026-07-06T08:30:00Z", paris),
    )
    .await;
    check(
        json!({"start": "2026-03-29 02:30", "end": "2026-03-29 04:00", "zone": paris}),
        at("2026-03-29T01:00:00Z", paris),
        at("2026-03-29T02:00:00Z", paris),
    )
    .await;
    check(json!({"start": "2026-11-06"}), day("2026-11-06"), day("2026-11-07")).await;
    check(json!({"start": "2026-12-31", "end": "2027-01-01"}), day("2026-12-31"), day("2027-01-02")).await;
    let late = "2026-11-06T23:30:00Z";
    check(json!({"start": late, "all_day": true, "zone": "Asia/Kathmandu"}), day("2026-11-07"), day("2026-11-08"))
        .await;
}

#[tokio::test]
async fn what_cannot_be_a_time_is_told_when_it_is_saved() {
    let check = |mut data: Value| {
        data["title"] = json!("x");
        (create_event::SPEC.check)(&data).into_iter().map(|wrong| wrong.pointer).collect::<Vec<_>>()
    };
    assert_eq!(check(json!({"start": "tomorrow"})), ["/start"]);
    let far =
        ["+262142-12-31T23:30", "-262143-01-01T00:30", "+262142-12-31", "-0001-12-31", "9999-12-31T23:30:00-01:00"];
    for (far, zone) in
        far.into_iter().flat_map(|far| ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"].map(|zone| (far, zone)))
    {
        assert_eq!(check(json!({"start": far, "end": far, "zone": zone})), ["/start", "/end"], "{far} {zone}");
    }
    assert_eq!(check(json!({"start": "9999-12-31T23:30"})), [""; 0]);
    assert_eq!(check(json!({"start": "2026-11-06T10:00", "end": "2026-11-06T09:00"})), ["/end"]);
    assert_eq!(check(json!({"start": "2026-11-06T10:00", "end": "2026-11-07"})), ["/end"]);
    assert_eq!(check(json!({"start": "2026-11-06", "zone": "Europe/Pariss"})), ["/zone"]);
    assert_eq!(
        check(json!({"start": "{{ event.received_at }}", "zone": "{{ event.zone }}", "end": "2026-11-07"})),
        [""; 0]
    );
    assert_eq!(
        check(json!({"start": "2026-11-06", "attendees": ["ann@example.org", "{{ event.from_address }}", "bob"]})),
        ["/attendees/2"]
    );
}

#[tokio::test]
async fn an_event_has_the_same_id_again_and_a_duplicate_is_done() {
    let data = json!({"title": "Grüße 🎉 \u{202e}יום", "start": "2026-11-06T10:00:00Z", "location": "Room 4",
        "attendees": ["ann@example.org", " "], "notify": true, "reminders": [{"minutes": 10}, {"minutes": 60, "method": "email"}]});
    let sent = made(data.clone()).await;
    assert_eq!(sent, made(data.clone()).await);
    let id = sent["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 36 && id.chars().all(|c| c.is_ascii_digit() || ('a'..='v').contains(&c)), "{id}");
    assert_eq!(sent["attendees"], json!([{"email": "ann@example.org"}]));
    assert_eq!(
        sent["reminders"],
        json!({"useDefault": false,
        "overrides": [{"minutes": 10, "method": "popup"}, {"minutes": 60, "method": "email"}]})
    );
    assert_eq!(sent.get("description"), None);

    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let duplicate = json!({"error": {"code": 409, "message": "The requested identifier already exists.", "errors": [{"reason": "duplicate"}]}});
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(409).set_body_json(duplicate)).mount(&server).await;
    let found = ok(json!({"id": id, "htmlLink": null}));
    Mock::given(method("GET"))
        .and(path(format!("/calendars/primary/events/{id}")))
        .respond_with(found)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let done = react_as(&create_event::SPEC, data.clone(), Some(&account)).await.unwrap();
    assert_eq!((&done["id"], &done["repeated"]), (&json!(id), &json!(true)));
    let fault = react_as(&create_event::SPEC, data, Some(&account)).await.unwrap_err();
    assert!(fault.why().contains("identifier already exists"), "what is not found is the refusal itself: {fault:?}");
}
