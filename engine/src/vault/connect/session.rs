//! What a connect session remembers, and the state that travels through the browser: `ID.SECRET`. Only the secret's hash is kept, so
//! that whoever reads the database cannot finish somebody's attempt.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;
use uuid::Uuid;

use crate::secret::Secret;

/// Random bytes of a state, a nonce, a verifier.
const RANDOM_BYTES: usize = 32;

/// A session's `data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Data {
    /// SHA-256 of the state's secret, hex.
    pub state: String,
    /// At which provider.
    pub provider: String,
    /// The redirect address that was asked for: the exchange repeats it.
    pub redirect: Url,
    /// What was asked for, as the provider writes it.
    pub scopes: Vec<String>,
    /// Sealed.
    pub verifier: Option<String>,
    /// What an id token must repeat.
    pub nonce: String,
    /// Where the user goes in the end.
    pub return_to: Option<String>,
    /// The provider agreed in a browser where nobody was signed in: who began it must confirm there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<Unconfirmed>,
    /// Somebody signs in; `None`: somebody links an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
}

/// What is known of a sign-in from its beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignIn {
    /// SHA-256 of the secret that the browser which began it alone was given, hex.
    pub browser: String,
    /// Who began it was signed in and has just proved once more who they are: they may sign in with this account from now on.
    pub proved: bool,
}

/// What waits for a confirmation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Unconfirmed {
    /// SHA-256 of the secret that this browser alone was given, hex.
    pub token: String,
    /// What the provider gave, sealed.
    pub proof: String,
}

/// A random text that fits into a URL.
pub(super) fn random() -> Result<Secret, String> {
    use base64::Engine;
    let mut bytes = [0; RANDOM_BYTES];
    rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut bytes).map_err(|e| e.to_string())?;
    Ok(Secret::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

/// What travels.
pub(super) fn travelling(id: Uuid, secret: &Secret) -> Secret {
    Secret::new(format!("{}.{}", id.simple(), secret.expose()))
}

/// The session that a travelling text names, and its secret.
pub(super) fn read(text: &str) -> Option<(Uuid, Secret)> {
    let (id, secret) = text.split_once('.')?;
    Some((Uuid::try_parse(id).ok()?, Secret::new(secret)))
}

/// As it is kept.
pub(super) fn hash(secret: &Secret) -> String {
    hex::encode(Sha256::digest(secret.expose().as_bytes()))
}

/// Whether `secret` is the one whose hash is kept.
pub(super) fn fits(secret: &Secret, kept: &str) -> bool {
    hash(secret).as_bytes().ct_eq(kept.as_bytes()).into()
}

/// The place that a session's secrets are sealed to.
pub(super) fn place(id: Uuid, what: &str) -> String {
    format!("connect_sessions/{id}/{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_travels_is_read_back_and_only_its_own_hash_fits() {
        let (id, secret, other) = (Uuid::now_v7(), random().unwrap(), random().unwrap());
        let (found, read_back) = read(travelling(id, &secret).expose()).unwrap();
        assert_eq!((found, read_back.expose()), (id, secret.expose()));
        assert!(fits(&secret, &hash(&secret)) && !fits(&other, &hash(&secret)) && !fits(&secret, ""));
        for odd in ["", ".", "x.y", "0192.", &id.simple().to_string()] {
            assert!(read(odd).is_none(), "{odd}");
        }
    }
}
