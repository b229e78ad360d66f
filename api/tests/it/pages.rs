//! The pages in a real browser: what mails lead to, and coming back from a provider.

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::daemon::free_port;
use crate::daemon::process::client;
use crate::kit::{Area, Daemon};
use crate::peers::{Chromium, Oidc};
use crate::people::PASSWORD;
use crate::people::post::Post;

const ANN: &str = "ann@example.org";
const ROOT: &str = "root@example.org";
const NEW: &str = "figs on the window sill";

struct World {
    area: Area,
    daemon: Daemon,
    post: Post,
    /// Another origin to which the operator lets browsers go back.
    site: MockServer,
    _oidc: Oidc,
    browser: Chromium,
}

impl World {
    async fn new() -> Option<Self> {
        let (area, port) = (Area::new(), free_port());
        let callback = format!("http://127.0.0.1:{port}/v1/connect/oidc/callback");
        let (post, oidc) = (Post::start().await?, Oidc::start(&[("CALLBACK", &callback)]).await?);
        let site = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("the site")).mount(&site).await;
        let mut settings = oidc.settings();
        settings.push(("mail.smtp".to_owned(), post.url.clone()));
        settings.push(("connect.return_to".to_owned(), site.uri()));
        let args: Vec<String> = settings.iter().flat_map(|(k, v)| ["--set".to_owned(), format!("{k}={v}")]).collect();
        let daemon = area.serve_on(port, &[], &args.iter().map(String::as_str).collect::<Vec<_>>());
        Some(Self { area, daemon, post, site, _oidc: oidc, browser: Chromium::start().await? })
    }

    async fn call(&self, path: &str, token: Option<&str>, body: Value) -> Value {
        let request = client().post(format!("{}{path}", self.daemon.url)).json(&body);
        let request = token.map(|token| request.try_clone().unwrap().bearer_auth(token)).unwrap_or(request);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    /// Opens the page that a link leads to.
    async fn follows(&self, name: &str, token: &str) {
        self.browser.open(&format!("{}/account#{name}={token}", self.daemon.url)).await;
        assert!(!self.browser.at().await.contains(token) || name == "connect", "the token is gone from the address");
    }

    /// Fills the form in.
    async fn signs_in(&self, email: &str) {
        self.browser.types("email", email).await;
        self.browser.types("password", PASSWORD).await;
        self.browser.presses().await;
    }

    /// Whom the daemon takes the browser for.
    async fn is(&self, who: &str) {
        self.browser.open(&format!("{}/v1/auth/me", self.daemon.url)).await;
        self.browser.shows(who).await;
    }

    /// Ann signs up, and opens the link of her mail.
    async fn ann(&self) {
        self.call("/v1/auth/register", None, json!({ "email": ANN, "password": PASSWORD })).await;
        self.follows("verify", &self.post.token(ANN, "verify").await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mails_and_the_first_start_lead_to_asks_for_what_it_needs_and_does_it() {
    let Some(mut w) = World::new().await else { return };
    let code = w.daemon.line("/account#first=");
    let code = code.split("#first=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let b = &w.browser;

    w.follows("first", &code).await;
    b.shows("Become the first SUPER-ADMIN.").await;
    assert_eq!(b.style("max-width").await, "960px", "the page has its style");
    w.signs_in(ROOT).await;
    b.shows("Done. Sign in.").await;

    w.ann().await;
    b.shows("Confirm your address").await;
    assert!(b.sees("password").await && !b.sees("email").await);
    b.types("password", "not the password").await;
    b.presses().await;
    b.shows("link").await;
    b.types("password", PASSWORD).await;
    b.presses().await;
    b.shows("you are signed in").await;
    w.is(ANN).await;

    w.call("/v1/auth/password/forgot", None, json!({ "email": ANN })).await;
    w.follows("reset", &w.post.token(ANN, "reset").await).await;
    b.shows("Choose a new password.").await;
    b.types("password", "short").await;
    b.presses().await;
    b.shows("password").await;
    b.types("password", NEW).await;
    b.presses().await;
    b.shows("Your password is changed.").await;
    let session = w.call("/v1/auth/login", None, json!({ "email": ANN, "password": NEW })).await;

    let other = "ann@example.net";
    let body = json!({ "email": other, "password": NEW });
    w.call("/v1/auth/email", session["token"].as_str(), body).await;
    w.follows("email", &w.post.token(other, "email").await).await;
    b.shows("Use this address").await;
    b.presses().await;
    b.shows("Your account has this address now.").await;

    b.open(&format!("{}/account", w.daemon.url)).await;
    b.shows("It needs a link that is whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_linked_by_a_mailed_link_and_by_a_confirmation_that_goes_back_to_a_site() {
    let Some(w) = World::new().await else { return };
    let b = &w.browser;
    w.ann().await;
    b.types("password", PASSWORD).await;
    b.presses().await;
    b.shows("you are signed in").await;

    // The link of a mail about a lost account, in a browser that nobody is signed in with.
    b.forgets().await;
    w.follows("connect", "oidc").await;
    b.shows("Link this account again").await;
    b.presses().await;
    b.shows("Sign in first.").await;
    w.signs_in(ANN).await;
    b.shows("Linked: oidc").await;
    assert_eq!(b.style("max-width").await, "960px", "the page has its style");

    // A program of hers begins, another browser of hers comes back: she confirms, and is where she wanted to be.
    let token = w.area.run(&["token", "create", "--email", ANN]).ok();
    let begun =
        w.call("/v1/connect/oidc", Some(&token), json!({ "return_to": format!("{}/done", w.site.uri()) })).await;
    b.forgets().await;
    b.open(begun["authorize_url"].as_str().unwrap()).await;
    b.shows("Not linked yet").await;
    // Who is not signed in is told so, and where to.
    b.presses().await;
    b.shows("Sign in, and load this page again.").await;
    b.follows().await;
    b.shows("Sign in.").await;
    w.signs_in(ANN).await;
    b.shows("You are signed in").await;
    b.closes().await;
    b.loads_again().await;
    b.shows("the site").await;
    assert!(b.at().await.starts_with(&format!("{}/done?provider=oidc&account=", w.site.uri())), "{}", b.at().await);
}
