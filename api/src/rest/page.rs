//! A page that says one thing: where a browser comes back from a provider. Without scripts, with nothing to load.

use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use url::Url;

use super::problem::{Kind, Problem};

/// How every page looks.
pub const STYLE: &str = include_str!("docs.css");

/// Something to be said.
#[derive(Debug, Default)]
pub struct Notice<'a> {
    /// What it is about.
    pub title: &'a str,
    /// In sentences.
    pub says: Vec<String>,
    /// Where else the reader may go, in a page of its own: the address, and the words of the link.
    pub link: Option<(String, &'a str)>,
    /// What the reader may do: where it is sent, a hidden field with its value, and the words on it.
    pub button: Option<Button<'a>>,
}

/// A form of one button.
#[derive(Debug)]
pub struct Button<'a> {
    /// Where it is sent by POST.
    pub action: String,
    /// The hidden field.
    pub field: (&'a str, &'a str),
    /// The words on it.
    pub words: &'a str,
}

/// The link to where a person signs in.
pub fn sign_in(public: &Url) -> Option<(String, &'static str)> {
    Some((format!("{}/account#login=here", public.as_str().trim_end_matches('/')), "Sign in"))
}

/// Why something did not happen.
pub fn told_why(title: &str, problem: &Problem) -> Response {
    let mut words = problem.detail().chars();
    let sentence = words.next().map(|first| first.to_uppercase().chain(words).collect::<String>()).unwrap_or_default();
    Notice { title, says: vec![sentence + "."], ..Notice::default() }.answer(problem.kind().says().0)
}

/// Why a browser may not do what it asked for; where nobody is signed in, with the way to it.
pub fn refused(public: &Url, problem: &Problem) -> Response {
    let (status, _, title) = problem.kind().says();
    if problem.kind() != Kind::Unauthorized {
        return told_why(title, problem);
    }
    let says = vec!["Sign in, and load this page again.".to_owned()];
    Notice { title, says, link: sign_in(public), button: None }.answer(status)
}

/// Whether a browser asks, which shows pages.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// The policy of a page with our style: nothing else is loaded, nothing is framed, forms come back to us.
pub fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
}

impl Notice<'_> {
    /// The page.
    pub fn answer(&self, status: StatusCode) -> Response {
        let headers = [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy())];
        (status, headers, self.html()).into_response()
    }

    fn html(&self) -> String {
        let title = escaped(self.title);
        let says: String = self.says.iter().map(|sentence| format!("<p>{}</p>", escaped(sentence))).collect();
        let link = self.link.as_ref().map(|(to, words)| {
            format!("<p><a href=\"{}\" target=\"_blank\" rel=\"noopener\">{}</a></p>", escaped(to), escaped(words))
        });
        let button = self.button.as_ref().map(|button| {
            let (name, value) = button.field;
            format!(
                "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"{}\" value=\"{}\"><button>{}</button></form>",
                escaped(&button.action),
                escaped(name),
                escaped(value),
                escaped(button.words)
            )
        });
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style><main><h1>{title}</h1>{says}{}{}</main></html>",
            link.unwrap_or_default(),
            button.unwrap_or_default()
        )
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let notice = Notice {
            title: "<script>",
            says: vec!["a \"b\" & 'c'".to_owned()],
            link: Some(("/y\"".to_owned(), "<i>")),
            button: Some(Button { action: "/x?a=1&b=2".to_owned(), field: ("t", "\"><img"), words: "Go" }),
        };
        let html = notice.html();
        assert!(html.contains("<h1>&lt;script&gt;</h1><p>a &quot;b&quot; &amp; &#39;c&#39;</p>"), "{html}");
        assert!(html.contains("<a href=\"/y&quot;\" target=\"_blank\" rel=\"noopener\">&lt;i&gt;</a>"), "{html}");
        assert!(html.contains("action=\"/x?a=1&amp;b=2\"") && html.contains("value=\"&quot;&gt;&lt;img\""), "{html}");
    }
}
