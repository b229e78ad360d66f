//! What stands in a URL: the path's variables and the query's parameters.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use engine::area::words::unknown;
use engine::ids::AreaId;
use engine::limits::{LIST_DEFAULT, LIST_MAX};
use url::form_urlencoded;

use super::cursor;
use super::problem::{Kind, Problem};

/// The query's parameters.
#[derive(Clone, Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            // No text of a database has it.
            if value.contains('\0') {
                return Err(Problem::parameter(&name, "must not contain U+0000"));
            }
            if all.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Problem::parameter(&name, "is given twice"));
            }
        }
        Ok(Self(all))
    }
}

impl Query {
    /// The same, if it has no other parameters than these.
    ///
    /// # Errors
    /// 400, which names the nearest parameter.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Problem::parameter(name, format!("is not known: {}", unknown("parameter", name, known)))),
            None => Ok(self),
        }
    }

    /// A parameter's text; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that is one of some words, an id or a number.
    ///
    /// # Errors
    /// 400 with what its type says.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(str::parse).transpose().map_err(|e: T::Err| Problem::parameter(name, e.to_string()))
    }

    /// How many items are asked for.
    ///
    /// # Errors
    /// 400 outside of 1 to [`LIST_MAX`].
    pub fn limit(&self) -> Result<i64, Problem> {
        let Some(text) = self.text("limit") else { return Ok(LIST_DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=LIST_MAX).contains(limit));
        limit.ok_or_else(|| Problem::parameter("limit", format!("must be a number from 1 to {LIST_MAX}")))
    }

    /// Where the last page of the list `list` ended.
    ///
    /// # Errors
    /// 400 for what is no cursor of this list.
    pub fn cursor(&self, list: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let at = cursor::read(list, text);
        at.map(Some).ok_or_else(|| Problem::parameter("cursor", "must be the `next` of an earlier page of this list"))
    }
}

impl Query {
    /// As [`Query::cursor`], for a list whose place is two numbers.
    ///
    /// # Errors
    /// 400 for what is no cursor of this list.
    pub fn pair(&self, list: &str) -> Result<Option<(i64, i64)>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let at = cursor::read_pair(list, text);
        at.map(Some).ok_or_else(|| Problem::parameter("cursor", "must be the `next` of an earlier page of this list"))
    }
}

/// The path's variables.
#[derive(Clone, Debug, Default)]
pub struct PathVars(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for PathVars {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let vars = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        vars.map(|Path(vars)| Self(vars)).map_err(|_| Problem::new(Kind::NotFound, "there is nothing at this path"))
    }
}

impl PathVars {
    /// A variable's text.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The AREA that `{id}` names.
    ///
    /// # Errors
    /// 404 for what is no id.
    pub fn area(&self) -> Result<AreaId, Problem> {
        self.text("id").parse().map_err(|_| Problem::no("AREA"))
    }

    /// A variable that is a number or an id.
    ///
    /// # Errors
    /// 404 for what is none.
    pub fn parsed<T: FromStr>(&self, name: &str, what: &str) -> Result<T, Problem> {
        self.text(name).parse().map_err(|_| Problem::no(what))
    }
}
