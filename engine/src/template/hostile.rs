//! Templates that mean harm: each ends, soon and in little memory.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::budget::{DEPTH, NESTING};
use super::{Condition, EXPRESSION_TOKENS, LIST_ITEMS, Mold, Scope, TEMPLATE_BYTES};

fn scope() -> Scope {
    let event = json!({"t": "x".repeat(200_000), "l": vec!["y".repeat(100); 2000], "n": 100_000_000, "s": "a"});
    Scope::new(&event, "1", "n", DateTime::UNIX_EPOCH)
}

#[track_caller]
fn refused(template: &str, expected: &str) {
    let shown: String = template.chars().take(100).collect();
    let result = Mold::compile(&json!(template)).and_then(|mold| mold.render(&scope()));
    match result {
        Err(faults) => assert!(faults[0].detail.contains(expected), "{shown}: {faults:?}"),
        Ok(value) => panic!("{shown} gave {} bytes", value.to_string().len()),
    }
}

const TOO_LONG: &str = "a text would be longer than";
const TOO_MUCH: &str = "bytes would be read and written";

#[test]
fn texts_do_not_explode() {
    refused("{{ 'x' * 100000000 }}", TOO_LONG);
    refused("{{ event.t * event.n }}", TOO_LONG);
    refused("{{ event.n * 'x' }}", TOO_LONG);
    refused(&format!("{{{{ 'a'{} }}}}", "|replace('a', 'aa')".repeat(28)), TOO_LONG);
    refused(&format!("{{{{ event.s{} }}}}", "|replace('a', 'aaaaaaaaaaaaaaaa')".repeat(8)), TOO_LONG);
    refused(&format!("{{{{ event.t{} }}}}", " ~ event.t".repeat(20)), TOO_LONG);
    refused("{{ event.t|replace('x', event.t) }}", TOO_LONG);
    refused("{{ event.l|join(event.t) }}", TOO_LONG);
    refused("{{ event.t|regex_replace('x', event.t) }}", TOO_LONG);
    refused("{{ event.t|regex_replace('^.*$', '$0$0$0$0$0$0$0') }}", TOO_LONG);
    refused(
        "{{ 123456789|number(0, event.t|truncate(200000)) ~ 1234567890123|number(0, event.t ~ event.t ~ event.t) }}",
        TOO_LONG,
    );
    refused("{{ event.t|replace('x', '\"')|escape }}", TOO_LONG);
    refused("{{ event.t|replace('x', 'é')|urlencode }}", TOO_LONG);
    refused("{{ [event.t, event.t, event.t, event.t, event.t, event.t]|tojson }}", TOO_LONG);
}

#[test]
fn lists_do_not_explode() {
    let too_many = format!("a list would have more than {LIST_ITEMS} items");
    refused("{{ range(1000000000) }}", &too_many);
    refused("{{ range(0, 9223372036854775807, 1) }}", &too_many);
    refused("{{ [1] * 100000000 }}", &too_many);
    refused("{{ event.t|list }}", &too_many);
    refused("{{ event.t|split('x') }}", &too_many);
    refused("{{ event.t|replace('x', 'x\\n')|lines }}", &too_many);
    refused("{{ event.t|regex_findall('x') }}", &too_many);
    refused("{{ (range(9000) * 2) }}", &too_many);
    refused("{{ [range(5000)] * 5000 }}", TOO_MUCH);
    refused("{{ ([event.l] * 1000)|map('join')|join }}", TOO_MUCH);
    refused("{{ ([event.l] * 1000)|tojson }}", TOO_MUCH);
    refused("{{ ([event.l] * 1000) == ([event.l] * 1000) }}", TOO_MUCH);
    refused("{{ ([event.t] * 1000)|map('regex_match', 'y') }}", TOO_MUCH);
}

#[test]
fn a_document_of_many_templates_shares_one_budget() {
    let one = json!("{{ event.t ~ event.t }}");
    let mold = Mold::compile(&Value::Array(vec![one; 1000])).unwrap();
    let faults = mold.render(&scope()).unwrap_err();
    assert!(faults.iter().any(|fault| fault.detail.contains("what is rendered would be longer")), "{faults:?}");
    let steps = Mold::compile(&Value::Array(vec![json!("{{ 1 + 1 }}"); 20_000])).unwrap();
    assert!(steps.render(&scope()).unwrap_err()[0].detail.contains("steps are needed"));
}

#[test]
fn deep_and_long_expressions_are_refused_before_they_are_parsed() {
    let deep = format!("nested more than {NESTING} deep");
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{'a':", "}"), ("-", ""), ("not ", ""), ("1 if 1 else ", ""), ("- -", "")]
    {
        refused(&format!("{{{{ {}1{} }}}}", open.repeat(900), close.repeat(900)), &deep);
    }
    refused(&format!("{{{{ 1{} }}}}", "|abs".repeat(400)), &format!("more than {DEPTH} operators"));
    refused(&format!("{{{{ 1{} }}}}", " + 1".repeat(400)), &format!("more than {DEPTH} operators"));
    refused(&format!("{{{{ event{} }}}}", ".a".repeat(400)), &format!("more than {DEPTH} operators"));
    refused(&format!("{{{{ [{}] }}}}", "1,".repeat(5000)), &format!("more than {EXPRESSION_TOKENS} words"));
    refused(&format!("{{{{ '{}' }}}}", "x".repeat(TEMPLATE_BYTES)), "bytes are more than");
}

#[test]
fn what_is_allowed_fits_a_small_stack() {
    let deepest = |open: &str, close: &str| format!("{}1{}", open.repeat(NESTING), close.repeat(NESTING));
    let sources = [
        deepest("(", ")"),
        deepest("[", "]"),
        deepest("(not -", ")"),
        deepest("(1 if 1 else ", ")"),
        deepest("[1, 2]|map('string', [", "])"),
        format!("1{}", " ~ 1".repeat(DEPTH - 1)),
        format!("'a'{}", "|upper".repeat(DEPTH - 1)),
        format!("event{}", ".a".repeat(DEPTH - 1)),
        format!("1{}", " if 1 else 1".repeat(NESTING)),
    ];
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let work = move || {
        for source in sources {
            // Whether it is refused or judged: it comes back.
            let _ = Condition::compile(&source).map(|condition| condition.judge(&scope()));
        }
    };
    small.spawn(work).unwrap().join().unwrap();
}

#[test]
fn hostile_patterns_end() {
    refused("{{ event.t|regex_match('\\\\w*\\\\d*\\\\w*\\\\d*y$') }}", "too much is searched");
    refused("{{ event.s|regex_match('[01]*1[01]{30000}2') }}", "the pattern is too large");
    refused("{{ event.s|regex_match(event.t) }}", "at most 1000 bytes");
    let scope = scope();
    for pattern in [
        "(x+x+)+y",
        "(x|x)*y",
        "(?i)[a-z]*x[a-z]{40}1$",
        "x{1,500}$y",
        "(?:x?){500}x{100}y",
        "\\\\w*\\\\d*\\\\w*\\\\d*y$",
    ] {
        let source = format!("event.t|regex_match('{pattern}')");
        let judged = Condition::compile(&source).unwrap().judge(&scope);
        assert!(judged.map_or(true, |judged| !judged.holds), "{pattern}");
    }
}

proptest! {
    #[test]
    fn no_text_whatever_panics(source in ".{0,80}", expr in "[a-z0-9 .|'\"(){}\\[\\]+*~<>=!,%#-]{0,60}") {
        let scope = Scope::new(&json!({"a": 1}), "1", "n", DateTime::UNIX_EPOCH);
        for text in [source.clone(), format!("{{{{ {expr} }}}}"), format!("{{{{ event.a{expr} }}}}"), format!("{{{{{source}}}}}")] {
            if let Ok(mold) = Mold::compile(&json!(text)) {
                let _ = mold.render(&scope);
            }
        }
        if let Ok(condition) = Condition::compile(&expr) {
            let _ = condition.judge(&scope);
        }
    }

    #[test]
    fn no_chain_of_known_words_panics(words in prop::collection::vec(word(), 1..14)) {
        let scope = Scope::new(&json!({"a": 1, "s": "é<b>&amp;", "l": [1, "x", null], "o": {"k": 2.5}}), "1", "n", DateTime::UNIX_EPOCH);
        if let Ok(condition) = Condition::compile(&words.join(" ")) {
            let _ = condition.judge(&scope);
        }
        if let Ok(mold) = Mold::compile(&json!(format!("x{{{{ {} }}}}", words.join(" ")))) {
            let _ = mold.render(&scope);
        }
    }
}

/// A word of the language; filters come with a plausible argument list.
fn word() -> impl Strategy<Value = String> {
    let filters: Vec<String> = super::filter_docs()
        .into_iter()
        .flat_map(|doc| {
            ["", "(1)", "('a')", "('a', 2)", "(-1, 'b')", "('upper')"].map(|args| format!("|{}{args}", doc.name))
        })
        .collect();
    let plain = [
        "event.a", "event.s", "event.l", "event.o", "event", "now", "-1", "0", "2.5", "1e300", "''", "'a'", "none",
        "[]", "{}", "+", "-", "*", "**", "/", "//", "%", "~", "<", "==", "in", "not", "and", "or", "is", "defined",
        "odd", "if", "else", "(", ")", "[", "]", "[1:2]", "[::0]",
    ];
    prop_oneof![prop::sample::select(plain.map(str::to_owned).to_vec()), prop::sample::select(filters)]
}
