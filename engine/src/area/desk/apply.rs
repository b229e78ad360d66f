//! AREAs as code: many documents at once, matched with what is stored by (owner, name). First everything is decided and nothing
//! changed (`plan_apply`): a single wrong document stops all. Then it is carried out (`carry_out`), new AREAs by the hundred in
//! one transaction. `prune` takes away only what was made by `apply`.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::{AreaError, Desk, collided, to_json};
use crate::area::diff::{Op, Sides, diff};
use crate::area::{Document, secrets};
use crate::ids::{AreaId, AreaNo, UserId};
use crate::limits::{APPLY_BATCH, CHANGE_TRIES};
use crate::port::Invalid;
use crate::store::areas::{self, AreaRow, Filter, NewArea};
use crate::store::sources::Touched;

/// What is to be done about one AREA.
#[derive(Clone, Debug)]
pub struct Step {
    /// The AREA's name.
    pub name: String,
    /// What is to be done.
    pub what: What,
}

/// What is to be done.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum What {
    /// There is none of this name.
    Create {
        /// Read and checked.
        #[serde(skip)]
        document: Box<Document>,
    },
    /// What is stored is another.
    Update {
        /// Which one.
        id: AreaId,
        /// What leads from the old to the new, secrets hidden.
        diff: Vec<Op>,
        /// The new document as it was given.
        #[serde(skip)]
        json: Value,
    },
    /// It is stored as it is.
    Same {
        /// Which one.
        id: AreaId,
    },
    /// `apply` made it, and no document is left of it.
    Delete {
        /// Which one.
        id: AreaId,
    },
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// What is wrong with the documents, each with its index.
    #[error("the documents are not valid")]
    Invalid(Vec<(usize, Vec<Invalid>)>),
    /// What is wrong besides.
    #[error(transparent)]
    Area(#[from] AreaError),
}

/// An owner's stored AREAs by name.
type Stored = HashMap<String, Vec<AreaRow>>;

impl Desk {
    /// Decides what is to be done so that `user` has these AREAs; with `prune`, and none else that `apply` made. Changes nothing.
    ///
    /// # Errors
    /// Everything that is wrong with all documents, or the database's.
    pub async fn plan_apply(&self, user: UserId, documents: &[Value], prune: bool) -> Result<Vec<Step>, ApplyError> {
        let names: HashSet<&str> = documents.iter().filter_map(name_of).collect();
        let stored = self.stored(user, &names, prune).await?;
        let (mut steps, mut wrong, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (index, json) in documents.iter().enumerate() {
            let twice = name_of(json).is_some_and(|name| !seen.insert(name));
            match self.step(user, json, twice, &stored).await {
                Ok(step) => steps.push(step),
                Err(AreaError::Invalid(more)) => wrong.push((index, more)),
                Err(other) => return Err(other.into()),
            }
        }
        if !wrong.is_empty() {
            return Err(ApplyError::Invalid(wrong));
        }
        let mut left: Vec<&AreaRow> =
            stored.values().flatten().filter(|row| !names.contains(row.name.as_str())).collect();
        left.sort_by_key(|row| row.no);
        steps.extend(left.into_iter().map(|row| Step { name: row.name.clone(), what: What::Delete { id: row.id } }));
        Ok(steps)
    }

    /// The AREAs of `user` with these names, and with `prune` all that `apply` made.
    async fn stored(&self, user: UserId, names: &HashSet<&str>, prune: bool) -> Result<Stored, AreaError> {
        let (mut stored, mut before) = (Stored::new(), None);
        loop {
            let page = areas::list(&self.db, user, before, APPLY_BATCH as i64, &Filter::default()).await?;
            let Some(last) = page.last() else { return Ok(stored) };
            before = Some(last.no);
            let wanted = |row: &AreaRow| names.contains(row.name.as_str()) || prune && row.applied;
            for row in page.into_iter().filter(wanted) {
                stored.entry(row.name.clone()).or_default().push(row);
            }
        }
    }

    async fn step(&self, user: UserId, json: &Value, twice: bool, stored: &Stored) -> Result<Step, AreaError> {
        let rows = name_of(json).and_then(|name| stored.get(name)).map_or(&[][..], Vec::as_slice);
        let name_is = |why: String| Err(AreaError::Invalid(vec![Invalid::new("/name", why)]));
        if twice {
            return name_is("is the name of two of these AREAs, which are told apart by their names".to_owned());
        }
        let what = match rows {
            [] => What::Create { document: Box::new(self.read(user, json.clone(), None).await?) },
            [row] => self.compare(user, json, row).await?,
            more => return name_is(format!("is the name of {} stored AREAs: rename all but one", more.len())),
        };
        Ok(Step { name: name_of(json).unwrap_or_default().to_owned(), what })
    }

    async fn compare(&self, user: UserId, json: &Value, row: &AreaRow) -> Result<What, AreaError> {
        let old = self.opened(row.id, &row.body)?;
        let new = to_json(&self.read(user, json.clone(), Some(&old)).await?)?;
        if new == old {
            return Ok(What::Same { id: row.id });
        }
        let mut shown = new.clone();
        secrets::seal(&mut shown, row.id, self.services, &self.ring);
        secrets::show(&mut shown);
        let old_shown = Self::shown(&row.body)?;
        let diff = diff(Sides { opened: &old, shown: &old_shown }, Sides { opened: &new, shown: &shown });
        Ok(What::Update { id: row.id, diff, json: json.clone() })
    }

    /// Carries out what was decided. `applied`: a later `prune` may take the new AREAs away. `done` hears how many steps are
    /// behind. Gives whom to wake.
    ///
    /// # Errors
    /// The first that occurs; what was done before it stays.
    pub async fn carry_out(
        &self,
        user: UserId,
        steps: &[Step],
        applied: bool,
        mut done: impl FnMut(usize),
    ) -> Result<Vec<Touched>, AreaError> {
        let (mut touched, mut behind) = (Vec::new(), 0);
        let new: Vec<&Document> = steps.iter().filter_map(Step::new_document).collect();
        for batch in new.chunks(APPLY_BATCH) {
            touched.extend(self.create_all(user, batch, applied).await?);
            behind += batch.len();
            done(behind);
        }
        for step in steps.iter().filter(|step| step.new_document().is_none()) {
            let changed = match &step.what {
                What::Create { .. } | What::Same { .. } => None,
                What::Update { id, json, .. } => Some(self.replace(user, *id, json, None).await?),
                What::Delete { id } => Some(self.delete(user, *id, None).await?),
            };
            touched.extend(changed.into_iter().flat_map(|changed| changed.sources));
            behind += 1;
            done(behind);
        }
        Ok(touched)
    }

    /// Stores new AREAs in one transaction.
    async fn create_all(
        &self,
        user: UserId,
        documents: &[&Document],
        applied: bool,
    ) -> Result<Vec<Touched>, AreaError> {
        let now = self.clock.micros();
        let mut new = Vec::with_capacity(documents.len());
        for document in documents {
            let (id, no) = (AreaId::new(), AreaNo(self.ids.next()));
            let (content, pushed) = self.content(user, id, document)?;
            let joined_at = pushed.then_some(now);
            let silence = document.policy.as_ref().and_then(|policy| policy.silence);
            let silent_at = silence.map(|span| now + span.micros());
            new.push(NewArea { no, id, user, content, joined_at, silent_at, applied, now });
        }
        for _ in 0..CHANGE_TRIES {
            match areas::create_all(&self.db, &new).await {
                Err(error) if collided(&error) => {}
                done => return Ok(done?),
            }
        }
        Err(AreaError::Busy)
    }
}

impl Step {
    fn new_document(&self) -> Option<&Document> {
        match &self.what {
            What::Create { document } => Some(document),
            _ => None,
        }
    }
}

fn name_of(json: &Value) -> Option<&str> {
    json.get("name").and_then(Value::as_str)
}
