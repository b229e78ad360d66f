//! A site on Auth.js that shares the daemon's database and signs its users in at [`Oidc`].

use serde_json::Value;
use url::Url;

use super::browser::{Browser, to};
use super::{Oidc, Peer};
use crate::daemon::free_port;

/// The running site, and the provider that knows it.
pub struct Site {
    peer: Peer,
    /// Where its users sign in.
    pub oidc: Oidc,
}

impl Site {
    /// Starts both, on this PostgreSQL, which is migrated.
    pub async fn start(database_url: &str) -> Option<Self> {
        let port = free_port();
        let callback = format!("http://127.0.0.1:{port}/auth/callback/oidc");
        let oidc = Oidc::start(&[("CALLBACK", &callback), ("AUTH", "client_secret_post")]).await?;
        let env = [("DATABASE_URL", database_url), ("ISSUER", oidc.url())];
        Some(Self { peer: Peer::start_on(port, "site.mjs", &env).await?, oidc })
    }

    /// Signs a person in as they would by hand: a browser with the site's session.
    pub async fn sign_in(&self) -> Browser {
        let mut browser = Browser::default();
        let answer = self.posted(&mut browser, "/auth/signin/oidc").await;
        let back = self.oidc.follow(Url::parse(to(&answer)).unwrap()).await;
        let answer = browser.get(back.as_str()).await;
        assert!(to(&answer).starts_with(&self.peer.url) && !to(&answer).contains("error"), "{}", to(&answer));
        browser
    }

    /// Signs out.
    pub async fn sign_out(&self, browser: &mut Browser) {
        drop(self.posted(browser, "/auth/signout").await);
    }

    /// Whom the site takes the browser for.
    pub async fn me(&self, browser: &mut Browser) -> Value {
        browser.get(&format!("{}/me", self.peer.url)).await.json().await.unwrap()
    }

    /// What the provider answers to the access token that stands in the database.
    pub async fn uses(&self, browser: &mut Browser) -> u16 {
        browser.get(&format!("{}/use", self.peer.url)).await.status().as_u16()
    }

    /// Sends a form of Auth.js with its token.
    async fn posted(&self, browser: &mut Browser, path: &str) -> reqwest::Response {
        let csrf: Value = browser.get(&format!("{}/auth/csrf", self.peer.url)).await.json().await.unwrap();
        let form = [("csrfToken", csrf["csrfToken"].as_str().unwrap()), ("callbackUrl", &self.peer.url)];
        browser.post(&format!("{}{path}", self.peer.url), &form).await
    }
}
