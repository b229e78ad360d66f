//! Why a call brought no answer: for the engine a [`Fault`], for a health check also the [`Cause`]. The sentences name
//! scheme, host, port and path alone: queries, user names and headers may carry keys.

use std::error::Error;
use std::fmt::Write;
use std::io;

use url::Url;

use super::guard::Unresolved;
use crate::fault::Fault;

/// Characters of a path in a sentence.
const MAX_PATH: usize = 120;
/// Characters of another library's sentence in ours.
const MAX_REASON: usize = 200;

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The guard: the URL, one of its addresses or a redirect is not allowed, or the request cannot be made at all.
    Refused,
    /// Our own limits: the host is called too often, or its circuit is open.
    Held,
    /// No connection came about: name, TCP or TLS.
    Connect,
    /// The connection broke or the time was up after the request may have been sent.
    Broken,
    /// The answer is larger than allowed.
    TooLarge,
}

/// A call without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Failure {
    /// What stood in the way.
    pub cause: Cause,
    /// What follows from it.
    pub fault: Fault,
}

impl Failure {
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self { cause: Cause::Refused, fault: Fault::rejected(why) }
    }

    pub(super) fn too_large(url: &Url, max: usize) -> Self {
        Self {
            cause: Cause::TooLarge,
            fault: Fault::rejected(format!("{} answered with more than {max} bytes", place(url))),
        }
    }

    pub(super) fn time_is_up(url: &Url, after: std::time::Duration) -> Self {
        let why = format!("{} did not answer within {} s", place(url), after.as_secs_f32());
        Self { cause: Cause::Broken, fault: Fault::maybe(why) }
    }

    /// Reads the client's error; `url` is the hop that failed.
    pub(super) fn of(error: &reqwest::Error, url: &Url) -> Self {
        if let Some(Unresolved::Forbidden(why)) = chain(error).find_map(|e| e.downcast_ref()) {
            return Self::refused(why.clone());
        }
        let (place, reason) = (place(url), reason(error));
        if error.is_builder() {
            Self::refused(format!("cannot make a request to {place}: {reason}"))
        } else if error.is_connect() {
            Self { cause: Cause::Connect, fault: Fault::later(format!("cannot connect to {place}: {reason}")) }
        } else if error.is_decode() {
            let why = format!("the answer of {place} cannot be decompressed or is cut off: {reason}");
            Self { cause: Cause::Broken, fault: Fault::maybe(why) }
        } else {
            Self { cause: Cause::Broken, fault: Fault::maybe(format!("the exchange with {place} broke off: {reason}")) }
        }
    }
}

/// `url` without what may be secret: scheme, host, port and the start of the path.
pub fn place(url: &Url) -> String {
    let mut place = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        write!(place, ":{port}").expect("writing to a String does not fail");
    }
    let path = url.path();
    match path.char_indices().nth(MAX_PATH) {
        Some((end, _)) => {
            place.push_str(&path[..end]);
            place.push('…');
        }
        None => place.push_str(path),
    }
    place
}

/// `text` made fit for a sentence: control characters become spaces, and it ends after `max` characters.
pub fn printable(text: &str, max: usize) -> String {
    let mut out: String = text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// The root of an error in a few words.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    if let Some(io) = chain(error).find_map(|e| e.downcast_ref::<io::Error>()) {
        match io.kind() {
            io::ErrorKind::ConnectionRefused => return "connection refused".to_owned(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => return "connection reset".to_owned(),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => return "no route".to_owned(),
            _ => {}
        }
    }
    let root = chain(error).last().map(ToString::to_string).unwrap_or_default();
    printable(&root, MAX_REASON)
}

/// The causes below `error`, outermost first. The client's own sentence is left out: it holds the URL.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&e| e.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_where_without_what_may_be_secret() {
        let table = [
            ("https://u:p@a.example:8443/x/y?key=k#f", "https://a.example:8443/x/y"),
            ("http://a.example:80", "http://a.example/"),
            ("http://[::1]:9/", "http://[::1]:9/"),
        ];
        for (url, want) in table {
            assert_eq!(place(&Url::parse(url).unwrap()), want);
        }
        let long = Url::parse(&format!("http://a.example/{}", "é".repeat(300))).unwrap();
        assert_eq!(place(&long).chars().count(), "http://a.example".len() + MAX_PATH + 1);
    }

    #[test]
    fn text_of_others_is_made_printable_and_short() {
        assert_eq!(printable("a\u{0}b\r\nc", 10), "a b  c");
        assert_eq!(printable("äöü", 2), "äö…");
    }
}
