//! A browser without a screen: a jar of cookies, and redirects followed one at a time.

use reqwest::{RequestBuilder, Response};
use url::Url;

/// Redirects until a page is reached.
const HOPS: usize = 10;

/// A jar of one site's cookies.
pub struct Browser {
    http: reqwest::Client,
    jar: Vec<(String, String)>,
}

impl Default for Browser {
    fn default() -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), jar: Vec::new() }
    }
}

impl Browser {
    /// Opens a page.
    pub async fn get(&mut self, url: &str) -> Response {
        let request = self.http.get(url);
        self.send(request).await
    }

    /// Sends a form.
    pub async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Response {
        let request = self.http.post(url).form(form);
        self.send(request).await
    }

    /// What it sends as its cookies.
    pub fn cookies(&self) -> String {
        let all: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.join("; ")
    }

    /// Follows the redirects of `origin` to the first address that is not there.
    pub async fn leaves(&mut self, mut url: Url, origin: &str) -> Url {
        for _ in 0..HOPS {
            let answer = self.get(url.as_str()).await;
            url = url.join(to(&answer)).unwrap();
            if !url.as_str().starts_with(origin) {
                return url;
            }
        }
        panic!("it redirects on and on: {url}");
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let answer = request.header("cookie", self.cookies()).send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.jar.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.jar.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }
}

/// Where an answer sends the browser.
pub fn to(answer: &Response) -> &str {
    let to = answer.headers().get("location");
    to.unwrap_or_else(|| panic!("no redirect from {}: {}", answer.url(), answer.status())).to_str().unwrap()
}
