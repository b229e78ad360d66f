//! What the feeds make of what Spotify answers.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{ActionSpec, FeedKind, Page, PollCx};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::tests::{ok, saved, uri};
use super::{new_saved_track, track_played};
use crate::seen::Seen;
use crate::testing::{Account, http, now, serve};

const LIKED: &ActionSpec = &new_saved_track::SPEC;

/// Polls with a cursor; the page and the cursor behind it.
pub async fn poll(spec: &ActionSpec, account: &Account, cursor: &mut Option<Value>) -> Result<Page, Fault> {
    poll_at(spec, account, cursor, now(), None).await
}

async fn poll_at(
    spec: &ActionSpec,
    account: &Account,
    cursor: &mut Option<Value>,
    now: DateTime<Utc>,
    since: Option<DateTime<Utc>>,
) -> Result<Page, Fault> {
    let FeedKind::Polled { poll, .. } = spec.feed.kind else { panic!("polled") };
    let (http, params) = (http(), json!({}));
    let page = poll(PollCx { now, since, ..account.poll(&http, &params, cursor.as_ref()) }).await?;
    *cursor = page.cursor.clone().or(cursor.take());
    Ok(page)
}

/// Polls to the last page: the names of what is new, and how many pages there were.
async fn all(account: &Account, cursor: &mut Option<Value>, now: DateTime<Utc>) -> (Vec<usize>, usize) {
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page = poll_at(LIKED, account, cursor, now, None).await.unwrap();
        let times: Vec<_> = page.items.iter().map(|item| item.at).collect();
        assert!(times.is_sorted(), "oldest first");
        names.extend(page.items.iter().map(|item| item.body["name"].as_str().unwrap().parse::<usize>().unwrap()));
        pages += 1;
        if !page.more {
            return (names, pages);
        }
    }
}

/// A library in pages: how many seconds ago each track was saved, the newest first; the oldest is called 1.
async fn library(ago: impl IntoIterator<Item = i64>) -> MockServer {
    let server = MockServer::start().await;
    holds(&server, ago).await;
    server
}

async fn holds(server: &MockServer, ago: impl IntoIterator<Item = i64>) {
    let ago: Vec<i64> = ago.into_iter().collect();
    let paged = move |request: &Request| {
        let of = |name: &str| request.url.query_pairs().find(|(n, _)| n == name).and_then(|(_, v)| v.parse().ok());
        let (offset, limit): (usize, usize) = (of("offset").unwrap_or(0), of("limit").unwrap());
        let end = ago.len().min(offset + limit);
        let items: Vec<Value> = (offset..end).map(|n| saved(ago.len() - n, ago[n])).collect();
        let next = (end < ago.len()).then(|| format!("https://api.spotify.com/v1/me/tracks?offset={end}"));
        ok(json!({"items": items, "next": next}))
    };
    server.reset().await;
    Mock::given(path("/me/tracks")).respond_with(paged).with_priority(2).mount(server).await;
}

/// From now on this page is refused.
async fn refuse(server: &MockServer, offset: &str, status: u16) {
    let at = offset.to_owned();
    let is_page = move |request: &Request| request.url.query_pairs().any(|(n, v)| n == "offset" && v == at);
    Mock::given(is_page).respond_with(ResponseTemplate::new(status)).with_priority(1).mount(server).await;
}

fn minutes(count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(|n| n * 60)
}

async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn a_backlog_larger_than_a_poll_is_read_to_its_end_and_each_track_comes_once() {
    let server = library([100_000]).await;
    let account = Account::at(&server.uri());
    let mut cursor = None;
    all(&account, &mut cursor, now()).await;
    holds(&server, minutes(1_200).chain([100_000])).await;
    let (mut names, pages) = all(&account, &mut cursor, now()).await;
    names.sort_unstable();
    assert_eq!((names, pages), ((2..=1_201).collect(), 3));
    let again = poll(LIKED, &account, &mut cursor).await.unwrap();
    assert_eq!((again.items.len(), again.cursor), (0, None));
}

#[tokio::test]
async fn after_an_import_nothing_is_offered_again_and_soon_nothing_is_read_again() {
    let import = || std::iter::repeat_n(60, 1_200);
    for began_with in [vec![], vec![100_000]] {
        let server = library(began_with.clone()).await;
        let account = Account::at(&server.uri());
        let mut cursor = None;
        all(&account, &mut cursor, now()).await;
        let old = began_with.len();
        holds(&server, import().chain(began_with.clone())).await;
        let (mut names, pages) = all(&account, &mut cursor, now()).await;
        names.sort_unstable();
        assert_eq!((names, pages), ((old + 1..=old + 1_200).collect(), 3));
        // Something of it may still come late, so that all of it is looked through.
        assert_eq!(all(&account, &mut cursor, now() + TimeDelta::minutes(2)).await, (vec![], 3));
        let before = calls(&server).await;
        assert_eq!(all(&account, &mut cursor, now() + TimeDelta::minutes(16)).await, (vec![], 1));
        assert_eq!(calls(&server).await, before + 1);
        // One more, while the import is still in the window: nothing of it is forgotten.
        holds(&server, [0].into_iter().chain(import()).chain(began_with.clone())).await;
        let now = now() + TimeDelta::minutes(2);
        assert_eq!(all(&account, &mut cursor, now).await, (vec![old + 1_201], 3));
        assert_eq!(all(&account, &mut cursor, now).await, (vec![], 3));
        // Another when it is behind the window: then the cursor is small again.
        holds(&server, [-3_600, 0].into_iter().chain(import()).chain(began_with)).await;
        assert_eq!(all(&account, &mut cursor, now + TimeDelta::hours(1)).await, (vec![old + 1_202], 1));
        assert!(cursor.unwrap().to_string().len() < 100);
    }
}

#[tokio::test]
async fn what_is_there_at_a_baseline_is_old_however_much_of_it_has_one_time_and_whatever_is_refused() {
    for refused in [None, Some("45")] {
        let server = library(std::iter::repeat_n(60, 1_200)).await;
        if let Some(offset) = refused {
            refuse(&server, offset, 500).await;
        }
        let account = Account::at(&server.uri());
        let mut cursor = None;
        let first = poll(LIKED, &account, &mut cursor).await.unwrap();
        assert_eq!((first.items.len(), first.more), (if refused.is_some() { 50 } else { 455 }, false));
        holds(&server, [0].into_iter().chain(std::iter::repeat_n(60, 1_200))).await;
        assert_eq!(all(&account, &mut cursor, now()).await, (vec![1_201], 1), "{refused:?}");
    }
}

#[tokio::test]
async fn what_was_saved_in_one_second_comes_in_the_order_in_which_it_was_saved() {
    let server = library([]).await;
    let account = Account::at(&server.uri());
    let mut cursor = None;
    all(&account, &mut cursor, now()).await;
    holds(&server, [7, 7, 7]).await;
    assert_eq!(all(&account, &mut cursor, now()).await, (vec![1, 2, 3], 1));
}

#[tokio::test]
async fn a_first_answer_that_is_empty_by_mishap_makes_no_old_track_new() {
    let server = library([]).await;
    let account = Account::at(&server.uri());
    let mut cursor = None;
    all(&account, &mut cursor, now()).await;
    holds(&server, minutes(1_200)).await;
    let (names, pages) = all(&account, &mut cursor, now() + TimeDelta::minutes(2)).await;
    assert_eq!((names, pages), ((1_185..=1_200).collect(), 1), "what may have come late, and what is new");
}

#[tokio::test]
async fn after_a_resync_it_is_searched_from_the_last_item_and_no_further() {
    let server = library(minutes(300)).await;
    let account = Account::at(&server.uri());
    let (mut cursor, since) = (None, Some(now() - TimeDelta::minutes(70)));
    let page = poll_at(LIKED, &account, &mut cursor, now(), since).await.unwrap();
    assert_eq!((page.items.len(), page.more, cursor.is_some()), (71, false, true));
    let mut bad = Some(json!({"top": 7}));
    assert!(matches!(poll(LIKED, &account, &mut bad).await, Err(Fault::Resync { .. })));
}

#[tokio::test]
async fn a_search_after_a_resync_that_a_fault_breaks_off_goes_on_and_no_further_either() {
    let server = library(minutes(2_000)).await;
    let account = Account::at(&server.uri());
    let (mut cursor, since) = (None, Some(now() - TimeDelta::minutes(999)));
    let first = poll_at(LIKED, &account, &mut cursor, now(), since).await.unwrap();
    assert!(first.more && first.items.len() == 455, "{}", first.items.len());
    refuse(&server, "450", 500).await;
    assert!(matches!(poll(LIKED, &account, &mut cursor).await, Err(Fault::Later { .. })));
    holds(&server, minutes(2_000)).await;
    let (rest, _) = all(&account, &mut cursor, now()).await;
    assert_eq!((rest.len(), rest.iter().min()), (1_000 - 455, Some(&1_001)));
}

#[tokio::test]
async fn what_was_read_before_a_refusal_is_kept_and_the_rest_is_read_later() {
    let server = library([100_000]).await;
    let account = Account::at(&server.uri());
    for status in [429, 500, 403] {
        holds(&server, [100_000]).await;
        let mut cursor = None;
        all(&account, &mut cursor, now()).await;
        holds(&server, minutes(300).chain([100_000])).await;
        refuse(&server, "90", status).await;
        let page = poll(LIKED, &account, &mut cursor).await.unwrap();
        assert_eq!((page.items.len(), page.more), (95, true), "{status}");
        assert!(poll(LIKED, &account, &mut cursor).await.is_err(), "{status}: it is told");
        holds(&server, minutes(300).chain([100_000])).await;
        assert_eq!(all(&account, &mut cursor, now()).await.0, (2..=301 - 95).collect::<Vec<_>>(), "{status}");
    }
}

#[tokio::test]
async fn the_cursor_of_an_earlier_version_is_read() {
    let server = library([30, 60, 90]).await;
    let account = Account::at(&server.uri());
    let mut seen = Seen::default();
    seen.add(&format!("{}@2026-11-06T08:48:37Z", uri(2)));
    let mut cursor = Some(json!({"top": now() - TimeDelta::seconds(60), "seen": seen.text()}));
    assert_eq!(all(&account, &mut cursor, now()).await, (vec![1, 3], 1));
    assert_eq!(all(&account, &mut cursor, now()).await, (vec![], 1));
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
async fn one_odd_entry_stops_no_feed_and_is_told() {
    for (spec, time) in [(LIKED, "added_at"), (&track_played::SPEC, "played_at")] {
        let server = MockServer::start().await;
        let account = Account::at(&server.uri());
        let entry = |at: Value, track: Value| json!({time: at, "track": track});
        let track = |name: &str, value: Value| {
            let mut track = saved(7, 0)["track"].take();
            track[name] = value;
            entry(json!(now()), track)
        };
        let check = async |odd: Value, event: Option<Value>| {
            let other = entry(json!(now() - TimeDelta::minutes(1)), saved(6, 0)["track"].take());
            serve(&server, ok(json!({"items": [odd, other], "next": null}))).await;
            let page = poll(spec, &account, &mut None).await.unwrap();
            let told =
                if event.is_some() { "200" } else { "200; entries without a track that can be read, left out: 1" };
            assert_eq!((page.items.len(), &*page.answer), (1 + usize::from(event.is_some()), told), "{time} {odd}");
            for (name, value) in event.iter().flat_map(|event| event.as_object().unwrap()) {
                assert_eq!(&page.items[1].body[name], value, "{time} {odd}");
            }
        };
        check(track("name", json!(null)), Some(json!({"name": "", "uri": uri(7)}))).await;
        check(track("duration_ms", json!(null)), Some(json!({"duration_ms": 0, "duration": "0:00"}))).await;
        check(track("explicit", json!(null)), Some(json!({"explicit": false}))).await;
        check(track("id", json!(null)), Some(json!({"id": null}))).await;
        check(track("artists", json!(null)), Some(json!({"artists": [], "artist": ""}))).await;
        let artists = json!([null, {"name": null}, {"name": "Ann"}]);
        check(track("artists", artists), Some(json!({"artists": ["Ann"], "artist": "Ann"}))).await;
        check(track("album", json!(null)), Some(json!({"album": "", "image": null}))).await;
        let album = json!({"name": null, "images": [null, {"url": null, "width": 9}]});
        check(track("album", album), Some(json!({"album": "", "image": null}))).await;
        check(track("album", json!({"images": null})), Some(json!({"album": "", "image": null}))).await;
        check(track("uri", json!(null)), None).await;
        check(track("name", json!(7)), None).await;
        check(entry(json!(now()), json!(null)), None).await;
        check(entry(json!(null), saved(7, 0)["track"].take()), None).await;
        for year in ["+262142", "9999", "-262143", "1969"] {
            check(entry(json!(format!("{year}-12-31T23:59:59Z")), saved(7, 0)["track"].take()), None).await;
        }
        check(json!("what is this"), None).await;
        // Where nothing can be read it is another list than we know.
        serve(&server, ok(json!({"items": ["what", "is this"], "next": null}))).await;
        let fault = poll(spec, &account, &mut None).await.unwrap_err();
        assert!(matches!(&fault, Fault::Later { why, .. } if why.contains("with another shape")), "{fault:?}");
    }
}
