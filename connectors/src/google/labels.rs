//! The labels of a mailbox: their ids and their names.

use engine::net::Answer;
use serde::Deserialize;

use super::GMAIL;
use crate::call::{ApiCall, Caller, Refused};

/// Asks for all of them.
pub static LIST: ApiCall = ApiCall::get(&GMAIL, "labels.list", "gmail/v1/users/me/labels").scopes(&["gmail.readonly"]);

/// One label.
#[derive(Clone, Debug, Deserialize)]
pub struct Label {
    /// What the API calls it.
    pub id: String,
    /// What its owner calls it.
    #[serde(default)]
    pub name: String,
    /// `system` or `user`.
    #[serde(default)]
    pub r#type: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    labels: Vec<Label>,
}

/// All of them.
///
/// # Errors
/// The refusal.
pub async fn list(caller: &Caller<'_>) -> Result<Vec<Label>, Refused> {
    read(caller, &caller.send(&LIST.ask()).await?)
}

/// Reads the answer to [`LIST`].
///
/// # Errors
/// An answer of another shape is `Broken`.
pub fn read(caller: &Caller<'_>, answer: &Answer) -> Result<Vec<Label>, Refused> {
    Ok(caller.read::<Listed>(&LIST.ask(), answer)?.labels)
}

/// A label as it is compared: Gmail takes `My Things/New` and `my-things-new` for one.
pub fn folded(label: &str) -> String {
    label.trim().to_lowercase().replace([' ', '/', '&', '(', ')'], "-")
}
