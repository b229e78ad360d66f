//! What the parts make of what Spotify answers. The whole of them, against a stateful Spotify, is in the daemon's tests.

use chrono::TimeDelta;
use engine::fault::Fault;
use engine::port::{FeedKind, Page};
use serde_json::{Value, json};
use wiremock::matchers::{any, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{SPOTIFY, add_to_playlist, new_saved_track, save, track_played};
use crate::testing::{Account, http, now, react_as, serve};

const LIST: &str = "spotify:playlist:3cEYpjA9oz9GiPac4AsH4n";

fn uri(n: usize) -> String {
    format!("spotify:track:{n:022}")
}

fn saved(n: usize, seconds_ago: i64) -> Value {
    json!({"added_at": now() - TimeDelta::seconds(seconds_ago), "track": {"id": format!("{n:022}"), "uri": uri(n), "name": n.to_string()}})
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Polls with a cursor; the page and the cursor behind it.
async fn poll(spec: &engine::port::ActionSpec, account: &Account, cursor: &mut Option<Value>) -> Result<Page, Fault> {
    let FeedKind::Polled { poll, .. } = spec.feed.kind else { panic!("polled") };
    let (http, params) = (http(), json!({}));
    let page = poll(account.poll(&http, &params, cursor.as_ref())).await?;
    *cursor = page.cursor.clone().or(cursor.take());
    Ok(page)
}

/// A library of `count` tracks, a minute between them, in pages.
fn library(count: usize) -> impl Fn(&Request) -> ResponseTemplate {
    move |request| {
        let of = |name: &str| request.url.query_pairs().find(|(n, _)| n == name).and_then(|(_, v)| v.parse().ok());
        let (offset, limit): (usize, usize) = (of("offset").unwrap_or(0), of("limit").unwrap());
        let items: Vec<Value> = (offset..count.min(offset + limit)).map(|n| saved(count - n, n as i64 * 60)).collect();
        let next =
            (offset + limit < count).then(|| format!("https://api.spotify.com/v1/me/tracks?offset={}", offset + limit));
        ok(json!({"items": items, "next": next}))
    }
}

#[tokio::test]
async fn a_backlog_larger_than_a_poll_is_read_to_its_end_and_each_track_comes_once() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    serve(&server, ok(json!({"items": [saved(1, 100_000)], "next": null}))).await;
    let mut cursor = None;
    poll(&new_saved_track::SPEC, &account, &mut cursor).await.unwrap();
    server.reset().await;
    Mock::given(path("/me/tracks")).respond_with(library(1_200)).mount(&server).await;
    let (mut keys, mut pages) = (Vec::new(), 0);
    loop {
        let page = poll(&new_saved_track::SPEC, &account, &mut cursor).await.unwrap();
        let times: Vec<_> = page.items.iter().map(|item| item.at).collect();
        assert!(times.is_sorted(), "oldest first");
        keys.extend(page.items.into_iter().map(|item| item.key));
        pages += 1;
        if !page.more {
            break;
        }
    }
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!((count, keys.len(), pages), (1_200, 1_200, 3));
    let again = poll(&new_saved_track::SPEC, &account, &mut cursor).await.unwrap();
    assert_eq!((again.items.len(), again.cursor), (0, None));
}

#[tokio::test]
async fn what_was_saved_in_one_second_comes_in_the_order_in_which_it_was_saved() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let mut cursor = None;
    serve(&server, ok(json!({"items": [], "next": null}))).await;
    poll(&new_saved_track::SPEC, &account, &mut cursor).await.unwrap();
    serve(&server, ok(json!({"items": [saved(3, 7), saved(2, 7), saved(1, 7)], "next": null}))).await;
    let page = poll(&new_saved_track::SPEC, &account, &mut cursor).await.unwrap();
    let names: Vec<&str> = page.items.iter().map(|item| item.body["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["1", "2", "3"]);
}

#[tokio::test]
async fn after_a_resync_it_is_searched_from_the_last_item_and_no_further() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    Mock::given(any()).respond_with(library(300)).mount(&server).await;
    let FeedKind::Polled { poll, .. } = new_saved_track::SPEC.feed.kind else { panic!("polled") };
    let (http, params) = (http(), json!({}));
    let cx = account.poll(&http, &params, None);
    let page = poll(engine::port::PollCx { since: Some(now() - TimeDelta::minutes(70)), ..cx }).await.unwrap();
    assert_eq!((page.items.len(), page.cursor.is_some()), (71, true));
    let bad = json!({"top": 7});
    assert!(matches!(poll(account.poll(&http, &params, Some(&bad))).await, Err(Fault::Resync { .. })));
}

#[tokio::test]
async fn plays_that_spotify_no_longer_holds_are_a_gap_and_after_is_in_milliseconds() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let play = |n: usize, ago: i64| {
        let track = saved(n, 0)["track"].take();
        json!({"played_at": now() - TimeDelta::milliseconds(ago), "track": track, "context": null})
    };
    serve(&server, ok(json!({"items": [play(1, 86_400_123)]}))).await;
    let mut cursor = None;
    poll(&track_played::SPEC, &account, &mut cursor).await.unwrap();
    let fifty: Vec<Value> = (0..50).map(|n| play(n + 2, n as i64 * 60_000)).collect();
    serve(&server, ok(json!({ "items": fifty }))).await;
    let page = poll(&track_played::SPEC, &account, &mut cursor).await.unwrap();
    assert_eq!(page.items.len(), 50);
    assert!(page.gap.unwrap().contains("Spotify holds the last 50 plays"));
    let after = (now() - TimeDelta::milliseconds(86_400_123) - TimeDelta::hours(1)).timestamp_millis() - 1;
    let sent = server.received_requests().await.unwrap();
    assert_eq!(sent[0].url.query(), Some(format!("limit=50&after={after}").as_str()));
}

#[tokio::test]
async fn spotify_says_in_its_body_what_a_refusal_means() {
    let check = async |status: u16, body: Value, wait: Option<&str>, words: &str| {
        let server = MockServer::start().await;
        let mut answer = ResponseTemplate::new(status).set_body_json(json!({ "error": body }));
        if let Some(wait) = wait {
            answer = answer.insert_header("retry-after", wait);
        }
        serve(&server, answer).await;
        let fault = poll(&new_saved_track::SPEC, &Account::at(&server.uri()), &mut None).await.unwrap_err();
        assert!(fault.why().contains(words), "{fault:?}");
        fault
    };
    let too_many = json!({"status": 429, "message": "Too many requests"});
    let quota = json!({"status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED"});
    check(429, quota.clone(), None, "(QUOTA_EXCEEDED); the quota of this installation is used up").await;
    check(429, quota, Some("86400"), "tried again from 2026-11-07 08:49 UTC").await;
    let long = check(429, too_many.clone(), Some("7200"), "it asks for a long pause, until 2026-11-06 10:49 UTC").await;
    let asked = |at| at >= now() + TimeDelta::hours(2) && at < now() + TimeDelta::hours(2) + TimeDelta::seconds(30);
    assert!(matches!(long, Fault::Later { not_before: Some(at), .. } if asked(at)), "{long:?}");
    check(429, too_many, Some("3"), "429 Too Many Requests to get-users-saved-tracks: Too many requests").await;
    let scope = json!({"status": 403, "message": "Insufficient client scope"});
    let scope = check(403, scope, None, "has not granted user-library-read; POST /v1/connect/").await;
    assert!(matches!(scope, Fault::Rejected { .. }));
    check(403, json!({"status": 403, "message": "User not registered"}), None, "User not registered").await;
}

/// An app with the older endpoints alone, or the newer ones.
async fn app(refused: &'static str, status: u16) -> MockServer {
    let server = MockServer::start().await;
    let no = move |request: &Request| request.url.path().ends_with(refused);
    Mock::given(no).respond_with(ResponseTemplate::new(status)).with_priority(1).mount(&server).await;
    Mock::given(method("GET")).respond_with(ok(json!({"items": [], "total": 0, "next": null}))).mount(&server).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({"snapshot_id": "s"})))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn which_endpoints_an_app_has_is_told_by_the_answers_and_remembered() {
    for (refused, status, want) in [
        ("/items", 404, vec!["/items", "/tracks", "/tracks", "/tracks", "/tracks"]),
        ("/items", 403, vec!["/items", "/tracks", "/tracks", "/tracks", "/tracks"]),
        ("/tracks", 403, vec!["/items", "/items", "/items", "/items"]),
    ] {
        let server = app(refused, status).await;
        let account = Account::at(&server.uri());
        let data = json!({"playlist": LIST, "tracks": uri(1)});
        for _ in 0..2 {
            react_as(&add_to_playlist::SPEC, data.clone(), Some(&account)).await.unwrap();
        }
        let paths: Vec<String> =
            server.received_requests().await.unwrap().iter().map(|r| r.url.path().to_owned()).collect();
        let ends: Vec<&str> = paths.iter().map(|path| &path[path.rfind('/').unwrap()..]).collect();
        assert_eq!(ends, want, "{refused} {status}");
    }
}

#[tokio::test]
async fn what_was_added_since_the_run_was_born_is_its_own_and_is_not_added_again() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let entry = |n: usize, ago: i64| json!({"added_at": now() - TimeDelta::seconds(ago), "item": {"uri": uri(n)}});
    // One from yesterday, one by an attempt whose answer was lost.
    let list = json!({"items": [entry(1, 86_400), entry(2, -5)], "total": 2, "next": null});
    Mock::given(method("GET")).respond_with(ok(list)).mount(&server).await;
    Mock::given(method("POST")).respond_with(ok(json!({"snapshot_id": "s"}))).mount(&server).await;
    let tracks = json!([uri(1), uri(2), uri(3), uri(3)]);
    let got =
        react_as(&add_to_playlist::SPEC, json!({"playlist": LIST, "tracks": tracks, "position": 0}), Some(&account))
            .await;
    let got = got.unwrap();
    assert_eq!((&got["added"], &got["skipped"]), (&json!([uri(2), uri(1), uri(3)]), &json!([])));
    let got = react_as(
        &add_to_playlist::SPEC,
        json!({"playlist": LIST, "tracks": tracks, "no_duplicates": true}),
        Some(&account),
    )
    .await;
    let got = got.unwrap();
    assert_eq!((&got["added"], &got["skipped"]), (&json!([uri(2), uri(3)]), &json!([uri(1)])));
    let sent = server.received_requests().await.unwrap();
    let posted: Vec<Value> = sent.iter().filter(|r| r.method == "POST").map(|r| r.body_json().unwrap()).collect();
    assert_eq!(posted, [json!({"uris": [uri(1), uri(3)], "position": 1}), json!({"uris": [uri(3)]})]);
}

#[tokio::test]
async fn many_tracks_go_in_hundreds_and_the_end_of_a_long_playlist_is_where_they_are_looked_for() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    Mock::given(method("GET"))
        .respond_with(ok(json!({"items": [], "total": 5_000, "next": null})))
        .mount(&server)
        .await;
    Mock::given(method("POST")).respond_with(ok(json!({"snapshot_id": "s"}))).mount(&server).await;
    let tracks: Vec<String> = (0..250).map(uri).collect();
    let got =
        react_as(&add_to_playlist::SPEC, json!({"playlist": LIST, "tracks": tracks}), Some(&account)).await.unwrap();
    assert_eq!(got["added"], json!(tracks));
    let sent = server.received_requests().await.unwrap();
    let counts: Vec<usize> = sent
        .iter()
        .filter(|r| r.method == "POST")
        .map(|r| r.body_json::<Value>().unwrap()["uris"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [100, 100, 50]);
    let offsets: Vec<String> = sent
        .iter()
        .filter_map(|r| r.url.query_pairs().find(|(n, _)| n == "offset").map(|(_, v)| v.into_owned()))
        .collect();
    assert_eq!(offsets, ["4750", "4800", "4850", "4900", "4950"]);
}

#[tokio::test]
async fn only_what_is_not_saved_yet_is_saved() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    Mock::given(path("/me/library/contains")).respond_with(ok(json!([true, false]))).mount(&server).await;
    Mock::given(method("PUT"))
        .and(query_param("uris", uri(2)))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let got = react_as(&save::SPEC, json!({"items": [uri(1), uri(2)]}), Some(&account)).await.unwrap();
    assert_eq!(got, json!({"saved": [uri(2)], "skipped": [uri(1)]}));

    let older = MockServer::start().await;
    Mock::given(path("/me/tracks/contains"))
        .and(query_param("ids", format!("{:022}", 1)))
        .respond_with(ok(json!([false])))
        .mount(&older)
        .await;
    Mock::given(method("PUT")).and(path("/me/tracks")).respond_with(ResponseTemplate::new(200)).mount(&older).await;
    let got = react_as(&save::SPEC, json!({"items": uri(1)}), Some(&Account::at(&older.uri()))).await.unwrap();
    assert_eq!(got["saved"], json!([uri(1)]));
}

#[tokio::test]
async fn playlists_and_devices_are_offered_by_name() {
    let (server, http) = (MockServer::start().await, http());
    let list = |id: &str, name: &str| json!({"id": id, "name": name, "owner": {"display_name": "Ann"}});
    let lists = json!({"items": [list("p1", "Party"), null, list("p2", "Work")], "next": null});
    Mock::given(path("/me/playlists")).respond_with(ok(lists)).mount(&server).await;
    let devices = json!({"devices": [{"id": null, "name": "x", "type": "TV"}, {"id": "d1", "name": "Kitchen", "type": "Speaker"}]});
    Mock::given(path("/me/player/devices")).respond_with(ok(devices)).mount(&server).await;
    let account = Account::at(&server.uri());
    let offered = async |n: usize, q: &str| json!((SPOTIFY.options[n].list)(account.options(&http, q)).await.unwrap());
    assert_eq!(
        offered(0, "part").await,
        json!({"items": [{"value": "p1", "title": "Party", "detail": "Ann"}], "more": false})
    );
    assert_eq!(offered(0, "").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(offered(1, "").await["items"], json!([{"value": "d1", "title": "Kitchen", "detail": "speaker"}]));
}
