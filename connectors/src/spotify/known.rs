//! Which things of a window are known. A compact part of a cursor: the 64-bit hash of each key and its time in whole seconds, in base64;
//! so that what is older than the window is forgotten, and nothing else is, however much came at once.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chrono::{DateTime, Utc};
use engine::fault::Fault;

use crate::seen::{Seen, hash, unreadable};

/// Bytes of one: its hash, its time.
const BYTES: usize = 12;

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<u64, u32>);

impl Known {
    /// Reads what [`Known::text`] wrote.
    ///
    /// # Errors
    /// `Resync` where the text is something else.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let bytes = BASE64.decode(text).map_err(|_| unreadable())?;
        let (all, rest) = bytes.as_chunks::<BYTES>();
        if !rest.is_empty() {
            return Err(unreadable());
        }
        let one = |&[a, b, c, d, e, f, g, h, at @ ..]: &[u8; BYTES]| {
            (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes(at))
        };
        Ok(Self(all.iter().map(one).collect()))
    }

    /// The same of keys without times, as earlier versions wrote them; all are taken to be of `at`.
    ///
    /// # Errors
    /// `Resync` where the text is something else.
    pub fn read_undated(text: &str, at: DateTime<Utc>) -> Result<Self, Fault> {
        Ok(Self(Seen::read(text)?.hashes().map(|hash| (hash, seconds(at))).collect()))
    }

    /// The text for the cursor; the same for the same things.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> =
            self.0.iter().flat_map(|(hash, at)| [&hash.to_be_bytes()[..], &at.to_be_bytes()].concat()).collect();
        BASE64.encode(bytes)
    }

    /// Adds a thing; whether it was new.
    pub fn add(&mut self, key: &str, at: DateTime<Utc>) -> bool {
        self.0.insert(hash(key), seconds(at)).is_none()
    }

    /// Forgets what is older than `floor`.
    pub fn forget_before(&mut self, floor: DateTime<Utc>) {
        self.0.retain(|_, at| *at >= seconds(floor));
    }
}

fn seconds(at: DateTime<Utc>) -> u32 {
    u32::try_from(at.timestamp().max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_from_its_text_and_forgets_what_is_old_and_nothing_else() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let mut known = Known::default();
        for n in 0..3_000 {
            assert!(known.add(&n.to_string(), at(n / 1_000)) && !known.add(&n.to_string(), at(n / 1_000)));
        }
        assert_eq!(Known::read(&known.text()).as_ref(), Ok(&known));
        known.forget_before(at(1));
        let is_known = |n: i64| !Known::read(&known.text()).unwrap().add(&n.to_string(), at(0));
        assert_eq!((is_known(999), is_known(1_000), is_known(2_999)), (false, true, true));
        for text in ["*", "AAAA"] {
            assert!(matches!(Known::read(text), Err(Fault::Resync { .. })), "{text}");
        }
    }

    #[test]
    fn what_an_earlier_version_wrote_is_known() {
        let mut seen = Seen::default();
        seen.add("a");
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut known = Known::read_undated(&seen.text(), at).unwrap();
        assert!(!known.add("a", at) && known.add("b", at));
    }
}
