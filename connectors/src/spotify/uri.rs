//! What people give for a track, an album, a playlist: a URI (`spotify:track:…`), a link (`https://open.spotify.com/track/…`), an id.

use std::fmt;

/// Characters of an id.
const ID: usize = 22;

/// One thing at Spotify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// `track`, `playlist` …
    pub kind: String,
    /// 22 letters and digits.
    pub id: String,
}

impl Uri {
    /// Reads one of these kinds; a bare id is of the first.
    ///
    /// # Errors
    /// One sentence that says what would be right.
    pub fn read(text: &str, kinds: &[&str]) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || {
            let kinds = kinds.join(" or ");
            format!(
                "`{}` is no {kinds}: give its URI (spotify:{}:…), its link or its id",
                engine::net::printable(text, 60),
                kinds.split(' ').next().unwrap_or_default()
            )
        };
        let link = text.strip_prefix("https://open.spotify.com/").map(|path| {
            // Links may name a language before the kind.
            let path = path.split(['?', '#']).next().unwrap_or_default();
            path.split('/').filter(|part| !part.starts_with("intl-")).collect::<Vec<_>>()
        });
        let named = text.strip_prefix("spotify:").and_then(|rest| rest.split_once(':'));
        let (kind, id) = match (link.as_deref(), named) {
            (Some(&[kind, id]), _) => (kind, id),
            (Some(_), _) => return Err(wrong()),
            (None, Some((kind, id))) => (kind, id),
            (None, None) => (*kinds.first().unwrap_or(&""), text),
        };
        let fits = id.len() == ID && id.bytes().all(|b| b.is_ascii_alphanumeric()) && kinds.contains(&kind);
        if fits { Ok(Self { kind: kind.to_owned(), id: id.to_owned() }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spotify:{}:{}", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_give_is_read() {
        const ID: &str = "4iV5W9uYEdYUVa79Axb7Rh";
        let check = |text: &str, want: Option<&str>| {
            let got = Uri::read(text, &["track", "episode"]);
            assert_eq!(got.as_ref().ok().map(ToString::to_string).as_deref(), want, "{text} {got:?}");
            assert!(got.is_ok() || got.unwrap_err().contains("is no track or episode"));
        };
        check(ID, Some("spotify:track:4iV5W9uYEdYUVa79Axb7Rh"));
        check(&format!(" spotify:episode:{ID} "), Some("spotify:episode:4iV5W9uYEdYUVa79Axb7Rh"));
        check(&format!("https://open.spotify.com/track/{ID}?si=x"), Some("spotify:track:4iV5W9uYEdYUVa79Axb7Rh"));
        check(&format!("https://open.spotify.com/intl-de/track/{ID}"), Some("spotify:track:4iV5W9uYEdYUVa79Axb7Rh"));
        check(&format!("spotify:album:{ID}"), None);
        check(&format!("https://open.spotify.com/track/{ID}/more"), None);
        check(&format!("https://evil.example/track/{ID}"), None);
        check("spotify:local:a:b:c:1", None);
        check("spotify:track:../../me", None);
        check("", None);
    }
}
