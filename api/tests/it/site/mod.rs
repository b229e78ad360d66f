//! An Auth.js site (`@auth/core` with its PostgreSQL adapter) and the real daemon on one database: what the one writes the other takes.

use engine::on_write;
use engine::store::Db;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::kit::{Area, Daemon};
use crate::peers::Site;

const TOKEN: &str = "SELECT access_token, refresh_token FROM next_auth_accounts";
const EXPIRE: &str = "UPDATE next_auth_accounts SET expires_at = 1";

/// Both, and whoever looks at what they share.
struct World {
    site: Site,
    area: Area,
    daemon: Daemon,
    db: Db,
    http: reqwest::Client,
}

impl World {
    /// `None` where PostgreSQL or the peers are not installed.
    async fn new(seal: bool, site_was_first: bool) -> Option<Self> {
        let area = Area::postgres().await?;
        if site_was_first {
            let mut db = PgConnection::connect(area.database_url()?).await.unwrap();
            sqlx::raw_sql(include_str!("supabase.sql")).execute(&mut db).await.unwrap();
        }
        let db = area.db().await;
        let site = Site::start(area.database_url()?).await?;
        let daemon = serve(&area, &site, seal);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Some(Self { site, area, daemon, db, http })
    }

    /// Asks the daemon with the cookies of the site.
    async fn ask(&self, method: &str, path: &str, cookies: &str) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.daemon.url)).header("cookie", cookies);
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What stands in the account's row: the access and the refresh token.
    async fn stored(&self) -> (String, String) {
        let Db::Postgres(pool) = &self.db else { panic!("the site needs PostgreSQL") };
        sqlx::query_as(TOKEN).fetch_one(pool).await.unwrap()
    }
}

fn serve(area: &Area, site: &Site, seal: bool) -> Daemon {
    let url = site.oidc.url();
    let mut args = Vec::new();
    for (key, value) in [
        ("sessions.authjs", "true".to_owned()),
        ("vault.seal", seal.to_string()),
        ("providers.oidc.authorize_url", format!("{url}/auth")),
        ("providers.oidc.token_url", format!("{url}/token")),
        ("providers.oidc.userinfo_url", format!("{url}/me")),
        ("providers.oidc.rotates", "true".to_owned()),
        ("providers.oidc.auth", "post".to_owned()),
        ("providers.oidc.client_id", "area".to_owned()),
        ("providers.oidc.client_secret", "area-secret".to_owned()),
    ] {
        args.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    area.serve(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn shares(seal: bool, site_was_first: bool) {
    let Some(mut w) = World::new(seal, site_was_first).await else { return };
    let mut browser = w.site.sign_in().await;
    let cookies = browser.cookies();
    let here = w.site.me(&mut browser).await;
    assert_eq!(here["user"]["email"], "ada@example.com", "{here}");

    // The site's session is a session here, and its account an account.
    let (status, me) = w.ask("GET", "/v1/auth/me", &cookies).await;
    assert_eq!((status, &me["id"], &me["by"]), (200, &here["user"]["id"], &json!("cookie")), "{me}");
    let accounts = w.ask("GET", "/v1/accounts", &cookies).await.1;
    let account = accounts["items"][0].clone();
    assert_eq!((&account["provider"], &account["state"]), (&json!("oidc"), &json!("ok")), "{accounts}");
    let path = format!("/v1/accounts/{}", account["id"].as_str().unwrap());
    let (first, refresh) = w.stored().await;
    let checked = w.ask("POST", &format!("{path}/check"), &cookies).await.1;
    assert_eq!((&checked["works"], &checked["refreshed_at"]), (&json!(true), &Value::Null), "{checked}");
    assert_eq!((w.stored().await, w.site.uses(&mut browser).await), ((first.clone(), refresh.clone()), 200));

    // The token ends: the daemon fetches the next, whoever waits for it.
    w.site.oidc.ends(&first).await;
    on_write!(&w.db, pool => sqlx::query(EXPIRE).execute(pool).await.map(drop)).unwrap();
    assert_eq!(w.site.uses(&mut browser).await, 401);
    let checked = w.ask("POST", &format!("{path}/check"), &cookies).await.1;
    assert!(checked["works"] == json!(true) && checked["refreshed_at"].is_string(), "{checked}");
    assert_eq!(w.site.oidc.counts().await["refreshes"], 1);
    let (second, rotated) = w.stored().await;
    assert_ne!((&second, &rotated), (&first, &refresh));
    let sealed = second.starts_with("s1.") && rotated.starts_with("s1.");
    assert_eq!((sealed, w.site.oidc.takes(&second).await), (seal, !seal));

    // The site goes on: its session, what it calls with the token if that is left plain for it, and signing in anew.
    assert_eq!(w.site.me(&mut browser).await, here);
    assert_eq!(w.site.uses(&mut browser).await, if seal { 401 } else { 200 });
    let mut again = w.site.sign_in().await;
    assert_eq!(w.site.me(&mut again).await["user"]["id"], here["user"]["id"]);
    assert_eq!(w.stored().await, (second, rotated), "Auth.js leaves the row of a known account as it is");

    // Another start of the daemon knows nothing by heart.
    w.daemon.signal("TERM");
    assert_eq!(w.daemon.end(), Some(0));
    w.daemon = serve(&w.area, &w.site, seal);
    let checked = w.ask("POST", &format!("{path}/check"), &again.cookies()).await.1;
    assert_eq!((&checked["id"], &checked["works"]), (&account["id"], &json!(true)), "{checked}");
    assert_eq!(w.ask("GET", "/v1/accounts", &cookies).await.1["items"].as_array().unwrap().len(), 1);

    // Signing out at the site ends that session here, and no other.
    w.site.sign_out(&mut browser).await;
    assert_eq!(w.ask("GET", "/v1/auth/me", &cookies).await.0, 401);
    assert_eq!(w.ask("GET", "/v1/auth/me", &again.cookies()).await.0, 200);
    // And out here is out there.
    assert_eq!(
        w.http
            .post(format!("{}/v1/auth/logout", w.daemon.url))
            .header("cookie", again.cookies())
            .header("sec-fetch-site", "same-origin")
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(w.site.me(&mut again).await, Value::Null);
    w.db.close().await;
}

#[tokio::test]
async fn a_site_and_the_daemon_share_people_sessions_and_accounts_whose_tokens_are_sealed_once_refreshed() {
    shares(true, false).await;
}

#[tokio::test]
async fn a_site_that_was_there_first_goes_on_using_the_token_that_the_daemon_refreshed_where_it_is_left_plain() {
    shares(false, true).await;
}
