//! The tree that is kept of an expression: owned, bounded in depth, every node with its place in the source.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::Value;

use super::filters::Filter;
use super::tests_of_values::Test;

/// The names that an expression may begin with.
pub(super) const ROOTS: [&str; 6] = ["event", "steps", "area", "now", "item", "index"];

/// One node and where an error in it is reported.
#[derive(Debug)]
pub(super) struct Node {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Const(Value),
    /// One of [`ROOTS`].
    Var(&'static str),
    Attr(Box<Node>, Arc<str>),
    Item(Box<Node>, Box<Node>),
    Slice(Box<Node>, [Option<Box<Node>>; 3]),
    Not(Box<Node>),
    Neg(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Math(Math, Box<Node>, Box<Node>),
    /// `a < b < c`: all must hold, each operand evaluated once.
    Compare(Box<Node>, Vec<(Cmp, Node)>),
    If {
        test: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    Filter(&'static Filter, Box<Node>, Vec<Option<Node>>),
    Test(&'static Test, Box<Node>, Option<Box<Node>>),
    /// `range(start, stop, step)`.
    Range(Vec<Option<Node>>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Whether `a.NAME` can be written with it.
fn is_word(name: &str) -> bool {
    let fits = |c: char| c == '_' || c.is_ascii_alphanumeric();
    name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// What joins two values into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Math {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

/// What compares two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

impl Node {
    /// `event.items[0].name`, if the node is a variable or a fixed way into one. `event['name']` is `event.name` where it can be.
    pub fn path(&self) -> Option<String> {
        match &self.kind {
            Kind::Var(name) => Some((*name).to_owned()),
            Kind::Attr(base, name) => Some(format!("{}.{name}", base.path()?)),
            Kind::Item(base, key) => match &key.kind {
                Kind::Const(key) => match key.as_str() {
                    Some(name) if is_word(name) => Some(format!("{}.{name}", base.path()?)),
                    Some(name) => Some(format!("{}['{name}']", base.path()?)),
                    None => Some(format!("{}[{key}]", base.path()?)),
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The longest paths that are read below this node, with the nodes that give their values.
    pub fn paths<'n>(&'n self, found: &mut Vec<(String, &'n Node)>) {
        if let Some(path) = self.path() {
            if !found.iter().any(|(seen, _)| *seen == path) {
                found.push((path, self));
            }
            return;
        }
        self.children(&mut |child| child.paths(found));
    }

    /// The paths alone, in order of the alphabet.
    pub fn path_names(&self) -> BTreeSet<String> {
        let mut found = Vec::new();
        self.paths(&mut found);
        found.into_iter().map(|(path, _)| path).collect()
    }

    fn children<'n>(&'n self, see: &mut dyn FnMut(&'n Node)) {
        match &self.kind {
            Kind::Const(_) | Kind::Var(_) => {}
            Kind::Attr(base, _) | Kind::Not(base) | Kind::Neg(base) => see(base),
            Kind::Item(a, b) | Kind::And(a, b) | Kind::Or(a, b) | Kind::Math(_, a, b) => {
                see(a);
                see(b);
            }
            Kind::Slice(base, bounds) => {
                see(base);
                bounds.iter().flatten().for_each(|bound| see(bound));
            }
            Kind::Compare(first, rest) => {
                see(first);
                rest.iter().for_each(|(_, operand)| see(operand));
            }
            Kind::If { test, then, otherwise } => {
                see(test);
                see(then);
                otherwise.iter().for_each(|node| see(node));
            }
            Kind::Filter(_, value, args) => {
                see(value);
                args.iter().flatten().for_each(see);
            }
            Kind::Test(_, value, arg) => {
                see(value);
                arg.iter().for_each(|node| see(node));
            }
            Kind::Range(args) => args.iter().flatten().for_each(see),
            Kind::List(nodes) => nodes.iter().for_each(see),
            Kind::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                see(key);
                see(value);
            }),
        }
    }
}
