//! `area catalog [SERVICE[.NAME]]`: what there is to wire, from the specs.

use clap::Args;
use engine::port::{ActionSpec, ReactionSpec, Service, Services};
use serde_json::{Value, json};

use super::{Code, Failure, out};
use crate::catalog;

/// List services, or show one, or one of its actions or reactions with schema and samples
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  area catalog                    all services with their actions and reactions
  area catalog timer              one service
  area catalog http.request       one action or reaction: its schema, a sample, what comes out
  area catalog webhook --json     as GET /v1/services/webhook answers")]
pub struct Catalog {
    /// A service (http), or an action or reaction of it (http.request)
    #[arg(value_name = "SERVICE[.NAME]")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Catalog {
    pub fn run(self) -> Result<(), Failure> {
        let services = connectors::all();
        let Some(name) = &self.name else { return self.list(services) };
        let (service, part) = name.split_once('.').map_or((name.as_str(), None), |(s, p)| (s, Some(p)));
        let service = engine::area::catalog::service(services, service).map_err(not_found)?;
        match part {
            None => self.service(service),
            Some(part) => self.part(service, part),
        }
    }

    fn list(&self, services: Services) -> Result<(), Failure> {
        if self.json {
            return out::json(&json!({ "items": services.iter().map(|s| catalog::line(s)).collect::<Vec<_>>() }));
        }
        for service in services {
            self.service(service)?;
            println!();
        }
        Ok(())
    }

    fn service(&self, service: &'static Service) -> Result<(), Failure> {
        if self.json {
            return out::json(&catalog::full(service));
        }
        let account = service.provider.map(|p| format!(" Needs an account at {p}.")).unwrap_or_default();
        println!("{} ({}): {}{account}", service.name, service.title, service.description);
        let row = |kind: &str, name: &str, title: &str| {
            [format!("  {kind}"), format!("{}.{name}", service.name), title.to_owned()]
        };
        let actions = service.actions.iter().map(|a| row("action", a.name, a.title));
        let reactions = service.reactions.iter().map(|r| row("reaction", r.name, r.title));
        out::columns(&actions.chain(reactions).collect::<Vec<_>>());
        Ok(())
    }

    fn part(&self, service: &'static Service, name: &str) -> Result<(), Failure> {
        let action = service.actions.iter().find(|a| a.name == name);
        let reaction = service.reactions.iter().find(|r| r.name == name);
        if action.is_none() && reaction.is_none() {
            let known = service.actions.iter().map(|a| a.name).chain(service.reactions.iter().map(|r| r.name));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(not_found(format!(
                "{} has neither an action nor a reaction `{name}`: there are {known}",
                service.name
            )));
        }
        if self.json {
            let shown = [action.map(|a| catalog::action(a)), reaction.map(|r| catalog::reaction(r))];
            let mut shown: Vec<Value> = shown.into_iter().flatten().collect();
            return if shown.len() == 1 { out::json(&shown.remove(0)) } else { out::json(&shown) };
        }
        action.map_or(Ok(()), |a| show_action(service, a))?;
        reaction.map_or(Ok(()), |r| show_reaction(service, r))
    }
}

fn not_found(why: String) -> Failure {
    Failure::new(Code::NotFound, why)
}

fn show_action(service: &Service, spec: &ActionSpec) -> Result<(), Failure> {
    let all = catalog::action(spec);
    println!("{}.{} (action): {}\n{}\n", service.name, spec.name, spec.title, spec.description);
    let wired = json!({ "service": service.name, "name": spec.name, "data": all["sample"] });
    println!("In an AREA:\n\"action\": {}\n", pretty(&wired)?);
    println!("`event` in templates, for example:\n{}\n", pretty(&all["event"])?);
    println!("The schema of `data`:\n{}", pretty(&all["schema"])?);
    Ok(())
}

fn show_reaction(service: &Service, spec: &ReactionSpec) -> Result<(), Failure> {
    let all = catalog::reaction(spec);
    println!("{}.{} (reaction): {}\n{}\n", service.name, spec.name, spec.title, spec.description);
    let wired = json!({ "service": service.name, "name": spec.name, "data": all["sample"] });
    println!("In an AREA:\n\"reactions\": [{}]\n", pretty(&wired)?);
    println!("`steps.ID` in later steps, for example:\n{}\n", pretty(&all["output"])?);
    println!("When it is repeated: {}\n", all["guarantee"].as_str().unwrap_or_default());
    println!("The schema of `data`:\n{}", pretty(&all["schema"])?);
    Ok(())
}

fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::failed(e.to_string()))
}
