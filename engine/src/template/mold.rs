//! A reaction's `data` as it is stored: JSON whose strings may hold `{{ expression }}`. Keys are never templates.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::budget::Budget;
use super::eval::Eval;
use super::output;
use super::parse::{Piece, template};
use super::scope::Scope;
use super::trouble::{Located, Trouble};
use crate::port::Invalid;

/// The faults of one document that are told; more help nobody.
const FAULTS_TOLD: usize = 20;

/// A compiled document.
#[derive(Debug)]
pub struct Mold {
    root: Part,
    templates: Vec<String>,
    paths: BTreeSet<String>,
}

#[derive(Debug)]
enum Part {
    Fixed(Value),
    Template { source: String, pieces: Vec<Piece>, pointer: String },
    List(Vec<Part>),
    Object(Vec<(String, Part)>),
}

impl Mold {
    /// Compiles every template in `document`.
    ///
    /// # Errors
    /// What is wrong in each string, under its JSON pointer, with line and column inside the string.
    pub fn compile(document: &Value) -> Result<Self, Vec<Invalid>> {
        let mut compiler = Compiler::default();
        let root = compiler.part(document, "");
        if compiler.faults.is_empty() {
            Ok(Self { root, templates: compiler.templates, paths: compiler.paths })
        } else {
            Err(compiler.faults)
        }
    }

    /// Fills the document with the values of `scope`.
    ///
    /// # Errors
    /// What could not be filled, under its JSON pointer; a missing value is one.
    pub fn render(&self, scope: &Scope) -> Result<Value, Vec<Invalid>> {
        let mut budget = Budget::new();
        let mut faults = Vec::new();
        let value = self.root.render(scope, &mut budget, &mut faults);
        if faults.is_empty() { Ok(value) } else { Err(faults) }
    }

    /// JSON pointers of the strings that hold a template, in document order: what stands there is known only at run time.
    pub fn template_pointers(&self) -> &[String] {
        &self.templates
    }

    /// Whether the string at `pointer` holds a template.
    pub fn is_template_at(&self, pointer: &str) -> bool {
        self.templates.iter().any(|known| known == pointer)
    }

    /// The variables that are read, each as far as it is fixed: `event.subject`, `steps.sum.text`, `event.items[0]`.
    pub fn paths(&self) -> &BTreeSet<String> {
        &self.paths
    }

    /// Whether rendering may read `path` (`event.html`), something in it, or the whole that it is part of.
    pub fn uses(&self, path: &str) -> bool {
        touches(&self.paths, path)
    }
}

/// Whether one of `paths` is `path`, something in it, or the whole that it is part of.
pub fn touches(paths: &BTreeSet<String>, path: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    paths.iter().any(|read| within(read, path) || within(path, read))
}

#[derive(Default)]
struct Compiler {
    templates: Vec<String>,
    paths: BTreeSet<String>,
    faults: Vec<Invalid>,
}

impl Compiler {
    fn part(&mut self, value: &Value, pointer: &str) -> Part {
        match value {
            Value::String(text) if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => {
                self.text(text, pointer)
            }
            Value::Array(items) => {
                let parts: Vec<Part> =
                    items.iter().enumerate().map(|(n, item)| self.part(item, &format!("{pointer}/{n}"))).collect();
                fixed_or(parts.iter().all(Part::is_fixed), value, Part::List(parts))
            }
            Value::Object(entries) => {
                let parts: Vec<(String, Part)> = entries
                    .iter()
                    .map(|(key, item)| (key.clone(), self.part(item, &format!("{pointer}/{}", escaped(key)))))
                    .collect();
                fixed_or(parts.iter().all(|(_, part)| part.is_fixed()), value, Part::Object(parts))
            }
            _ => Part::Fixed(value.clone()),
        }
    }

    fn text(&mut self, source: &str, pointer: &str) -> Part {
        match template(source) {
            Ok(pieces) => {
                for piece in &pieces {
                    if let Piece::Expr(node) = piece {
                        self.paths.extend(node.path_names());
                    }
                }
                self.templates.push(pointer.to_owned());
                Part::Template { source: source.to_owned(), pieces, pointer: pointer.to_owned() }
            }
            Err(trouble) => {
                tell(&mut self.faults, pointer, source, &trouble);
                Part::Fixed(Value::Null)
            }
        }
    }
}

fn fixed_or(fixed: bool, value: &Value, part: Part) -> Part {
    if fixed { Part::Fixed(value.clone()) } else { part }
}

/// A key as a segment of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn tell(faults: &mut Vec<Invalid>, pointer: &str, source: &str, trouble: &Trouble) {
    if faults.len() < FAULTS_TOLD {
        faults.push(Invalid::new(pointer, trouble.tell(source)));
    }
}

impl Part {
    fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    fn render(&self, scope: &Scope, budget: &mut Budget, faults: &mut Vec<Invalid>) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::List(parts) => parts.iter().map(|part| part.render(scope, budget, faults)).collect(),
            Self::Object(parts) => {
                let entries = parts.iter().map(|(key, part)| (key.clone(), part.render(scope, budget, faults)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Self::Template { source, pieces, pointer } => fill(pieces, scope, budget).unwrap_or_else(|trouble| {
                tell(faults, pointer, source, &trouble);
                Value::Null
            }),
        }
    }
}

/// One string: the value itself where it is exactly one expression, else text.
fn fill(pieces: &[Piece], scope: &Scope, budget: &mut Budget) -> Result<Value, Trouble> {
    if let [Piece::Expr(node)] = pieces {
        let value = Eval::strict(scope, budget).eval(node)?;
        let value = output::json(&value, budget).at(node.at)?;
        budget.output(weight(&value)).at(node.at)?;
        return Ok(value);
    }
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(part) => {
                budget.output(part.len()).at(0)?;
                text.push_str(part);
            }
            Piece::Expr(node) => {
                let value = Eval::strict(scope, budget).eval(node)?;
                let part = output::text(&value, budget).at(node.at)?;
                budget.output(part.len()).at(node.at)?;
                text.push_str(&part);
            }
        }
    }
    Ok(Value::String(text))
}

/// About the bytes that `value` takes as JSON.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| weight(item) + 1).sum::<usize>() + 2,
        Value::Object(entries) => entries.iter().map(|(key, item)| key.len() + weight(item) + 4).sum::<usize>() + 2,
        _ => 8,
    }
}
