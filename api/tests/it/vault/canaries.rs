//! Tokens are planted, and everything that the daemon wrote or says is searched for them: its log at the finest, its database, its
//! answers.

use std::time::Duration;

use engine::ids::{AccountId, UserId};
use engine::store::Db;
use engine::{on, on_write};
use serde_json::json;
use wiremock::matchers::{body_string_contains, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::daemon::until;
use crate::kit::Area;

/// Part of every secret that the provider gives or is sent.
const CANARY: &str = "CANARY";
const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    refresh_token, expires_at) VALUES ($1, 'oauth', 'acme', $2, $3, 'plain', $4, 0)";
const KNOW: &str = "INSERT INTO account_state (account_id, provider, part, refresh_at) VALUES ($1, 'acme', 0, 0)";
const NEED: &str = "INSERT INTO area_accounts (area_no, account_id) SELECT no, $1 FROM areas WHERE name = $2";

/// An AREA for each account: with one that is lost its AREA pauses, and what only that AREA needs is not refreshed any more.
fn areas() -> serde_json::Value {
    let area = |name: &str| {
        json!({ "name": name, "action": {"service": "timer", "name": "every", "data": {"every": "1d"}},
            "reactions": [{"service": "log", "name": "write", "data": {"text": "x"}}] })
    };
    json!([area("first-a"), area("first-b"), area("first-c")])
}

/// An account that the active AREA of its refresh token's name needs, due for a refresh.
async fn linked(db: &Db, refresh: &str) -> AccountId {
    let id = AccountId::new();
    let owner = "SELECT DISTINCT user_id FROM areas";
    let owner: UserId = on!(db, pool => sqlx::query_scalar(owner).fetch_one(pool).await).unwrap();
    on_write!(db, pool => {
        let link = sqlx::query(LINK).bind(id).bind(id.to_string()).bind(owner).bind(refresh);
        link.execute(pool).await.unwrap();
        sqlx::query(KNOW).bind(id).execute(pool).await.unwrap();
        sqlx::query(NEED).bind(id).bind(refresh).execute(pool).await.map(drop)
    })
    .unwrap();
    id
}

/// What a provider gives first, and that it says what it was sent when it refuses.
async fn provider() -> MockServer {
    let server = MockServer::start().await;
    let gives = |access: &str, refresh: &str| {
        ResponseTemplate::new(200).set_body_json(json!({
            "access_token": access, "refresh_token": refresh, "id_token": "CANARY-id", "expires_in": 4, "odd": "CANARY-odd",
        }))
    };
    let refuses = |sent: &str| {
        let said = json!({ "error": "invalid_grant", "error_description": format!("{sent} is spent") });
        ResponseTemplate::new(400).set_body_json(said)
    };
    for (sent, answer) in [
        ("first-a", gives("CANARY-access-a", "CANARY-refresh-a")),
        ("CANARY-refresh-a", refuses("CANARY-refresh-a")),
        ("first-b", gives("CANARY-access-b", "CANARY-refresh-b")),
        ("CANARY-refresh-b", ResponseTemplate::new(500).set_body_string("CANARY-body")),
        ("first-c", ResponseTemplate::new(200).set_body_string("{\"access_token\": \"CANARY\\u0000\"}")),
    ] {
        let mock = Mock::given(path("/token")).and(body_string_contains(format!("refresh_token={sent}&")));
        mock.respond_with(answer.clone()).mount(&server).await;
        let mock = Mock::given(path("/token")).and(body_string_contains(format!("refresh_token={sent}")));
        mock.respond_with(answer).mount(&server).await;
    }
    server
}

/// Everything that is stored, as text.
async fn stored(area: &Area, db: &Db) -> String {
    let Db::Postgres(pool) = db else {
        let files = ["data/area.db", "data/area.db-wal"].map(|name| std::fs::read(area.file(name)).unwrap_or_default());
        return String::from_utf8_lossy(&files.concat()).into_owned();
    };
    let tables = "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
        WHERE table_schema IN ('public', 'next_auth') AND table_type = 'BASE TABLE'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
    let mut all = String::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("SELECT COALESCE(string_agg(t::text, '\n'), '') FROM {table} t"));
        let rows: String = sqlx::query_scalar(rows).fetch_one(pool).await.unwrap();
        all.push_str(&rows);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_in_no_log_no_error_no_answer_and_in_no_readable_column() {
    for area in Area::all().await {
        std::fs::write(area.file("a.json"), areas().to_string()).unwrap();
        let api = area.run(&["token", "create", "--email", "a@b"]).ok();
        area.run(&["apply", "a.json", "--user", "a@b"]).ok();
        let (db, server) = (area.db().await, provider().await);
        let [dead, failing, garbled] =
            [linked(&db, "first-a").await, linked(&db, "first-b").await, linked(&db, "first-c").await];
        let log = area.file("log");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = area.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs([("AREA_LOG__FILTER", "trace"), ("AREA_PROVIDERS__ACME__CLIENT_ID", "area")]);
        command.env("AREA_PROVIDERS__ACME__CLIENT_SECRET", "CANARY-client");
        command.env("AREA_PROVIDERS__ACME__TOKEN_URL", format!("{}/token", server.uri()));
        command.env("AREA_PROVIDERS__ACME__AUTHORIZE_URL", format!("{}/authorize", server.uri()));
        let mut daemon = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let state = async |id: AccountId| engine::store::accounts::get(&db, id).await.unwrap().unwrap();
        let done = until(Duration::from_secs(60), async || {
            state(dead).await.state == "needs_reconnect"
                && state(failing).await.failures > 0
                && state(failing).await.version == 1
                && state(garbled).await.failures > 0
        });
        let done = done.await;
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(done, "{}: {}", area.label, &said[said.len().saturating_sub(2_000)..]);
        let url = said.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
        let base = format!("http://{}", url.trim_end_matches(|c: char| !c.is_ascii_digit()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut answers = String::new();
        for at in ["/v1/areas", "/v1/runs", "/v1/events", "/metrics", "/v1/services"] {
            let answer = http.get(format!("{base}{at}")).bearer_auth(&api).send().await.unwrap();
            answers.push_str(&answer.text().await.unwrap());
        }
        answers.push_str(&area.run(&["config", "--current"]).out);
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(said.contains("invalid_grant") && said.contains("TRACE"), "{}: the log tells", area.label);
        for (what, text) in [("log", &said), ("answers", &answers), ("database", &stored(&area, &db).await)] {
            let at = text.find(CANARY).map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
            assert_eq!(at, None, "{}: {what}", area.label);
        }
        // They were there all the same.
        let row = state(failing).await;
        assert!(row.refresh_token.unwrap().starts_with("s1."), "{}", area.label);
        db.close().await;
    }
}
