//! Linking accounts at a strict, certified provider, by the real daemon on both databases: the journey, and what attackers try.

mod backlog;
mod google;
mod mails;
mod rows;
mod told;

use std::time::Duration;

use engine::on_write;
use serde_json::{Value, json};
use url::Url;

use crate::kit::{Area, Daemon};
use crate::peers::Oidc;

/// The callback that the provider knows: `public_url` is set to its origin.
const PUBLIC: &str = "http://127.0.0.1:8080";

/// Another origin to which the operator lets browsers go back.
const SITE: &str = "http://site.example";

/// A daemon that knows the provider, and its users.
struct World {
    area: Area,
    args: Vec<String>,
    daemon: Daemon,
    http: reqwest::Client,
    ann: String,
    bob: String,
}

impl World {
    fn on(area: Area, oidc: &Oidc) -> Self {
        Self::with(area, &oidc.settings())
    }

    /// With these settings.
    fn with(area: Area, settings: &[(String, String)]) -> Self {
        let mut args = vec!["--set".to_owned(), format!("public_url={PUBLIC}")];
        for (key, value) in settings {
            args.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        args.extend(["--set".to_owned(), format!("connect.return_to={SITE}")]);
        let token = |email: &str| area.run(&["token", "create", "--email", email]).ok();
        let (ann, bob) = (token("ann@example.org"), token("bob@example.org"));
        let daemon = area.serve(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { area, args, daemon, http, ann, bob }
    }

    /// The daemon is killed, if it lives, and started anew with more in its environment.
    fn again(&mut self, env: &[(&str, &str)]) {
        self.daemon.kill9();
        self.daemon = self.area.serve_with(env, &self.args.iter().map(String::as_str).collect::<Vec<_>>());
    }

    async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.daemon.url));
        request = token.map(|token| request.try_clone().unwrap().bearer_auth(token)).unwrap_or(request);
        request = body.map(|body| request.try_clone().unwrap().json(&body)).unwrap_or(request);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Begins as `token`'s user: where the browser is sent.
    async fn begun(&self, provider: &str, token: &str, body: Value) -> Url {
        let (status, answer) = self.call("POST", &format!("/v1/connect/{provider}"), Some(token), Some(body)).await;
        assert_eq!(status, 201, "{}: {answer}", self.area.label);
        Url::parse(answer["authorize_url"].as_str().unwrap()).unwrap()
    }

    /// Begins, and lets the provider's user consent: the path of the callback.
    async fn consented(&self, oidc: &Oidc, token: &str, body: Value) -> String {
        let back = oidc.follow(self.begun("oidc", token, body).await).await;
        here(&back)
    }

    async fn accounts(&self, token: &str) -> Vec<Value> {
        let (status, all) = self.call("GET", "/v1/accounts", Some(token), None).await;
        assert_eq!(status, 200, "{all}");
        all["items"].as_array().unwrap().clone()
    }

    async fn sql(&self, sql: &'static str) {
        let db = self.area.db().await;
        on_write!(&db, pool => sqlx::query(sql).execute(pool).await.map(drop)).unwrap();
        db.close().await;
    }
}

/// The path of our callback.
fn here(back: &Url) -> String {
    back.as_str().strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{back}")).to_owned()
}

async fn worlds(oidc: &Oidc) -> Vec<World> {
    let mut all = Vec::new();
    for area in Area::all().await {
        all.push(World::on(area, oidc));
    }
    all
}

#[tokio::test]
async fn an_account_is_linked_checked_refreshed_widened_and_unlinked() {
    let Some(oidc) = Oidc::start(&[("AT_TTL", "3")]).await else { return };
    for w in worlds(&oidc).await {
        let ann = w.ann.as_str();
        let back = w.consented(&oidc, ann, json!({ "scopes": ["read"] })).await;
        let (status, linked) = w.call("GET", &back, Some(ann), None).await;
        assert_eq!(status, 200, "{}: {linked}", w.area.label);
        assert_eq!((&linked["provider"], &linked["who"]), (&json!("oidc"), &json!("ada@example.com")), "{linked}");
        assert_eq!(linked["missing"], json!([]), "{linked}");
        let (status, again) = w.call("GET", &back, Some(ann), None).await;
        assert_eq!((status, &again["type"]), (409, &json!("/docs#problem-conflict")), "{again}");

        let account = w.accounts(ann).await.remove(0);
        let (id, path) = (&account["id"], format!("/v1/accounts/{}", account["id"].as_str().unwrap()));
        assert_eq!((id, &account["state"]), (&linked["account"], &json!("ok")), "{account}");
        assert!(account["refresh_at"].is_string() && account["linked_at"].is_string(), "{account}");
        assert!(w.accounts(&w.bob).await.is_empty());
        assert_eq!(w.call("GET", &path, Some(&w.bob), None).await.0, 404);
        assert_eq!(w.call("DELETE", &path, Some(&w.bob), None).await.0, 404);

        // The provider's tokens live for three seconds: every wait costs one refresh, and no more.
        for _ in 0..2 {
            let refreshes = oidc.counts().await["refreshes"].as_i64().unwrap();
            tokio::time::sleep(Duration::from_millis(3_500)).await;
            for _ in 0..2 {
                let (_, checked) = w.call("POST", &format!("{path}/check"), Some(ann), None).await;
                assert_eq!(checked["works"], true, "{}: {checked}", w.area.label);
                assert!(checked["refreshed_at"].is_string(), "{}: {checked}", w.area.label);
            }
            assert_eq!(oidc.counts().await["refreshes"], json!(refreshes + 1), "{}", w.area.label);
        }

        let back = w.consented(&oidc, ann, json!({ "scopes": ["write"] })).await;
        let (status, wider) = w.call("GET", &back, Some(ann), None).await;
        assert_eq!((status, &wider["account"]), (200, id), "{}: {wider}", w.area.label);
        let has = |scope: &str| wider["scopes"].as_array().unwrap().contains(&json!(scope));
        assert!(has("read") && has("write"), "{}: {wider}", w.area.label);

        let (status, gone) = w.call("DELETE", &path, Some(ann), None).await;
        assert_eq!((status, &gone["revoked"]), (200, &json!(true)), "{}: {gone}", w.area.label);
        assert!(w.accounts(ann).await.is_empty());
        assert_eq!(w.call("DELETE", &path, Some(ann), None).await.0, 404);
    }
}

#[tokio::test]
async fn another_browser_links_nothing_until_who_began_confirms_in_it() {
    let Some(oidc) = Oidc::start(&[]).await else { return };
    for w in worlds(&oidc).await {
        let back = w.consented(&oidc, &w.ann, json!({})).await;
        let (status, waits) = w.call("GET", &back, None, None).await;
        assert_eq!((status, &waits["status"]), (202, &json!("unconfirmed")), "{}: {waits}", w.area.label);
        assert!(w.accounts(&w.ann).await.is_empty());
        let confirm = async |token: &str, text: &str| {
            let body = json!({ "confirm": text });
            w.call("POST", "/v1/connect/oidc/confirm", Some(token), Some(body)).await
        };
        let text = waits["confirm"].as_str().unwrap();
        let state = Url::parse(&format!("{PUBLIC}{back}")).unwrap();
        let state = state.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        // The state alone, which whoever sent the link knows, confirms nothing.
        assert_eq!(confirm(&w.ann, &state).await.0, 400, "{}", w.area.label);
        assert_eq!(confirm(&w.bob, text).await.0, 403, "{}", w.area.label);
        let (status, linked) = confirm(&w.ann, text).await;
        assert_eq!((status, &linked["who"]), (200, &json!("ada@example.com")), "{}: {linked}", w.area.label);
        assert_eq!(confirm(&w.ann, text).await.0, 400, "{}", w.area.label);

        // The account is Ann's now: nobody else links it.
        let back = w.consented(&oidc, &w.bob, json!({})).await;
        let (status, taken) = w.call("GET", &back, Some(&w.bob), None).await;
        assert_eq!((status, w.accounts(&w.bob).await.len()), (409, 0), "{}: {taken}", w.area.label);
    }
}

#[tokio::test]
async fn denied_expired_foreign_and_mixed_up_answers_are_each_refused_with_what_to_do() {
    let Some(oidc) = Oidc::start(&[]).await else { return };
    for w in worlds(&oidc).await {
        let ann = w.ann.as_str();
        let check = async |path: &str, token: &str, want: u16, part: &str| {
            let (status, said) = w.call("GET", path, Some(token), None).await;
            let detail = said["detail"].as_str().unwrap_or_default();
            assert!(status == want && detail.contains(part), "{}: {path}: {status} {said}", w.area.label);
        };
        let state = async || {
            let url = w.begun("oidc", ann, json!({})).await;
            url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
        };
        let callback = "/v1/connect/oidc/callback";
        check(&format!("{callback}?state={}&error=access_denied", state().await), ann, 403, "begin again").await;
        check(&format!("{callback}?state={}&error=server_error", state().await), ann, 400, "server_error").await;
        check(&format!("{callback}?state={}", state().await), ann, 400, "neither a code nor an error").await;
        check(&format!("{callback}?state={}&code=guessed", state().await), ann, 400, "invalid_grant").await;
        check(&format!("{callback}?state={}x&code=x", state().await), ann, 400, "begin again").await;
        check(&format!("{callback}?code=x"), ann, 400, "begin again").await;
        let other = format!("{callback}?state={}&code=x&iss=https://evil.example", state().await);
        check(&other, ann, 400, "not from the provider").await;
        check(&format!("/v1/connect/google/callback?state={}&code=x", state().await), ann, 400, "not from").await;
        check(&w.consented(&oidc, ann, json!({})).await, &w.bob, 403, "somebody else").await;
        let late = w.consented(&oidc, ann, json!({})).await;
        w.sql("UPDATE connect_sessions SET expires_at = 1").await;
        check(&late, ann, 410, "too long ago").await;
        assert!(w.accounts(ann).await.is_empty() && w.accounts(&w.bob).await.is_empty());

        let begin = async |provider: &str, body: Value| {
            let (status, said) = w.call("POST", &format!("/v1/connect/{provider}"), Some(ann), Some(body)).await;
            (status, said["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(begin("nobody", json!({})).await.0, 404);
        assert_eq!(begin("google", json!({})).await.0, 409);
        assert_eq!(begin("oidc", json!({"return_to": "https://evil.example/"})).await, (422, "/return_to".into()));
        assert_eq!(begin("oidc", json!({"return_to": "http://site.example.evil/"})).await, (422, "/return_to".into()));
        assert_eq!(begin("oidc", json!({"return_to": "http://site.example/linked?from=area"})).await.0, 201);
        assert_eq!(begin("oidc", json!({"for": ["log.write"]})).await, (422, "/for/0".into()));
        assert_eq!(begin("oidc", json!({"scopes": ["a b"]})).await, (422, "/scopes/0".into()));
        assert_eq!(begin("oidc", json!({"scope": "a"})).await.0, 422);
    }
}

#[tokio::test]
async fn check_tells_whether_a_provider_knows_the_client_and_takes_the_redirect() {
    let Some(oidc) = Oidc::start(&[]).await else { return };
    let area = Area::new();
    area.run(&["migrate"]).ok();
    let (auth, token) = (format!("{}/auth", oidc.url()), format!("{}/token", oidc.url()));
    let check = |public: &str, secret: &str, token: &str| {
        let env = [
            ("AREA_PUBLIC_URL", public),
            ("AREA_PROVIDERS__ACME__AUTHORIZE_URL", auth.as_str()),
            ("AREA_PROVIDERS__ACME__TOKEN_URL", token),
            ("AREA_PROVIDERS__ACME__CLIENT_ID", "area"),
            ("AREA_PROVIDERS__ACME__CLIENT_SECRET", secret),
        ];
        let ran = area.run_with(&env, &["check"]);
        assert!(!ran.out.contains(secret), "{ran:?}");
        (ran.code, ran.out)
    };
    let told = |(code, out): (i32, String), want: i32, parts: &[&str]| {
        assert!(code == want && parts.iter().all(|part| out.contains(part)), "{code}: {out}");
    };
    let callback = format!("must be {PUBLIC}/v1/connect/acme/callback");
    told(check(PUBLIC, "area-secret", &token), 0, &["acme knows this client", &callback]);
    told(
        check(PUBLIC, "hunter2", &token),
        1,
        &["acme: ", "invalid_client", "providers.acme.client_id and client_secret"],
    );
    told(
        check("http://area.example", "area-secret", &token),
        1,
        &["acme: it takes no redirect to http://area.example/"],
    );
    told(check(PUBLIC, "area-secret", "http://127.0.0.1:1/token"), 0, &["acme could not be tried"]);
}
