//! Who is let in by a provider, and as whom: at a strict, certified provider through the real daemon, and with a provider of our own
//! where it must say what no real one says. On both databases.

use engine::store::people::{self, Role};
use engine::{on, on_write};
use serde_json::{Value, json};
use url::Url;

use super::idp::{Browser, Idp, address};
use super::{PASSWORD, person, send, sign_in};
use crate::kit::{Area, Daemon};
use crate::peers::Oidc;
use crate::rest::{Api, settings};

/// The origin of the callback that the provider knows.
const PUBLIC: &str = "http://127.0.0.1:8080";

/// A daemon that knows the provider, and a browser without redirects.
struct World {
    area: Area,
    daemon: Daemon,
    http: reqwest::Client,
}

/// The cookies of a browser, in the plain.
type Jar = std::collections::BTreeMap<String, String>;

impl World {
    fn on(area: Area, oidc: &Oidc) -> Self {
        let mut args = vec!["--set".to_owned(), format!("public_url={PUBLIC}")];
        args.extend(oidc.settings().iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let daemon = area.serve(&args);
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { area, daemon, http }
    }

    async fn ask(&self, jar: &mut Jar, method: &str, path: &str, body: Option<Value>) -> (u16, Value, String) {
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.daemon.url));
        request = request.header("cookie", cookies.join("; ")).header("sec-fetch-site", "same-origin");
        request = body.map(|body| request.try_clone().unwrap().json(&body)).unwrap_or(request);
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => jar.remove(name),
                value => jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        let place = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), place)
    }

    /// The path of the callback that the provider sends a browser to, which it knows as `who`.
    async fn consented(&self, oidc: &Oidc, mut url: Url, who: &str) -> String {
        url.query_pairs_mut().append_pair("login_hint", who);
        let back = oidc.follow(url).await;
        back.as_str().strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{back}")).to_owned()
    }

    /// Signs `who` in: what the callback answers.
    async fn arrive(&self, oidc: &Oidc, jar: &mut Jar, who: &str, body: Option<Value>) -> (u16, Value) {
        let (status, begun, _) = self.ask(jar, "POST", "/v1/auth/oidc", body).await;
        assert_eq!(status, 201, "{}: {begun}", self.area.label);
        let url = Url::parse(begun["authorize_url"].as_str().unwrap()).unwrap();
        let back = self.consented(oidc, url, who).await;
        let (status, said, _) = self.ask(jar, "GET", &back, None).await;
        (status, said)
    }

    async fn texts(&self, sql: &'static str) -> Vec<String> {
        let db = self.area.db().await;
        let texts = on!(&db, pool => sqlx::query_scalar(sql).fetch_all(pool).await).unwrap();
        db.close().await;
        texts
    }
}

#[tokio::test]
async fn somebody_signs_up_with_a_real_provider_comes_back_links_more_and_leaves_it() {
    let Some(oidc) = Oidc::start(&[]).await else { return };
    for area in Area::all().await {
        let w = World::on(area, &oidc);
        let label = w.area.label;
        // By a link, as a page has it.
        let mut jar = Jar::new();
        let (status, _, to) = w.ask(&mut jar, "GET", "/v1/auth/oidc?return_to=/docs", None).await;
        assert_eq!(status, 303, "{label}");
        let to = Url::parse(&to).unwrap();
        let asked: Jar = to.query_pairs().into_owned().collect();
        assert_eq!((asked["scope"].as_str(), asked.get("prompt")), ("openid email profile", None), "{label}: {to}");
        let began = jar["area_sign_in"].clone();
        let back = w.consented(&oidc, to, "ada").await;
        let (status, _, place) = w.ask(&mut jar, "GET", &back, None).await;
        assert_eq!((status, place), (303, format!("{PUBLIC}/docs")), "{label}");
        assert!(!jar.contains_key("area_sign_in"), "{label}");
        let first = jar["area_session"].clone();
        let (_, me, _) = w.ask(&mut jar, "GET", "/v1/auth/me", None).await;
        assert_eq!((&me["email"], &me["by"]), (&json!("ada@example.com"), &json!("cookie")), "{label}: {me}");
        let (_, profile, _) = w.ask(&mut jar, "GET", "/v1/profile", None).await;
        assert_eq!((&profile["auth_provider"], &profile["has_password"]), (&json!("oidc"), &json!(false)), "{profile}");
        assert_eq!(
            (&profile["display_name"], &profile["is_google_authed"]),
            (&json!("ada"), &json!(false)),
            "{profile}"
        );
        let (status, again, _) = w.ask(&mut jar, "GET", &back, None).await;
        assert_eq!(status, 409, "{label}: {again}");

        // Again, in a browser that was given a session of somebody's before: it gets a new one, and the old one ends.
        let mut other = Jar::from([("area_session".to_owned(), first.clone())]);
        let (status, said) = w.arrive(&oidc, &mut other, "ada", None).await;
        assert_eq!((status, &said["did"], &said["user"]), (200, &json!("signed_in"), &me["id"]), "{label}: {said}");
        assert_ne!(other["area_session"], first, "{label}");
        assert_eq!(w.ask(&mut jar, "GET", "/v1/auth/me", None).await.0, 401, "{label}: the fixed session ended");

        // Linked with more scopes it keeps its id, and signing in afterwards takes nothing away.
        let accounts = async |jar: &mut Jar| w.ask(jar, "GET", "/v1/accounts", None).await.1["items"].clone();
        let one = accounts(&mut other).await;
        assert_eq!((&one[0]["signs_in"], &one[0]["who"]), (&json!(true), &json!("ada@example.com")), "{label}: {one}");
        let (_, begun, _) = w.ask(&mut other, "POST", "/v1/connect/oidc", Some(json!({"scopes": ["read"]}))).await;
        let back = w.consented(&oidc, Url::parse(begun["authorize_url"].as_str().unwrap()).unwrap(), "ada").await;
        let (status, linked, _) = w.ask(&mut other, "GET", &back, None).await;
        assert_eq!((status, &linked["account"]), (200, &one[0]["id"]), "{label}: {linked}");
        let (_, said) = w.arrive(&oidc, &mut other, "ada", None).await;
        assert_eq!(said["did"], "signed_in", "{label}: {said}");
        let two = accounts(&mut other).await;
        assert_eq!(
            (two[0]["scopes"].clone(), two.as_array().unwrap().len()),
            (linked["scopes"].clone(), 1),
            "{label}: {two}"
        );
        let path = format!("/v1/accounts/{}", one[0]["id"].as_str().unwrap());
        let (_, checked, _) = w.ask(&mut other, "POST", &format!("{path}/check"), None).await;
        assert_eq!(checked["works"], true, "{label}: {checked}");

        // Whoever else comes is somebody else, and does not get the account by being signed in.
        let mut eve = Jar::new();
        let (status, said) = w.arrive(&oidc, &mut eve, "eve", None).await;
        assert_eq!((status, &said["did"]), (201, &json!("signed_up")), "{label}: {said}");
        let (status, taken) = w.arrive(&oidc, &mut eve, "ada", None).await;
        assert_eq!(
            (status, taken["detail"].as_str().unwrap().contains("another user")),
            (409, true),
            "{label}: {taken}"
        );

        // Nothing lies there in the clear.
        let stored = w.texts("SELECT COALESCE(access_token, '') || ' ' || COALESCE(refresh_token, '') || ' ' || COALESCE(id_token, '')
            FROM next_auth_accounts UNION ALL SELECT data FROM connect_sessions").await;
        let plain = |text: &String| text.contains(&began) || text.contains("eyJ");
        assert!(stored.len() > 2 && !stored.iter().any(plain), "{label}: {stored:?}");

        let (status, gone, _) = w.ask(&mut other, "DELETE", &path, None).await;
        assert_eq!(status, 200, "{label}: {gone}");
        let mut audit =
            w.texts("SELECT action || ' ' || detail FROM audit WHERE detail LIKE '%oidc%' ORDER BY id").await;
        audit.iter_mut().for_each(|line| line.truncate(line.find("@").unwrap_or(line.len())));
        let want = [
            "joined oidc: ada",
            "signed_in by oidc: ",
            "signed_in by oidc: ",
            "linked oidc: ada",
            "signed_in by oidc: ",
            "joined oidc: eve",
            "signed_in by oidc: ",
            "unlinked oidc: ada",
        ];
        assert_eq!(audit, want, "{label}");
        // Its address is somebody's: coming back with the unlinked account makes nobody a second time.
        let (status, said) = w.arrive(&oidc, &mut Jar::new(), "ada", None).await;
        assert_eq!((status, said["detail"].as_str().unwrap().contains("sign in as always")), (409, true), "{said}");
    }
}

async fn apis(idp: &Idp, open: bool) -> Vec<Api> {
    let mut settings = settings();
    settings.throttle.sign_in_per_address = 0;
    settings.throttle.sign_in_per_user = 0;
    settings.throttle.sign_up_per_address = 0;
    settings.people.open = open;
    Api::all_with(settings, vec![idp.provider("google")]).await
}

#[tokio::test]
async fn an_address_makes_nobody_somebody_and_tells_strangers_nothing() {
    let idp = Idp::start().await;
    for open in [true, false] {
        for api in apis(&idp, open).await {
            person(&api, "ann@b.example", Role::SuperAdmin).await;
            let arrive =
                async |sub: &str, email: Value| Browser::default().arrive(&api, &idp, (sub, email), None).await;
            let known = arrive("g1", address("Ann@B.example", true)).await;
            known.problem(409, "conflict", &[]);
            let (a, b) = (
                arrive("g2", address("ann@b.example", false)).await,
                arrive("g2", address("new@b.example", false)).await,
            );
            a.problem(403, "forbidden", &[]);
            assert_eq!((a.status, a.text), (b.status, b.text), "{}: an address that nobody proved", api.label);
            arrive("g3", json!({})).await.problem(403, "forbidden", &[]);
            arrive("g4", address("no address", true)).await.problem(403, "forbidden", &[]);
            let new = arrive("g5", address("new@b.example", true)).await;
            assert_eq!(new.status, if open { 201 } else { 403 }, "{}: {new:?}", api.label);
            assert_eq!(people::count(api.db()).await.unwrap(), if open { 3 } else { 2 }, "{}", api.label);
        }
    }
}

#[tokio::test]
async fn an_account_signs_its_owner_in_only_when_they_chose_so_with_their_password() {
    let idp = Idp::start().await;
    for api in apis(&idp, true).await {
        let ann = person(&api, "ann@b.example", Role::Editor).await;
        let (bob, viewer) =
            (person(&api, "bob@b.example", Role::Editor).await, person(&api, "vi@b.example", Role::Viewer).await);
        let ada = || ("ada", address("ada@b.example", true));
        let password = || Some(json!({"password": PASSWORD}));

        // Linked by an API token: whoever finds one must not become its owner by an account of their own.
        let token = json!({"name": "t", "scopes": ["accounts"]});
        let token =
            send(&api, &ann, "POST", "/v1/tokens", Some(&token)).await.ok(201)["token"].as_str().unwrap().to_owned();
        let begun =
            send(&api, &token, "POST", "/v1/connect/google", Some(&json!({"scopes": ["openid"]}))).await.ok(201);
        let url = Url::parse(begun["authorize_url"].as_str().unwrap()).unwrap();
        let of = |name: &str| url.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
        let claims = idp.claims("ada", &of("nonce"), api.clock.now().timestamp());
        idp.say(Some(idp.signed(&claims)), json!({"sub": "ada"}));
        idp.say_too(json!({"refresh_token": "worth-keeping", "scope": "openid mail"}));
        let path = format!("/v1/connect/google/callback?state={}&code=c", of("state"));
        let linked = send(&api, &token, "GET", &path, None).await.ok(200);
        Browser::default().arrive(&api, &idp, ada(), None).await.problem(409, "conflict", &[]);

        // Signed in, but without the password; with a wrong one; as somebody else; as somebody who may not.
        let mut browser = Browser::of(&ann);
        browser.arrive(&api, &idp, ada(), None).await.problem(403, "forbidden", &[]);
        let wrong = json!({"password": "wrong"});
        browser.ask(&api, "POST", "/v1/auth/google", Some(wrong)).await.problem(403, "forbidden", &[]);
        Browser::of(&bob).arrive(&api, &idp, ada(), password()).await.problem(409, "conflict", &[]);
        let own = ("vi", address("vi@b.example", true));
        Browser::of(&viewer).arrive(&api, &idp, own, password()).await.problem(403, "forbidden", &[]);

        // With it. Tokens and scopes stay what the link brought.
        let chosen = browser.arrive(&api, &idp, ada(), password()).await.ok(200);
        assert_eq!((&chosen["did"], browser.session()), (&json!("linked"), Some(ann.as_str())), "{}", api.label);
        let mut elsewhere = Browser::default();
        let came = elsewhere.arrive(&api, &idp, ada(), None).await.ok(200);
        assert_eq!((&came["did"], &came["user"]), (&json!("signed_in"), &chosen["user"]), "{}", api.label);
        let accounts = elsewhere.ask(&api, "GET", "/v1/accounts", None).await.ok(200);
        assert_eq!(
            (&accounts["items"][0]["id"], &accounts["items"][0]["scopes"]),
            (&linked["account"], &json!(["openid", "mail"]))
        );
        let profile = elsewhere.ask(&api, "GET", "/v1/profile", None).await.ok(200);
        assert_eq!(
            (&profile["is_google_authed"], &profile["auth_provider"]),
            (&json!(true), &json!("email")),
            "{profile}"
        );
        let data: String =
            on!(api.db(), pool => sqlx::query_scalar("SELECT connect_data FROM users WHERE email = 'ann@b.example'")
            .fetch_one(pool).await)
            .unwrap();
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data["google"]["account"], linked["account"], "{}: {data}", api.label);

        // In between somebody else signed in in that browser: the account is not given to them, nor to anybody new.
        let (state, nonce) = browser.begin(&api, "google", password()).await;
        browser.cookies.insert("__Host-area_session".to_owned(), bob.clone());
        let claims = idp.claims("new", &nonce, api.clock.now().timestamp());
        let mut info = address("new@b.example", true);
        info["sub"] = json!("new");
        idp.say(Some(idp.signed(&claims)), info);
        let foreign = browser.back(&api, "google", &state).await;
        foreign.problem(403, "forbidden", &[]);
        assert!(foreign.text.contains("somebody else began this"), "{}: {foreign:?}", api.label);

        let id = linked["account"].as_str().unwrap();
        elsewhere.ask(&api, "DELETE", &format!("/v1/accounts/{id}"), None).await.ok(200);
        let profile = elsewhere.ask(&api, "GET", "/v1/profile", None).await.ok(200);
        assert_eq!(profile["is_google_authed"], false, "{}: {profile}", api.label);
    }
}

#[tokio::test]
async fn who_signed_up_with_a_provider_has_nothing_there_that_dies_and_is_kept_out_when_suspended() {
    let idp = Idp::start().await;
    for api in apis(&idp, true).await {
        let ada = || ("ada", address("ada@b.example", true));
        let mut browser = Browser::default();
        let came = browser.arrive(&api, &idp, ada(), None).await.ok(201);
        let profile = browser.ask(&api, "GET", "/v1/profile", None).await.ok(200);
        assert_eq!(
            (&profile["is_google_authed"], &profile["auth_provider"]),
            (&json!(true), &json!("google")),
            "{profile}"
        );
        assert_eq!(
            (&profile["display_name"], profile["email_verified_at"].is_string()),
            (&json!("Ada"), true),
            "{profile}"
        );
        sign_in(&api, "ada@b.example", "").await.problem(401, "unauthorized", &[]);
        let account = browser.ask(&api, "GET", "/v1/accounts", None).await.ok(200)["items"][0].clone();
        let kept = [&account["signs_in"], &account["state"], &account["token_ends_at"], &account["refresh_at"]];
        assert_eq!(kept, [&json!(true), &json!("ok"), &Value::Null, &Value::Null], "{}: {account}", api.label);
        let path = format!("/v1/accounts/{}/check", account["id"].as_str().unwrap());
        let checked = browser.ask(&api, "POST", &path, None).await.ok(200);
        assert!(
            checked["why"].as_str().unwrap().contains("signing in alone") || checked["works"] == false,
            "{checked}"
        );

        // Signing in anew ends the session that the browser had: whoever planted it has nothing.
        let planted = browser.session().unwrap().to_owned();
        assert_eq!(browser.arrive(&api, &idp, ada(), None).await.ok(200)["did"], "signed_in", "{}", api.label);
        assert_ne!(browser.session(), Some(planted.as_str()), "{}", api.label);
        send(&api, &planted, "GET", "/v1/auth/me", None).await.problem(401, "unauthorized", &[]);

        let suspend = "UPDATE users SET suspended_at = $1 WHERE email = 'ada@b.example'";
        let now = api.clock.now();
        on_write!(api.db(), pool => sqlx::query(suspend).bind(now).execute(pool).await.map(drop)).unwrap();
        let kept_out = Browser::default().arrive(&api, &idp, ada(), None).await;
        kept_out.problem(403, "forbidden", &[]);
        assert!(kept_out.text.contains("suspended"), "{kept_out:?}");
        // With their session, too: it opens nothing any more.
        browser.arrive(&api, &idp, ada(), None).await.problem(403, "forbidden", &[]);
        assert_eq!(came["user"], profile["id"]);
    }
}

#[tokio::test]
async fn what_a_site_linked_signs_in_where_its_sign_ins_are_taken() {
    let idp = Idp::start().await;
    for trusted in [false, true] {
        let mut settings = settings();
        settings.sessions.authjs = trusted;
        for api in Api::all_with(settings, vec![idp.provider("google")]).await {
            let id = engine::ids::UserId::new();
            for sql in [
                "INSERT INTO next_auth_users (id, name, email) VALUES ($1, 'Site', 'site@b.example')",
                "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\") VALUES ($1, 'oidc', 'google', 'ada', $1)",
            ] {
                on_write!(api.db(), pool => sqlx::query(sql).bind(id).execute(pool).await.map(drop)).unwrap();
            }
            let came = Browser::default().arrive(&api, &idp, ("ada", address("ada@b.example", true)), None).await;
            match trusted {
                true => assert_eq!(came.ok(200)["user"], json!(id), "{}", api.label),
                false => came.problem(409, "conflict", &[]),
            }
        }
    }
}
