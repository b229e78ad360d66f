//! What the parts of Drive and Sheets make of what Google answers.

use chrono::{DateTime, TimeDelta, Utc};
use engine::fault::Fault;
use engine::port::{FeedKind, OptionsCx, Page, PollCx, Verdict};
use serde_json::{Value, json};
use wiremock::matchers::{any, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{append_row, new_file, options};
use crate::testing::{Account, http, now, react_as, serve};

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn file(id: &str, hours_ago: i64, more: Value) -> Value {
    let mut file = json!({"id": id, "name": id, "mimeType": "application/pdf", "createdTime": now() - TimeDelta::hours(hours_ago)});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    file
}

async fn poll(account: &Account, cursor: &mut Option<Value>, since: Option<DateTime<Utc>>) -> Result<Page, Fault> {
    poll_of(json!({}), account, cursor, since).await
}

async fn poll_of(
    data: Value,
    account: &Account,
    cursor: &mut Option<Value>,
    since: Option<DateTime<Utc>>,
) -> Result<Page, Fault> {
    let FeedKind::Polled { poll, .. } = new_file::SPEC.feed.kind else { panic!("polled") };
    let (http, params) = (http(), (new_file::SPEC.feed_params)(&data));
    let base = account.poll(&http, &params, cursor.as_ref());
    let page = poll(PollCx { since, ..base }).await?;
    *cursor = page.cursor.clone().or(cursor.take());
    Ok(page)
}

fn keys(page: &Page) -> Vec<&str> {
    page.items.iter().map(|item| item.key.as_str()).collect()
}

async fn drive(server: &MockServer, files: Value) {
    server.reset().await;
    Mock::given(path("/changes/startPageToken")).respond_with(ok(json!({"startPageToken": "10"}))).mount(server).await;
    Mock::given(path("/files")).respond_with(ok(json!({ "files": files }))).mount(server).await;
}

async fn change(server: &MockServer, token: &str, files: &[Value], next: (&str, &str)) {
    let changes: Vec<Value> = files.iter().map(|file| json!({ "file": file })).collect();
    let page = ok(json!({"changes": changes, next.0: next.1}));
    Mock::given(path("/changes")).and(query_param("pageToken", token)).respond_with(page).mount(server).await;
}

#[tokio::test]
async fn a_file_is_new_once_whatever_changes_in_it_and_the_start_token_is_from_the_last_page() {
    let (server, mut cursor) = (MockServer::start().await, None);
    let account = Account::at(&server.uri());
    drive(&server, json!([file("b", 1, json!({})), file("a", 30, json!({}))])).await;
    let folder = ok(json!({"id": "fo", "name": "Rechnungen 🎉"}));
    Mock::given(path("/files/fo")).respond_with(folder).mount(&server).await;
    let hidden = ResponseTemplate::new(404).set_body_json(json!({"error": {"code": 404}}));
    Mock::given(path("/files/hidden")).respond_with(hidden).mount(&server).await;
    assert_eq!(keys(&poll(&account, &mut cursor, None).await.unwrap()), ["a", "b"]);
    let in_folder = json!({"parents": ["fo"], "size": "48213", "owners": [{"displayName": "Ann", "emailAddress": "a@example.org"}]});
    change(
        &server,
        "10",
        &[file("a", 30, json!({})), file("old", 200, json!({})), file("c", 0, in_folder)],
        ("nextPageToken", "11"),
    )
    .await;
    let late = json!({"parents": ["hidden"], "name": "\u{202e}אבג", "mimeType": "image/png"});
    let shared = json!({"sharedWithMeTime": now()});
    let files = [
        file("c", 0, json!({})),
        file("late", 5, late),
        file("gone", 0, json!({"trashed": true})),
        file("s", 900, shared),
    ];
    change(&server, "11", &files, ("newStartPageToken", "12")).await;
    let page = poll(&account, &mut cursor, None).await.unwrap();
    assert_eq!((keys(&page), page.more, &*page.answer), (vec!["c"], true, "200; changed and older: 1"));
    let event = &page.items[0].body;
    assert_eq!(
        (&event["folder"], &event["size"], &event["owner"]),
        (&json!("Rechnungen 🎉"), &json!(48213), &json!("Ann"))
    );
    let page = poll(&account, &mut cursor, None).await.unwrap();
    assert_eq!((keys(&page), page.more, &page.items[0].body["folder"]), (vec!["late", "s"], false, &json!("")));
    assert_eq!(cursor.as_ref().unwrap()["token"], "12");
    change(&server, "12", &[], ("newStartPageToken", "12")).await;
    assert_eq!(
        poll(&account, &mut cursor, None).await.unwrap().cursor,
        None,
        "a poll that finds nothing writes nothing"
    );

    serve(&server, ResponseTemplate::new(400).set_body_json(json!({"error": {"code": 400}}))).await;
    assert!(matches!(poll(&account, &mut cursor, None).await, Err(Fault::Resync { .. })));
    drive(&server, json!([file("x", 1, json!({}))])).await;
    let page = poll(&account, &mut None, Some(now() - TimeDelta::hours(3))).await.unwrap();
    assert_eq!((keys(&page), &page.gap), (vec!["x"], &None));
    let asked = server.received_requests().await.unwrap();
    assert!(asked[0].url.path().ends_with("/startPageToken"), "the new token comes before the search");
}

#[tokio::test]
async fn a_search_asks_in_words_that_drive_knows_for_what_was_made_and_for_what_was_shared() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let found = async |made: Value, shared: Value| {
        server.reset().await;
        let start = ok(json!({"startPageToken": "10"}));
        Mock::given(path("/changes/startPageToken")).respond_with(start).mount(&server).await;
        // Drive answers 400 to any other word: developers.google.com/workspace/drive/api/guides/ref-search-terms
        for (words, files) in [
            ("trashed = false and createdTime > '2026-11-05T05:49:37Z'", made),
            ("trashed = false and sharedWithMe = true", shared),
        ] {
            Mock::given(path("/files")).and(query_param("q", words)).respond_with(ok(files)).mount(&server).await;
        }
        poll(&account, &mut None, Some(now() - TimeDelta::hours(3))).await.unwrap()
    };
    let shared =
        |id: &str, hours_ago: i64| file(id, 900, json!({"sharedWithMeTime": now() - TimeDelta::hours(hours_ago)}));
    let page = found(
        json!({"files": [file("made", 1, json!({})), shared("both", 2)]}),
        json!({"files": [shared("lent", 1), shared("both", 2), shared("lent long ago", 100)], "nextPageToken": "old ones"}),
    )
    .await;
    assert_eq!((keys(&page), &page.gap), (vec!["both", "made", "lent"], &None));
    let page = found(json!({"files": []}), json!({"files": [shared("lent", 1)], "nextPageToken": "more"})).await;
    assert!(page.gap.unwrap().contains("only the last 10 files"), "what was shared lately is cut");
}

#[tokio::test]
async fn a_search_goes_from_page_to_page_and_the_first_poll_knows_all_that_is_young() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let start = ok(json!({"startPageToken": "10"}));
    Mock::given(path("/changes/startPageToken")).respond_with(start).mount(&server).await;
    let page = async |words: &str, token: Option<&str>, files: Value, next: Option<&str>| {
        let body = ok(json!({ "files": files, "nextPageToken": next }));
        let asked =
            Mock::given(path("/files")).and(query_param("q", words)).and(query_param("orderBy", "modifiedTime desc"));
        let asked = match token {
            Some(token) => asked.and(query_param("pageToken", token)),
            None => asked.and(query_param_is_missing("pageToken")),
        };
        asked.respond_with(body).mount(&server).await;
    };
    let young = |hours| format!("trashed = false and createdTime > '2026-11-{hours}:49:37Z'");
    for hours in ["05T08", "04T08"] {
        page(&young(hours), None, json!([]), Some("2")).await;
        page(&young(hours), Some("2"), json!([file("a", 1, json!({}))]), Some("3")).await;
        page(&young(hours), Some("3"), json!([file("b", 2, json!({}))]), None).await;
    }
    page(
        "trashed = false",
        None,
        json!([file("b", 2, json!({})), file("old", 900, json!({}))]),
        Some("never asked for"),
    )
    .await;
    let lent = ok(json!({"files": []}));
    Mock::given(path("/files"))
        .and(query_param("q", "trashed = false and sharedWithMe = true"))
        .respond_with(lent)
        .mount(&server)
        .await;
    let mut cursor = None;
    assert_eq!(keys(&poll(&account, &mut cursor, None).await.unwrap()), ["old", "b"]);
    change(
        &server,
        "10",
        &[file("a", 1, json!({})), file("b", 2, json!({})), file("c", 3, json!({}))],
        ("newStartPageToken", "11"),
    )
    .await;
    assert_eq!(keys(&poll(&account, &mut cursor, None).await.unwrap()), ["c"]);
    let page = poll(&account, &mut None, Some(now() - TimeDelta::days(1))).await.unwrap();
    assert_eq!((keys(&page), &page.gap), (vec!["b", "a"], &None));
}

#[tokio::test]
async fn what_was_told_long_ago_stays_old_and_no_date_of_a_file_silences_the_others() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let told = async |cursor: &mut Option<Value>, files: &[Value]| {
        server.reset().await;
        change(&server, "10", files, ("newStartPageToken", "10")).await;
        poll(&account, cursor, None).await.unwrap().items.into_iter().map(|item| item.key).collect::<Vec<_>>()
    };
    let ago = |days: i64| now() - TimeDelta::days(days);
    let begun = |days: i64| Some(json!({"token": "10", "from": ago(days), "began": ago(days), "seen": ""}));
    let lent = |id: &str, days: i64| file(id, 9000, json!({ "sharedWithMeTime": ago(days) }));
    let mut cursor = begun(90);
    assert_eq!(told(&mut cursor, &[lent("lent", 60), file("new", 1, json!({}))]).await, ["lent", "new"]);
    cursor.as_mut().unwrap()["seen"] = json!("");
    assert_eq!(told(&mut cursor, &[lent("lent", 60), lent("late", 0)]).await, ["late"], "its id is no longer kept");

    for far in ["2099-01-01T00:00:00Z", "+262142-12-31T23:59:59Z", "-262143-01-01T00:00:00Z"] {
        let far = json!({ "createdTime": far });
        let mut cursor = begun(90);
        told(&mut cursor, &[file("far", 0, far.clone())]).await;
        assert_eq!(told(&mut cursor, &[file("new", 1, json!({}))]).await, ["new"], "{far}");
        drive(&server, json!([file("far", 0, far)])).await;
        let mut cursor = None;
        poll(&account, &mut cursor, None).await.unwrap();
        assert_eq!(told(&mut cursor, &[file("new", 1, json!({}))]).await, ["new"], "after the first poll");
    }
}

#[tokio::test]
async fn a_shared_drive_is_a_feed_of_its_own() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    drive(&server, json!([file("a", 1, json!({}))])).await;
    change(&server, "10", &[], ("newStartPageToken", "10")).await;
    let link = json!({"drive": "https://drive.google.com/drive/u/0/folders/0AClub?usp=sharing"});
    for (data, has) in [(json!({}), false), (link, true)] {
        let (mut cursor, asked) = (None, server.received_requests().await.unwrap().len());
        poll_of(data.clone(), &account, &mut cursor, None).await.unwrap();
        poll_of(data.clone(), &account, &mut cursor, None).await.unwrap();
        poll_of(data, &account, &mut None, Some(now())).await.unwrap();
        for request in &server.received_requests().await.unwrap()[asked..] {
            let asked =
                |name: &str, value: &str| request.url.query_pairs().any(|pair| pair == (name.into(), value.into()));
            let is_start = request.url.path().ends_with("startPageToken");
            assert_eq!((asked("driveId", "0AClub"), asked("supportsAllDrives", "true")), (has, has), "{}", request.url);
            assert_eq!(asked("includeItemsFromAllDrives", "true"), has && !is_start, "{}", request.url);
            assert_eq!(asked("corpora", "drive"), has && request.url.path().ends_with("/files"), "{}", request.url);
            assert!(!has || !request.url.as_str().contains("sharedWithMe+"), "{}", request.url);
        }
    }
}

#[test]
fn a_file_is_selected_by_folder_type_and_name() {
    let event: Value = serde_json::from_str(new_file::SPEC.sample_event).unwrap();
    let check =
        |data: Value, event: &Value, left: Option<&str>| match ((new_file::SPEC.select)(&data, event, None), left) {
            (Verdict::Take, None) => {}
            (Verdict::Leave(why), Some(words)) if why.contains(words) => {}
            (other, _) => panic!("{data}: {other:?}, not {left:?}"),
        };
    let id = event["folder_id"].as_str().unwrap();
    check(json!({}), &event, None);
    check(json!({"folder": id, "type": "pdf", "name": "invoice 42"}), &event, None);
    check(json!({"folder": format!("https://drive.google.com/drive/u/0/folders/{id}?usp=sharing")}), &event, None);
    check(json!({"folder": "other"}), &event, Some("it lies in \"Invoices\""));
    check(json!({"type": "image"}), &event, Some("it is a \"pdf\""));
    check(json!({"name": "bill"}), &event, Some("without `bill`"));
    let folder = json!({"kind": "folder", "name": "x"});
    check(json!({}), &folder, Some("it is a \"folder\""));
    check(json!({"type": "folder"}), &folder, None);
}

#[test]
fn a_folder_or_a_drive_without_an_id_is_told_when_it_is_saved() {
    let check = |data: Value, expected: &[&str]| {
        let wrong = (new_file::SPEC.check)(&data);
        assert_eq!(wrong.iter().map(|one| one.pointer.as_str()).collect::<Vec<_>>(), expected, "{data}: {wrong:?}");
    };
    let link = "https://drive.google.com/drive/u/0/folders/1dyUEebJ_a-n?usp=sharing";
    check(json!({"folder": link, "drive": "0AJhKqpd3nWYbUk9PVA"}), &[]);
    check(json!({"folder": ""}), &[]);
    check(json!({"folder": "https://drive.google.com/open?id=1dyUEebJ&usp=drive"}), &[]);
    for wrong in
        ["root", "https://drive.google.com/drive/my-drive", "https://drive.google.com/drive/u/0/my-drive", "My folder"]
    {
        check(json!({ "folder": wrong }), &["/folder"]);
        check(json!({ "drive": wrong }), &["/drive"]);
    }
}

#[tokio::test]
async fn values_come_under_their_headers_and_no_text_becomes_a_formula() {
    let server = MockServer::start().await;
    let account = Account::at(&server.uri());
    let append = async |data: Value| react_as(&append_row::SPEC, data, Some(&account)).await;
    let headers = ok(json!({"range": "x", "values": [["Subject", "Größe", "", "paid"]]}));
    let row = "/v4/spreadsheets/s1/values/'Ann''s%20sheet'!1:1";
    Mock::given(method("GET")).and(path(row)).respond_with(headers).mount(&server).await;
    let done = ok(json!({"updates": {"updatedRange": "'Ann''s sheet'!A12:D12"}}));
    Mock::given(method("POST")).respond_with(done).mount(&server).await;
    Mock::given(method("PUT")).respond_with(ok(json!({}))).mount(&server).await;
    let data = json!({"spreadsheet": "https://docs.google.com/spreadsheets/d/s1/edit#gid=0", "sheet": "Ann's sheet",
        "row": {"PAID": true, "subject": "=IMPORTXML(1) 🎉", "größe ": 1.5}});
    let out = append(data.clone()).await.unwrap();
    assert_eq!((&out["number"], &out["spreadsheet"]), (&json!(12), &json!("s1")));
    let calls = server.received_requests().await.unwrap();
    assert_eq!(calls[1].url.path(), "/v4/spreadsheets/s1/values/'Ann''s%20sheet'!A1:append");
    assert_eq!(calls[1].url.query(), Some("valueInputOption=RAW&insertDataOption=INSERT_ROWS"));
    let sent: Value = serde_json::from_slice(&calls[1].body).unwrap();
    assert_eq!(sent, json!({"values": [["=IMPORTXML(1) 🎉", 1.5, null, true]]}));

    let mut more = data.clone();
    more["row"]["New"] = json!("x");
    let fault = append(more.clone()).await.unwrap_err();
    let words = "no header `New`; there are: Subject, Größe, , paid. `add_columns` adds";
    assert!(fault.why().contains(words), "{fault:?}");
    let twice = json!({"spreadsheet": "s1", "row": {"a": 1, "A ": 2}});
    assert_eq!((append_row::SPEC.check)(&twice)[0].pointer, "/row");

    server.reset().await;
    let shifted = ok(json!({"range": "x", "values": [["", "Subject"]]}));
    Mock::given(method("GET")).respond_with(shifted).mount(&server).await;
    assert!(append(data.clone()).await.unwrap_err().why().contains("the first cell of the sheet is empty"));

    server.reset().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(403).set_body_json(json!({"error": {"code": 403,
        "message": "Request had insufficient authentication scopes.", "details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}})))
        .mount(&server).await;
    assert!(append(data).await.unwrap_err().why().contains("the account has not granted spreadsheets"));
}

#[tokio::test]
async fn a_header_is_added_behind_the_others_which_stay_as_they_are_and_values_follow_where_it_then_stands() {
    let data = json!({"spreadsheet": "s1", "row": {"new ": 1, "a": 2}, "add_columns": true});
    // The first rows as they are read; what is written then, and the row.
    let run = async |rows: [Value; 2], put: ResponseTemplate| {
        let server = MockServer::start().await;
        for (priority, row) in [1, 2].into_iter().zip(rows) {
            let row = ok(json!({ "values": [row] }));
            let read = Mock::given(method("GET")).respond_with(row).up_to_n_times(1).with_priority(priority);
            read.mount(&server).await;
        }
        Mock::given(method("PUT")).respond_with(put).mount(&server).await;
        let done = ok(json!({"updates": {"updatedRange": "A2:D2"}}));
        Mock::given(method("POST")).respond_with(done).mount(&server).await;
        let done = react_as(&append_row::SPEC, data.clone(), Some(&Account::at(&server.uri()))).await;
        let calls = server.received_requests().await.unwrap();
        let sent =
            calls.iter().filter(|call| !call.body.is_empty()).map(|call| serde_json::from_slice::<Value>(&call.body));
        (done.err(), sent.map(|body| Value::take(&mut body.unwrap()["values"][0])).collect::<Vec<_>>())
    };
    let header = json!([null, null, "new"]);
    let (fault, sent) = run([json!(["A", "=B"]), json!(["A", "=B", "New"])], ok(json!({}))).await;
    assert_eq!((fault, sent), (None, vec![header.clone(), json!([2, null, 1])]));
    let (fault, sent) = run([json!(["A", "=B"]), json!(["A", "=B", "other", "new"])], ok(json!({}))).await;
    assert_eq!((fault, sent), (None, vec![header.clone(), json!([2, null, null, 1])]), "somebody made room meanwhile");
    let (fault, sent) = run([json!(["A", "=B"]), json!(["A", "=B", "other"])], ok(json!({}))).await;
    assert_eq!(sent, std::slice::from_ref(&header));
    assert!(
        matches!(fault, Some(Fault::Later { maybe_done: false, .. })),
        "nothing goes under another's header: {fault:?}"
    );
    let full = json!({"error": {"code": 400, "message": "Range (x!C1) exceeds grid limits. Max columns: 2", "status": "INVALID_ARGUMENT"}});
    let full = ResponseTemplate::new(400).set_body_json(full);
    let (fault, sent) = run([json!(["A", "=B"]), json!([])], full).await;
    assert_eq!(sent, [header]);
    assert!(
        fault.unwrap().why().ends_with("where the sheet has no free column left, add columns to it in Google Sheets")
    );
}

#[tokio::test]
async fn folders_spreadsheets_sheets_calendars_and_labels_are_offered_by_name() {
    let server = MockServer::start().await;
    let (account, http) = (Account::at(&server.uri()), http());
    let files = ok(json!({"files": [{"id": "f1", "name": "It's"}], "nextPageToken": "n"}));
    Mock::given(path("/files")).respond_with(files).mount(&server).await;
    let sheets = ok(json!({"sheets": [{"properties": {"title": "One"}}, {"properties": {"title": "Two"}}]}));
    Mock::given(path("/v4/spreadsheets/s1")).respond_with(sheets).mount(&server).await;
    let calendars = ok(
        json!({"items": [{"id": "primary", "summary": "ann@example.org", "summaryOverride": "Ann", "primary": true}]}),
    );
    Mock::given(path("/users/me/calendarList")).respond_with(calendars).mount(&server).await;
    let labels = ok(
        json!({"labels": [{"id": "INBOX", "name": "INBOX", "type": "system"}, {"id": "L7", "name": "Work", "type": "user"}]}),
    );
    Mock::given(path("/gmail/v1/users/me/labels")).respond_with(labels).mount(&server).await;
    let titles = async |spec: &engine::port::OptionsSpec, q: &str, within: Option<&str>| {
        let cx = OptionsCx { within, ..account.options(&http, q) };
        (spec.list)(cx).await.map(|found| found.items.into_iter().map(|one| one.title).collect::<Vec<_>>())
    };
    assert_eq!(titles(&options::FOLDER, "it's", None).await.unwrap(), ["It's"]);
    let asked = server.received_requests().await.unwrap()[0].url.query_pairs().next().unwrap().1.into_owned();
    assert_eq!(asked, r"trashed = false and mimeType = 'application/vnd.google-apps.folder' and name contains 'it\'s'");
    assert_eq!(titles(&options::SPREADSHEET, "", None).await.unwrap(), ["It's"]);
    assert_eq!(titles(&options::FOLDER, "", Some("0AClub")).await.unwrap(), ["It's"]);
    let asked = server.received_requests().await.unwrap();
    let asked = |n: usize, words: &str| asked[n].url.query().unwrap().contains(words);
    let everywhere = "supportsAllDrives=true&includeItemsFromAllDrives=true";
    assert_eq!([0, 1, 2].map(|n| asked(n, everywhere)), [false, true, true]);
    assert_eq!([0, 1, 2].map(|n| asked(n, "driveId=0AClub") && asked(n, "corpora=drive")), [false, false, true]);
    assert_eq!(titles(&options::SHEET, "tw", Some("s1")).await.unwrap(), ["Two"]);
    assert!(titles(&options::SHEET, "", None).await.is_err());
    assert_eq!(titles(&options::CALENDARS_OF, "ann", None).await.unwrap(), ["Ann"]);
    assert_eq!(titles(&options::LABEL, "work", None).await.unwrap(), ["Work"]);
}
