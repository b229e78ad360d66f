//! The service `spotify` by the real daemon, against a Spotify with a state behind Prism, which checks each request and each answer
//! with Spotify's own description.

use std::time::Duration;

use engine::ids::AccountId;
use engine::on_write;
use serde_json::{Value, json};

use crate::daemon::until;
use crate::kit::{Area, Daemon};
use crate::peers::{self, Peer};

const GRANT: &str = "UPDATE next_auth_accounts SET scope = $1";
const SCOPES: &str = "user-library-read user-library-modify user-read-recently-played playlist-modify-public \
    playlist-modify-private playlist-read-private playlist-read-collaborative user-read-playback-state";
const LIST: &str = "3cEYpjA9oz9GiPac4AsH4n";
const PATIENCE: Duration = Duration::from_secs(120);

/// A daemon, the account of one user, and Spotify.
struct World {
    area: Area,
    daemon: Daemon,
    http: reqwest::Client,
    token: String,
    account: AccountId,
    spotify: Peer,
    prism: Peer,
}

fn daemon(area: &Area, spotify: &Peer, prism: &Peer) -> Daemon {
    let token = format!("providers.spotify.token_url={}/token", spotify.url);
    let web = format!("providers.spotify.apis.web={}", prism.url);
    let mut args = vec!["--set", token.as_str(), "--set", web.as_str()];
    args.extend(["--set", "providers.spotify.client_id=me", "--set", "providers.spotify.client_secret=s"]);
    area.serve(&args)
}

impl World {
    /// One on every engine there is; none where the peers are not installed. Spotify has more in its environment.
    async fn all(env: &[(&str, &str)]) -> Vec<Self> {
        let mut all = Vec::new();
        for area in Area::all().await {
            all.extend(Self::on(area, env).await);
        }
        all
    }

    async fn on(area: Area, env: &[(&str, &str)]) -> Option<Self> {
        let spotify = Peer::start("spotify.mjs", env).await?;
        let prism = peers::checked("spotify-openapi.yml", &spotify.url).await?;
        let token = area.run(&["token", "create", "--email", "ann@example.org"]).ok();
        let account = area.linked("spotify", "user-library-read").await;
        let daemon = daemon(&area, &spotify, &prism);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Some(Self { area, daemon, http, token, account, spotify, prism })
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.daemon.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Asks Spotify for something, or only how it stands.
    async fn far(&self, what: &str, body: Value) -> Value {
        let url = format!("{}/__ctl/{what}", self.spotify.url);
        self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    async fn fault(&self, method: &str, path: &str, status: u16, after: bool) {
        self.far("fault", json!({"method": method, "path": path, "status": status, "after": after})).await;
    }

    async fn made(&self, action: &str, reaction: Value) -> String {
        let mut reaction = reaction;
        (reaction["service"], reaction["account"]) = (json!("spotify"), json!(self.account));
        let document = json!({
            "name": action,
            "action": {"service": "spotify", "name": action, "account": self.account, "data": {"zone": "Asia/Kathmandu"}},
            "reactions": [reaction],
            "policy": {"order": "queued", "retry": {"attempts": 20, "base": "1s", "max": "2s"}},
        });
        let (status, made) = self.call("POST", "/v1/areas", Some(&document)).await;
        assert_eq!(status, 201, "{made}");
        let path = format!("/v1/areas/{}", made["id"].as_str().unwrap());
        self.until("joined", async || self.call("GET", &path, None).await.1["source"]["joined_at"].is_string()).await;
        path
    }

    /// Polls again and again until it holds.
    async fn polled(&self, what: &str, path: &str, mut holds: impl AsyncFnMut() -> bool) {
        let round = async || {
            let _ = self.http.post(format!("{}{path}/poll", self.daemon.url)).bearer_auth(&self.token).send().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            holds().await
        };
        if !until(PATIENCE, round).await {
            let (runs, why) = (
                self.call("GET", &format!("{path}/runs"), None).await,
                self.call("GET", &format!("{path}/why"), None).await,
            );
            let (label, state) = (self.area.label, self.far("state", json!({})).await);
            panic!("in vain on {label}: {what}\n{state}\n{runs:?}\n{why:?}");
        }
    }

    async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        assert!(until(PATIENCE, holds).await, "in vain on {}: {what}", self.area.label);
    }

    async fn in_list(&self) -> Value {
        self.far("state", json!({})).await["tracks"][LIST].clone()
    }

    /// What is in the library, the oldest first.
    async fn saved(&self) -> Value {
        let state = self.far("state", json!({})).await;
        state["saved"].as_array().unwrap().iter().rev().map(|entry| entry["id"].clone()).collect()
    }

    /// Killed as nothing can prevent, and started again on what it left.
    async fn kill9(&mut self) {
        self.daemon.signal("KILL");
        self.daemon.end();
        self.daemon = daemon(&self.area, &self.spotify, &self.prism);
    }

    async fn sql(&self, sql: &'static str, value: &str) {
        let db = self.area.db().await;
        on_write!(&db, pool => sqlx::query(sql).bind(value).execute(pool).await.map(drop)).unwrap();
        db.close().await;
    }
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{n:022}")).collect()
}

#[tokio::test]
async fn what_is_saved_comes_into_the_playlist_once_whatever_expires_dies_or_is_refused_meanwhile() {
    for mut w in World::all(&[]).await {
        let add = json!({"name": "add_to_playlist", "data": {"playlist": LIST, "tracks": "{{ event.uri }}"}});

        // Half of what it needs is granted: it is told when it is saved, with what grants it and keeps what there is.
        let mut document = json!({"name": "a", "reactions": [add.clone()]});
        document["action"] = json!({"service": "spotify", "name": "new_saved_track", "account": w.account, "data": {}});
        (document["reactions"][0]["service"], document["reactions"][0]["account"]) =
            (json!("spotify"), json!(w.account));
        let (status, said) = w.call("POST", "/v1/areas", Some(&document)).await;
        let grant = json!({"method": "POST", "href": "/v1/connect/spotify", "body": {
            "scopes": ["playlist-modify-public", "playlist-modify-private", "playlist-read-private",
                "user-library-read"]}});
        assert_eq!((status, &said["errors"][0]["pointer"]), (422, &json!("/reactions/0/account")), "{said}");
        assert_eq!(
            said["errors"],
            json!([{"pointer": "/reactions/0/account", "detail": said["errors"][0]["detail"], "grant": grant}])
        );
        let (status, begun) = w.call("POST", "/v1/connect/spotify", Some(&grant["body"])).await;
        assert_eq!(status, 201, "{begun}");
        assert!(begun["scopes"].as_array().unwrap().contains(&json!("playlist-modify-public")), "{begun}");
        w.sql(GRANT, SCOPES).await;

        let area = w.made("new_saved_track", add).await;
        assert_eq!(w.in_list().await, json!([]));
        w.far("save", json!({"ids": ids(0..2)})).await;
        w.far("expire", json!({})).await;
        w.polled("the token expires", &area, async || w.in_list().await == json!(ids(0..2))).await;
        assert_eq!(w.far("state", json!({})).await["refreshes"], 1);

        w.fault("GET", "/me/tracks", 429, false).await;
        w.far("save", json!({"ids": ids(2..3)})).await;
        w.polled("429 to a poll", &area, async || w.in_list().await == json!(ids(0..3))).await;

        // What is repeated reads before it writes.
        w.fault("GET", "/items", 500, false).await;
        w.fault("POST", "/items", 429, false).await;
        w.far("save", json!({"ids": ids(3..4)})).await;
        w.polled("429 to a write, 500 to a read", &area, async || w.in_list().await == json!(ids(0..4))).await;

        // It is added, and the answer says 500; then the daemon dies before it asks again.
        w.fault("POST", "/items", 500, true).await;
        w.far("save", json!({"ids": ids(4..6)})).await;
        w.polled("a write whose answer is lost", &area, async || w.in_list().await.as_array().unwrap().len() >= 5)
            .await;
        w.kill9().await;
        w.polled("the daemon dies", &area, async || w.in_list().await == json!(ids(0..6))).await;

        w.far("save", json!({"ids": ids(6..8)})).await;
        w.kill9().await;
        w.polled("it dies before it polls", &area, async || w.in_list().await == json!(ids(0..8))).await;
        w.until("all runs are done", async || {
            let runs = w.call("GET", &format!("{area}/runs?limit=50"), None).await.1;
            let states: Vec<&Value> = runs["items"].as_array().unwrap().iter().map(|run| &run["state"]).collect();
            states.len() == 8 && states.iter().all(|state| **state == "done")
        })
        .await;
        assert_eq!(w.in_list().await, json!(ids(0..8)), "each once, in order");
        assert_eq!(w.prism.refused(), [""; 0], "{}", w.area.label);
    }
}

#[tokio::test]
async fn what_is_played_is_saved_and_playlists_and_devices_are_offered_by_name() {
    for mut w in World::all(&[]).await {
        w.sql(GRANT, SCOPES).await;
        let area = w.made("track_played", json!({"name": "save", "data": {"items": "{{ event.uri }}"}})).await;
        w.far("play", json!({"ids": ids(0..2)})).await;
        w.far("play", json!({"ids": ids(0..1)})).await;
        w.polled("saved", &area, async || w.saved().await == json!(ids(0..2))).await;
        w.until("three runs, of which one had nothing to do", async || {
            let runs = w.call("GET", &format!("{area}/runs"), None).await.1;
            runs["items"].as_array().unwrap().iter().filter(|run| run["state"] == "done").count() == 3
        })
        .await;
        assert_eq!(w.saved().await, json!(ids(0..2)));

        let at =
            |field: &str, query: &str| format!("/v1/services/spotify/options/{field}?account={}{query}", w.account);
        let playlists = w.call("GET", &at("playlist", "&q=LIKED"), None).await;
        assert_eq!(
            playlists,
            (200, json!({"items": [{"value": LIST, "title": "Liked here", "detail": "Ann"}], "more": false}))
        );
        let theirs = w.call("GET", &at("playlist", "&q=trip"), None).await.1;
        assert_eq!(theirs["items"], json!([{"value": "b".repeat(22), "title": "Road trip", "detail": "Bob"}]));
        assert_eq!(w.call("GET", &at("device", ""), None).await.1["items"][0]["title"], "Kitchen");
        assert_eq!(w.call("GET", &at("plailist", ""), None).await.0, 404);
        assert_eq!(w.call("GET", "/v1/services/spotify/options/playlist", None).await.0, 400);
        assert_eq!(
            w.call("GET", &format!("/v1/services/spotify/options/playlist?account={}", AccountId::new()), None).await.0,
            400
        );
        w.fault("GET", "/me/playlists", 403, false).await;
        let (status, said) = w.call("GET", &at("playlist", ""), None).await;
        assert!(status == 409 && said["detail"].as_str().unwrap().starts_with("Spotify answered 403"), "{said}");

        // A quota that is used up is told in so many words, and nobody calls before it begins anew: not after a restart either.
        let quota = json!({"method": "GET", "path": "/recently-played", "status": 429, "reason": "QUOTA_EXCEEDED", "wait": "900"});
        w.far("fault", quota).await;
        let told = async |w: &World| w.call("GET", &format!("{area}/why"), None).await.1["fault"]["why"].clone();
        let mut words = Value::Null;
        w.polled("the quota is told", &area, async || {
            words = told(&w).await;
            words.as_str().is_some_and(|why| why.contains("(QUOTA_EXCEEDED); the quota of this installation"))
        })
        .await;
        w.until("the pause is written down", async || w.area.count("SELECT COUNT(*) FROM pauses").await == 1).await;
        let calls = async |w: &World| w.far("state", json!({})).await["log"].as_array().unwrap().len();
        let before = calls(&w).await;
        w.kill9().await;
        w.polled("the quota is told after a restart", &area, async || told(&w).await == words).await;
        assert_eq!(calls(&w).await, before, "{}: nobody called", w.area.label);
        assert_eq!(w.prism.refused(), [""; 0], "{}", w.area.label);
    }
}

#[tokio::test]
async fn an_app_that_has_the_older_endpoints_alone_is_served_by_them() {
    for w in World::all(&[("OLDER", "1")]).await {
        w.sql(GRANT, SCOPES).await;
        let add = json!({"name": "add_to_playlist", "data": {"playlist": LIST, "tracks": "{{ event.uri }}"}});
        let area = w.made("track_played", add).await;
        w.made("track_played", json!({"name": "save", "data": {"items": "{{ event.uri }}"}})).await;
        w.far("play", json!({"ids": ids(0..2)})).await;
        w.polled("added", &area, async || w.in_list().await == json!(ids(0..2))).await;

        // One is played again, and the answer to the write is lost: that is looked for, and what was added before is another matter.
        w.fault("POST", "/playlists/", 500, true).await;
        w.far("play", json!({"ids": ids(0..1)})).await;
        let again = json!([ids(0..2), ids(0..1)].concat());
        w.polled("played twice", &area, async || w.in_list().await == again).await;
        w.until("all runs are done", async || {
            let runs = w.call("GET", &format!("{area}/runs"), None).await.1;
            runs["items"].as_array().unwrap().iter().filter(|run| run["state"] == "done").count() == 3
        })
        .await;
        assert_eq!(w.in_list().await, again);
        w.until("saved", async || w.saved().await == json!(ids(0..2))).await;

        let log = w.far("state", json!({})).await["log"].clone();
        let calls = |call: &str| log.as_array().unwrap().iter().filter(|known| **known == call).count();
        let list = format!("/playlists/{LIST}");
        for older in [
            &*format!("POST {list}/tracks"),
            &format!("GET {list}/tracks"),
            "PUT /me/tracks",
            "GET /me/tracks/contains",
        ] {
            assert!(calls(older) > 0, "{older}: {log}");
        }
        let asked = (calls(&format!("POST {list}/items")), calls("GET /me/library/contains"), calls("PUT /me/library"));
        assert_eq!(asked, (1, 1, 0), "{}: what the app has is remembered: {log}", w.area.label);
        assert_eq!(w.prism.refused(), [""; 0], "{}", w.area.label);
    }
}
