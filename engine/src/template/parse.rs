//! From source to nodes. minijinja reads the text twice: once as tokens, to refuse statements, comments and what is nested
//! so deeply that a parser would leave its stack, and once as a tree.

use std::sync::LazyLock;

use minijinja::machinery::{Span, Token, ast, parse, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::budget::{EXPRESSION_TOKENS, NESTING, TEMPLATE_BYTES, said};
use super::lower::lower;
use super::node::Node;
use super::trouble::Trouble;

/// Templates give every byte back: also the last line's end, which Jinja would swallow.
static SYNTAX: LazyLock<SyntaxConfig> = LazyLock::new(|| {
    let mut builder = SyntaxConfig::builder();
    builder.keep_trailing_newline(true);
    builder.build().unwrap_or_default()
});

/// A part of a template.
#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Expr(Node),
}

/// A template's parts in order.
pub(super) fn template(source: &str) -> Result<Vec<Piece>, Trouble> {
    check_size(source)?;
    check_tokens(source, false)?;
    let parsed = parse(source, "", SYNTAX.clone()).map_err(|e| broken(source, e))?;
    let ast::Stmt::Template(template) = parsed else {
        return Err(Trouble::new(0, "this is not a template"));
    };
    template
        .children
        .iter()
        .map(|child| match child {
            ast::Stmt::EmitRaw(raw) => Ok(Piece::Text(raw.raw.into())),
            ast::Stmt::EmitExpr(emit) => lower(&emit.expr, 0).map(Piece::Expr),
            _ => Err(Trouble::new(0, STATEMENT)),
        })
        .collect()
}

/// A condition or another expression that stands alone.
pub(super) fn expression(source: &str) -> Result<Node, Trouble> {
    check_size(source)?;
    if source.trim().is_empty() {
        return Err(Trouble::new(0, "the expression is empty"));
    }
    if let Some(at) = source.find("{{").filter(|_| source.trim_start().starts_with("{{")) {
        return Err(Trouble::new(at, "write the expression alone, without `{{` and `}}`"));
    }
    check_tokens(source, true)?;
    let parsed = parse_expr(source).map_err(|e| broken(source, e))?;
    lower(&parsed, 0)
}

const STATEMENT: &str = "statements (`{% … %}`) cannot be used here: write `{{ expression }}`, or `{{ '{%' }}` for the \
                         characters themselves";
const COMMENT: &str = "comments (`{# … #}`) cannot be used here: write `{{ '{#' }}` for the characters themselves";

fn check_size(source: &str) -> Result<(), Trouble> {
    if source.len() > TEMPLATE_BYTES {
        return Err(Trouble::new(
            0,
            format!("{} bytes are more than the {TEMPLATE_BYTES} that are allowed", source.len()),
        ));
    }
    Ok(())
}

/// Refuses, without recursion, what must not reach the parser. Comments and raw blocks give no token: they are the gaps.
fn check_tokens(source: &str, alone: bool) -> Result<(), Trouble> {
    let mut end = 0;
    let mut shape = Shape::default();
    for token in tokenize(source, alone, SYNTAX.clone()) {
        let (token, span) = match token {
            Ok(token) => token,
            Err(e) => {
                gap(source, end, source.len())?;
                return Err(broken(source, e));
            }
        };
        let start = span.start_offset as usize;
        gap(source, end, start)?;
        end = span.end_offset as usize;
        if matches!(token, Token::BlockStart) {
            return Err(Trouble::new(start, STATEMENT));
        }
        shape.see(&token, span)?;
    }
    gap(source, end, source.len())
}

/// Between two tokens stands only white space, unless the lexer skipped a comment or a raw block's marks.
fn gap(source: &str, from: usize, to: usize) -> Result<(), Trouble> {
    let skipped = source.get(from..to).unwrap_or_default();
    let lead = skipped.len() - skipped.trim_start().len();
    if skipped[lead..].starts_with("{#") {
        return Err(Trouble::new(from + lead, COMMENT));
    }
    if skipped[lead..].starts_with("{%") {
        return Err(Trouble::new(from + lead, STATEMENT));
    }
    Ok(())
}

/// How large and deep the expression at hand is.
#[derive(Default)]
struct Shape {
    tokens: usize,
    open: usize,
    prefixes: usize,
    elses: usize,
}

impl Shape {
    fn see(&mut self, token: &Token<'_>, span: Span) -> Result<(), Trouble> {
        let at = span.start_offset as usize;
        match token {
            Token::VariableStart | Token::TemplateData(_) => *self = Self::default(),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.open += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => self.open = self.open.saturating_sub(1),
            Token::Ident("else") => self.elses += 1,
            _ => {}
        }
        self.prefixes = if matches!(token, Token::Minus | Token::Ident("not")) { self.prefixes + 1 } else { 0 };
        self.tokens += 1;
        if self.open > NESTING || self.prefixes > NESTING || self.elses > NESTING {
            return Err(Trouble::new(at, format!("nested more than {NESTING} deep")));
        }
        if self.tokens > EXPRESSION_TOKENS {
            return Err(Trouble::new(at, format!("an expression of more than {EXPRESSION_TOKENS} words and signs")));
        }
        Ok(())
    }
}

/// What minijinja says, at its place: by offset where it knows one, else at the line's start.
fn broken(source: &str, error: minijinja::Error) -> Trouble {
    let at = error.range().map_or_else(
        || {
            let before = error.line().unwrap_or(1).saturating_sub(1);
            source.split_inclusive('\n').take(before).map(str::len).sum()
        },
        |range| range.start,
    );
    Trouble::new(at, said(error))
}
