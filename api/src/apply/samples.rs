//! The example AREAs of `config/areas/`: part of the binary, loaded once into an empty database, owned by a user of their own. They
//! are read by the code of `area apply`.

use engine::area::{ApplyError, AreaError, Desk};
use engine::store::people::{self, NewUser, PeopleError};
use engine::store::{areas, meta};

use super::read::{FileDocument, parse};

/// Whose the examples are.
pub const OWNER: &str = "demo@localhost";
/// The row of `meta` that says that they were loaded.
const META_KEY: &str = "samples";

#[derive(rust_embed::Embed)]
#[folder = "../config/areas"]
struct Files;

/// Why the examples were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// A file is wrong; a test holds that none is.
    #[error("the example AREAs are wrong: {0}")]
    Wrong(String),
    /// Their owner was not created.
    #[error(transparent)]
    Owner(#[from] PeopleError),
    /// They were not stored.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// The database said no.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
}

/// The examples, in the order of their names.
///
/// # Errors
/// A sentence that names the file that is wrong.
pub fn documents() -> Result<Vec<FileDocument>, String> {
    let mut names: Vec<_> = Files::iter().filter(|name| name.ends_with(".json")).collect();
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let file = Files::get(&name).ok_or_else(|| format!("{name} is gone"))?;
        let text = std::str::from_utf8(&file.data).map_err(|e| format!("{name}: {e}"))?;
        all.extend(parse(&format!("config/areas/{name}"), text)?);
    }
    Ok(all)
}

/// Loads the examples where there are no AREAs and never were examples. Tells how many were loaded.
///
/// # Errors
/// Where they are wrong or the database fails.
pub async fn load(desk: &Desk) -> Result<usize, SamplesError> {
    if areas::any(&desk.db).await? || !meta::claim(&desk.db, META_KEY, &desk.clock.now().to_rfc3339()).await? {
        return Ok(0);
    }
    let owner = match people::by_email(&desk.db, OWNER).await? {
        Some(owner) => owner,
        None => {
            let new = NewUser { email: OWNER, display_name: "Demo", ..NewUser::default() };
            people::create(&desk.db, &new, desk.clock.now()).await?
        }
    };
    let documents: Vec<_> = documents().map_err(SamplesError::Wrong)?.into_iter().map(|d| d.json).collect();
    let steps = desk.plan_apply(owner.id, &documents, false).await.map_err(|e| match e {
        ApplyError::Invalid(wrong) => SamplesError::Wrong(format!("{wrong:?}")),
        ApplyError::Area(e) => e.into(),
    })?;
    desk.carry_out(owner.id, &steps, false, |_| {}).await?;
    Ok(steps.len())
}
