//! Which of Gmail's search terms a mail answers by itself: `from:`, `to:`, `cc:`, `subject:`, `label:`, `in:`, `is:`, `category:` and
//! `has:attachment`, each also with `-` before it. A query of these is a selection on the mailbox's one feed; any other is
//! judged by Gmail.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

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

/// Whether mails in this place (`spam`, `trash`, `sent`) are looked for: a query names it, not within `-`.
pub fn names_place(query: &str, place: &str) -> bool {
    let mut places = words(query).into_iter().filter(|(not, _)| !not).map(|(_, word)| word.to_lowercase());
    places.any(|word| {
        let (operator, value) = word.split_once(':').unwrap_or_default();
        match (operator, value.trim_matches('"')) {
            ("in" | "label" | "is", named) if named == place => true,
            ("in", "anywhere") => place != "sent",
            ("from", "me") => place == "sent",
            _ => false,
        }
    })
}

/// The words of a query, whatever groups they stand in, and whether they are negated there.
fn words(query: &str) -> Vec<(bool, String)> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    // What stands before a group is of its every word: `-(a b)`, `in:(spam trash)`.
    let mut groups = vec![(false, String::new())];
    for c in query.chars().chain([' ']) {
        quoted ^= c == '"';
        if quoted || !c.is_whitespace() && !matches!(c, '(' | ')' | '{' | '}') {
            word.push(c);
            continue;
        }
        let (outer, operator) = groups.last().cloned().unwrap_or_default();
        let whole = std::mem::take(&mut word);
        let (not, bare) = whole.strip_prefix('-').map_or((outer, whole.as_str()), |bare| (!outer, bare));
        match c {
            '(' | '{' => {
                groups.push((not, bare.to_owned()));
                continue;
            }
            ')' | '}' => groups.truncate(groups.len().saturating_sub(1).max(1)),
            _ => {}
        }
        if !bare.is_empty() {
            words.push((not, operator + bare));
        }
    }
    words
}

/// What is wrong with how a query is written: quotes or brackets that are not closed would take in what is searched with it.
pub fn unbalanced(query: &str) -> Option<String> {
    let (mut open, mut quoted) = (Vec::new(), false);
    for c in query.chars() {
        quoted ^= c == '"';
        let closes = match c {
            _ if quoted => continue,
            '(' | '{' => {
                open.push(c);
                continue;
            }
            ')' => '(',
            '}' => '{',
            _ => continue,
        };
        if open.pop() != Some(closes) {
            return Some(format!(
                "nothing before this `{c}` opens it: write `subject:(dinner movie)`, `{{from:ann from:bob}}`"
            ));
        }
    }
    if quoted {
        return Some("a quote is not closed: write `subject:\"two words\"`".to_owned());
    }
    let open = open.pop()?;
    Some(format!("a `{open}` is not closed: write `subject:(dinner movie)`, `{{from:ann from:bob}}`"))
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

/// Whether `text` has these words, whole, one behind the other: as Gmail matches. Where words are not told apart by spaces, and where
/// there is no word (emoji), it is enough that the one stands in the other.
pub fn has_words(text: &str, words: &str) -> bool {
    let (text, words) = (folded_text(text), folded_text(words));
    let wanted = tokens(&words);
    if wanted.is_empty() || words.chars().any(is_unspaced) {
        let words = words.trim();
        return !words.is_empty() && text.contains(words);
    }
    tokens(&text).windows(wanted.len()).any(|some| some == wanted)
}

/// One and the same letter can be written as one sign or as two (files of a Mac): here it is one.
fn folded_text(text: &str) -> String {
    text.nfc().collect::<String>().to_lowercase()
}

fn tokens(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()).collect()
}

/// Of a script that is written without spaces: Thai, Lao, Myanmar, Khmer, Kana, Han.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether the mail has this label, by id or by name.
pub fn has_label(event: &Value, label: &str) -> bool {
    let label = folded(label);
    let of = |list: &str| event[list].as_array().into_iter().flatten().filter_map(Value::as_str);
    of("label_ids").chain(of("labels")).any(|known| folded(known) == label)
}
