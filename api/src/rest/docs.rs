//! `/openapi.json`, and `/docs`: the same for people. One page, made once at start, without scripts and with nothing to load.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::Redirect;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::port::Service;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::App;
use super::problem::Kind;
use crate::catalog;

const STYLE: &str = include_str!("docs.css");

/// The two routes, and the way to them from `/`.
pub fn routes(described: &Arc<Value>, app: &App) -> Router<Arc<App>> {
    let json = Arc::new(described.to_string());
    let page = Arc::new(page(described, app.desk.services));
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let csp: Arc<str> =
        format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'").into();
    let json = move || {
        let json = json.clone();
        std::future::ready(([(CONTENT_TYPE, "application/json")], json.to_string()))
    };
    let page = move || {
        let headers =
            [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, csp.to_string())];
        std::future::ready((headers, page.to_string()))
    };
    let home = || std::future::ready(Redirect::to("/docs"));
    Router::new().route("/", get(home)).route("/openapi.json", get(json)).route("/docs", get(page))
}

fn page(described: &Value, services: &[&Service]) -> String {
    let mut page = Page(String::new());
    page.raw("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width\"><title>AREA Runner: the API</title><style>");
    page.raw(STYLE);
    page.raw("</style><main><h1>AREA Runner: the API</h1>");
    page.paragraph(described["info"]["description"].as_str().unwrap_or_default());
    page.raw("<p>For programs: <a href=\"/openapi.json\">openapi.json</a>.</p>");
    page.operations(described);
    page.raw("<h2 id=\"schemas\">Shapes</h2>");
    for (name, schema) in members(&described["components"]["schemas"]) {
        page.schema(name, schema);
    }
    page.problems();
    page.raw("<h2 id=\"services\">Services</h2>");
    services.iter().for_each(|service| page.service(service));
    page.raw("</main></html>");
    page.0
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// HTML under way. Whatever is not written with `raw` is escaped.
struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(c),
            }
        }
    }

    /// Text in which what stands between backticks is code.
    fn words(&mut self, text: &str) {
        for (i, part) in text.split('`').enumerate() {
            match i % 2 {
                0 => self.text(part),
                _ => self.tag("code", part),
            }
        }
    }

    fn tag(&mut self, tag: &str, text: &str) {
        let _ = write!(self.0, "<{tag}>");
        self.text(text);
        let _ = write!(self.0, "</{tag}>");
    }

    fn heading(&mut self, level: u8, id: &str, text: &str) {
        let _ = write!(self.0, "<h{level} id=\"");
        self.text(id);
        self.raw("\">");
        self.words(text);
        let _ = write!(self.0, "</h{level}>");
    }

    fn paragraph(&mut self, text: &str) {
        for part in text.split("\n\n").filter(|part| !part.trim().is_empty()) {
            self.raw("<p>");
            self.words(part);
            self.raw("</p>");
        }
    }

    fn row(&mut self, name: &str, kind: &str, words: &str) {
        self.raw("<tr><td>");
        self.tag("code", name);
        self.raw("<td>");
        self.text(kind);
        self.raw("<td>");
        self.words(words);
    }

    fn operations(&mut self, described: &Value) {
        let mut tag = "";
        let mut all: Vec<(&str, &str, &Value)> = members(&described["paths"])
            .flat_map(|(path, methods)| members(methods).map(move |(method, of)| (path.as_str(), method.as_str(), of)))
            .collect();
        all.sort_by_key(|(path, _, of)| (tag_of(of), *path));
        for (path, method, of) in all {
            if tag_of(of) != tag {
                tag = tag_of(of);
                self.heading(2, tag, tag);
            }
            let id = of["operationId"].as_str().unwrap_or_default();
            self.heading(3, id, &format!("`{} {path}`", method.to_uppercase()));
            self.paragraph(of["summary"].as_str().unwrap_or_default());
            self.paragraph(of["description"].as_str().unwrap_or_default());
            self.operation(of);
        }
    }

    fn operation(&mut self, of: &Value) {
        self.raw("<table>");
        for parameter in of["parameters"].as_array().into_iter().flatten() {
            let text = |name: &str| parameter[name].as_str().unwrap_or_default();
            self.row(text("name"), text("in"), text("description"));
        }
        for (kind, media) in members(&of["requestBody"]["content"]) {
            self.row("body", kind, &format!("{}", Shape(&media["schema"])));
        }
        for (status, response) in members(&of["responses"]) {
            let said = response["description"].as_str().unwrap_or("A problem");
            let shapes = members(&response["content"]).map(|(_, media)| format!(": {}", Shape(&media["schema"])));
            self.row(status, "answer", &format!("{said}{}", shapes.collect::<String>()));
        }
        self.raw("</table>");
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        self.heading(3, &format!("schema-{name}"), name);
        self.paragraph(schema["description"].as_str().unwrap_or_default());
        self.properties(schema);
        for form in ["oneOf", "anyOf"].into_iter().filter_map(|k| schema[k].as_array()).flatten() {
            self.raw("<p>");
            self.text(&format!("{}: ", Shape(form)));
            self.words(form["description"].as_str().unwrap_or_default());
            self.raw("</p>");
            self.properties(form);
        }
    }

    fn properties(&mut self, schema: &Value) {
        if !schema["properties"].is_object() {
            return;
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        self.raw("<table>");
        for (name, property) in members(&schema["properties"]) {
            let must = if required.contains(&name.as_str()) { ", required" } else { "" };
            let kind = format!("{}{must}", Shape(property));
            self.row(name, &kind, property["description"].as_str().unwrap_or_default());
        }
        self.raw("</table>");
    }

    fn problems(&mut self) {
        self.raw("<h2 id=\"problems\">Problems</h2><table>");
        for kind in Kind::ALL {
            let (status, name, title) = kind.says();
            let _ = write!(self.0, "<tr id=\"problem-{name}\"><td>{}<td>", status.as_u16());
            self.tag("code", name);
            self.raw("<td>");
            self.text(title);
        }
        self.raw("</table>");
    }

    fn service(&mut self, service: &Service) {
        self.heading(3, &format!("service-{}", service.name), service.title);
        self.paragraph(service.description);
        let full = catalog::full(service);
        for (kind, word) in [("actions", "action"), ("reactions", "reaction")] {
            for part in full[kind].as_array().into_iter().flatten() {
                let text = |name: &str| part[name].as_str().unwrap_or_default();
                let name = format!("{}.{}", service.name, text("name"));
                self.heading(4, &name, &format!("{word} `{name}`: {}", text("title")));
                self.paragraph(text("description"));
                self.properties(&part["schema"]);
                self.raw("<pre>");
                self.text(&serde_json::to_string_pretty(&part["sample"]).unwrap_or_default());
                self.raw("</pre>");
            }
        }
    }
}

fn tag_of(operation: &Value) -> &str {
    operation["tags"][0].as_str().unwrap_or_default()
}

/// A schema in a word or two.
struct Shape<'a>(&'a Value);

impl std::fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let schema = self.0;
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
            return f.write_str(name);
        }
        if let Some(constant) = schema.get("const") {
            return write!(f, "{constant}");
        }
        let many = |f: &mut std::fmt::Formatter<'_>, all: &[Value], shape: fn(&Value) -> String| {
            f.write_str(&all.iter().map(shape).collect::<Vec<_>>().join(" or "))
        };
        if let Some(options) = schema["enum"].as_array() {
            return many(f, options, Value::to_string);
        }
        if let Some(forms) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            return many(f, forms, |form| Shape(form).to_string());
        }
        match &schema["type"] {
            Value::String(kind) if kind == "array" => write!(f, "list of {}", Shape(&schema["items"])),
            Value::String(kind) => f.write_str(kind),
            Value::Array(kinds) => many(f, kinds, |kind| kind.as_str().unwrap_or_default().to_owned()),
            _ => f.write_str("anything"),
        }
    }
}
