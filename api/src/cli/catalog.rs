//! `area catalog [SERVICE[.NAME]]`: what there is to wire, from the specs.

use clap::Args;
use engine::port::{ActionSpec, Guarantee, ReactionSpec, Service, Services};
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
    println!("In an AREA:\n\"action\": {}\n", pretty(&wired(service, &all))?);
    println!("`event` in templates, for example:\n{}\n", pretty(&all["event"])?);
    fields(&all["event_schema"]);
    if let (Some(least), Some(default)) = (all["every_at_least_s"].as_u64(), all["every_default_s"].as_u64()) {
        println!("How often (`every`): each {default} s where it is left out, at least {least} s apart");
    }
    needs(service, &all);
    println!("The schema of `data`:\n{}", pretty(&all["schema"])?);
    Ok(())
}

fn show_reaction(service: &Service, spec: &ReactionSpec) -> Result<(), Failure> {
    let all = catalog::reaction(spec);
    println!("{}.{} (reaction): {}\n{}\n", service.name, spec.name, spec.title, spec.description);
    println!("In an AREA:\n\"reactions\": [{}]\n", pretty(&wired(service, &all))?);
    println!("`steps.ID` in later steps, for example:\n{}\n", pretty(&all["output"])?);
    fields(&all["output_schema"]);
    let repeated = match spec.guarantee {
        Guarantee::Idempotent => "idempotent: a repetition has no further effect",
        Guarantee::Checked => "checked: what an earlier call did is looked for first",
        Guarantee::AtLeastOnce => "at_least_once: a repetition may be seen, with the same key and the same bytes",
    };
    println!("When it is repeated: {repeated}");
    needs(service, &all);
    println!("The schema of `data`:\n{}", pretty(&all["schema"])?);
    Ok(())
}

/// As it stands in an AREA.
fn wired(service: &Service, all: &Value) -> Value {
    let mut wired = json!({ "service": service.name, "name": all["name"], "data": all["sample"] });
    if let Some(provider) = service.provider {
        wired["account"] = json!(format!("the id of a linked {provider} account"));
    }
    wired
}

/// What the fields of an event or an output are, where they are known.
fn fields(schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let row = |(name, property): (&String, &Value)| {
        let words = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        [format!("  {name}"), words]
    };
    out::columns(&properties.iter().map(row).collect::<Vec<_>>());
    println!();
}

/// Scopes, cost, and what it was run against.
fn needs(service: &Service, all: &Value) {
    let scopes: Vec<&str> = all["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(provider) = service.provider {
        println!("Needs an account at {provider}, with these scopes: {}", scopes.join(", "));
    }
    for (words, what) in [("Costs", "cost"), ("Tried against", "tried")] {
        if let Some(text) = all[what].as_str().filter(|text| !text.is_empty()) {
            println!("{words}: {text}");
        }
    }
    println!();
}

fn pretty(value: &Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|e| Failure::failed(e.to_string()))
}
