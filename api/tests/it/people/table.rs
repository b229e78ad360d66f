//! The table of rights against every route that the API describes, with every kind of caller.

use api::identity::rights::{self, Need, TABLE};
use engine::store::people::Role;
use engine::store::tokens::{Scope, Scopes};

use super::{person, send};
use crate::rest::{Api, said, settings};

/// A path with ids that nobody has.
fn concrete(path: &str) -> String {
    let mut filled = path.to_owned();
    for (variable, value) in
        [("{service}", "http"), ("{field}", "none"), ("{key}", "nokey"), ("{n}", "1"), ("{a}", "1"), ("{b}", "1")]
    {
        filled = filled.replace(variable, value);
    }
    let id = if path.contains("/runs/") { "7" } else { "0192aaaa-0000-7000-8000-000000000000" };
    filled.replace("{id}", id)
}

#[tokio::test]
async fn every_described_route_is_in_the_table_and_every_row_is_a_route() {
    let api = Api::one().await;
    let document = said(api.bare("GET", "/openapi.json")).await.ok(200);
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        described.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    let mut written: Vec<(String, String)> = TABLE.iter().map(|(m, p, _)| ((*m).to_owned(), (*p).to_owned())).collect();
    described.sort();
    written.sort();
    assert_eq!(described, written);
}

#[tokio::test]
async fn each_kind_of_caller_passes_the_gate_where_the_table_says_so_and_nowhere_else() {
    let mut settings = settings();
    settings.throttle.sign_in_per_user = 0;
    for api in Api::all_set(settings).await {
        let mut callers: Vec<(String, Role, Option<Scope>, bool)> = Vec::new();
        for role in Role::ALL {
            callers.push((person(&api, &format!("{role}-p@b.example"), role).await, role, None, true));
            for scope in Scope::ALL {
                let email = format!("{role}-{}@b.example", scope.as_str());
                let token = api.user(&email, role, Scopes::from_iter([scope])).await;
                callers.push((token, role, Some(scope), false));
            }
        }
        for (method, path, need) in TABLE.iter().filter(|(_, _, need)| *need != Need::Anyone) {
            let at = concrete(path);
            let place = format!("{}: {method} {path}", api.label);
            assert_eq!(said(api.bare(method, &at)).await.status, 401, "{place}: nobody");
            for (token, role, scope, session) in &callers {
                let may = match need {
                    Need::Anyone => true,
                    Need::Person => *session,
                    _ => need.allows(*role) && (*session || *scope == need.scope()),
                };
                // What would end the caller's session, or stream for ever, is only looked at where it is refused.
                if may && (path.contains("logout") || path.ends_with("/stream") || path.ends_with("/delete")) {
                    continue;
                }
                let answer = send(&api, token, method, &at, None).await;
                assert!(answer.status < 500, "{place}: {role} {scope:?}: {answer:?}");
                let stopped = answer.status == 403 || answer.status == 401;
                assert_eq!(stopped, !may, "{place}: {role} {scope:?} session {session}: {answer:?}");
            }
        }
        assert!(rights::need("GET", "/v1/nothing").is_none());
    }
}
