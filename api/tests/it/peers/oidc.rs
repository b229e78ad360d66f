//! `oidc-provider`, strict: a refresh token is good once, and an old one kills its whole family.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::secret::Secret;
use engine::vault::{Provider, ProviderConfig};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::Peer;
use super::browser::Browser;

const CALLBACK: &str = "http://127.0.0.1:8080/v1/connect/oidc/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-0123456789";

/// The running server.
pub struct Oidc {
    peer: Peer,
    http: reqwest::Client,
}

impl Oidc {
    /// Starts it.
    pub async fn start(env: &[(&str, &str)]) -> Option<Self> {
        let peer = Peer::start("oidc.mjs", &[&[("CALLBACK", CALLBACK)], env].concat()).await?;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Some(Self { peer, http: http.build().unwrap() })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.peer.url
    }

    /// Signs `who` in and consents: an access and a refresh token.
    pub async fn consented(&self, who: &str) -> (String, String) {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = [
            ("client_id", "area"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid offline_access read"),
            ("prompt", "consent"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "x"),
            ("login_hint", who),
        ];
        let url = Url::parse_with_params(&format!("{}/auth", self.url()), query).unwrap();
        let back = self.follow(url).await;
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap_or_else(|| panic!("{back}")).1;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let token = self.http.post(format!("{}/token", self.url())).basic_auth("area", Some("area-secret")).form(&form);
        let token: Value = token.send().await.unwrap().json().await.unwrap();
        let text = |name: &str| token[name].as_str().unwrap_or_else(|| panic!("{token}")).to_owned();
        (text("access_token"), text("refresh_token"))
    }

    /// Follows its redirects with a jar of cookies, as a browser would, to the address that is not its own.
    pub async fn follow(&self, url: Url) -> Url {
        Browser::default().leaves(url, self.url()).await
    }

    /// An access token is over before its time; what it came with lives.
    pub async fn ends(&self, token: &str) {
        let url = Url::parse_with_params(&format!("{}/__ctl/end", self.url()), [("token", token)]).unwrap();
        assert_eq!(self.http.post(url).send().await.unwrap().status(), 200);
    }

    /// The next `times` answers of its token endpoint are wrong in this way: see `oidc.mjs`.
    pub async fn faults(&self, kind: &str, times: usize) {
        let url = format!("{}/__ctl/fault?kind={kind}&times={times}", self.url());
        assert_eq!(self.http.post(url).send().await.unwrap().status(), 200);
    }

    /// What became of grants since the start: `refreshes`, `refused`, `revoked`.
    pub async fn counts(&self) -> Value {
        self.http.get(format!("{}/__ctl/counts", self.url())).send().await.unwrap().json().await.unwrap()
    }

    /// Whether it takes an access token.
    pub async fn takes(&self, token: &str) -> bool {
        self.http.get(format!("{}/me", self.url())).bearer_auth(token).send().await.unwrap().status() == 200
    }

    /// The daemon's settings for it, as an operator writes them: `providers.oidc.…` and its value.
    pub fn settings(&self) -> Vec<(String, String)> {
        let at = |path: &str| format!("{}{path}", self.url());
        let provider = [
            ("authorize_url", at("/auth")),
            ("token_url", at("/token")),
            ("userinfo_url", at("/me")),
            ("revoke_url", at("/token/revocation")),
            ("jwks_url", at("/jwks")),
            ("issuer", at("")),
            ("scopes", "openid email offline_access".to_owned()),
            ("params.prompt", "consent".to_owned()),
            ("rotates", "true".to_owned()),
            ("margin", "1s".to_owned()),
            ("client_id", "area".to_owned()),
            ("client_secret", "area-secret".to_owned()),
        ];
        provider.map(|(key, value)| (format!("providers.oidc.{key}"), value)).into()
    }
}

/// The provider at `url`, as the vault is told about it.
pub fn provider(url: &str) -> Provider {
    let at = |path: &str| Some(format!("{url}/{path}"));
    let config = ProviderConfig {
        authorize_url: at("auth"),
        token_url: at("token"),
        userinfo_url: at("me"),
        revoke_url: at("token/revocation"),
        rotates: true,
        client_id: Some("area".to_owned()),
        client_secret: Some(Secret::new("area-secret")),
        ..ProviderConfig::default()
    };
    Provider::new("oidc", &config).unwrap()
}
