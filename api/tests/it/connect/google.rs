//! An account's whole life at the Google emulator: linked, used, refreshed, lost, linked again, unlinked, gone with its owner.

use std::time::Duration;

use api::identity::password::Passwords;
use engine::ids::AccountId;
use engine::{on, on_write};
use serde_json::{Value, json};

use super::{World, here};
use crate::daemon::until;
use crate::kit::Area;
use crate::peers::{Google, google};
use crate::people::PASSWORD;
use crate::rest::settings;

/// How long what happens in the background may take.
const SOON: Duration = Duration::from_secs(60);
const SET_PASSWORD: &str = "UPDATE users SET password = $1 WHERE email = 'ann@example.org'";

const TOKEN: &str = "/oauth2/token";
const WHO: &str = "/oauth2/v2/userinfo";
const NEED: &str = "INSERT INTO area_accounts (area_no, account_id) SELECT no, $1 FROM areas WHERE name = 'Needs it'";

/// The addresses of Google are those of the emulator; all else is as we ship it, and `more`.
pub fn world(area: Area, google: &Google, more: &[(String, String)]) -> World {
    let at = |path: &str| format!("{}{path}", google.url());
    let provider = [
        ("authorize_url", at("/o/oauth2/v2/auth")),
        ("token_url", at(TOKEN)),
        ("userinfo_url", at(WHO)),
        ("revoke_url", at("/oauth2/revoke")),
        ("jwks_url", at("/oauth2/v3/certs")),
        ("issuer", google.url().to_owned()),
        ("client_id", google::CLIENT.0.to_owned()),
        ("client_secret", google::CLIENT.1.to_owned()),
    ];
    let provider = provider.map(|(key, value)| (format!("providers.google.{key}"), value));
    World::with(area, &[&provider, more].concat())
}

impl World {
    /// Ann links the Google account of `email`.
    pub async fn linked(&self, google: &Google, email: &str) -> Value {
        self.granted(google, email, &["gmail.readonly"]).await
    }

    /// The same with more rights.
    pub async fn granted(&self, google: &Google, email: &str, scopes: &[&str]) -> Value {
        let url = self.begun("google", &self.ann, json!({ "scopes": scopes })).await;
        let back = here(&google.consented(&url, email).await);
        let (status, linked) = self.call("GET", &back, Some(&self.ann), None).await;
        assert_eq!((status, &linked["who"]), (200, &json!(email)), "{}: {linked}", self.area.label);
        linked
    }

    async fn checked(&self, path: &str) -> Value {
        self.call("POST", &format!("{path}/check"), Some(&self.ann), None).await.1
    }

    /// An AREA of Ann's that needs the account: no service of Google's is here yet, so the row says so by itself.
    pub async fn needs(&self, account: &Value) -> String {
        let timer = json!({ "service": "timer", "name": "every", "data": { "every": "1d" } });
        let log = json!({ "service": "log", "name": "write", "data": { "text": "x" } });
        let area = json!({ "name": "Needs it", "action": timer, "reactions": [log] });
        let (status, made) = self.call("POST", "/v1/areas", Some(&self.ann), Some(area)).await;
        assert_eq!(status, 201, "{made}");
        let (db, id): (_, AccountId) = (self.area.db().await, account.as_str().unwrap().parse().unwrap());
        on_write!(&db, pool => sqlx::query(NEED).bind(id).execute(pool).await.map(drop)).unwrap();
        db.close().await;
        format!("/v1/areas/{}", made["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn a_list_of_options_says_which_scope_it_lacks_and_the_grant_takes_nothing_away() {
    let Some(google) = Google::start().await else { return };
    let w = world(Area::new(), &google, &google.apis());
    let linked = w.linked(&google, "ada@example.com").await;
    let path = format!("/v1/services/google/options/calendar?account={}", linked["account"].as_str().unwrap());
    let (status, said) = w.call("GET", &path, Some(&w.ann), None).await;
    let (error, scope) = (&said["errors"][0], |name: &str| json!(format!("https://www.googleapis.com/auth/{name}")));
    assert_eq!((status, &error["pointer"]), (422, &json!("/account")), "{said}");
    let asked = error["grant"]["body"]["scopes"].as_array().unwrap();
    for name in ["calendar.calendarlist.readonly", "gmail.readonly"] {
        assert!(asked.contains(&scope(name)), "{name}: {said}");
    }
    assert!(said["detail"].as_str().unwrap().contains("the list of what `calendar` may be needs"), "{said}");
}

#[tokio::test]
async fn an_account_at_google_is_linked_used_refreshed_lost_linked_again_and_unlinked() {
    for area in Area::all().await {
        let Some(google) = Google::start().await else { return };
        let w = world(area, &google, &[]);
        let label = w.area.label;
        let providers = w.call("GET", "/v1/providers", Some(&w.ann), None).await.1;
        let all = providers["items"].as_array().unwrap();
        let verified: Vec<&Value> = all.iter().filter(|p| p["verified"] == true).map(|p| &p["name"]).collect();
        assert_eq!(verified, ["google"], "{label}: what makes a round trip here, and nothing else");

        // Linked by what userinfo says: its id token is signed with a secret that is no secret.
        let linked = w.linked(&google, "ada@example.com").await;
        assert_eq!((&linked["provider"], &linked["missing"]), (&json!("google"), &json!([])), "{label}: {linked}");
        let readonly = json!("https://www.googleapis.com/auth/gmail.readonly");
        assert!(linked["scopes"].as_array().unwrap().contains(&readonly), "{label}: {linked}");
        let path = format!("/v1/accounts/{}", linked["account"].as_str().unwrap());
        let account = w.accounts(&w.ann).await.remove(0);
        assert_eq!((&account["id"], &account["state"]), (&linked["account"], &json!("ok")), "{label}: {account}");

        // Used, and refreshed when it is over, once.
        let checked = w.checked(&path).await;
        assert_eq!((&checked["works"], &checked["refreshed_at"]), (&json!(true), &Value::Null), "{label}: {checked}");
        google.expire().await;
        let checked = w.checked(&path).await;
        assert!(checked["works"] == json!(true) && checked["refreshed_at"].is_string(), "{label}: {checked}");
        assert_eq!(google.answered(TOKEN).await, [200, 200], "{label}: a code and a refresh token");
        assert_eq!(google.answered(WHO).await, [200, 200, 401, 200], "{label}");

        // Google is down for a moment: nothing is lost, and it is not asked again at once.
        let bob = w.linked(&google, "bob@example.com").await;
        let other = format!("/v1/accounts/{}", bob["account"].as_str().unwrap());
        google.expire().await;
        google.fails(TOKEN, 500).await;
        let down = w.checked(&other).await;
        let failing = down["failing"].as_str().unwrap_or_default();
        assert!(down["works"] == json!(false) && down["state"] == "ok" && failing.contains("500"), "{label}: {down}");
        let again = until(SOON, async || w.checked(&other).await["works"] == json!(true));
        assert!(again.await, "{label}");
        assert_eq!(google.answered(TOKEN).await, [200, 200, 200, 500, 200], "{label}");

        // Its owner took the consent back: what needs the account pauses, and goes on when it is linked again under the same id.
        let third = w.linked(&google, "ada@example.com").await;
        assert_eq!(third["account"], linked["account"], "{label}");
        let needs = w.needs(&linked["account"]).await;
        google.expire().await;
        google.drop_refresh().await;
        let lost = w.checked(&path).await;
        let reason = lost["reason"].as_str().unwrap_or_default();
        assert!(lost["state"] == "needs_reconnect" && reason.contains("invalid_grant"), "{label}: {lost}");
        let paused = w.call("GET", &needs, Some(&w.ann), None).await.1;
        assert_eq!((&paused["state"], &paused["reason"]), (&json!("faulted"), &json!(reason)), "{label}: {paused}");
        let (asked, again) = (google.answered(TOKEN).await.len(), w.checked(&path).await);
        assert_eq!(
            (&again["works"], google.answered(TOKEN).await.len()),
            (&json!(false), asked),
            "{label}: asked no more"
        );
        let back = w.linked(&google, "ada@example.com").await;
        assert_eq!((&back["account"], &back["resumed"][0]), (&linked["account"], &paused["id"]), "{label}: {back}");
        let checked = w.checked(&path).await;
        assert_eq!((&checked["works"], &checked["state"]), (&json!(true), &json!("ok")), "{label}: {checked}");

        // Unlinked: Google is told, the AREA pauses.
        let (status, gone) = w.call("DELETE", &path, Some(&w.ann), None).await;
        let paused = gone["paused"][0]["name"].as_str();
        assert_eq!((status, &gone["revoked"], paused), (200, &json!(true), Some("Needs it")), "{label}: {gone}");
        assert_eq!(google.answered("/oauth2/revoke").await, [200], "{label}");
        assert_eq!(w.accounts(&w.ann).await.len(), 1, "{label}");
        let paused = w.call("GET", &needs, Some(&w.ann), None).await.1;
        assert!(paused["reason"].as_str().unwrap().contains("was unlinked"), "{label}: {paused}");

        // And what is left goes with its owner: Google is told of that too.
        let session = signed_in(&w).await;
        let body = Some(json!({ "password": PASSWORD }));
        assert_eq!(w.call("POST", "/v1/auth/delete", Some(&session), body).await.0, 204, "{label}");
        let told = until(SOON, async || google.answered("/oauth2/revoke").await == [200, 200]);
        assert!(told.await, "{label}");
        let db = w.area.db().await;
        for table in ["next_auth_accounts", "account_state", "area_accounts", "connect_sessions"] {
            let count = || sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            let left: i64 = on!(&db, pool => sqlx::query_scalar(count()).fetch_one(pool).await).unwrap();
            assert_eq!(left, 0, "{label}: {table}");
        }
        db.close().await;
    }
}

/// Ann with a password, signed in: who leaves proves who they are.
async fn signed_in(w: &World) -> String {
    let hash = Passwords::new(&settings().passwords).hash(PASSWORD).await.unwrap();
    let db = w.area.db().await;
    on_write!(&db, pool => sqlx::query(SET_PASSWORD).bind(&hash).execute(pool).await.map(drop)).unwrap();
    db.close().await;
    let body = json!({ "email": "ann@example.org", "password": PASSWORD });
    let (status, said) = w.call("POST", "/v1/auth/login", None, Some(body)).await;
    assert_eq!(status, 200, "{said}");
    said["token"].as_str().unwrap().to_owned()
}
