//! Which of Gmail's search terms a mail answers by itself: `from:`, `to:`, `cc:`, `subject:`, `label:`, `in:`, `is:`, `category:` and
//! `has:attachment`, each also with `-` before it. A query of these is a selection on the mailbox's one feed; any other is
//! judged by Gmail.

use serde_json::Value;

use super::labels::folded;

/// One term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// It must not be so.
    not: bool,
    what: What,
    /// As it was written.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// These words stand in this field, one behind the other.
    Words(&'static [&'static str], String),
    Label(String),
    Attachment,
    Read,
}

/// The terms of a query that a mail answers by itself; `None`: Gmail must judge it.
pub fn simple(query: &str) -> Option<Vec<Term>> {
    split(query)?.into_iter().map(|text| term(&text)).collect()
}

/// By white space, outside of quotes; `None` where one is not closed.
fn split(query: &str) -> Option<Vec<String>> {
    let (mut terms, mut term, mut quoted) = (Vec::new(), String::new(), false);
    for c in query.chars() {
        quoted ^= c == '"';
        match c.is_whitespace() && !quoted {
            true if !term.is_empty() => terms.push(std::mem::take(&mut term)),
            true => {}
            false => term.push(c),
        }
    }
    if !term.is_empty() {
        terms.push(term);
    }
    (!quoted).then_some(terms)
}

fn term(text: &str) -> Option<Term> {
    let (not, bare) = text.strip_prefix('-').map_or((false, text), |bare| (true, bare));
    let (operator, value) = bare.split_once(':')?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = quoted.unwrap_or(value);
    // Groups, exact matches, wildcards and lists are Gmail's to judge.
    if value.trim().is_empty() || value.contains(['(', ')', '{', '}', '"', '*', '|', '+']) {
        return None;
    }
    let words = |fields| What::Words(fields, value.to_owned());
    let what = match operator.to_lowercase().as_str() {
        // Only Gmail knows all the addresses that are one's own.
        "from" | "to" | "cc" if value.eq_ignore_ascii_case("me") => return None,
        "from" => words(&["from"]),
        // Whoever a copy goes to, it goes to (support.google.com/mail/answer/7190).
        "to" => words(&["to", "cc"]),
        "cc" => words(&["cc"]),
        "subject" => words(&["subject"]),
        "label" => What::Label(folded(value)),
        "in" => place(value)?,
        "is" => state(value)?,
        "category" => category(value)?,
        "has" if value.eq_ignore_ascii_case("attachment") => What::Attachment,
        _ => return None,
    };
    Some(Term { not, what, text: text.to_owned() })
}

fn place(value: &str) -> Option<What> {
    let label = value.to_lowercase();
    matches!(label.as_str(), "inbox" | "sent" | "spam" | "trash").then_some(What::Label(label))
}

fn state(value: &str) -> Option<What> {
    let state = value.to_lowercase();
    match state.as_str() {
        "read" => Some(What::Read),
        "unread" | "starred" | "important" => Some(What::Label(state)),
        _ => None,
    }
}

fn category(value: &str) -> Option<What> {
    let name = value.to_lowercase();
    let known = matches!(name.as_str(), "social" | "updates" | "forums" | "promotions");
    known.then(|| What::Label(format!("category_{name}")))
}

/// What of the terms an event does not answer.
///
/// # Errors
/// A sentence for `why`.
pub fn answers(terms: &[Term], event: &Value) -> Result<(), String> {
    for term in terms {
        if term.what.holds(event) == term.not {
            return Err(format!("`{}` does not hold: {}", term.text, term.what.shown(event)));
        }
    }
    Ok(())
}

impl What {
    fn holds(&self, event: &Value) -> bool {
        match self {
            Self::Words(fields, words) => fields.iter().any(|field| has_words(&field_of(event, field), words)),
            Self::Label(label) => has_label(event, label),
            Self::Attachment => event["has_attachment"] == true,
            Self::Read => !has_label(event, "unread"),
        }
    }

    fn shown(&self, event: &Value) -> String {
        match self {
            Self::Words(fields, _) => {
                let field = |name: &&str| format!("{name} is `{}`", field_of(event, name));
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            }
            Self::Label(_) | Self::Read => format!("its labels are {}", event["labels"]),
            Self::Attachment => format!("has_attachment is {}", event["has_attachment"]),
        }
    }
}

fn field_of(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_default().to_owned()
}

/// Whether `text` has these words, whole, one behind the other: as Gmail matches.
pub fn has_words(text: &str, words: &str) -> bool {
    let (text, words) = (tokens(text), tokens(words));
    !words.is_empty() && text.windows(words.len()).any(|some| some == words)
}

fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

/// Whether the mail has this label, by id or by name.
pub fn has_label(event: &Value, label: &str) -> bool {
    let label = folded(label);
    let of = |list: &str| event[list].as_array().into_iter().flatten().filter_map(Value::as_str);
    of("label_ids").chain(of("labels")).any(|known| folded(known) == label)
}
