//! `area apply FILE|DIR`: AREAs as code. Everything is checked before anything is changed.

use std::path::PathBuf;

use clap::Args;
use engine::area::diff::Op;
use engine::area::{ApplyError, ApplyStep, AreaError, Desk, What, secrets};
use engine::port::{Invalid, Services};
use engine::store::people::User;
use serde_json::{Value, json};

use super::{Code, Context, Failure, out, owner, progress};
use crate::apply::{FileDocument, ReadError, read};

/// Create and update AREAs from files
#[derive(Debug, Args)]
#[command(after_help = "\
A file holds one AREA as JSON or a list of them; of a folder the *.json files are read in the order of their names. An AREA is
matched by its owner and name. {\"$env\": \"NAME\"} is read from the environment, so that secrets stay out of files. Nothing is
changed unless everything is right.

Examples:
  area apply areas/ --diff          what would change
  area apply areas/                 change it
  area apply areas/ --prune         and delete what an earlier apply made and is gone from the files
  area export | area apply - --user other@example.org")]
pub struct Apply {
    /// A file, a folder, or - for the standard input
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    diff: bool,
    /// Delete AREAs that an earlier apply made and that are in none of the files
    #[arg(long)]
    prune: bool,
    /// Whose AREAs; without it the only user's
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// Print {"items":[{"name","change","id"?,"diff"?}]} as JSON
    #[arg(long)]
    json: bool,
}

impl Apply {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let files = read(&self.path)?;
        let db = context.db().await?;
        let done = async {
            let user = owner::of(&db, self.user.as_deref()).await?;
            self.apply(&context.desk(&db).await?, &user, files).await
        };
        let done = done.await;
        db.close().await;
        done
    }

    async fn apply(&self, desk: &Desk, user: &User, mut files: Vec<FileDocument>) -> Result<(), Failure> {
        from_environment(desk.services, &mut files)?;
        let (places, documents): (Vec<String>, Vec<Value>) = files.into_iter().map(|f| (f.place, f.json)).unzip();
        let steps = desk.plan_apply(user.id, &documents, self.prune).await.map_err(|e| match e {
            ApplyError::Invalid(wrong) => wrong_places(&places, wrong),
            ApplyError::Area(e) => e.into(),
        })?;
        if !self.diff {
            let work = steps.iter().filter(|s| !matches!(s.what, What::Same { .. })).count();
            let bar = progress::bar(steps.len() as u64, "applying");
            if work > 0 {
                let touched = desk.carry_out(user.id, &steps, true, |done| bar.set_position(done as u64)).await?;
                engine::node::announce(&desk.db, &touched).await?;
            }
            bar.finish_and_clear();
        }
        self.tell(user, &steps)
    }

    fn tell(&self, user: &User, steps: &[ApplyStep]) -> Result<(), Failure> {
        if self.json {
            let item = |step: &ApplyStep| {
                let mut item = json!(step.what);
                item["name"] = json!(step.name);
                item
            };
            return out::json(&json!({ "items": steps.iter().map(item).collect::<Vec<_>>() }));
        }
        let mut counts = [0; 4];
        for ApplyStep { name, what } in steps {
            let (sign, at) = match what {
                What::Create { .. } => ("+", 0),
                What::Update { .. } => ("~", 1),
                What::Same { .. } => ("=", 2),
                What::Delete { .. } => ("-", 3),
            };
            counts[at] += 1;
            if at != 2 {
                println!("{sign} {name}");
            }
            if let What::Update { diff, .. } = what {
                diff.iter().for_each(|op| println!("    {}", shown(op)));
            }
        }
        let [new, changed, same, gone] = counts;
        let tense = if self.diff { "would be " } else { "" };
        eprintln!(
            "of {}: {new} {tense}created, {changed} {tense}updated, {same} unchanged, {gone} {tense}deleted",
            user.email
        );
        Ok(())
    }
}

fn shown(op: &Op) -> String {
    match op {
        Op::Add { path, value } => format!("{path}: {value} is new"),
        Op::Remove { path, old } => format!("{path}: {old} is gone"),
        Op::Replace { path, value, old } => format!("{path}: {old} -> {value}"),
    }
}

/// Puts what the environment holds in the place of each `{"$env": "NAME"}`.
pub(super) fn from_environment(services: Services, files: &mut [FileDocument]) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (i, file) in files.iter_mut().enumerate() {
        let looked = secrets::from_env(&mut file.json, services, |name| std::env::var(name).ok());
        wrong.extend(looked.err().map(|more| (i, more)));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = files.iter().map(|f| f.place.clone()).collect();
    Err(wrong_places(&places, wrong))
}

/// Says everything that is wrong, each with its file and JSON pointer, and sums it up.
pub(super) fn wrong_places(places: &[String], wrong: Vec<(usize, Vec<Invalid>)>) -> Failure {
    for (index, Invalid { pointer, detail, .. }) in wrong.iter().flat_map(|(i, all)| all.iter().map(move |w| (*i, w))) {
        let place = places.get(index).map_or("", String::as_str);
        let hash = if place.contains('#') || pointer.is_empty() { "" } else { "#" };
        eprintln!("{place}{hash}{pointer}: {detail}");
    }
    let (bad, all) = (wrong.len(), places.len());
    Failure::new(Code::Invalid, format!("{bad} of {all} AREAs are wrong; nothing was changed"))
}

impl From<ReadError> for Failure {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::File(path, e) => Self::file(&path, &e),
            ReadError::Text(why) => Self::new(Code::Invalid, why),
        }
    }
}

impl From<AreaError> for Failure {
    fn from(e: AreaError) -> Self {
        match e {
            AreaError::NotFound => Self::new(Code::NotFound, e.to_string()),
            AreaError::Sqlx(e) => e.into(),
            AreaError::Invalid(wrong) => {
                let first = wrong.first().map(|w| format!("{}: {}", w.pointer, w.detail)).unwrap_or_default();
                Self::new(Code::Invalid, format!("the AREA is not valid: {first}"))
            }
            other => Self::failed(other.to_string()),
        }
    }
}
