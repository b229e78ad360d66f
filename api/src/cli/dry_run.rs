//! `area dry-run FILE`: polls for real and reacts to nothing.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use engine::area::{AreaError, Desk, Plan};
use engine::fault::Fault;
use engine::ids::{IdGen, UserId};
use engine::net::Http;
use engine::port::FeedKind;
use engine::rehearse::{self, Rehearsed};
use engine::store::areas::AreaRow;
use engine::store::{Db, migrate};
use engine::vault::{KeyRing, Vault};
use serde_json::{Value, json};

use super::apply::{from_environment, wrong_places};
use super::{Context, Failure, out, owner};
use crate::apply::{FileDocument, read};

/// Poll for real, react to nothing, and print what would fire
#[derive(Debug, Args)]
#[command(after_help = "\
The poll is a first one, as when an AREA joins: what is there now is printed as if it were new. Where nothing is there, or events
come by themselves (hooks, timers), the action's sample event is shown instead. Secrets may be {\"$env\": \"NAME\"}.

Examples:
  area dry-run areas/news.json
  area dry-run areas/ --json | jq '.items[].found.items[] | select(.fires)'")]
pub struct DryRun {
    /// A file, a folder, or - for the standard input, as `area apply` reads them
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Whose accounts are used, where an AREA names one; without it the only user's
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// Print {"items":[{"place","name","found"|"fault","sample"?}]} as JSON
    #[arg(long)]
    json: bool,
}

/// What came of one document.
struct Tried {
    place: String,
    plan: Plan,
    found: Option<Result<rehearse::DryRun, Fault>>,
    sample: Option<Rehearsed>,
}

impl DryRun {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut files = read(&self.path)?;
        from_environment(connectors::all(), &mut files)?;
        let (desk, user) = self.desk(context, &files).await?;
        let vault = context.vault(&desk)?;
        let plans = planned(&desk, user, files).await;
        let mut tried = Vec::new();
        for (place, plan) in plans? {
            tried.push(attempt(context, (&desk, &vault), place, plan).await);
        }
        desk.db.close().await;
        match self.json {
            true => out::json(&json!({ "items": tried.iter().map(as_json).collect::<Vec<_>>() }))?,
            false => tried.iter().for_each(show),
        }
        match tried.iter().filter(|t| matches!(t.found, Some(Err(_)))).count() {
            0 => Ok(()),
            n => Err(Failure::failed(format!("{n} of {} AREAs could not be polled", tried.len()))),
        }
    }

    /// The real database is opened only where an AREA names an account: a dry run of the others leaves no trace.
    async fn desk(&self, context: &Context, files: &[FileDocument]) -> Result<(Desk, UserId), Failure> {
        if files.iter().any(|file| names_account(&file.json)) {
            let db = context.db().await?;
            let user = owner::of(&db, self.user.as_deref()).await?.id;
            return Ok((context.desk(&db).await?, user));
        }
        let db = Db::in_memory().await?;
        migrate::migrate(&db).await?;
        let clock = context.clock.clone();
        let ring = KeyRing::generate().map_err(|e| Failure::failed(e.to_string()))?;
        let http = Http::new(context.settings.net.config()).map_err(Failure::failed)?;
        let ids = Arc::new(IdGen::new(clock.clone(), 0, 0));
        let providers = context.settings.providers()?.into();
        Ok((Desk { db, services: connectors::all(), ring, http, providers, clock, ids }, UserId::new()))
    }
}

/// Whether some member of the document is called `account`.
fn names_account(json: &Value) -> bool {
    match json {
        Value::Object(members) => members.contains_key("account") || members.values().any(names_account),
        Value::Array(items) => items.iter().any(names_account),
        _ => false,
    }
}

async fn planned(desk: &Desk, user: UserId, files: Vec<FileDocument>) -> Result<Vec<(String, Plan)>, Failure> {
    let (mut plans, mut wrong, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (i, FileDocument { place, json }) in files.into_iter().enumerate() {
        match desk.planned(&AreaRow::unsaved(user, desk.clock.micros()), &json).await {
            Ok(plan) => plans.push((place.clone(), plan)),
            Err(AreaError::Invalid(more)) => wrong.push((i, more)),
            Err(other) => return Err(other.into()),
        }
        places.push(place);
    }
    if wrong.is_empty() { Ok(plans) } else { Err(wrong_places(&places, wrong)) }
}

async fn attempt(context: &Context, (desk, vault): (&Desk, &Vault), place: String, plan: Plan) -> Tried {
    let limits = context.settings.engine_limits();
    let polled = matches!(plan.action.feed.kind, FeedKind::Polled { .. });
    let found = match polled {
        true => Some(rehearse::dry_run(&plan, vault, &desk.http, &desk.clock, &limits).await),
        false => None,
    };
    let nothing = match &found {
        Some(Ok(found)) => found.items.is_empty(),
        Some(Err(_)) => false,
        None => true,
    };
    let sample = nothing.then(|| rehearse::on_sample(&plan, &desk.clock, &limits));
    Tried { place, plan, found, sample }
}

fn as_json(tried: &Tried) -> Value {
    let mut all = json!({ "place": tried.place, "name": tried.plan.name });
    match &tried.found {
        Some(Ok(found)) => all["found"] = json!(found),
        Some(Err(fault)) => all["fault"] = json!(fault.why()),
        None => {}
    }
    if let Some(sample) = &tried.sample {
        all["sample"] = json!(sample);
    }
    all
}

fn show(tried: &Tried) {
    println!("{} ({})", tried.plan.name, tried.place);
    match &tried.found {
        Some(Ok(found)) => {
            let more = if found.more { ", and there is more" } else { "" };
            println!("  polled: {}; {} items{more}", found.answer, found.items.len());
            found.items.iter().for_each(show_item);
        }
        Some(Err(fault)) => println!("  could not be polled: {}", fault.why()),
        None => println!("  its events come by themselves"),
    }
    if let Some(sample) = &tried.sample {
        println!("  with the sample event of {}.{}:", tried.plan.service.name, tried.plan.action.name);
        show_item(sample);
    }
}

fn show_item(item: &Rehearsed) {
    match &item.why {
        None => println!("  + {} would fire", item.key),
        Some(why) => println!("  - {} would not: {why}", item.key),
    }
    for (name, value) in &item.values {
        println!("      {name} is {value}");
    }
    for step in &item.steps {
        let what = match (&step.params, &step.why) {
            (Some(params), _) => params.to_string(),
            (None, why) => format!("not known yet: {}", why.as_deref().unwrap_or_default()),
        };
        println!("      {} {}: {what}", step.id, step.reaction);
    }
}
