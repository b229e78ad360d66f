//! The key ring's file, or the value of an environment variable in the same form. JSON:
//!
//! ```json
//! {
//!   "format": "area-keys-1",
//!   "active": "k5f0c12ab",
//!   "keys": { "k5f0c12ab": "…32 bytes in base64url…", "k00ff00ff": "…an older key…" },
//!   "identity": "…32 bytes in base64url; never change it…"
//! }
//! ```
//!
//! It is made once, readable by its owner alone, and belongs into the backup: without it nothing that was sealed opens again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::Deserialize;

use super::seal::{KEY_BYTES, KeyBytes, KeyRing, is_id};

const FORMAT: &str = "area-keys-1";
/// Bytes of a key file: room for hundreds of rotations.
const MAX_FILE: u64 = 64 << 10;

/// Why there is no key ring. No message holds a part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read or change it.
    #[error("the key file {path} has mode {mode:03o}: others may read or change it; run `chmod 600 {path}`")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is not what it should be.
    #[error("the keys cannot be read: {0}")]
    Form(String),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: String,
    active: String,
    keys: BTreeMap<String, SecretString>,
    identity: SecretString,
}

impl KeyRing {
    /// Reads the ring at `path`, or makes one there if there is none. Of two processes that do so at once one makes it and
    /// both read it.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let ring = Self::generate()?;
                match ring.put(path, |new| fs::hard_link(new, path).and_then(|()| fs::remove_file(new))) {
                    Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
                    done => done?,
                }
                Self::load(path)
            }
            found => found,
        }
    }

    /// Replaces the ring at `path`: after a rotation.
    ///
    /// # Errors
    /// Where the file cannot be written; the old one is whole then.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        self.put(path, |new| fs::rename(new, path))
    }

    /// Reads a ring from its text: the value of an environment variable.
    ///
    /// # Errors
    /// `Form`, which says what is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // The parser's own sentence could show a part of a key.
        let text: Text = serde_json::from_str(text).map_err(|e| {
            let expected = r#"{"format", "active", "keys": {ID: KEY}, "identity"}"#;
            KeyError::Form(format!("line {}, column {}: not the JSON object {expected}", e.line(), e.column()))
        })?;
        if text.format != FORMAT {
            return Err(KeyError::Form(format!("/format is not \"{FORMAT}\"")));
        }
        let mut sealing = Vec::with_capacity(text.keys.len());
        for (id, key) in &text.keys {
            if !is_id(id) {
                return Err(KeyError::Form("an id in /keys is not 1 to 32 of a-z, 0-9 and -".to_owned()));
            }
            sealing.push((id.clone(), decode(key, &format!("/keys/{id}"))?));
        }
        let active = sealing.iter().position(|(id, _)| *id == text.active);
        let active = active.ok_or_else(|| KeyError::Form("/active is not the id of one of the keys".to_owned()))?;
        sealing.swap(0, active);
        Ok(Self::of(sealing, decode(&text.identity, "/identity")?))
    }

    pub(super) fn load(path: &Path) -> Result<Self, KeyError> {
        let file = File::open(path).map_err(at(path))?;
        check_mode(path, &file)?;
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE).read_to_string(&mut text).map_err(at(path))?;
        Self::parse(&text).map(|ring| ring.kept_in(path)).map_err(|e| match e {
            KeyError::Form(why) => KeyError::Form(format!("{}: {why}", path.display())),
            other => other,
        })
    }

    /// Writes the ring beside `path`, whole and synced, then moves it there with `place`.
    fn put(&self, path: &Path, place: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), KeyError> {
        let new = path.with_added_extension(format!("{:016x}.new", rand::random::<u64>()));
        let written = write(&new, &self.text()).and_then(|()| place(&new)).and_then(|()| sync_folder(path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.map_err(at(path))
    }

    /// The ring as text: what the file holds, or an environment variable.
    pub fn text(&self) -> Zeroizing<String> {
        let keys = self.keys();
        let line = |(id, key): &(String, KeyBytes)| {
            Zeroizing::new(format!("    \"{id}\": \"{}\"", *Zeroizing::new(BASE64.encode(key.expose_secret()))))
        };
        let lines: Vec<_> = keys.sealing.iter().map(line).collect();
        let lines = Zeroizing::new(lines.iter().map(|line| line.as_str()).collect::<Vec<_>>().join(",\n"));
        let identity = Zeroizing::new(BASE64.encode(keys.identity.expose_secret()));
        let active = self.active();
        Zeroizing::new(format!(
            "{{\n  \"format\": \"{FORMAT}\",\n  \"active\": \"{active}\",\n  \"keys\": {{\n{}\n  }},\n  \"identity\": \"{}\"\n}}\n",
            *lines, *identity
        ))
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::File { path: path.clone(), source }
}

fn decode(text: &SecretString, pointer: &str) -> Result<KeyBytes, KeyError> {
    let bytes = BASE64.decode(text.expose_secret()).map(Zeroizing::new);
    match bytes {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| {
            key.copy_from_slice(&bytes);
        })),
        _ => Err(KeyError::Form(format!("{pointer} is not {KEY_BYTES} bytes in base64url without padding"))),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes a new name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), KeyError> {
    use std::os::unix::fs::MetadataExt;
    /// Writable by the group, anything by others. A group that may read is an operator's choice (mounted secrets).
    const TOO_OPEN: u32 = 0o027;
    let mode = file.metadata().map_err(at(path))?.mode() & 0o777;
    if mode & TOO_OPEN != 0 { Err(KeyError::Open { path: path.to_owned(), mode }) } else { Ok(()) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &File) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_ring_is_made_once_closed_to_others_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let made = KeyRing::load_or_create(&path).unwrap();
        let read = KeyRing::load_or_create(&path).unwrap();
        assert_eq!(read.open("p", &made.seal("p", &Secret::new("x"))).unwrap().expose(), "x");
        assert_eq!(made.mac("a", b"b"), read.mac("a", b"b"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777, 0o600);
    }

    #[test]
    fn many_who_make_a_ring_at_once_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| KeyRing::load_or_create(&path).unwrap())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap().active().to_owned()).collect()
        });
        assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_rotated_ring_is_saved_over_the_old_one_with_all_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let old = KeyRing::load_or_create(&path).unwrap();
        let rotated = old.rotated().unwrap().rotated().unwrap();
        rotated.save(&path).unwrap();
        let read = KeyRing::load_or_create(&path).unwrap();
        assert_eq!(read.active(), rotated.active());
        assert_eq!(read.open("p", &old.seal("p", &Secret::new("x"))).unwrap().expose(), "x");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_may_read_is_refused_with_the_cure() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        KeyRing::load_or_create(&path).unwrap();
        for (mode, fine) in
            [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match KeyRing::load_or_create(&path) {
                Ok(_) => assert!(fine, "{mode:o}"),
                Err(e) => assert!(!fine && e.to_string().contains("chmod 600"), "{mode:o}: {e}"),
            }
        }
    }

    #[test]
    fn unreadable_text_is_named_and_never_shown() {
        let key = "SECRETSECRETSECRETSECRETSECRETSECRETSECRETQ";
        let check = |text: String, want: &str| {
            let why = KeyRing::parse(&text).unwrap_err().to_string();
            assert!(why.contains(want) && !why.contains("SECRET"), "{why}");
        };
        let ring = |format: &str, active: &str, id: &str, key: &str, identity: &str| {
            format!(r#"{{"format":"{format}","active":"{active}","keys":{{"{id}":"{key}"}},"identity":"{identity}"}}"#)
        };
        assert!(KeyRing::parse(&ring(FORMAT, "k1", "k1", key, key)).is_ok());
        check(ring("area-keys-2", "k1", "k1", key, key), "/format");
        check(ring(FORMAT, "k2", "k1", key, key), "/active");
        check(ring(FORMAT, "k1", "K 1", key, key), "an id in /keys");
        check(ring(FORMAT, "k1", "k1", &key[1..], key), "/keys/k1");
        check(ring(FORMAT, "k1", "k1", key, "SECRET="), "/identity");
        check(format!(r#"{{"format":"{FORMAT}","SECRET":1}}"#), "line 1");
        check(key.to_owned(), "line 1, column 1");
        check(String::new(), "not the JSON object");
    }

    #[test]
    fn a_file_that_cannot_be_made_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let why = KeyRing::load_or_create(&folder.path().join("no/keys.json")).unwrap_err().to_string();
        assert!(why.contains("no/keys.json"), "{why}");
    }
}
