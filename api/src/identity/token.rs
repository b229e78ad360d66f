//! Tokens that we make: 256 random bits, shown once, stored hashed. A session's begins differently from an API token's, so that
//! neither is looked up as the other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::secret::Secret;
use rand::TryRngCore;
use rand::rngs::OsRng;

/// What a session's token begins with.
pub const SESSION: &str = "area-session_";
/// Random bytes of a token.
const BYTES: usize = 32;

/// 256 random bits as text.
///
/// # Panics
/// When the system has no random numbers: nothing here can be done safely then.
#[expect(clippy::expect_used, reason = "without random numbers no token is safe")]
pub fn random() -> String {
    let mut bytes = [0; BYTES];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A new session's token.
pub fn session() -> Secret {
    Secret::new(format!("{SESSION}{}", random()))
}

/// A code that people can copy: 128 bits in groups.
pub fn code() -> Secret {
    let random = random();
    let letters: String = random.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    let groups: Vec<&str> = [0..6, 6..12, 12..18, 18..24].into_iter().filter_map(|at| letters.get(at)).collect();
    Secret::new(groups.join("-"))
}
