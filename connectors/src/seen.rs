//! Which keys of a list are known, for lists that have no order to rely on. A compact part of a cursor: 64-bit truncated
//! SHA-256 hashes in base64, the keys of the last complete answer first, behind them those that vanished from it lately. An
//! item that vanishes and comes back within that bound is not new.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use engine::fault::Fault;
use sha2::{Digest, Sha256};

/// Keys that vanished from the list and are still known.
pub const VANISHED: usize = 1000;

/// The known keys, by recency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    recent: Vec<u64>,
    known: HashSet<u64>,
}

impl Seen {
    /// Reads what [`Seen::text`] wrote.
    ///
    /// # Errors
    /// `Resync` where the text is something else.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let bytes = BASE64.decode(text).map_err(|_| unreadable())?;
        let (hashes, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(unreadable());
        }
        Ok(hashes.iter().map(|&hash| u64::from_be_bytes(hash)).collect())
    }

    /// The text for the cursor.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.recent.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        BASE64.encode(bytes)
    }

    /// Whether this key is known.
    pub fn has(&self, key: &str) -> bool {
        self.known.contains(&hash(key))
    }

    /// Adds a key behind the others; whether it was new.
    pub fn add(&mut self, key: &str) -> bool {
        self.push(hash(key))
    }

    /// The hashes of the keys, in their order.
    pub fn hashes(&self) -> impl Iterator<Item = u64> {
        self.recent.iter().copied()
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.recent.len()
    }

    /// What is known after an answer with the keys `answer`: those, and at most [`VANISHED`] of ours that are not among
    /// them.
    pub fn after(&self, answer: Seen) -> Seen {
        let most = answer.len() + VANISHED;
        let mut after = answer;
        for &hash in &self.recent {
            if after.len() == most {
                break;
            }
            after.push(hash);
        }
        after
    }

    fn push(&mut self, hash: u64) -> bool {
        let new = self.known.insert(hash);
        if new {
            self.recent.push(hash);
        }
        new
    }
}

impl FromIterator<u64> for Seen {
    fn from_iter<T: IntoIterator<Item = u64>>(hashes: T) -> Self {
        let mut seen = Self::default();
        for hash in hashes {
            seen.push(hash);
        }
        seen
    }
}

/// As what stands for a key.
pub fn hash(key: &str) -> u64 {
    let digest = Sha256::digest(key);
    u64::from_be_bytes(std::array::from_fn(|i| digest[i]))
}

/// What is to be done where a list of keys cannot be read.
pub fn unreadable() -> Fault {
    Fault::resync("the cursor's list of known keys cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: impl IntoIterator<Item = impl AsRef<str>>) -> Seen {
        keys.into_iter().map(|key| hash(key.as_ref())).collect()
    }

    #[test]
    fn it_comes_back_from_its_text_in_its_order() {
        for seen in [Seen::default(), of(["a"]), of((0..1000).map(|i| i.to_string()))] {
            assert_eq!(Seen::read(&seen.text()), Ok(seen));
        }
        assert_eq!(of(["a"]).text(), "ypeBEsobvco", "eight bytes of SHA-256, the same for ever");
        for text in ["*", "AAAA", "ypeBEsobvcoA"] {
            assert!(matches!(Seen::read(text), Err(Fault::Resync { .. })), "{text}");
        }
    }

    #[test]
    fn what_vanished_stays_known_up_to_the_bound_and_what_came_last_stays_longest() {
        let mut seen = of(["a", "b"]).after(of(["b", "c"]));
        assert!(seen.has("a") && seen.has("b") && seen.has("c") && seen.len() == 3);
        for i in 0..VANISHED {
            seen = seen.after(of([i.to_string()]));
        }
        assert_eq!(seen.len(), VANISHED + 1);
        assert!(!seen.has("a") && seen.has("0") && seen.has(&(VANISHED - 1).to_string()), "the oldest went");
    }

    #[test]
    fn a_long_answer_is_known_whole() {
        let long: Vec<_> = (0..VANISHED * 5).map(|i| i.to_string()).collect();
        let seen = of(["a"]).after(of(&long));
        assert!(long.iter().all(|key| seen.has(key)) && seen.has("a"));
    }
}
