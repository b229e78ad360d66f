//! What accounts, providers and connect sessions look like in `/openapi.json`.

use serde_json::{Map, Value, json};

/// The schemas, by name.
pub fn accounts() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let maybe = |description: &str| json!({"type": ["string", "null"], "description": description});
    let time =
        |description: &str| json!({"type": ["string", "null"], "format": "date-time", "description": description});
    let texts = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let list = |item: Value| {
        json!({"type": "object", "required": ["items", "next"], "properties": {
            "items": {"type": "array", "items": item}, "next": {"type": "null", "description": "There is one page"}}})
    };
    let area = object(
        json!({"id": text("Its id"), "name": text("Its name"), "state": text("`active`, `paused` or `faulted`")}),
    );
    let areas = |description: &str| json!({"type": "array", "items": area, "description": description});
    let account = json!({
        "id": text("Its id: what an AREA names as `account`"), "provider": text("Who issues its tokens"),
        "title": text("The provider, for people"), "who": maybe("Whose it is at the provider"),
        "scopes": texts("What was granted"), "signs_in": {"type": "boolean", "description": "Whether you sign in with it"},
        "state": {"enum": ["ok", "needs_reconnect"], "description": "`needs_reconnect`: link it again, it keeps its id"},
        "reason": maybe("Why it must be linked again"), "failing": maybe("Why the last refresh came to nothing"),
        "linked_at": time("When it was linked; null: a site on the same database did"),
        "refreshed_at": time("When its token was refreshed last"), "refresh_at": time("When it is refreshed next, ahead of time"),
        "token_ends_at": time("When the access token ends"),
        "ends_at": time("When the account ends whatever is done, and must be linked again"),
        "areas": areas("The AREAs that need it"),
    });
    let mut checked = account.clone();
    checked["works"] = json!({"type": "boolean", "description": "Whether it can be used"});
    checked["why"] = maybe("Why it cannot");
    let all = json!({
        "ProviderList": list(object(json!({
            "name": text("The stable name"), "title": text("For people"),
            "kind": {"enum": ["oauth", "key"], "description": "`key`: its users paste a key"},
            "set_up": {"type": "boolean", "description": "Whether the operator has set it up"},
            "signs_in": {"type": "boolean", "description": "Whether people can sign in with it"},
            "verified": {"type": "boolean", "description": "Whether a round trip against a real server of its kind is in our tests"},
        }))),
        "Connect": {"type": "object", "additionalProperties": false, "properties": {
            "scopes": texts("Scopes, in short or as the provider writes them"),
            "for": texts("Actions and reactions, as `google.new_mail`: their scopes are asked for"),
            "return_to": text("Where the browser goes in the end: a path here, or a URL that the operator allows"),
        }},
        "SignInWith": {"type": "object", "additionalProperties": false, "properties": {
            "password": {"type": "string", "writeOnly": true, "description": "Yours, if you are signed in and want to sign in with the account from now on"},
            "return_to": text("Where the browser goes in the end: a path here, or a URL that the operator allows"),
        }},
        "Arrived": object(json!({
            "did": {"enum": ["signed_in", "signed_up", "linked"], "description": "`linked`: you were signed in, and may sign in with it from now on"},
            "user": text("Your id"), "provider": text("The provider"), "who": maybe("Whose the account is there"),
            "expires_at": time("When the session ends if it is not used; null: it is as it was"),
        })),
        "Called": {"oneOf": [{"$ref": "#/components/schemas/Connected"}, {"$ref": "#/components/schemas/Arrived"}]},
        "Connecting": object(json!({
            "id": text("The attempt"), "authorize_url": text("Where to send the browser"), "scopes": texts("What is asked for"),
            "expires_at": time("When it is too late"),
        })),
        "Connected": object(json!({
            "account": text("The account's id"), "provider": text("Who issues its tokens"), "who": maybe("Whose it is at the provider"),
            "scopes": texts("What was granted"), "missing": texts("What was asked for and not granted"),
            "resumed": texts("AREAs that had stopped without it and go on now"),
        })),
        "Unconfirmed": object(json!({
            "status": text("`unconfirmed`"), "who": maybe("Whose it is at the provider"),
            "confirm": text("What to confirm with; only this answer has it"), "next": text("What to do"),
        })),
        "Confirm": {"type": "object", "required": ["confirm"], "properties": {"confirm": text("What the callback gave")}},
        "KeyedAccount": {"type": "object", "required": ["provider", "key"], "additionalProperties": false, "properties": {
            "provider": text("Which provider"),
            "key": {"type": "string", "writeOnly": true, "description": "The key; sealed, never shown again"},
            "who": text("What you call it"),
        }},
        "Account": object(account.clone()),
        "AccountList": list(object(account)),
        "CheckedAccount": object(checked),
        "Unlinked": object(json!({
            "account": text("The account"), "revoked": {"type": "boolean", "description": "Whether the provider forgot it too"},
            "why": maybe("Why it did not"), "paused": areas("The AREAs that paused"),
        })),
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}
