//! From minijinja's tree to ours: names are checked here, so that a wrong one is told when the AREA is saved.

use std::sync::Arc;

use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, UnaryOpKind};

use super::budget::DEPTH;
use super::filters;
use super::node::{Cmp, Kind, Math, Node, ROOTS};
use super::tests_of_values;
use super::trouble::{Trouble, hint};

type Lowered<T> = Result<T, Trouble>;

/// `expr` as a node; `depth` counts from 0.
pub(super) fn lower(expr: &ast::Expr<'_>, depth: usize) -> Lowered<Node> {
    let span = expr.span();
    let mut at = span.start_offset as usize;
    if depth > DEPTH {
        return Err(Trouble::new(at, format!("more than {DEPTH} operators, filters and lookups upon one another")));
    }
    let down = |inner: &ast::Expr<'_>| lower(inner, depth + 1);
    let boxed = |inner: &ast::Expr<'_>| down(inner).map(Box::new);
    let kind = match expr {
        ast::Expr::Const(c) => Kind::Const(c.value.clone()),
        ast::Expr::Var(var) => Kind::Var(root(var.id, at)?),
        ast::Expr::GetAttr(get) => {
            at = (span.end_offset as usize).saturating_sub(get.name.len());
            Kind::Attr(boxed(&get.expr)?, Arc::from(get.name))
        }
        ast::Expr::GetItem(get) => Kind::Item(boxed(&get.expr)?, boxed(&get.subscript_expr)?),
        ast::Expr::Slice(slice) => {
            let bound = |bound: &Option<ast::Expr<'_>>| bound.as_ref().map(boxed).transpose();
            Kind::Slice(boxed(&slice.expr)?, [bound(&slice.start)?, bound(&slice.stop)?, bound(&slice.step)?])
        }
        ast::Expr::UnaryOp(op) => match op.op {
            UnaryOpKind::Not => Kind::Not(boxed(&op.expr)?),
            UnaryOpKind::Neg => Kind::Neg(boxed(&op.expr)?),
        },
        ast::Expr::BinOp(op) => binary(op.op, down(&op.left)?, down(&op.right)?),
        ast::Expr::Compare(c) => {
            let rest = c.ops.iter().map(|op| Ok((compare(op.op), down(&op.expr)?)));
            Kind::Compare(boxed(&c.expr)?, rest.collect::<Lowered<_>>()?)
        }
        ast::Expr::IfExpr(choice) => Kind::If {
            test: boxed(&choice.test_expr)?,
            then: boxed(&choice.true_expr)?,
            otherwise: choice.false_expr.as_ref().map(boxed).transpose()?,
        },
        ast::Expr::Filter(filter) => lower_filter(filter, at, depth)?,
        ast::Expr::Test(test) => lower_test(test, at, depth)?,
        ast::Expr::Call(call) => lower_call(call, at, depth)?,
        ast::Expr::List(list) => Kind::List(list.items.iter().map(down).collect::<Lowered<_>>()?),
        ast::Expr::Tuple(tuple) => Kind::List(tuple.items.iter().map(down).collect::<Lowered<_>>()?),
        ast::Expr::Map(map) => {
            let pairs = map.keys.iter().zip(&map.values).map(|(key, value)| Ok((down(key)?, down(value)?)));
            Kind::Map(pairs.collect::<Lowered<_>>()?)
        }
    };
    Ok(Node { at, kind })
}

fn root(name: &str, at: usize) -> Lowered<&'static str> {
    ROOTS.into_iter().find(|known| *known == name).ok_or_else(|| {
        let known = ROOTS.map(|root| format!("`{root}`")).join(", ");
        Trouble::new(at, format!("`{name}` is not known{}: an expression begins with {known}", hint(name, ROOTS)))
    })
}

fn binary(op: BinOpKind, left: Node, right: Node) -> Kind {
    let joined = match op {
        BinOpKind::ScAnd => return Kind::And(Box::new(left), Box::new(right)),
        BinOpKind::ScOr => return Kind::Or(Box::new(left), Box::new(right)),
        BinOpKind::Eq => Joined::Cmp(Cmp::Eq),
        BinOpKind::Ne => Joined::Cmp(Cmp::Ne),
        BinOpKind::Lt => Joined::Cmp(Cmp::Lt),
        BinOpKind::Lte => Joined::Cmp(Cmp::Le),
        BinOpKind::Gt => Joined::Cmp(Cmp::Gt),
        BinOpKind::Gte => Joined::Cmp(Cmp::Ge),
        BinOpKind::In => Joined::Cmp(Cmp::In),
        BinOpKind::Add => Joined::Math(Math::Add),
        BinOpKind::Sub => Joined::Math(Math::Sub),
        BinOpKind::Mul => Joined::Math(Math::Mul),
        BinOpKind::Div => Joined::Math(Math::Div),
        BinOpKind::FloorDiv => Joined::Math(Math::FloorDiv),
        BinOpKind::Rem => Joined::Math(Math::Rem),
        BinOpKind::Pow => Joined::Math(Math::Pow),
        BinOpKind::Concat => Joined::Math(Math::Concat),
    };
    match joined {
        Joined::Cmp(op) => Kind::Compare(Box::new(left), vec![(op, right)]),
        Joined::Math(op) => Kind::Math(op, Box::new(left), Box::new(right)),
    }
}

/// What minijinja has in one list and we in two.
enum Joined {
    Cmp(Cmp),
    Math(Math),
}

fn compare(op: CompareOpKind) -> Cmp {
    match op {
        CompareOpKind::Eq => Cmp::Eq,
        CompareOpKind::Ne => Cmp::Ne,
        CompareOpKind::Lt => Cmp::Lt,
        CompareOpKind::Lte => Cmp::Le,
        CompareOpKind::Gt => Cmp::Gt,
        CompareOpKind::Gte => Cmp::Ge,
        CompareOpKind::In => Cmp::In,
        CompareOpKind::NotIn => Cmp::NotIn,
    }
}

fn lower_filter(filter: &ast::Filter<'_>, at: usize, depth: usize) -> Lowered<Kind> {
    let known = filters::find(filter.name).ok_or_else(|| {
        let near = hint(filter.name, filters::names());
        Trouble::new(at, format!("there is no filter `{}`{near}", filter.name))
    })?;
    let Some(value) = &filter.expr else {
        return Err(Trouble::new(at, format!("the filter `{}` needs a value before it", filter.name)));
    };
    let value = Box::new(lower(value, depth + 1)?);
    let args = arguments(&format!("filter `{}`", known.name), known.params, known.required, &filter.args, at, depth)?;
    Ok(Kind::Filter(known, value, args))
}

fn lower_test(test: &ast::Test<'_>, at: usize, depth: usize) -> Lowered<Kind> {
    let known = tests_of_values::find(test.name).ok_or_else(|| {
        let near = hint(test.name, tests_of_values::NAMES.iter().copied());
        Trouble::new(at, format!("there is no test `{}`{near}", test.name))
    })?;
    let value = Box::new(lower(&test.expr, depth + 1)?);
    let params: &[&str] = if known.takes_other { &["other"] } else { &[] };
    let mut args = arguments(&format!("test `{}`", test.name), params, params.len(), &test.args, at, depth)?;
    Ok(Kind::Test(known, value, args.pop().flatten().map(Box::new)))
}

/// `range` is the only function; methods and calls of values do not exist.
fn lower_call(call: &ast::Call<'_>, at: usize, depth: usize) -> Lowered<Kind> {
    match &call.expr {
        ast::Expr::Var(var) if var.id == "range" => {
            let args = arguments("function `range`", &["start", "stop", "step"], 1, &call.args, at, depth)?;
            Ok(Kind::Range(args))
        }
        ast::Expr::Var(var) => {
            let near =
                if filters::find(var.id).is_some() { format!(" (did you mean `|{}`?)", var.id) } else { String::new() };
            Err(Trouble::new(at, format!("there is no function `{}`{near}: only `range`", var.id)))
        }
        ast::Expr::GetAttr(get) => {
            let end = call.expr.span().end_offset as usize;
            Err(Trouble::new(
                end.saturating_sub(get.name.len()),
                format!("values have no methods: use a filter (`|{}`) instead of `.{}()`", get.name, get.name),
            ))
        }
        _ => Err(Trouble::new(at, "this cannot be called")),
    }
}

/// Arguments in the order of `params`, by place or by name; what was not given is `None`.
fn arguments(
    what: &str,
    params: &[&str],
    required: usize,
    given: &[CallArg<'_>],
    at: usize,
    depth: usize,
) -> Lowered<Vec<Option<Node>>> {
    let mut args: Vec<Option<Node>> = params.iter().map(|_| None).collect();
    for (place, arg) in given.iter().enumerate() {
        let (slot, expr) = match arg {
            CallArg::Pos(expr) => (Some(place), expr),
            CallArg::Kwarg(name, expr) => match params.iter().position(|param| param == name) {
                Some(slot) => (Some(slot), expr),
                None => {
                    let near = hint(name, params.iter().copied());
                    return Err(Trouble::new(at, format!("the {what} takes no `{name}`{near}")));
                }
            },
            CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => (None, expr),
        };
        let Some(slot) = slot else {
            return Err(Trouble::new(at, format!("`*` and `**` cannot be used in the arguments of the {what}")));
        };
        let Some(place) = args.get_mut(slot) else {
            return Err(Trouble::new(at, format!("the {what} takes {}", count(params.len()))));
        };
        if place.replace(lower(expr, depth + 1)?).is_some() {
            return Err(Trouble::new(at, format!("the {what} was given `{}` twice", params[slot])));
        }
    }
    match params[..required].iter().zip(&args).find(|(_, arg)| arg.is_none()) {
        Some((missing, _)) => Err(Trouble::new(at, format!("the {what} needs `{missing}`"))),
        None => Ok(args),
    }
}

fn count(params: usize) -> String {
    match params {
        0 => "no argument".to_owned(),
        1 => "one argument".to_owned(),
        n => format!("at most {n} arguments"),
    }
}
