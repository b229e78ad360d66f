//! What templates and conditions do, as data.

use chrono::DateTime;
use serde_json::{Value, json};

use super::{Condition, Expr, Mold, Scope, filter_docs};

fn scope(event: &Value) -> Scope {
    let born = DateTime::parse_from_rfc3339("2026-11-20T08:30:00Z").unwrap().to_utc();
    let mut scope = Scope::new(event, "7", "Mail", born);
    scope.add_step("sum", &json!({"text": "short", "list": [1, 2]}));
    scope
}

fn render(template: &str, event: &Value) -> Result<Value, String> {
    let one = |mut faults: Vec<crate::port::Invalid>| faults.remove(0).detail;
    Mold::compile(&json!(template)).map_err(one)?.render(&scope(event)).map_err(one)
}

fn event() -> Value {
    json!({
        "name": "Ann", "subject": "Invoice 42", "count": 3, "price": 12.5, "null": null, "flag": false, "empty": "",
        "tags": ["b", "a", "b"], "from": {"name": "Bob", "x-y": "dash"}, "html": "<p>Hi&nbsp;<b>you</b></p>",
        "rows": [{"n": 2, "who": "x"}, {"n": 1, "who": "y"}, {"who": "z"}],
        "at": "2026-03-29T00:30:00Z", "link": "https://Example.com:8443/a/b?q=1&r=x%20y#top", "text": "line one\nline two",
    })
}

#[track_caller]
fn gives(template: &str, expected: Value) {
    assert_eq!(render(template, &event()), Ok(expected), "{template}");
}

#[track_caller]
fn fails(template: &str, expected: &str) {
    match render(template, &event()) {
        Err(told) => assert!(told.contains(expected), "{template}: {told}"),
        Ok(value) => panic!("{template} gave {value}"),
    }
}

#[test]
fn one_expression_keeps_its_type_and_longer_text_is_text() {
    gives("{{ event.count }}", json!(3));
    gives("{{ event.tags }}", json!(["b", "a", "b"]));
    gives("{{event.from}}", json!({"name": "Bob", "x-y": "dash"}));
    gives("{{ event.null }}", json!(null));
    gives("{{ event.count > 2 }}", json!(true));
    gives(" {{ event.count }}", json!(" 3"));
    gives("{{ event.count }}{{ event.count }}", json!("33"));
    gives(
        "n={{ event.null }} f={{ event.flag }} t={{ event.tags }} p={{ event.price }}",
        json!("n= f=false t=[\"b\",\"a\",\"b\"] p=12.5"),
    );
    gives("Hi {{ event.name }},\n", json!("Hi Ann,\n"));
    gives("a }} b {{ '}}' ~ '{{' }} {{ '{%' }}{{ '{#' }}", json!("a }} b }}{{ {%{#"));
    gives("a  {{- event.count -}}  b", json!("a3b"));
    gives("{{ {'a': {'b': event.count}} }}", json!({"a": {"b": 3}}));
    gives("{{ 18446744073709551615 }}", json!(u64::MAX));
}

#[test]
fn a_missing_value_is_an_error_that_names_its_place() {
    fails("{{ event.nam }}", "line 1, column 10: no `nam` in `event` (did you mean `name`?)");
    fails("Hi\n  {{ event.from.nme }}", "line 2, column 17: no `nme` in `event.from` (did you mean `name`?)");
    fails("é {{ event.zzz }}", "line 1, column 12: no `zzz` in `event`");
    fails("{{ event.null.x }}", "no `x` in `event.null`, which is null");
    fails("{{ event.name.x }}", "no `x` in `event.name`, a text");
    fails("{{ event.tags[9] }}", "no `9` in `event.tags`, a list of 3");
    fails("{{ steps.som.text }}", "no `som` in `steps` (did you mean `sum`?)");
    fails("{{ item.x }}", "there is no `item` here: it exists only inside `for_each`");
    fails("{{ event.nam|upper }}", "no `nam` in `event`");
    fails("{{ event.name ~ event.nam }}", "no `nam` in `event`");
    fails("{{ 'x' if event.nam else 'y' }}", "no `nam` in `event`");
}

#[test]
fn what_may_be_missing_is_said_so() {
    gives("{{ event.nam | default('you') }}", json!("you"));
    gives("{{ event.a.b.c | default('deep') }}", json!("deep"));
    gives("{{ event.null | d('x') }}{{ event.empty | d('y') }}{{ event.empty | d('z', true) }}", json!("xz"));
    gives("{{ event.nam or event.name }}", json!("Ann"));
    gives("{{ event.nam is defined }}{{ event.a.b is undefined }}{{ event.null is none }}", json!("falsetruetrue"));
    gives("{{ 'late' if event.flag }}", json!(null));
    gives("{{ event.null | upper | truncate(3) }}", json!(null));
}

#[test]
fn a_wrong_template_is_told_when_it_is_compiled() {
    fails("{% if event.x %}a{% endif %}", "line 1, column 1: statements");
    fails("a\n{{ event.name }}{%- set x = 1 %}", "line 2, column 17: statements");
    fails("{% raw %}{{ x }}{% endraw %}", "line 1, column 1: statements");
    fails("a {# no #} b", "line 1, column 3: comments");
    fails("{#- no -#}", "line 1, column 1: comments");
    fails("a {# never closed", "line 1, column 3: comments");
    fails("{{ evnt.x }}", "line 1, column 4: `evnt` is not known (did you mean `event`?)");
    fails("{{ event.x|uper }}", "column 12: there is no filter `uper` (did you mean `upper`?)");
    fails("{{ event.x is strin }}", "there is no test `strin` (did you mean `string`?)");
    fails("{{ event.x|replace('a') }}", "the filter `replace` needs `new`");
    fails("{{ event.x|lower(1) }}", "the filter `lower` takes no argument");
    fails("{{ event.x|date(fmt='%Y') }}", "the filter `date` takes no `fmt`");
    fails("{{ event.x|date('%Y', format='%Y') }}", "was given `format` twice");
    fails("{{ event.x|map(*event.y) }}", "`*` and `**` cannot be used");
    fails("{{ event.name.lower() }}", "column 15: values have no methods: use a filter (`|lower`)");
    fails("{{ upper(event.name) }}", "there is no function `upper` (did you mean `|upper`?)");
    fails("{{ dict(a=1) }}", "there is no function `dict`");
    fails("{{ event. }}", "line 1, column");
    fails("ab\n{{ 'x }}", "line 2, column");
    fails("{{ }}", "line 1");
    fails("{{ event.x", "unexpected end of input");
}

#[test]
fn operators_work_as_in_jinja() {
    gives("{{ 1 + 2 * 3 - 4 / 2 }}", json!(5.0));
    gives("{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 3 }}{{ -event.count }}", json!("338-3"));
    gives("{{ event.name ~ event.count ~ event.null }}", json!("Ann3"));
    gives("{{ 'a' + 'b' }}{{ [1] + [2] }}{{ 'ab' * 2 }}", json!("ab[1,2]abab"));
    gives("{{ 1 < event.count <= 3 and not event.flag }}", json!(true));
    gives("{{ 'Inv' in event.subject }}{{ 'a' in event.tags }}{{ 'name' in event.from }}", json!("truetruetrue"));
    gives("{{ event.null == none }}{{ event.null < 1 }}{{ 3 == 3.0 }}{{ 'x' not in 'y' }}", json!("truefalsetruetrue"));
    gives("{{ event.tags[0] }}{{ event.tags[-1] }}{{ event.from['x-y'] }}{{ event.rows.0.who }}", json!("bbdashx"));
    gives(
        "{{ event.name[1:] }}{{ event.name[:-1] }}{{ event.tags[::2] }}{{ range(3) }}",
        json!("nnAn[\"b\",\"b\"][0,1,2]"),
    );
    gives("{{ range(1, 6, step=2) }}", json!([1, 3, 5]));
    fails("{{ event.name + 1 }}", "column 4: `+` cannot join a text and a number");
    fails("{{ event.name < 1 }}", "a text and a number have no order: use `|float` or `|int`");
    fails("{{ 1 / 0 }}", "unable to calculate 1 / 0");
    fails("{{ 1e308 * 10 }}", "too large for a number");
    fails("{{ event.name[::-1] }}", "the step of a slice must be 1 or more");
    fails("{{ 18446744073709551615 + 1 }}", "too large for JSON");
}

#[test]
fn text_filters() {
    gives("{{ event.subject|lower }}|{{ event.subject|upper }}", json!("invoice 42|INVOICE 42"));
    gives("{{ 'hello wORLD'|title }} {{ 'hELLO'|capitalize }}", json!("Hello World Hello"));
    gives("{{ '  x '|trim }}{{ '--x-'|trim('-') }}", json!("xx"));
    gives("{{ event.subject|replace('Invoice', 'Bill') }}", json!("Bill 42"));
    gives("{{ 'a, b,c'|split(',')|map('trim') }}", json!(["a", "b", "c"]));
    gives(
        "{{ ' a  b c '|split }}{{ 'a b c'|split(' ', 2) }}{{ 'a  b c'|split(most=2) }}",
        json!("[\"a\",\"b\",\"c\"][\"a\",\"b c\"][\"a\",\"b c\"]"),
    );
    gives("{{ event.text|lines|length }}", json!(2));
    gives(
        "{{ 'abcdef'|truncate(4) }}{{ 'abc'|truncate(3) }}{{ 'abcdef'|truncate(4, '') }}{{ 'abcdef'|truncate(2, '...') }}",
        json!("abc…abcabcd.."),
    );
    gives("{{ \" C'est l'été, à Paris! \"|slug }}", json!("cest-lété-à-paris"));
    gives("{{ event.html|strip_tags }}", json!("Hi you"));
    gives("{{ '<a href=\"x\">&\\'</a>'|escape }}", json!("&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;"));
    gives("{{ event.count|string ~ 'x' }}", json!("3x"));
    fails("{{ event.tags|lower }}", "`lower` needs a text, not a list");
    fails("{{ event.name|replace('', 'x') }}", "not empty for `old`");
}

#[test]
fn number_filters() {
    gives("{{ '42'|int + 1 }}", json!(43));
    gives("{{ ' 1.5 '|float }}", json!(1.5));
    gives("{{ '-3.9'|int }}{{ 3.7|int }}", json!("-33"));
    gives("{{ 2.5|round }}{{ -2.5|round }}{{ 1.005|round(2) }}{{ 2.4|ceil }}{{ 2.6|floor }}", json!("3-31.0132"));
    gives("{{ -3|abs }}{{ -1.5|abs }}", json!("31.5"));
    gives("{{ 1234567.891|number(2, ' ', ',') }}", json!("1 234 567,89"));
    gives(
        "{{ 1234|number }}{{ -1234.5|number(0, '.') }}{{ 5|number(2) }}{{ '7.1'|number(2) }}",
        json!("1234-1.2355.007.10"),
    );
    fails("{{ 'x'|int }}", "`x` is not a number");
    fails("{{ 'inf'|float }}", "`inf` is not a number");
    fails("{{ 1.5|round(21) }}", "0 to 20 decimals");
    fails("{{ 1e30|int }}", "too large for a whole number");
}

#[test]
fn list_filters() {
    gives("{{ event.tags|join(', ') }}", json!("b, a, b"));
    gives("{{ event.rows|join('-', attribute='who') }}", json!("x-y-z"));
    gives(
        "{{ event.tags|first }}{{ event.tags|last }}{{ []|first|d('none') }}{{ event.name|first }}",
        json!("bbnoneA"),
    );
    gives("{{ event.rows|map(attribute='n') }}", json!([2, 1, null]));
    gives("{{ event.tags|map('replace', 'b', 'c')|join }}", json!("cac"));
    gives("{{ event.rows|selectattr('n', 'gt', 1)|map(attribute='who') }}", json!(["x"]));
    gives("{{ event.rows|rejectattr('n')|map(attribute='who') }}", json!(["z"]));
    gives("{{ [1, 2, 3]|select('odd') }}{{ [0, 1]|reject }}", json!("[1,3][0]"));
    gives(
        "{{ event.tags|sort }}{{ event.tags|sort(reverse=true) }}{{ event.tags|unique }}{{ event.tags|reverse }}",
        json!("[\"a\",\"b\",\"b\"][\"b\",\"b\",\"a\"][\"b\",\"a\"][\"b\",\"a\",\"b\"]"),
    );
    gives("{{ event.rows|sort('n')|map(attribute='who')|join }}", json!("zyx"));
    gives("{{ event.rows|sum('n') }}{{ [1, 2.5]|sum }}{{ []|sum }}", json!("33.50"));
    gives("{{ [3, 1, 2]|min }}{{ [3, 1, 2]|max }}{{ (event.rows|max('n')).who }}", json!("13x"));
    gives(
        "{{ event.from|keys }}{{ event.from|values }}{{ {'a': 1}|items }}",
        json!("[\"name\",\"x-y\"][\"Bob\",\"dash\"][[\"a\",1]]"),
    );
    gives("{{ [1, 2, 3]|batch(2) }}", json!([[1, 2], [3]]));
    gives("{{ event|attr('rows.0.n') }}{{ event|attr('rows.7.n')|d('-') }}", json!("2-"));
    gives("{{ 'Zoë'|reverse }}{{ 'Zoë'|length }}{{ 'ab'|list }}", json!("ëoZ3[\"a\",\"b\"]"));
    fails("{{ event.tags|map('uper') }}", "there is no filter `uper` (did you mean `upper`?)");
    fails("{{ event.tags|map('replace', 'a') }}", "`map` cannot give `replace` the arguments");
    fails("{{ event.name|join }}", "`join` needs a list, not a text");
    fails("{{ [1, 'a']|sum }}", "`sum` adds numbers, not a text");
}

#[test]
fn instants_are_zoned_and_moved() {
    gives("{{ event.at|date('%Y-%m-%d %H:%M', 'Europe/Paris') }}", json!("2026-03-29 01:30"));
    gives("{{ event.at|plus('1h')|date('%H:%M %Z', 'Europe/Paris') }}", json!("03:30 CEST"));
    gives("{{ now|date }} {{ now|minus('1d12h') }}", json!("2026-11-20T08:30:00Z 2026-11-18T20:30:00Z"));
    gives("{{ 'Fri, 20 Nov 2026 09:30:00 +0100'|date }}", json!("2026-11-20T08:30:00Z"));
    gives(
        "{{ 1795163400|date }} {{ 1795163400500|date }} {{ '2026-11-20'|date('%A') }}",
        json!("2026-11-20T08:30:00Z 2026-11-20T08:30:00.500Z Friday"),
    );
    gives(
        "{{ '2026-11-20 09:30'|date }}{{ now|timestamp - event.at|timestamp > 86400 }}",
        json!("2026-11-20T09:30:00Ztrue"),
    );
    fails("{{ event.name|date }}", "`Ann` is not an instant");
    fails("{{ now|date('%Q') }}", "`%Q` is not a date format");
    fails("{{ now|date('%F', 'Europe/Pari') }}", "did you mean `Europe/Paris`?");
    fails("{{ now|plus('2 days') }}", "write a length of time");
    fails("{{ 1e300|date }}", "is not an instant");
}

#[test]
fn patterns_json_urls_and_encodings() {
    gives("{{ event.subject|regex_match('^Invoice \\\\d+$') }}", json!(true));
    gives("{{ event.subject|regex_find('(\\\\d+)')|int }}", json!(42));
    gives(
        "{{ event.subject|regex_find('(?<n>\\\\d)(\\\\d)', 'n') }}{{ event.subject|regex_find('x')|d('-') }}",
        json!("4-"),
    );
    gives("{{ 'a1b22'|regex_findall('\\\\d+') }}", json!(["1", "22"]));
    gives("{{ 'Ann Lee'|regex_replace('(\\\\w+) (\\\\w+)', '$2, $1') }}", json!("Lee, Ann"));
    fails("{{ event.name|regex_match('(') }}", "the pattern cannot be read");
    fails("{{ event.name|regex_match('(\\\\w{100}){100}') }}", "the pattern is too large");
    fails("{{ event.name|regex_find('a', 3) }}", "the pattern has no group 3");
    gives("{{ event.from|tojson }}", json!("{\"name\":\"Bob\",\"x-y\":\"dash\"}"));
    gives("{{ ('{\"a\": [1]}'|fromjson).a[0] }}", json!(1));
    fails("{{ '{'|fromjson }}", "this is not JSON");
    gives("{{ 'a b/é?'|urlencode }}", json!("a%20b/%C3%A9%3F"));
    gives(
        "{{ event.link|url_part('host') }} {{ event.link|url_part('port') }} {{ event.link|url_part('path') }}",
        json!("example.com 8443 /a/b"),
    );
    gives(
        "{{ event.link|url_part('query', 'r') }} {{ event.link|url_part('query', 'z')|d('-') }} {{ event.link|url_part('origin') }}",
        json!("x y - https://example.com:8443"),
    );
    fails("{{ event.link|url_part('hots') }}", "a URL has no part `hots`");
    fails("{{ event.name|url_part('host') }}", "`Ann` is not a URL");
    gives(
        "{{ 'héé?>'|b64encode }} {{ 'héé?>'|b64encode(url=true) }} {{ 'aMOpw6k_Pg'|b64decode }}",
        json!("aMOpw6k/Pg== aMOpw6k_Pg héé?>"),
    );
    fails("{{ '*'|b64decode }}", "this is not base64");
}

#[test]
fn a_document_is_filled_in_place_and_faults_have_pointers() {
    let mold = Mold::compile(&json!({
        "{{ key }}": 1, "a/b~c": ["{{ event.count }}", {"x": "{{ event.from.name }} in {{ steps.sum.text }}"}], "fixed": {"n": [1]},
    }))
    .unwrap();
    let expected = json!({"{{ key }}": 1, "a/b~c": [3, {"x": "Bob in short"}], "fixed": {"n": [1]}});
    assert_eq!(mold.render(&scope(&event())), Ok(expected));
    assert_eq!(mold.template_pointers(), ["/a~1b~0c/0", "/a~1b~0c/1/x"]);
    assert!(mold.is_template_at("/a~1b~0c/0") && !mold.is_template_at("/fixed"));
    assert!(mold.uses("event.from") && mold.uses("event.from.name.x") && mold.uses("event"));
    assert!(!mold.uses("event.fro") && !mold.uses("event.html"));

    let wrong = Mold::compile(&json!({"a": "{{ x }}", "b": ["{{ event.y|nope }}"]})).unwrap_err();
    let pointers: Vec<&str> = wrong.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers, ["/a", "/b/0"]);
    let missing = Mold::compile(&json!({"a": "{{ event.y }}", "b": ["{{ event.z }}"]})).unwrap();
    let told: Vec<String> =
        missing.render(&scope(&event())).unwrap_err().into_iter().map(|fault| fault.pointer).collect();
    assert_eq!(told, ["/a", "/b/0"]);
}

#[track_caller]
fn judges(condition: &str, holds: bool, values: Value) {
    let judged = Condition::compile(condition).unwrap().judge(&scope(&event())).unwrap();
    let found: Vec<Value> = judged.values.into_iter().map(|(path, value)| json!([path, value])).collect();
    assert_eq!((judged.holds, json!(found)), (holds, values), "{condition}");
}

#[test]
fn a_condition_holds_or_not_and_says_with_which_values() {
    judges("'invoice' in event.subject|lower", true, json!([["event.subject", "Invoice 42"]]));
    judges("event.nam", false, json!([["event.nam", null]]));
    judges("event.nam.x.y > 3", false, json!([["event.nam.x.y", null]]));
    judges("'x' in event.nam|lower", false, json!([["event.nam", null]]));
    judges("event.nam + 1 > 0", false, json!([["event.nam", null]]));
    judges("event.nam != 'x' and not event.nam", true, json!([["event.nam", null]]));
    judges("event.count > 5 or event.price * 2 == 25", true, json!([["event.count", 3], ["event.price", 12.5]]));
    judges("steps.sum.text", true, json!([["steps.sum.text", "short"]]));
    judges("event.rows[0]['n'] == 2 and event.rows[0]['n'] < 3", true, json!([["event.rows[0].n", 2]]));
    judges("event.from['x-y'] == 'dash'", true, json!([["event.from['x-y']", "dash"]]));
    judges("item.x", false, json!([["item.x", null]]));
    let long = json!({"text": "é".repeat(5000), "list": vec![1; 5000]});
    let judged = Condition::compile("event.text and event.list").unwrap().judge(&scope(&long)).unwrap();
    assert!(judged.values.iter().all(|(_, value)| value.as_str().unwrap().chars().count() == 201), "{judged:?}");
}

#[test]
fn a_large_field_that_was_not_read_is_told_and_may_be_replaced() {
    let scope = || scope(&event()).with_large(&["body", "html"]);
    let unread = "the event has no `body`: it was read when no AREA used that, and what comes from now on has it";
    let render = |template: &str| Mold::compile(&json!(template)).unwrap().render(&scope());
    assert_eq!(render("{{ event.html|length }} {{ event['body']|d('-') }}"), Ok(json!("25 -")));
    assert_eq!(render("a {{ event.body }}").unwrap_err()[0].detail, format!("line 1, column 12: {unread}"));
    let judge = |source: &str| Condition::compile(source).unwrap().judge(&scope());
    assert_eq!(judge("'x' in event['body'].y").unwrap_err(), unread);
    assert!(!judge("'x' in event.bodies or 'x' in event.html").unwrap().holds);
}

#[test]
fn a_wrong_condition_is_told() {
    let wrong = |source: &str| Condition::compile(source).unwrap_err();
    assert_eq!(wrong(""), "line 1, column 1: the expression is empty");
    assert_eq!(wrong(" {{ event.x }}"), "line 1, column 2: write the expression alone, without `{{` and `}}`");
    assert!(wrong("event.x = 1").starts_with("line 1, column 9: "), "{}", wrong("event.x = 1"));
    assert!(wrong("evnt.x").contains("did you mean `event`"));
    assert!(wrong("event.x }} y").contains("line 1"));
    let told = Condition::compile("event.name > 5").unwrap().judge(&scope(&event())).unwrap_err();
    assert_eq!(told, "line 1, column 14: a text and a number have no order: use `|float` or `|int`");
}

#[test]
fn a_list_expression_gives_its_items_within_a_bound() {
    let list = |source: &str, max| Expr::compile(source).unwrap().list(&scope(&event()), max);
    assert_eq!(list("event.tags|unique", 5), Ok(vec![json!("b"), json!("a")]));
    assert_eq!(list("event.null", 5), Ok(vec![]));
    assert_eq!(list("event.tags", 2), Err("line 1, column 1: the list has 3 items, at most 2 are allowed".to_owned()));
    assert_eq!(list("event.name", 2), Err("line 1, column 1: a list is needed here, not a text".to_owned()));
    assert!(list("event.tgs", 2).unwrap_err().contains("did you mean `tags`"));
    let turn = scope(&event()).with_item(&json!({"who": "x"}), 4);
    let mold = Mold::compile(&json!("{{ index }}: {{ item.who }}")).unwrap();
    assert_eq!(mold.render(&turn), Ok(json!("4: x")));
}

#[test]
fn every_filter_is_documented_once() {
    let mut names: Vec<&str> = filter_docs().iter().map(|doc| doc.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(filter_docs().iter().any(|doc| doc.usage == "|truncate(length, end?)" && doc.help.ends_with('.')));
}
