//! What was produced against what arrived: nothing missing, nothing invented, and what arrived more than once arrived under the same
//! key with the same bytes. A second key for one item means that it was recorded twice, or that a key does not stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::receiver::Request;

/// Of what is wrong, so much is named.
const NAMED: usize = 8;
/// Of a body, so many characters are shown.
const SHOWN: usize = 200;

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Reactions that had to arrive, and did.
    pub reactions: usize,
    /// Requests beyond the first of a reaction: the same key, the same bytes.
    pub repeated: usize,
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Produced, and nothing arrived.
    pub lost: Vec<String>,
    /// Arrived, and nobody produced it.
    pub invented: Vec<String>,
    /// One item under several keys.
    pub two_keys: Vec<String>,
    /// One key with different bytes.
    pub other_bytes: Vec<String>,
    /// Several items under one key.
    pub shared_key: Vec<String>,
}

impl Wrong {
    fn kinds(&self) -> [(&'static str, &Vec<String>); 5] {
        [
            ("lost", &self.lost),
            ("invented", &self.invented),
            ("arrived under two keys", &self.two_keys),
            ("arrived with other bytes", &self.other_bytes),
            ("share a key", &self.shared_key),
        ]
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, paths) in self.kinds().into_iter().filter(|(_, paths)| !paths.is_empty()) {
            writeln!(f, "{} {kind}, as {:?}", paths.len(), &paths[..paths.len().min(NAMED)])?;
        }
        Ok(())
    }
}

/// Compares the requests with the paths that had to be called.
pub fn audit(requests: &[Request], expected: &BTreeSet<String>) -> Result<Figures, Wrong> {
    let mut by_path: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    let mut by_key: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for request in requests {
        by_path.entry(&request.path).or_default().push(request);
        by_key.entry(&request.key).or_default().insert(&request.path);
    }
    let mut wrong = Wrong {
        lost: expected.iter().filter(|path| !by_path.contains_key(path.as_str())).cloned().collect(),
        ..Wrong::default()
    };
    for (path, requests) in &by_path {
        if !expected.contains(*path) {
            wrong.invented.push((*path).to_owned());
        }
        let first = requests[0];
        if requests.iter().any(|r| r.key != first.key) {
            wrong.two_keys.push((*path).to_owned());
        } else if let Some(other) = requests.iter().find(|r| r.body != first.body) {
            let text = |r: &Request| String::from_utf8_lossy(&r.body).chars().take(SHOWN).collect::<String>();
            wrong.other_bytes.push(format!("{path}: {} and {}", text(first), text(other)));
        }
    }
    let shared = by_key.iter().filter(|(key, paths)| key.is_empty() || paths.len() > 1);
    wrong.shared_key = shared.map(|(key, paths)| format!("{key}: {paths:?}")).collect();
    if wrong != Wrong::default() {
        return Err(wrong);
    }
    Ok(Figures { reactions: expected.len(), repeated: requests.len() - by_path.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_which_it_can_go_wrong_is_told() {
        let check = |arrived: &[(&str, &str, &str)], want: Result<Figures, &str>| {
            let request = |(path, key, body): &(&str, &str, &str)| Request {
                path: (*path).to_owned(),
                key: (*key).to_owned(),
                body: axum::body::Bytes::copy_from_slice(body.as_bytes()),
                agent: String::new(),
                at: tokio::time::Instant::now(),
            };
            let requests: Vec<Request> = arrived.iter().map(request).collect();
            let expected = ["a", "b"].map(str::to_owned).into();
            match (audit(&requests, &expected), want) {
                (Ok(figures), Ok(want)) => assert_eq!(figures, want),
                (Err(wrong), Err(want)) => assert!(wrong.to_string().contains(want), "{wrong}"),
                other => panic!("{other:?}"),
            }
        };
        check(&[("a", "1", "x"), ("b", "2", "x")], Ok(Figures { reactions: 2, repeated: 0 }));
        check(&[("a", "1", "x"), ("b", "2", "x"), ("a", "1", "x")], Ok(Figures { reactions: 2, repeated: 1 }));
        check(&[("a", "1", "x")], Err("1 lost, as [\"b\"]"));
        check(&[("a", "1", "x"), ("b", "2", "x"), ("c", "3", "x")], Err("1 invented, as [\"c\"]"));
        check(&[("a", "1", "x"), ("b", "2", "x"), ("a", "3", "x")], Err("1 arrived under two keys, as [\"a\"]"));
        check(
            &[("a", "1", "x"), ("b", "2", "x"), ("a", "1", "y")],
            Err("1 arrived with other bytes, as [\"a: x and y\"]"),
        );
        check(&[("a", "1", "x"), ("b", "1", "x")], Err("1 share a key"));
        check(&[("a", "", "x"), ("b", "2", "x")], Err("1 share a key"));
    }
}
