//! Google's discovery documents, for what Prism does not hold requests to: the names of query parameters, and what `fields` names.

use std::path::Path;

use serde_json::Value;
use url::Url;

const APIS: [&str; 4] = ["gmail.v1", "calendar.v3", "drive.v3", "sheets.v4"];

/// The documents.
pub struct Discovery(Vec<Value>);

impl Discovery {
    /// Those in `folder`.
    pub fn read(folder: &Path) -> Self {
        let document = |api| std::fs::read_to_string(folder.join(format!("{api}.json"))).unwrap();
        Self(APIS.into_iter().map(|api| serde_json::from_str(&document(api)).unwrap()).collect())
    }

    /// What a request to an API asks by names that Google does not know.
    pub fn unknown(&self, method: &str, path_and_query: &str) -> Vec<String> {
        let url = Url::parse("http://google").unwrap().join(path_and_query).unwrap();
        let found = self.0.iter().find_map(|api| {
            let all = methods(api);
            Some((api, all.into_iter().find(|known| known["httpMethod"] == method && is_at(api, known, url.path()))?))
        });
        let Some((api, known)) = found else { return vec![format!("{method} {}", url.path())] };
        let mut unknown = Vec::new();
        for (name, value) in url.query_pairs() {
            let own = known["parameters"].get(&*name).is_some_and(|parameter| parameter["location"] == "query");
            if !own && api["parameters"].get(&*name).is_none() {
                unknown.push(format!("{}: {name}", known["id"]));
            }
            if name == "fields" {
                unmasked(api, &known["response"], &value, &mut unknown);
            }
        }
        unknown
    }
}

fn methods(resource: &Value) -> Vec<&Value> {
    let all = |name: &str| resource[name].as_object().into_iter().flat_map(|all| all.values());
    all("methods").chain(all("resources").flat_map(methods)).collect()
}

/// Whether a method is called at this path, or at its path for uploads.
fn is_at(api: &Value, method: &Value, path: &str) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let own = format!("/{}{}", text(&api["servicePath"]), text(&method["path"]));
    [own, text(&method["mediaUpload"]["protocols"]["simple"]["path"])].iter().any(|template| fits(template, path))
}

/// Whether a path follows a template: `/drive/v3/files/{fileId}`, `/v4/…/values/{range}:append`.
fn fits(template: &str, path: &str) -> bool {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let one = |wanted: &str, given: &str| match wanted.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((_, verb)) => given.strip_suffix(verb).is_some_and(|name| !name.is_empty()),
        None => wanted == given,
    };
    wanted.len() == given.len() && wanted.iter().zip(given).all(|(wanted, given)| one(wanted, given))
}

/// What a mask (`files(id,owners/name),nextPageToken`) names and `schema` has not.
fn unmasked(api: &Value, schema: &Value, mask: &str, unknown: &mut Vec<String>) {
    let schema = resolved(api, schema);
    let (mut depth, mut start) = (0, 0);
    for (i, c) in mask.char_indices().chain([(mask.len(), ',')]) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c != ',' || depth > 0 {
            continue;
        }
        let one = &mask[start..i];
        start = i + 1;
        let (name, inner) = one.split_at(one.find(['(', '/', '.']).unwrap_or(one.len()));
        let inner = inner
            .strip_prefix('(')
            .and_then(|inner| inner.strip_suffix(')'))
            .unwrap_or(inner.get(1..).unwrap_or_default());
        match schema["properties"].get(name) {
            None => unknown.push(format!("fields: {name} in {}", schema["id"])),
            Some(_) if inner.is_empty() => {}
            Some(property) => unmasked(api, property, inner, unknown),
        }
    }
}

/// The object that a schema stands for: what it refers to, or what its list holds.
fn resolved<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    match (schema["$ref"].as_str(), schema.get("items")) {
        (Some(name), _) => resolved(api, &api["schemas"][name]),
        (None, Some(items)) => resolved(api, items),
        (None, None) => schema,
    }
}

#[test]
fn what_google_does_not_know_is_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../google-discovery");
    if !folder.join("version").exists() {
        return engine::testkit::skip("Google's discovery documents are not installed: `.ci/test` does that");
    }
    let google = Discovery::read(&folder);
    let unknown = |method: &str, path: &str| google.unknown(method, path).join("; ");
    assert_eq!(unknown("GET", "/gmail/v1/users/me/messages?q=a&maxResults=1&prettyPrint=false"), "");
    assert_eq!(unknown("GET", "/gmail/v1/users/me/messages?query=a"), "\"gmail.users.messages.list\": query");
    assert_eq!(unknown("GET", "/gmail/v1/users/me/mails"), "GET /gmail/v1/users/me/mails");
    assert_eq!(unknown("POST", "/upload/gmail/v1/users/me/messages/send?uploadType=media"), "");
    assert_eq!(
        unknown("POST", "/v4/spreadsheets/s/values/A1:append?range=x"),
        "\"sheets.spreadsheets.values.append\": range"
    );
    assert_eq!(
        unknown("GET", "/drive/v3/files?fields=files(id,owners(name,me),owners/kind),next"),
        "fields: name in \"User\"; fields: next in \"FileList\""
    );
}
