//! What the reactions and options make of what Spotify answers; the feeds are in `feed_tests`. The whole of them, against a stateful
//! Spotify, is in the daemon's tests.

use chrono::TimeDelta;
use engine::fault::Fault;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::feed_tests::poll;
use super::{SPOTIFY, add_to_playlist, new_saved_track, save};
use crate::testing::{Account, http, now, react_again, react_as, serve};

const LIST: &str = "spotify:playlist:3cEYpjA9oz9GiPac4AsH4n";

pub fn uri(n: usize) -> String {
    format!("spotify:track:{n:022}")
}

pub fn saved(n: usize, seconds_ago: i64) -> Value {
    json!({"added_at": now() - TimeDelta::seconds(seconds_ago), "track": {"id": format!("{n:022}"), "uri": uri(n), "name": n.to_string()}})
}

pub fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
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

#[tokio::test]
async fn a_refusal_that_is_a_line_of_text_is_told_in_its_words_and_a_page_is_not() {
    let refused = "Spotify answered 403 Forbidden to get-users-saved-tracks";
    let check = async |kind: &str, body: &str, told: &str| {
        let server = MockServer::start().await;
        serve(&server, ResponseTemplate::new(403).set_body_raw(body, kind)).await;
        let fault = poll(&new_saved_track::SPEC, &Account::at(&server.uri()), &mut None).await.unwrap_err();
        assert_eq!(fault.why(), format!("{refused}{told}"), "{kind} {body}");
    };
    let line = "User not registered in the Developer Dashboard";
    check("text/plain; charset=utf-8", &format!("{line}\n"), &format!(": {line}")).await;
    check("Text/Plain", line, &format!(": {line}")).await;
    check("text/plain", "", "").await;
    check("text/plain", " <html>", "").await;
    check("text/html", line, "").await;
    check("application/octet-stream", line, "").await;
    check("application/json", r#"{"error": {"message": "No"}}"#, ": No").await;
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
            react_again(&add_to_playlist::SPEC, data.clone(), Some(&account), true).await.unwrap();
        }
        let paths: Vec<String> =
            server.received_requests().await.unwrap().iter().map(|r| r.url.path().to_owned()).collect();
        let ends: Vec<&str> = paths.iter().map(|path| &path[path.rfind('/').unwrap()..]).collect();
        assert_eq!(ends, want, "{refused} {status}");
    }
}

#[tokio::test]
async fn what_was_added_since_the_run_was_born_is_its_own_where_it_is_repeated_and_not_before() {
    // What is in the playlist: one from yesterday; two by an attempt whose answer was lost, at a Spotify whose clock is behind.
    let entry = |n: usize, ago: i64| json!({"added_at": now() - TimeDelta::seconds(ago), "item": {"uri": uri(n)}});
    let list = json!({"items": [entry(1, 86_400), entry(2, -5), entry(3, 3)], "total": 3, "next": null});
    let tracks = json!([uri(1), uri(2), uri(3), uri(4), uri(4)]);
    let check = async |repeated: bool, no_duplicates: bool, added: &[usize], skipped: &[usize], want: Value, reads| {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ok(list.clone())).mount(&server).await;
        Mock::given(method("POST")).respond_with(ok(json!({"snapshot_id": "s"}))).mount(&server).await;
        let data = json!({"playlist": LIST, "tracks": tracks, "position": 0, "no_duplicates": no_duplicates});
        let account = Account::at(&server.uri());
        let got = react_again(&add_to_playlist::SPEC, data, Some(&account), repeated).await.unwrap();
        let uris = |all: &[usize]| json!(all.iter().map(|n| uri(*n)).collect::<Vec<_>>());
        assert_eq!((&got["added"], &got["skipped"]), (&uris(added), &uris(skipped)), "{repeated} {no_duplicates}");
        let sent = server.received_requests().await.unwrap();
        let (posted, read): (Vec<_>, Vec<_>) = sent.into_iter().partition(|request| request.method == "POST");
        assert_eq!((posted.len(), read.len()), (1, reads), "{repeated} {no_duplicates}");
        assert_eq!(posted[0].body_json::<Value>().unwrap(), want, "{repeated} {no_duplicates}");
    };
    let all = json!({"uris": [uri(1), uri(2), uri(3), uri(4)], "position": 0});
    check(false, false, &[1, 2, 3, 4], &[], all, 0).await;
    check(true, false, &[2, 3, 1, 4], &[], json!({"uris": [uri(1), uri(4)], "position": 2}), 1).await;
    check(false, true, &[4], &[1, 2, 3], json!({"uris": [uri(4)], "position": 0}), 1).await;
    check(true, true, &[2, 3, 4], &[1], json!({"uris": [uri(4)], "position": 2}), 1).await;
}

#[tokio::test]
async fn many_tracks_go_in_hundreds_and_the_end_of_a_long_playlist_is_where_a_repetition_looks_for_them() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    Mock::given(method("GET"))
        .respond_with(ok(json!({"items": [], "total": 5_000, "next": null})))
        .mount(&server)
        .await;
    Mock::given(method("POST")).respond_with(ok(json!({"snapshot_id": "s"}))).mount(&server).await;
    let tracks: Vec<String> = (0..250).map(uri).collect();
    let data = json!({"playlist": LIST, "tracks": tracks});
    let got = react_again(&add_to_playlist::SPEC, data, Some(&account), true).await.unwrap();
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

/// Asks for the options of the service at this place.
async fn offered(server: &MockServer, place: usize, q: &str) -> Value {
    let (account, http) = (Account::at(&server.uri()), http());
    json!((SPOTIFY.options[place].list)(account.options(&http, q)).await.unwrap())
}

fn listed(id: &str, name: &str, owner: &str, collaborative: bool) -> Value {
    json!({"id": id, "name": name, "collaborative": collaborative, "owner": {"id": owner, "display_name": owner.to_uppercase()}})
}

#[tokio::test]
async fn playlists_that_can_be_changed_and_devices_are_offered_by_name() {
    let server = MockServer::start().await;
    Mock::given(path("/me")).respond_with(ok(json!({"id": "ann"}))).mount(&server).await;
    let odd = [json!(null), json!({"id": "p5", "name": "Nobody's party"}), json!({"name": "no id"})];
    let some = [listed("p1", "Party", "ann", false), listed("p2", "Work", "ann", true)];
    let others = [listed("p3", "A party of others", "bob", true), listed("p4", "Party hits", "spotify", false)];
    let lists = json!({"items": ([&some[..], &odd, &others].concat()), "next": null});
    Mock::given(path("/me/playlists")).respond_with(ok(lists)).mount(&server).await;
    let devices = json!({"devices": [{"id": null, "name": "x", "type": "TV"}, {"id": "d1", "name": "Kitchen", "type": "Speaker"}]});
    Mock::given(path("/me/player/devices")).respond_with(ok(devices)).mount(&server).await;
    let (party, theirs) = (
        json!({"value": "p1", "title": "Party", "detail": "ANN"}),
        json!({"value": "p3", "title": "A party of others", "detail": "BOB"}),
    );
    assert_eq!(offered(&server, 0, "part").await, json!({"items": [party, theirs], "more": false}));
    assert_eq!(offered(&server, 0, "").await["items"].as_array().unwrap().len(), 3);
    assert_eq!(
        offered(&server, 1, "").await["items"],
        json!([{"value": "d1", "title": "Kitchen", "detail": "speaker"}])
    );
}

#[tokio::test]
async fn no_more_playlists_are_read_than_are_offered() {
    let server = MockServer::start().await;
    Mock::given(path("/me")).respond_with(ok(json!({"id": "ann"}))).mount(&server).await;
    let paged = |request: &Request| {
        let offset = request.url.query_pairs().find(|(n, _)| n == "offset").map_or(0, |(_, v)| v.parse().unwrap());
        let items: Vec<Value> =
            (offset..offset + 50).map(|n: usize| listed(&n.to_string(), &format!("List {n}"), "ann", false)).collect();
        let next = (offset < 950).then(|| format!("https://api.spotify.com/v1/me/playlists?offset={}", offset + 50));
        ok(json!({"items": items, "next": next}))
    };
    Mock::given(path("/me/playlists")).respond_with(paged).mount(&server).await;
    for (q, items, more, pages) in [("", 100, true, 3), ("list 9", 100, true, 20), ("list 99", 11, false, 20)] {
        let before = server.received_requests().await.unwrap().len();
        let got = offered(&server, 0, q).await;
        assert_eq!((got["items"].as_array().unwrap().len(), &got["more"]), (items, &json!(more)), "{q}");
        assert_eq!(server.received_requests().await.unwrap().len() - before, 1 + pages, "{q}");
    }
}
