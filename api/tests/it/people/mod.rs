//! People: signing up and in, what each role may do, what strangers may try.

mod administered;
mod arrivals;
mod idp;
mod impostors;
mod journey;
pub mod post;
mod sites;
mod strangers;
mod table;

use engine::store::people::{self, NewUser, Role};
use serde_json::{Value, json};

use crate::rest::{Api, Said, said};

/// A password that will do.
pub const PASSWORD: &str = "plums in the icebox";

/// A person with [`PASSWORD`] and this role, signed in: their session's token.
pub async fn person(api: &Api, email: &str, role: Role) -> String {
    let mut settings = crate::rest::settings().passwords;
    settings.strength = 0;
    let hash = api::identity::password::Passwords::new(&settings).hash(PASSWORD).await.unwrap();
    let new = NewUser { email, role, password: Some(&hash), ..NewUser::default() };
    people::create(api.db(), &new, api.clock.now()).await.unwrap();
    sign_in(api, email, PASSWORD).await.ok(200)["token"].as_str().unwrap().to_owned()
}

/// Signs in, as a program does.
pub async fn sign_in(api: &Api, email: &str, password: &str) -> Said {
    said(api.bare("POST", "/v1/auth/login").json(&json!({"email": email, "password": password}))).await
}

/// Sends JSON with this token.
pub async fn send(api: &Api, token: &str, method: &str, path: &str, body: Option<&Value>) -> Said {
    let ask = api.bare(method, path).bearer_auth(token);
    said(match body {
        Some(body) => ask.json(body),
        None => ask,
    })
    .await
}
