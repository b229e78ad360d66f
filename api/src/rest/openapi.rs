//! `/openapi.json` (OpenAPI 3.1): the paths come from the routes, the schemas from the types' doc comments, so that the words are
//! written once.

use engine::area::Document;
use engine::area::diff::Op;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::App;
use super::problem::{self, Kind};
use crate::identity::rights::{self, Need};

/// What the page and the document begin with.
pub const ABOUT: &str = "An AREA is a stored action (a trigger) of a service, wired to an ordered list of reactions. \
    Send every request under `/v1` with `Authorization: Bearer TOKEN`: `POST /v1/auth/login` gives a session's token, `POST /v1/tokens` \
    or `area token create --email you@example.org` an API token; browsers may have their session in a cookie. \
    Every id is a string. Lists are `{\"items\": […], \"next\": cursor|null}`. What goes wrong is `application/problem+json` (RFC 9457), \
    with a JSON pointer for every place in a document that is wrong. Secrets are write only: they read as `{\"$secret\": true}`, which, \
    sent back at the same place, keeps them. `ETag` is an AREA's version; a change with `If-Match` stands on that version alone. \
    A POST with `Idempotency-Key` may be repeated: the same key gives the same answer for a day (not under `/v1/auth`, `/v1/tokens` and \
    `/v1/avatars`, whose answers are kept nowhere).";

/// The whole document.
pub fn document(paths: utoipa::openapi::OpenApi, app: &App) -> Value {
    let mut document = serde_json::to_value(paths).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "AREA Runner", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT, "license": {"name": "MIT"},
    });
    document["servers"] = json!([{"url": app.public_url.as_str().trim_end_matches('/')}]);
    document["components"] = json!({
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "An API token"},
            "session": {"type": "http", "scheme": "bearer", "description": "A session's token: POST /v1/auth/login"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "area_session",
                "description": "A session of a browser (`__Host-area_session` under TLS)"},
        },
        "responses": {"Problem": {
            "description": "What went wrong",
            "content": {"application/problem+json": {"schema": reference("Problem")}},
        }},
        "schemas": schemas(),
    });
    // HEAD is as GET or POST without a body, and one function has one operation id.
    for (_, path) in document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten() {
        path.as_object_mut().map(|methods| methods.remove("head"));
    }
    for (method, path, operation) in operations(&mut document) {
        guard(operation, rights::need(&method, &path));
        if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
            responses.insert("default".into(), json!({"$ref": "#/components/responses/Problem"}));
        }
    }
    document
}

/// Who may, as the table of rights has it.
fn guard(operation: &mut Value, need: Option<Need>) {
    let Some(operation) = operation.as_object_mut() else { return };
    operation.remove("security");
    let Some(need) = need.filter(|need| *need != Need::Anyone) else { return };
    let session = [json!({"session": []}), json!({"cookie": []})];
    let token = (need != Need::Person).then(|| json!({"token": []}));
    operation.insert("security".into(), token.into_iter().chain(session).collect());
    let said =
        operation.get("description").and_then(Value::as_str).map(|text| format!("{text}\n\n")).unwrap_or_default();
    operation.insert("description".into(), json!(format!("{said}Who may: {}", need.words())));
}

fn operations(document: &mut Value) -> impl Iterator<Item = (String, String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object_mut().into_iter().flatten();
        methods.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation))
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    add::<problem::Shape>(&mut generator);
    add::<Op>(&mut generator);
    add::<Document>(&mut generator);
    let mut schemas: Map<String, Value> = generator.take_definitions(true);
    if let Some(area) = schemas.remove("Document") {
        schemas.insert("ShownArea".into(), shown(area.clone()));
        schemas.insert("AreaPatch".into(), patch(&area));
        schemas.insert("Area".into(), area);
    }
    if let Some(kind) = schemas.get_mut("Problem").and_then(|p| p.pointer_mut("/properties/type")) {
        kind["examples"] = Kind::ALL.iter().map(|kind| json!(format!("/docs#problem-{}", kind.says().1))).collect();
    }
    schemas.extend(others());
    schemas.extend(people());
    schemas.extend(super::shapes::accounts());
    schemas
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    let _ = generator.subschema_for::<T>();
}

/// An AREA as it is shown: the document and what is known beside it.
fn shown(mut area: Value) -> Value {
    let text = |description: &str| json!({"type": "string", "readOnly": true, "description": description});
    let maybe = |description: &str| json!({"type": ["string", "null"], "readOnly": true, "description": description});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "readOnly": true, "description": description});
    let beside = json!({
        "id": text("Its id"),
        "state": {"enum": ["active", "paused", "faulted"], "readOnly": true,
            "description": "`paused` by you, `faulted` by a fault that lasted"},
        "reason": maybe("Why it is not active"),
        "revision": {"type": "integer", "readOnly": true, "description": "Grows with every edit"},
        "created_at": time("When it was made"),
        "updated_at": time("When it was last changed"),
        "source": reference("Source"),
        "hook_url": maybe("Where to send requests, if its action is a hook. Keep it to yourself: whoever knows it can call it"),
    });
    if let (Some(members), Some(Value::Object(beside))) =
        (area.get_mut("properties").and_then(Value::as_object_mut), Some(beside))
    {
        members.extend(beside);
    }
    area["title"] = json!("AREA, as it is shown");
    area
}

/// A merge patch has no required members.
fn patch(area: &Value) -> Value {
    json!({
        "type": "object", "title": "A change of an AREA",
        "description": "Any members of an AREA, at any depth: they replace what is there, null takes away (RFC 7396).",
        "properties": area.get("properties"),
    })
}

fn list(item: Value) -> Value {
    json!({
        "type": "object", "required": ["items", "next"], "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["string", "null"], "description": "The `cursor` of the next page; null on the last one"},
        },
    })
}

/// What is built by hand in the routes.
fn others() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let number = |description: &str| json!({"type": "integer", "description": description});
    let line = json!({"name": text("The stable name"), "title": text("For people"), "description": text("One or two sentences")});
    let service = object(json!({
        "name": text("The stable name"), "title": text("For people"), "description": text("One sentence"),
        "provider": {"type": ["string", "null"], "description": "Whose account it needs; null: none"},
    }));
    let mut full = service.clone();
    full["properties"]["actions"] = json!({"type": "array", "items": reference("Action")});
    full["properties"]["options"] = json!({"type": "array", "description": "What can be picked by name: `/v1/services/{service}/options/{field}`",
    "items": object(json!({
        "name": text("As `x-options` of a property in a schema names it"),
        "scopes": {"type": "array", "items": {"type": "string"}, "description": "What listing them needs"},
    }))});
    full["properties"]["reactions"] = json!({"type": "array", "items": reference("Reaction")});
    let part = |more: Value| {
        let mut part = line.clone();
        if let (Some(part), Value::Object(more)) = (part.as_object_mut(), more) {
            part.insert("schema".into(), json!({"type": "object", "description": "The JSON Schema of its `data`"}));
            part.insert(
                "scopes".into(),
                json!({"type": "array", "items": {"type": "string"},
                "description": "What its account must have granted"}),
            );
            part.insert("cost".into(), text("What one use costs of the provider's quota; empty: nothing"));
            part.insert("tried".into(), text("What our tests run it against; empty: nothing outside is called"));
            part.insert("sample".into(), json!({"description": "A `data` that the schema accepts"}));
            part.extend(more);
        }
        object(part)
    };
    let offered = object(json!({"name": text("Its name"), "description": text("What it is")}));
    let all = json!({
        "Source": {"type": "object", "readOnly": true, "description": "What the AREA watches", "properties": {
            "id": text("Its id; AREAs that watch the same share it"),
            "feed": text("What is fetched"),
            "every_s": {"type": ["number", "null"], "description": "How often, in seconds; null: at instants of its own, or pushed"},
            "joined_at": {"type": ["string", "null"], "format": "date-time", "description": "From when on the AREA fires; null: not yet"},
            "health": {"type": ["object", "null"], "description": "The fault that stands; null: well"},
        }},
        "AreaList": list(reference("ShownArea")),
        "RevisionList": list(object(json!({
            "revision": number("Its number, from 1"), "created_at": time("When it was made"),
            "current": {"type": "boolean", "description": "Whether it is the newest"},
        }))),
        "Revision": object(json!({
            "revision": number("Its number, from 1"), "created_at": time("When it was made"), "document": reference("Area"),
        })),
        "Diff": object(json!({
            "from": number("The first revision"), "to": number("The second"), "changes": {"type": "array", "items": reference("Op")},
        })),
        "Choices": object(json!({
            "items": {"type": "array", "description": "In the order in which they are offered", "items": object(json!({
                "value": text("What `data` holds"), "title": text("What a person reads"),
                "detail": text("What tells two of one title apart; may be absent"),
            }))},
            "more": {"type": "boolean", "description": "There are more: a longer `q` finds them"},
        })),
        "ServiceList": list(service),
        "Service": full,
        "Action": part(json!({
            "event": {"description": "A sample of what templates see as `event`"},
            "event_schema": {"type": ["object", "null"], "description": "The JSON Schema of the event; null: the far side decides"},
            "kind": {"enum": ["polled", "hook", "native"], "description": "How its events come"},
        })),
        "Reaction": part(json!({
            "output_schema": {"type": ["object", "null"], "description": "The JSON Schema of the output; null: the far side decides"},
            "output": {"description": "A sample of what later steps see as `steps.ID`"},
            "guarantee": {"enum": ["idempotent", "checked", "at_least_once"],
                "description": "What a repetition after a crash does"},
        })),
        "About": object(json!({
            "client": object(json!({"host": text("The caller's address")})),
            "server": object(json!({
                "current_time": number("Unix seconds"),
                "services": {"type": "array", "items": object(json!({
                    "name": text("The service"), "actions": {"type": "array", "items": offered},
                    "reactions": {"type": "array", "items": offered},
                }))},
            })),
        })),
        "Ready": object(json!({
            "ready": {"type": "boolean", "description": "Always true: else the answer is 503"}, "database": text("`sqlite` or `postgres`"),
        })),
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

/// What is sent and shown of people.
fn people() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let maybe = |description: &str| json!({"type": ["string", "null"], "description": description});
    let time =
        |description: &str| json!({"type": ["string", "null"], "format": "date-time", "description": description});
    let object = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties});
    let email = || text("The e-mail address");
    let password = || text("The password: 8 to 128 characters, and not easy to guess");
    let token = || text("What stands behind the `=` of the mailed link");
    let cookie =
        || json!({"type": "boolean", "description": "For browsers: the session in a cookie, no token in the answer"});
    let patch = json!({
        "display_name": text("How you are shown"), "username": maybe("Unique, in any case"), "first_name": maybe("The first name"),
        "last_name": maybe("The last name"), "phone": maybe("The telephone"), "city": maybe("The city"),
        "info": text("A line about you"), "description": text("What you say of yourself"),
    });
    let mut profile = json!({
        "id": text("The id"), "email": email(), "role": text("What you may do"), "image": maybe("Where your picture is"),
        "auth_provider": text("How you came"), "is_google_authed": {"type": "boolean", "description": "Whether you signed in with Google"},
        "has_password": {"type": "boolean", "description": "Whether you can sign in with a password"},
        "last_login": time("When you last signed in"), "email_verified_at": time("When the address was proved"),
        "created_at": time("When you came"), "updated_at": time("When you last changed something here"),
    });
    if let (Some(all), Some(own)) = (profile.as_object_mut(), patch.as_object()) {
        all.extend(own.clone());
    }
    let all = json!({
        "SignUp": object(&["email", "password"], json!({"email": email(), "password": password(), "name": text("How you want to be shown"),
            "info": text("A line about you")})),
        "Address": object(&["email"], json!({"email": email()})),
        "Verify": object(&["token", "password"], json!({"token": token(), "password": text("The one that was chosen at sign-up"), "cookie": cookie()})),
        "Login": object(&["email", "password"], json!({"email": email(), "password": text("The password"), "cookie": cookie()})),
        "SignedIn": {"type": "object", "properties": {"user": text("Your id"), "expires_at": time("When it ends if it is not used"),
            "token": text("What to send as `Authorization: Bearer`; absent where it is in a cookie")}},
        "First": object(&["code", "email", "password"], json!({"code": text("The printed code"), "email": email(), "password": password(),
            "name": text("How you want to be shown")})),
        "PasswordChange": object(&["old", "new"], json!({"old": text("The old password"), "new": password()})),
        "PasswordReset": object(&["token", "password"], json!({"token": token(), "password": password()})),
        "EmailChange": object(&["email"], json!({"email": text("The address that you want"), "password": text("The password; none where you have none")})),
        "Confirm": object(&["token"], json!({"token": token()})),
        "Leave": object(&[], json!({"password": text("The password; none where you have none")})),
        "NewToken": object(&["name", "scopes"], json!({"name": text("To tell it from others"),
            "scopes": {"type": "array", "items": {"enum": ["read", "areas", "accounts", "admin"]}, "description": "What it opens"},
            "expires_at": time("When it stops working; null: when it is revoked")})),
        "Profile": {"type": "object", "properties": profile},
        "ProfilePatch": object(&[], patch),
        "UserPatch": object(&[], json!({"role": {"enum": ["SUPER-ADMIN", "ADMIN", "EDITOR", "VIEWER"], "description": "What they may do"},
            "suspended": {"type": "boolean", "description": "Whether they may do nothing"}})),
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}
