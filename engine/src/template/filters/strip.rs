//! From an HTML fragment to text that a person can read. Not a browser: tags go, what separates blocks becomes a line's end,
//! scripts, styles and comments go with what they hold, entities become characters, runs of white space one blank.

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 24] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "section",
    "tr",
    "ul",
];
/// Elements whose content is no text.
const HIDDEN: [&str; 5] = ["script", "style", "head", "template", "noscript"];
/// The entities that mail and feeds use.
const ENTITIES: [(&str, char); 22] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("euro", '€'),
    ("times", '×'),
];
/// The longest entity that is looked for, in bytes.
const LONGEST_ENTITY: usize = 10;

/// The text of `html`; never longer than `html`.
pub(super) fn strip_tags(html: &str) -> String {
    let mut out = Text::default();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if rest.starts_with('<') { tag(rest, &mut out) } else { entity(rest, &mut out) };
    }
    out.push_str(rest);
    out.finish()
}

/// At a `<`: gives what follows the tag, comment or hidden element.
fn tag<'h>(html: &'h str, out: &mut Text) -> &'h str {
    if let Some(comment) = html.strip_prefix("<!--") {
        return comment.find("-->").map_or("", |end| &comment[end + 3..]);
    }
    let inner = &html[1..];
    let closing = inner.starts_with('/');
    let name_at = usize::from(closing);
    let name_end = inner[name_at..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(inner.len(), |n| n + name_at);
    let name = inner[name_at..name_end].to_ascii_lowercase();
    if name.is_empty() && !inner.starts_with(['!', '?', '/']) {
        out.push('<');
        return inner;
    }
    let after = &inner[tag_end(inner)..];
    if BLOCKS.contains(&name.as_str()) {
        out.line();
    }
    if closing || !HIDDEN.contains(&name.as_str()) {
        return after;
    }
    hidden_end(after, &name)
}

/// Where the tag at hand ends, behind its `>`; quoted attributes may hold one.
fn tag_end(inner: &str) -> usize {
    let mut quote = None;
    for (at, byte) in inner.bytes().enumerate() {
        match (byte, quote) {
            (b'>', None) => return at + 1,
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if open == byte => quote = None,
            _ => {}
        }
    }
    inner.len()
}

/// What follows `</name …>`.
fn hidden_end<'h>(html: &'h str, name: &str) -> &'h str {
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.as_bytes().get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes())) {
            return &rest[tag_end(rest)..];
        }
    }
    ""
}

/// At a `&`: gives what follows the entity, or the sign itself where there is none.
fn entity<'h>(html: &'h str, out: &mut Text) -> &'h str {
    let end = html.bytes().take(LONGEST_ENTITY + 2).position(|byte| byte == b';');
    let decoded = end.and_then(|end| {
        let name = html.get(1..end)?;
        let known = match name.strip_prefix('#') {
            Some(code) => {
                let hex = code.strip_prefix(['x', 'X']);
                let code = hex.map_or_else(|| code.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
                char::from_u32(code).filter(|c| *c != '\0')
            }
            None => ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
        };
        known.map(|c| (c, &html[end + 1..]))
    });
    match decoded {
        Some((c, after)) => {
            out.push(c);
            after
        }
        None => {
            out.push('&');
            &html[1..]
        }
    }
}

/// Text in which runs of white space are one blank or one line's end.
#[derive(Default)]
struct Text {
    text: String,
    blank: bool,
}

impl Text {
    fn push_str(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.blank = true;
            return;
        }
        if self.blank && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.blank = false;
        self.text.push(c);
    }

    fn line(&mut self) {
        self.blank = false;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, text: &str) {
        assert_eq!(strip_tags(html), text, "{html}");
    }

    #[test]
    fn a_fragment_reads_as_text() {
        check("<p>Hello <b>Ann</b>,</p>\n<p>see you.</p>", "Hello Ann,\nsee you.");
        check("a<br>b<br/>c", "a\nb\nc");
        check("<ul><li>one</li><li>two</li></ul>", "one\ntwo");
        check("a &amp; b &lt;c&gt; &#8364;&#x20AC;&nbsp;&euro;", "a & b <c> €€ €");
        check("plain   text\n stays", "plain text stays");
    }

    #[test]
    fn what_is_no_text_goes() {
        check("<style>p > a { x }</style>a<SCRIPT src='x>y'>if (a</b) {}</script >b", "ab");
        check("a<!-- <p>no</p> -->b", "ab");
        check("<img alt=\"a > b\" src=x>c", "c");
        check("<!DOCTYPE html><?xml x?>c", "c");
    }

    #[test]
    fn broken_markup_loses_no_text_before_it() {
        check("1 < 2 & 3 > 2", "1 < 2 & 3 > 2");
        check("a <b", "a");
        check("a<script>never closed", "a");
        check("&#0;&#xD800;&#99999999;&bogus;", "&#0;&#xD800;&#99999999;&bogus;");
        check("é<é>&é;", "é<é>&é;");
    }
}
