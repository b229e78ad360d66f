//! Lists and their pages.

use serde_json::Value;

use super::{Api, area, path};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_lead_through_the_whole_list_newest_first() {
    for api in Api::all().await {
        for n in 0..5 {
            api.made(&area(&format!("n{n}"))).await;
        }
        let mut seen = Vec::new();
        let mut next = String::new();
        loop {
            let page = api.call("GET", &format!("/v1/areas?limit=2&cursor={next}")).await.ok(200);
            seen.extend(names(&page).into_iter().map(str::to_owned));
            match page["next"].as_str() {
                Some(cursor) => next = cursor.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, ["n4", "n3", "n2", "n1", "n0"], "{}", api.label);
    }
}

#[tokio::test]
async fn lists_filter_by_name_state_and_service() {
    for api in Api::all().await {
        let one = api.made(&area("Mail 100%")).await;
        api.made(&area("feeds")).await;
        api.call("POST", &format!("{}/pause", path(&one))).await.ok(200);
        for (query, want) in [
            ("name=MAIL", vec!["Mail 100%"]),
            ("name=%25", vec!["Mail 100%"]),
            ("name=_", vec![]),
            ("state=active", vec!["feeds"]),
            ("state=paused&name=mail", vec!["Mail 100%"]),
            ("service=http", vec!["feeds", "Mail 100%"]),
            ("service=rss", vec![]),
            ("name=", vec!["feeds", "Mail 100%"]),
        ] {
            let list = api.call("GET", &format!("/v1/areas?{query}")).await.ok(200);
            assert_eq!(names(&list), want, "{} {query}", api.label);
        }
    }
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_named() {
    let api = Api::one().await;
    let revisions = format!("{}/revisions", path(&api.made(&area("a")).await));
    let of = |list: &str, query: &str| format!("{list}?{query}");
    for (path, place) in [
        (of("/v1/areas", "limit=0"), "/limit"),
        (of("/v1/areas", "limit=501"), "/limit"),
        (of("/v1/areas", "limit=x"), "/limit"),
        (of("/v1/areas", "cursor=nonsense"), "/cursor"),
        (of("/v1/areas", "state=broken"), "/state"),
        (of("/v1/areas", "limt=5"), "/limt"),
        (of("/v1/areas", "limit=5&limit=6"), "/limit"),
        (of(&revisions, "name=x"), "/name"),
        (of("/v1/services", "limit=5"), "/limit"),
    ] {
        api.call("GET", &path).await.problem(400, "malformed", &[place]);
    }
    for n in 0..2 {
        api.made(&area(&format!("{n}"))).await;
    }
    let cursor = api.call("GET", "/v1/areas?limit=1").await.ok(200)["next"].as_str().unwrap().to_owned();
    api.call("GET", &of(&revisions, &format!("cursor={cursor}"))).await.problem(400, "malformed", &["/cursor"]);
}

#[tokio::test]
async fn a_parameter_with_a_zero_character_is_told_so_on_either_engine() {
    for api in Api::all().await {
        for path in ["/v1/areas?name=%00", "/v1/areas?service=a%00b", "/v1/events?area=%00"] {
            let place = path.split(['?', '=']).nth(1).unwrap();
            api.call("GET", path).await.problem(400, "malformed", &[&format!("/{place}")]);
        }
    }
}
