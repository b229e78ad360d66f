//! From page to page, within bounds: for reactions and options. A feed asks for one page a poll instead, and keeps its place in the
//! cursor.

use engine::net::Answer;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::ask::Ask;
use super::judge::Refused;
use super::send::{Caller, read};

/// Pages of one walk.
pub const PAGES: usize = 200;
/// Items of one walk.
pub const ITEMS: usize = 10_000;

/// How an API leads to the next page.
#[derive(Clone, Copy, Debug)]
pub enum Paging {
    /// A token in the answer (a JSON pointer), to be sent as this parameter: Google.
    Token {
        /// Where it is: `/nextPageToken`.
        at: &'static str,
        /// What it is sent as: `pageToken`.
        param: &'static str,
    },
    /// A link in the answer (a JSON pointer): Spotify. Its parameters are taken, its address is not: a token goes nowhere else.
    Link {
        /// Where it is: `/next`.
        at: &'static str,
    },
}

/// The items of all pages.
#[derive(Debug)]
pub struct All<T> {
    /// In the order of the pages.
    pub items: Vec<T>,
    /// There are more than were read.
    pub cut: bool,
}

impl Caller<'_> {
    /// Reads the items at `at` (a JSON pointer) of every page, within [`PAGES`] and [`ITEMS`].
    ///
    /// # Errors
    /// The first refusal.
    pub async fn all<T: DeserializeOwned>(&self, ask: Ask, at: &str, paging: Paging) -> Result<All<T>, Refused> {
        let first = self.send(&ask).await?;
        self.rest(ask, &first, at, paging).await
    }

    /// The same, where the first page's answer is there already.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn rest<T: DeserializeOwned>(
        &self,
        mut ask: Ask,
        first: &Answer,
        at: &str,
        paging: Paging,
    ) -> Result<All<T>, Refused> {
        let (mut items, mut page) = (Vec::new(), read::<Value>(&ask, first)?);
        for number in 1..=PAGES {
            items.extend(found::<T>(&ask, &mut page, at)?);
            match paging.next(&ask, &page) {
                Some(next) if items.len() < ITEMS && number < PAGES => ask = next,
                other => return Ok(All { cut: other.is_some(), items }),
            }
            page = self.json(&ask).await?;
        }
        Ok(All { items, cut: true })
    }
}

fn found<T: DeserializeOwned>(ask: &Ask, page: &mut Value, at: &str) -> Result<Vec<T>, Refused> {
    match page.pointer_mut(at).map(Value::take).unwrap_or_default() {
        Value::Null => Ok(Vec::new()),
        list => serde_json::from_value(list).map_err(|e| shape(ask, &e)),
    }
}

fn shape(ask: &Ask, error: &serde_json::Error) -> Refused {
    let why = format!("{} answered {} with another shape: {error}", ask.call.api.title, ask.call.name);
    engine::fault::Fault::later(why).into()
}

impl Paging {
    /// What to ask for the page behind `page`; `None`: it is the last.
    pub fn next(self, ask: &Ask, page: &Value) -> Option<Ask> {
        let text = |at: &str| page.pointer(at).and_then(Value::as_str).filter(|text| !text.is_empty());
        match self {
            Self::Token { at, param } => Some(ask.clone().set(param, text(at)?.to_owned())),
            Self::Link { at } => {
                let link = Url::parse(text(at)?).ok()?;
                let pairs: Vec<(String, String)> = link.query_pairs().into_owned().collect();
                let next = pairs.into_iter().fold(ask.clone(), |ask, (name, value)| ask.set(&name, value));
                // A link that leads back to the same page would never end.
                (next.query != ask.query).then_some(next)
            }
        }
    }
}
