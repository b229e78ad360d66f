//! A provider that can be made to misbehave, which no real one can: it signs with a real key, and what it says is set by the test. And a
//! browser that comes to it and back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::secret::Secret;
use engine::vault::{Provider, ProviderConfig};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use url::Url;

use crate::rest::{Api, Said, said};

/// What this installation is called at the provider.
pub const CLIENT: &str = "area";
/// Its secret.
pub const CLIENT_SECRET: &str = "area-secret-of-forty-characters-or-more-01";

/// A signing key.
pub struct Key {
    /// Signs.
    pub private: EncodingKey,
    /// The point, uncompressed.
    pub public: Vec<u8>,
}

impl Key {
    /// A new one.
    pub fn new() -> Self {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        Self { private: EncodingKey::from_ec_der(der.as_ref()), public: pair.public_key().as_ref().to_vec() }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.public[1..].split_at(32);
        let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": text(x), "y": text(y)})
    }
}

/// What it says next.
#[derive(Default)]
struct Says {
    id_token: Option<String>,
    userinfo: Value,
    more: Value,
}

/// The provider.
pub struct Idp {
    /// Where it is, and its `iss`.
    pub url: String,
    /// What it signs with.
    pub key: Key,
    says: Arc<Mutex<Says>>,
}

impl Idp {
    /// Starts it.
    pub async fn start() -> Self {
        let (key, says) = (Key::new(), Arc::<Mutex<Says>>::default());
        let keys = json!({"keys": [key.jwk()]});
        let token = async |State(says): State<Arc<Mutex<Says>>>| {
            let says = says.lock().unwrap();
            let mut answer = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 3600});
            answer["id_token"] = json!(says.id_token);
            for (name, value) in says.more.as_object().into_iter().flatten() {
                answer[name] = value.clone();
            }
            Json(answer)
        };
        let me = async |State(says): State<Arc<Mutex<Says>>>| Json(says.lock().unwrap().userinfo.clone());
        let routes = Router::new().route("/token", post(token)).route("/me", get(me));
        let routes = routes.route("/jwks", get(async move || Json(keys))).with_state(Arc::clone(&says));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, key, says }
    }

    /// The provider as the vault is told about it, under a name.
    pub fn provider(&self, name: &str) -> Provider {
        let at = |path: &str| Some(format!("{}/{path}", self.url));
        let config = ProviderConfig {
            title: name.to_uppercase(),
            authorize_url: at("auth"),
            token_url: at("token"),
            userinfo_url: at("me"),
            jwks_url: at("jwks"),
            issuer: Some(self.url.clone()),
            client_id: Some(CLIENT.to_owned()),
            client_secret: Some(Secret::new(CLIENT_SECRET)),
            ..ProviderConfig::default()
        };
        Provider::new(name, &config).unwrap()
    }

    /// What an id token of `sub` says that is right.
    pub fn claims(&self, sub: &str, nonce: &str, now: i64) -> Value {
        json!({"iss": self.url, "aud": CLIENT, "sub": sub, "nonce": nonce, "iat": now, "exp": now + 600})
    }

    /// Signs claims as it does.
    pub fn signed(&self, claims: &Value) -> String {
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key.private).unwrap()
    }

    /// Says this next: an id token, and userinfo.
    pub fn say(&self, id_token: Option<String>, userinfo: Value) {
        *self.says.lock().unwrap() = Says { id_token, userinfo, more: Value::Null };
    }

    /// Says more at the token endpoint.
    pub fn say_too(&self, more: Value) {
        self.says.lock().unwrap().more = more;
    }
}

/// A browser: it keeps cookies.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// By name.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// One in which somebody is signed in with this session's token.
    pub fn of(session: &str) -> Self {
        Self { cookies: [("__Host-area_session".to_owned(), session.to_owned())].into() }
    }

    /// The session that it has.
    pub fn session(&self) -> Option<&str> {
        self.cookies.get("__Host-area_session").map(String::as_str)
    }

    /// Asks from one of our own pages.
    pub async fn ask(&mut self, api: &Api, method: &str, path: &str, body: Option<Value>) -> Said {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let ask = api.bare(method, path).header("cookie", cookies.join("; ")).header("sec-fetch-site", "same-origin");
        let answer = said(match body {
            Some(body) => ask.json(&body),
            None => ask,
        })
        .await;
        for cookie in answer.headers.get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Begins to sign in at a provider: the state and the nonce that it is sent there with.
    pub async fn begin(&mut self, api: &Api, provider: &str, body: Option<Value>) -> (String, String) {
        let begun = self.ask(api, "POST", &format!("/v1/auth/{provider}"), body).await.ok(201);
        let url = Url::parse(begun["authorize_url"].as_str().unwrap()).unwrap();
        let of = |name: &str| url.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
        (of("state"), of("nonce"))
    }

    /// Comes back with a code.
    pub async fn back(&mut self, api: &Api, provider: &str, state: &str) -> Said {
        self.ask(api, "GET", &format!("/v1/connect/{provider}/callback?state={state}&code=c"), None).await
    }

    /// The whole way as `sub`, whose address the provider proved (or not).
    pub async fn arrive(&mut self, api: &Api, idp: &Idp, who: (&str, Value), body: Option<Value>) -> Said {
        let (state, nonce) = self.begin(api, "google", body).await;
        let (sub, mut info) = who;
        info["sub"] = json!(sub);
        idp.say(Some(idp.signed(&idp.claims(sub, &nonce, api.clock.now().timestamp()))), info);
        self.back(api, "google", &state).await
    }
}

/// Userinfo with an address.
pub fn address(email: &str, verified: bool) -> Value {
    json!({"email": email, "email_verified": verified, "name": "Ada"})
}
