//! Reading a feed's document: its encoding, its format, and what is wrong with it in words for its owner.

use engine::net::{Answer, printable};
use feed_rs::model::Feed;
use feed_rs::parser::{Builder, ParseErrorKind, ParseFeedError};

/// Reads a feed. Entries without an id keep an empty one.
///
/// # Errors
/// One sentence.
pub fn read(answer: &Answer) -> Result<Feed, String> {
    let parser = Builder::new()
        .base_uri(Some(answer.url.as_str()))
        .sanitize_content(false)
        .id_generator(|_, _, _| String::new())
        .build();
    let text = transcoded(answer);
    let bytes = text.as_ref().map_or(&*answer.body, String::as_bytes);
    let bytes = bytes.trim_ascii_start();
    let feed = parser.parse(bytes).map_err(|e| wrong(&e, answer))?;
    if is_xml(bytes) && is_cut_off(bytes) {
        Err("the feed is cut off: its last element is not closed".to_owned())
    } else {
        Ok(feed)
    }
}

/// The document as UTF-8 where the parser would not get it right by itself: a charset in the header of a document that names
/// none, and bytes that are not what the document claims.
fn transcoded(answer: &Answer) -> Option<String> {
    let body = &*answer.body;
    let start = &body[..body.len().min(200)];
    let declares =
        start.windows(9).any(|w| w == b"encoding=") || start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF");
    let named = answer.charset().is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8"));
    let broken = || std::str::from_utf8(body).is_err();
    (!declares && (named || broken())).then(|| answer.text())
}

/// The parser's own rule: what comes first tells.
fn is_xml(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| matches!(b, b'<' | b'{')) == Some(&b'<')
}

/// Whether an XML document ends before its root does: the parser is content with a part, and in RSS 1.0 the entries stand
/// behind the channel.
fn is_cut_off(bytes: &[u8]) -> bool {
    /// Where the end of the root is looked for: comments may follow it.
    const TAIL: usize = 4096;
    // UTF-16 has a zero in each pair.
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    let tail: Vec<u8> = tail.iter().copied().filter(|b| *b != 0 && !b.is_ascii_whitespace()).collect();
    let tail = String::from_utf8_lossy(&tail);
    let ends = tail.split("</").skip(1).filter_map(|rest| rest.split_once('>'));
    let names = ends.map(|(name, _)| name.rsplit(':').next().unwrap_or(name));
    !names.into_iter().any(|name| matches!(name, "rss" | "feed" | "RDF" | "entry"))
}

fn wrong(error: &ParseFeedError, answer: &Answer) -> String {
    let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(512)]).to_ascii_lowercase();
    if start.contains("<!doctype html") || start.contains("<html") {
        return "this is a web page, not a feed; look on it for the address of its feed".to_owned();
    }
    match error {
        ParseFeedError::ParseError(ParseErrorKind::NoFeedRoot) => {
            format!("neither RSS nor Atom nor JSON Feed: {}", answer.beginning())
        }
        other => printable(&other.to_string(), 200),
    }
}
