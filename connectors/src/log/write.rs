//! The reaction `log.write`. The text is a user's: in the log it is one short line without control characters, so that it can
//! neither forge a line nor move the cursor of a terminal; the run keeps it whole.

use std::fmt::Write as _;

use engine::fault::Fault;
use engine::port::{About, Guarantee, ReactCx, Reacted, ReactionSpec, params};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// A log line takes this many characters of the text.
const LINE_CHARS: usize = 2000;

/// A line for the log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Write {
    /// What to write. The log shows its first 2000 characters in one line; the run keeps it whole.
    text: String,
    /// The line's level.
    #[serde(default)]
    level: Level,
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// Shown when debugging.
    Debug,
    /// Shown.
    #[default]
    Info,
    /// Shown as a warning.
    Warn,
    /// Shown as an error.
    Error,
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "write",
    title: "Write a line",
    description: "Writes a line to the daemon's log and keeps its text in the run.",
    params: params::<Write>,
    sample_params: r#"{"text": "Mail from {{ event.from }}"}"#,
    sample_output: r#"{"text": "Mail from Ann"}"#,
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::AtLeastOnce,
    check: |_| Vec::new(),
    react: |cx| Box::pin(std::future::ready(react(cx))),
};

fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let write = Write::deserialize(cx.params).map_err(|e| Fault::rejected(format!("log.write: {e}")))?;
    let line = one_line(&write.text);
    match write.level {
        Level::Debug => tracing::debug!(target: "area::log", key = cx.key, "{line}"),
        Level::Info => tracing::info!(target: "area::log", key = cx.key, "{line}"),
        Level::Warn => tracing::warn!(target: "area::log", key = cx.key, "{line}"),
        Level::Error => tracing::error!(target: "area::log", key = cx.key, "{line}"),
    }
    Ok(Reacted::Done(json!({ "text": write.text })))
}

/// The text's first characters with what is no visible character escaped.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LINE_CHARS));
    let mut chars = text.chars();
    for c in chars.by_ref().take(LINE_CHARS) {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            c if c.is_control() || reorders(c) => {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    let left = chars.count();
    if left > 0 {
        let _ = write!(line, "… ({left} more characters)");
    }
    line
}

/// Line and paragraph separators, and what turns the direction of text: a log line could show what it does not say.
fn reorders(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_one_line_of_visible_characters() {
        let cases = [
            ("Grüße, 日本 ✓", "Grüße, 日本 ✓"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred\u{7}\0", "\\u{1b}[31mred\\u{7}\\u{0}"),
            ("evil\u{202e}txt\u{2028}x\u{9b}", "evil\\u{202e}txt\\u{2028}x\\u{9b}"),
            ("", ""),
        ];
        for (text, line) in cases {
            assert_eq!(one_line(text), line);
        }
    }

    #[test]
    fn a_long_text_is_cut_in_the_log_and_says_so() {
        assert_eq!(one_line(&"ü".repeat(LINE_CHARS)), "ü".repeat(LINE_CHARS));
        let line = one_line(&"\u{1b}".repeat(LINE_CHARS + 7));
        assert!(line.ends_with("… (7 more characters)") && line.len() < LINE_CHARS * 8, "{}", line.len());
    }
}
