//! Sealing with XChaCha20-Poly1305. A sealed value is text: `s1.KEYID.NONCE.CIPHERTEXT`, the last two in base64url. Its place
//! (table, row and column) is authenticated with it, so a value that is copied into another row does not open there.
//!
//! The ring holds several keys, one of them active: new values are sealed with it, older ones still open. Beside them stands
//! the identity key, which is never rotated: what is hashed with it must stay the same (source identities, hook URLs).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::RngCore;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::keyfile::KeyError;
use crate::secret::Secret;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const VERSION: &str = "s1";

pub(super) type KeyBytes = SecretBox<[u8; KEY_BYTES]>;

/// The keys. Clones share them; they are wiped when the last one goes. A ring that came from a file is read again when a value
/// names a key that it does not hold: another process may have rotated it.
#[derive(Clone)]
pub struct KeyRing(Arc<Ring>);

struct Ring {
    keys: RwLock<Arc<Keys>>,
    /// Where it came from, if that was a file.
    file: Option<PathBuf>,
}

pub(super) struct Keys {
    /// The active key first.
    pub(super) sealing: Vec<(String, KeyBytes)>,
    pub(super) identity: KeyBytes,
}

/// Why a sealed value does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is no sealed value, or one of a later version.
    #[error("not a sealed value (`s1.KEY.NONCE.TEXT` was expected)")]
    Form,
    /// The ring lost the key, or the database came from elsewhere.
    #[error("sealed with key `{key}`, which the key ring does not hold: put that key back into the key file")]
    UnknownKey {
        /// The key's id.
        key: String,
    },
    /// The key's id is known, but the value is not what was sealed.
    #[error("does not open with key `{key}`: the value was altered or moved, or another key has that id now")]
    Broken {
        /// The key's id.
        key: String,
    },
}

impl KeyRing {
    /// New random keys.
    ///
    /// # Errors
    /// Where the system has no random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::of(vec![new_key()?], random_key()?))
    }

    pub(super) fn of(sealing: Vec<(String, KeyBytes)>, identity: KeyBytes) -> Self {
        let keys = RwLock::new(Arc::new(Keys { sealing, identity }));
        Self(Arc::new(Ring { keys, file: None }))
    }

    /// The same ring, which knows where it came from.
    pub(super) fn kept_in(self, path: &Path) -> Self {
        Self(Arc::new(Ring { keys: RwLock::new(self.keys()), file: Some(path.to_owned()) }))
    }

    pub(super) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes up what the file holds now. Another installation's ring is not taken.
    ///
    /// # Errors
    /// Where the file cannot be read; the ring is as it was.
    pub fn reload(&self) -> Result<(), KeyError> {
        let Some(path) = &self.0.file else { return Ok(()) };
        let new = Self::load(path)?.keys();
        if new.identity.expose_secret() != self.keys().identity.expose_secret() {
            return Err(KeyError::Form(format!("{} holds the keys of another installation now", path.display())));
        }
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The ids of its keys, the active one first.
    pub fn ids(&self) -> Vec<String> {
        self.keys().sealing.iter().map(|(id, _)| id.clone()).collect()
    }

    /// The same ring with a new active key. Values that are sealed already still open.
    ///
    /// # Errors
    /// Where the system has no random bytes.
    pub fn rotated(&self) -> Result<Self, KeyError> {
        let keys = self.keys();
        let old = keys.sealing.iter().map(|(id, key)| (id.clone(), copy(key)));
        let sealing = std::iter::once(new_key()?).chain(old).collect();
        Ok(Self::of(sealing, copy(&keys.identity)))
    }

    /// The same ring without a key; the active one stays.
    #[cfg(test)]
    pub(crate) fn without(&self, id: &str) -> Self {
        let keys = self.keys();
        let left = keys.sealing.iter().filter(|(known, _)| known != id).map(|(id, key)| (id.clone(), copy(key)));
        Self::of(left.collect(), copy(&keys.identity))
    }

    /// The id of the key that new values are sealed with.
    pub fn active(&self) -> String {
        self.keys().sealing[0].0.clone()
    }

    /// Seals `secret` for `place`: the names of table, row and column, which must be the same when it is opened.
    pub fn seal(&self, place: &str, secret: &Secret) -> String {
        let keys = self.keys();
        let (id, key) = &keys.sealing[0];
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let aad = associated(id, place);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: aad.as_bytes() };
        let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).expect("a secret has less than 256 GB");
        format!("{VERSION}.{id}.{}.{}", BASE64.encode(nonce), BASE64.encode(sealed))
    }

    /// Opens what was sealed for the same `place`.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, SealError> {
        match self.try_open(place, sealed) {
            Err(SealError::UnknownKey { .. }) if self.0.file.is_some() && self.reload().is_ok() => {
                self.try_open(place, sealed)
            }
            opened => opened,
        }
    }

    fn try_open(&self, place: &str, sealed: &str) -> Result<Secret, SealError> {
        let (id, nonce, text) = parts(sealed).ok_or(SealError::Form)?;
        let nonce: [u8; NONCE_BYTES] =
            BASE64.decode(nonce).ok().and_then(|n| n.try_into().ok()).ok_or(SealError::Form)?;
        let text = BASE64.decode(text).map_err(|_| SealError::Form)?;
        let keys = self.keys();
        let (_, key) = keys.sealing.iter().find(|(known, _)| known == id).ok_or_else(|| unknown(id))?;
        let aad = associated(id, place);
        let payload = Payload { msg: &text, aad: aad.as_bytes() };
        let broken = || SealError::Broken { key: id.to_owned() };
        let plain = cipher(key).decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| broken())?;
        Ok(Secret::new(std::str::from_utf8(&plain).map_err(|_| broken())?))
    }

    /// Whether a text is sealed, with whatever key.
    pub fn is_sealed(text: &str) -> bool {
        Self::key_of(text).is_some()
    }

    /// Whether `sealed` was sealed with a key that is not the active one, and should be sealed anew.
    pub fn is_old(&self, sealed: &str) -> bool {
        Self::key_of(sealed).is_some_and(|id| id != self.active())
    }

    /// The id of the key that a text was sealed with; `None`: it is not sealed.
    pub fn key_of(text: &str) -> Option<&str> {
        parts(text).map(|(id, ..)| id)
    }

    /// A keyed hash of `parts`, the same for ever. Each part's length counts: `ab`, `c` is not `a`, `bc`.
    pub fn identity_hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let whole = self.hmac("identity", parts).finalize().into_bytes();
        std::array::from_fn(|i| whole[i])
    }

    /// A message authentication code of `bytes` for one `purpose`, the same for ever.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.hmac("mac", &[purpose.as_bytes(), bytes]).finalize().into_bytes().into()
    }

    /// Whether `mac` is that of `bytes`, whole or truncated to at least 16 bytes; takes the same time wherever it differs.
    pub fn verify_mac(&self, purpose: &str, bytes: &[u8], mac: &[u8]) -> bool {
        let whole = self.mac(purpose, bytes);
        (16..=whole.len()).contains(&mac.len()) && bool::from(whole[..mac.len()].ct_eq(mac))
    }

    fn hmac(&self, label: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut hmac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.keys().identity.expose_secret())
            .expect("HMAC takes keys of any length");
        for part in std::iter::once(&label.as_bytes()).chain(parts) {
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part);
        }
        hmac
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.ids()).finish_non_exhaustive()
    }
}

/// What is authenticated beside the text. A key's id holds no dot, so this cannot be read in two ways.
fn associated(id: &str, place: &str) -> String {
    format!("{VERSION}.{id}.{place}")
}

fn parts(sealed: &str) -> Option<(&str, &str, &str)> {
    let (id, rest) = sealed.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
    let (nonce, text) = rest.split_once('.')?;
    is_id(id).then_some((id, nonce, text))
}

/// A key's id: up to 32 lower-case letters, digits and `-`.
pub(super) fn is_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn unknown(id: &str) -> SealError {
    SealError::UnknownKey { key: id.to_owned() }
}

fn cipher(key: &KeyBytes) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key.expose_secret()))
}

fn copy(key: &KeyBytes) -> KeyBytes {
    SecretBox::init_with_mut(|bytes: &mut [u8; KEY_BYTES]| bytes.copy_from_slice(key.expose_secret()))
}

fn new_key() -> Result<(String, KeyBytes), KeyError> {
    let mut id = [0; 4];
    fill(&mut id)?;
    Ok((format!("k{}", hex::encode(id)), random_key()?))
}

fn random_key() -> Result<KeyBytes, KeyError> {
    let mut done = Ok(());
    let key = SecretBox::init_with_mut(|bytes: &mut [u8; KEY_BYTES]| done = fill(bytes));
    done.map(|()| key)
}

fn fill(bytes: &mut [u8]) -> Result<(), KeyError> {
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, bytes).map_err(|e| KeyError::Random(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "account_state/0192/refresh_token";

    fn ring() -> KeyRing {
        KeyRing::generate().unwrap()
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_and_is_never_twice_the_same_text() {
        let ring = ring();
        for text in ["", "hunter2", "ключ 🔑", &"x".repeat(100_000)] {
            let secret = Secret::new(text);
            let (one, two) = (ring.seal(PLACE, &secret), ring.seal(PLACE, &secret));
            assert_ne!(one, two);
            assert!(one.starts_with(&format!("s1.{}.", ring.active())) && one.is_ascii());
            assert_eq!(ring.open(PLACE, &one).unwrap().expose(), text);
        }
    }

    #[test]
    fn another_place_another_ring_and_every_changed_character_are_refused() {
        let ring = ring();
        let sealed = ring.seal(PLACE, &Secret::new("hunter2"));
        let broken = Err(SealError::Broken { key: ring.active() });
        let check = |ring: &KeyRing, place: &str, sealed: &str| ring.open(place, sealed).map(|s| s.expose().to_owned());
        assert_eq!(check(&ring, "account_state/0193/refresh_token", &sealed), broken);
        assert_eq!(check(&ring, "", &sealed), broken);
        let unknown = check(&self::ring(), PLACE, &sealed);
        assert_eq!(unknown, Err(SealError::UnknownKey { key: ring.active() }));
        assert!(unknown.unwrap_err().to_string().contains(&ring.active()));
        let last = sealed.rfind('.').unwrap();
        for at in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            let got = check(&ring, PLACE, &other);
            assert!(got.is_err(), "{at}: {other}");
            assert!(at <= last || matches!(got, Err(SealError::Broken { .. } | SealError::Form)), "{got:?}");
        }
    }

    #[test]
    fn truncated_and_foreign_text_is_no_sealed_value() {
        let ring = ring();
        let sealed = ring.seal(PLACE, &Secret::new("hunter2"));
        for end in 0..sealed.len() {
            assert!(ring.open(PLACE, &sealed[..end]).is_err(), "{end}");
        }
        for text in ["", "s1", "s2.k1.AAAA.AAAA", "s1.K1.AAAA.AAAA", "s1.k 1.AAAA.AAAA", "hunter2", "s1..."] {
            assert_eq!(ring.open(PLACE, text).unwrap_err(), SealError::Form, "{text}");
        }
    }

    #[test]
    fn after_a_rotation_old_values_open_new_ones_use_the_new_key_and_hashes_stay() {
        let old = ring();
        let new = old.rotated().unwrap();
        let sealed = old.seal(PLACE, &Secret::new("hunter2"));
        assert_ne!(old.active(), new.active());
        assert_eq!(new.open(PLACE, &sealed).unwrap().expose(), "hunter2");
        assert!(new.is_old(&sealed) && !old.is_old(&sealed));
        let again = new.seal(PLACE, &Secret::new("hunter2"));
        assert!(!new.is_old(&again) && old.open(PLACE, &again).is_err());
        assert_eq!(old.identity_hash(&[b"a"]), new.identity_hash(&[b"a"]));
        assert_eq!(old.mac("hook", b"a"), new.mac("hook", b"a"));
    }

    #[test]
    fn a_ring_from_a_file_takes_up_a_rotation_when_it_meets_the_new_key_and_no_foreign_ring() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let daemon = KeyRing::load_or_create(&path).unwrap();
        let (clone, old) = (daemon.clone(), daemon.active());
        let command = daemon.rotated().unwrap();
        command.save(&path).unwrap();
        assert_eq!(daemon.active(), old);
        assert_eq!(daemon.open(PLACE, &command.seal(PLACE, &Secret::new("x"))).unwrap().expose(), "x");
        assert_eq!((clone.active(), clone.ids()), (command.active(), vec![command.active(), old]));
        KeyRing::generate().unwrap().save(&path).unwrap();
        assert!(daemon.reload().unwrap_err().to_string().contains("another installation"));
        assert_eq!(daemon.active(), command.active());
    }

    #[test]
    fn hashes_depend_on_the_key_the_purpose_and_where_parts_end() {
        let ring = ring();
        assert_eq!(ring.identity_hash(&[b"ab", b"c"]), ring.identity_hash(&[b"ab", b"c"]));
        assert_ne!(ring.identity_hash(&[b"ab", b"c"]), ring.identity_hash(&[b"a", b"bc"]));
        assert_ne!(ring.identity_hash(&[b"ab", b"c"]), self::ring().identity_hash(&[b"ab", b"c"]));
        assert_ne!(ring.identity_hash(&[b"a"]), ring.identity_hash(&[b"a", b""]));
        assert_ne!(ring.identity_hash(&[b"hook", b"a"])[..], ring.mac("hook", b"a")[..16]);
        assert_ne!(ring.mac("hook", b"a"), ring.mac("page", b"a"));
    }

    #[test]
    fn a_mac_is_verified_whole_or_truncated_but_not_too_short() {
        let ring = ring();
        let mac = ring.mac("hook", b"body");
        assert!(ring.verify_mac("hook", b"body", &mac) && ring.verify_mac("hook", b"body", &mac[..16]));
        assert!(!ring.verify_mac("hook", b"body", &mac[..15]) && !ring.verify_mac("hook", b"body", b""));
        assert!(!ring.verify_mac("hook", b"bodz", &mac) && !ring.verify_mac("page", b"body", &mac));
        assert!(!ring.verify_mac("hook", b"body", &[&mac[..], &[0]].concat()));
    }

    #[test]
    fn nothing_of_a_key_shows_in_debug() {
        let ring = ring();
        let shown = format!("{ring:?}");
        assert!(shown.contains(&ring.active()) && shown.len() < 60, "{shown}");
    }
}
