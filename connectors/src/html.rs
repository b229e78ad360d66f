//! HTML as plain text, for templates and messages: the tokens of a real HTML tokenizer, without a tree, so that no input
//! costs more than its length.

use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind::{Rawtext, ScriptData};
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

/// The text of `html`: entities resolved, scripts and styles left out, a line for each block, no run of white space.
pub fn text(html: &str) -> String {
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    while !matches!(tokenizer.feed(&input), html5ever::TokenizerResult::Done) {}
    tokenizer.end();
    let text = tokenizer.sink.text.into_inner();
    let lines = text.lines().map(str::trim_end);
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Sink {
    text: RefCell<String>,
    /// Inside of an element whose text is not for people.
    hidden: Cell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) if !self.hidden.get() => self.write(&text),
            Token::NullCharacterToken if !self.hidden.get() => self.text.borrow_mut().push('\u{FFFD}'),
            Token::TagToken(tag) => return self.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Sink {
    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let raw = match &*tag.name {
            "script" => Some(ScriptData),
            "style" | "noframes" | "iframe" => Some(Rawtext),
            "br" | "p" | "div" | "li" | "ul" | "ol" | "tr" | "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
            | "hr" | "pre" | "blockquote" | "section" | "article" | "header" | "footer" | "figure" | "figcaption"
            | "dt" | "dd" => {
                self.end_line();
                None
            }
            "td" | "th" => {
                self.write(" ");
                None
            }
            _ => None,
        };
        match raw {
            Some(kind) if tag.kind == TagKind::StartTag && !tag.self_closing => {
                self.hidden.set(true);
                TokenSinkResult::RawData(kind)
            }
            Some(_) => {
                self.hidden.set(false);
                TokenSinkResult::Continue
            }
            None => TokenSinkResult::Continue,
        }
    }

    /// Appends text; a run of white space becomes one space.
    fn write(&self, part: &str) {
        let mut text = self.text.borrow_mut();
        for c in part.chars() {
            match c.is_whitespace() {
                true if text.is_empty() || text.ends_with([' ', '\n']) => {}
                true => text.push(' '),
                false => text.push(c),
            }
        }
    }

    fn end_line(&self) {
        let mut text = self.text.borrow_mut();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_the_text_that_a_person_reads() {
        let check = |html: &str, want: &str| assert_eq!(text(html), want, "{html}");
        check("", "");
        check("plain text", "plain text");
        check("<p>One &amp; <b>two</b></p>\n\n<p>three&nbsp;&eacute;&#x1F600;</p>", "One & two\nthree é😀");
        check("a<br>b<br/>c", "a\nb\nc");
        check("x<script>alert('<p>no</p>')</script>y<style>p{}</style>z", "xyz");
        check("<ul><li>one<li>two</ul>", "one\ntwo");
        check("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc");
        check("<!-- no --><a href='x'>link</a> 1 < 2 &unknown; &lt;p&gt;", "link 1 < 2 &unknown; <p>");
        check("  lots \t\n of   space  ", "lots of space");
        check("<script>never closed", "");
        check("<p <p <p", "");
        check("a\u{0}b", "a\u{FFFD}b");
    }

    #[test]
    fn deep_nesting_is_only_text() {
        let deep = "<div>".repeat(200_000) + "x";
        assert_eq!(text(&deep), "x");
    }
}
