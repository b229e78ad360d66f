//! The way to a list's next page: the `Link` header, or a value in the answer that is the next URL or a token for a query
//! parameter.

use engine::fault::Fault;
use engine::net::{Answer, Call, place};
use engine::port::Invalid;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::json::{check_pointer, found};

/// Where `next` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// In `Link: <…>; rel="next"`.
    Link,
    /// At this pointer: a URL.
    Url(&'a str),
    /// At this pointer: a value for this query parameter.
    Token(&'a str, &'a str),
}

impl<'a> Next<'a> {
    /// Reads the params `next` and `next_param`.
    pub fn of(next: Option<&'a str>, param: Option<&'a str>) -> Option<Self> {
        Some(match (next?, param) {
            ("link", _) => Self::Link,
            (pointer, None) => Self::Url(pointer),
            (pointer, Some(param)) => Self::Token(pointer, param),
        })
    }

    /// The URL of the next page of `list`; `None` after the last one.
    ///
    /// # Errors
    /// Says what stands where the next page should.
    pub fn find(self, answer: &Answer, body: &Value, list: &Url) -> Result<Option<Url>, String> {
        let (pointer, param) = match self {
            Self::Link => return Ok(answer.link("next")),
            Self::Url(pointer) => (pointer, None),
            Self::Token(pointer, param) => (pointer, Some(param)),
        };
        let text = match body.pointer(pointer) {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if param.is_some() => number.to_string(),
            Some(other) => return Err(format!("`{pointer}` should lead to the next page, but is {}", found(other))),
        };
        match param {
            Some(param) => Ok(Some(with_query(list, param, &text))),
            None => match answer.url.join(&text) {
                Ok(url) => Ok(Some(url)),
                Err(_) => Err(format!("`{pointer}` should lead to the next page, but is no URL")),
            },
        }
    }
}

/// Turns the request for the first page to a later one. To another origin goes no header and no body.
///
/// # Errors
/// `Rejected` where a body would have to leave its origin.
pub fn turn(first: &Call, to: Url, method: Method) -> Result<Call, Fault> {
    if first.url().origin() == to.origin() {
        return Ok(first.clone().to(to));
    }
    if method != Method::GET {
        let why = format!("the next page is at another origin ({}): a body is not sent there", place(&to));
        return Err(Fault::rejected(why));
    }
    Ok(Call::new(Method::GET, to))
}

fn with_query(url: &Url, name: &str, value: &str) -> Url {
    let kept: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, value);
    url
}

/// What is wrong with the params.
pub fn check(next: Option<&str>, param: Option<&str>) -> Option<Invalid> {
    match (next, param) {
        (None, Some(_)) => Some(Invalid::new("/next_param", "needs `next`: the pointer to the token")),
        (Some("link"), Some(_)) => Some(Invalid::new("/next_param", "a Link header holds a whole URL; leave it out")),
        (Some("link") | None, None) => None,
        (Some(""), _) => Some(Invalid::new("/next", "is `link` or a JSON pointer, like `/next`")),
        (Some(pointer), _) => check_pointer("/next", pointer),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_a_url_or_a_token_or_there_is_none() {
        let list = Url::parse("https://a.example/items?q=1&page=1").unwrap();
        let answer = Answer {
            status: reqwest::StatusCode::OK,
            headers: Default::default(),
            body: Default::default(),
            url: list.clone(),
        };
        let check = |next: Next<'_>, body: Value, want: Result<Option<&str>, &str>| match (
            next.find(&answer, &body, &list),
            want,
        ) {
            (Ok(url), Ok(want)) => assert_eq!(url.as_ref().map(Url::as_str), want, "{body}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, _) => panic!("{body}: {got:?}"),
        };
        let (url, token) = (Next::Url("/next"), Next::Token("/next", "page"));
        check(url, json!({"next": "https://b.example/2"}), Ok(Some("https://b.example/2")));
        check(url, json!({"next": "?page=2"}), Ok(Some("https://a.example/items?page=2")));
        for none in [json!({}), json!({"next": null}), json!({"next": ""}), json!({"next": false}), json!([])] {
            check(url, none.clone(), Ok(None));
            check(token, none, Ok(None));
        }
        check(url, json!({"next": 2}), Err("is a number"));
        check(url, json!({"next": "http://"}), Err("is no URL"));
        check(url, json!({"next": {"href": "x"}}), Err("an object with `href`"));
        check(token, json!({"next": 2}), Ok(Some("https://a.example/items?q=1&page=2")));
        check(token, json!({"next": "a&b"}), Ok(Some("https://a.example/items?q=1&page=a%26b")));
    }

    #[test]
    fn nothing_that_may_be_a_credential_goes_to_another_origin() {
        let url = |text: &str| Url::parse(text).unwrap();
        let first = Call::new(Method::GET, url("https://a.example/1")).header("x-api-key", "k").unwrap();
        let turned = |to: &str| turn(&first, url(to), Method::GET).unwrap();
        assert!(turned("https://a.example/2").has_header("x-api-key"));
        assert!(!turned("https://b.example/2").has_header("x-api-key"));
        assert!(!turned("http://a.example/2").has_header("x-api-key"));
        let post = turn(&first, url("https://b.example/2"), Method::POST).unwrap_err();
        assert!(matches!(&post, Fault::Rejected { why } if why.contains("another origin")));
    }

    #[test]
    fn the_params_are_checked() {
        let at = |next: Option<&str>, param: Option<&str>| check(next, param).map(|wrong| wrong.pointer);
        for fine in [(None, None), (Some("link"), None), (Some("/next"), None), (Some("/next"), Some("page"))] {
            assert_eq!(at(fine.0, fine.1), None);
        }
        assert_eq!(at(None, Some("page")).as_deref(), Some("/next_param"));
        assert_eq!(at(Some("link"), Some("page")).as_deref(), Some("/next_param"));
        assert_eq!(at(Some("next"), None).as_deref(), Some("/next"));
        assert_eq!(at(Some(""), None).as_deref(), Some("/next"));
    }
}
