//! The whole path with an account: a connector that does nothing but ask the API with the token that it is handed.

use std::sync::OnceLock;

use engine::area::desk::AreaError;
use engine::fault::Fault;
use engine::net::{Call, Trust};
use engine::node::{self, Engine};
use engine::port::{
    About, ActionSpec, Auth, Boxed, Cadence, FeedKind, FeedSpec, Guarantee, Item, Page, PollCx, ReactCx, Reacted,
    ReactionSpec, Service, Services, Verdict,
};
use engine::store::areas::AreaState;

use super::*;

/// One request with the account's token, and once more with the next where that is refused.
async fn called(url: &str, auth: Option<&dyn Auth>, http: &Http, now: DateTime<Utc>) -> Result<Value, Fault> {
    let auth = auth.ok_or_else(|| Fault::rejected("no account was handed over"))?;
    let mut token = auth.bearer().await?;
    for _ in 0..2 {
        let answer = http.send(Trust::Provider, Call::get(url)?.bearer(&token)?, now).await?;
        if answer.status != 401 {
            return match answer.fault(now) {
                None => answer.json(),
                Some(_) if answer.status == 403 => {
                    Err(Fault::Reconnect { provider: "acme".into(), why: "the scope `send` is missing".into() })
                }
                Some(fault) => Err(fault),
            };
        }
        token = auth.refused(&token).await?;
    }
    Err(Fault::later("refused twice"))
}

fn poll(cx: PollCx<'_>) -> Boxed<'_, Result<Page, Fault>> {
    Box::pin(async move {
        let url = format!("{}/items", cx.params["api"].as_str().unwrap());
        let all = called(&url, cx.auth, cx.http, cx.now).await?;
        let items = all.as_array().unwrap().iter();
        let items = items.map(|item| Item { key: item.to_string(), body: json!({ "n": item }), at: None }).collect();
        Ok(Page { items, cursor: Some(json!(1)), answer: "200".into(), ..Page::default() })
    })
}

fn react(cx: ReactCx<'_>) -> Boxed<'_, Result<Reacted, Fault>> {
    Box::pin(async move {
        let url = format!("{}/{}", cx.params["api"].as_str().unwrap(), cx.params["path"].as_str().unwrap());
        called(&url, cx.auth, cx.http, cx.now).await.map(Reacted::Done)
    })
}

fn tell(cx: ReactCx<'_>) -> Boxed<'_, Result<Reacted, Fault>> {
    Box::pin(async move {
        told().lock().unwrap().push(cx.params.clone());
        Ok(Reacted::Done(Value::Null))
    })
}

fn told() -> &'static std::sync::Mutex<Vec<Value>> {
    static TOLD: OnceLock<std::sync::Mutex<Vec<Value>>> = OnceLock::new();
    TOLD.get_or_init(Default::default)
}

static ITEMS: FeedSpec = FeedSpec {
    name: "items",
    kind: FeedKind::Polled {
        floor: Duration::from_secs(1),
        default: Duration::from_secs(10),
        cadence: Cadence::Interval,
        poll,
    },
};
static CHANGES: FeedSpec = FeedSpec { name: "changes", kind: FeedKind::Native };

const NEW: ActionSpec = ActionSpec {
    name: "new",
    title: "New",
    description: "For tests.",
    params: || json!({"type": "object", "additionalProperties": true}),
    sample_params: "{}",
    sample_event: "{}",
    scopes: &[],
    about: About::NONE,
    feed: &ITEMS,
    feed_params: |data| json!({ "api": data["api"] }),
    select: |_, _, _| Verdict::Take,
    view: None,
    check: |_| Vec::new(),
};
static NEW_ITEM: ActionSpec = NEW;
static CHANGED: ActionSpec = ActionSpec { name: "changed", feed: &CHANGES, feed_params: |_| json!({}), ..NEW };

const SEND: ReactionSpec = ReactionSpec {
    name: "send",
    title: "Send",
    description: "For tests.",
    params: || json!({"type": "object", "additionalProperties": true}),
    sample_params: "{}",
    sample_output: "{}",
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::AtLeastOnce,
    check: |_| Vec::new(),
    react,
};
static SEND_IT: ReactionSpec = SEND;
static TELL: ReactionSpec = ReactionSpec { name: "tell", react: tell, ..SEND };

static BOX: Service = Service {
    name: "box",
    title: "Box",
    description: "For tests.",
    provider: Some("acme"),
    options: &[],
    actions: &[&NEW_ITEM],
    reactions: &[&SEND_IT],
};
static ACCOUNT: Service = Service { name: "account", provider: None, actions: &[&CHANGED], reactions: &[&TELL], ..BOX };
static SERVICES: Services = &[&BOX, &ACCOUNT];

struct Stage {
    w: World,
    engine: Arc<Engine>,
}

impl Stage {
    async fn on(t: TestDb) -> Self {
        let w = World::on(t, VaultConfig::default()).await;
        let (parts, wakes) = {
            let at = |path: &str| Some(format!("{}/{path}", w.provider.uri()));
            let acme = ProviderConfig {
                authorize_url: at("authorize"),
                token_url: at("token"),
                client_id: Some("area".to_owned()),
                client_secret: Some(Secret::new("s")),
                ..ProviderConfig::default()
            };
            let parts = node::Parts {
                db: w.t.db.clone(),
                services: SERVICES,
                clock: w.clock.clone(),
                ring: w.ring.clone(),
                http: Http::new(NetConfig::default()).unwrap(),
                limits: engine::limits::Limits { scan: Duration::from_millis(200), ..Default::default() },
                providers: vec![Provider::new("acme", &acme).unwrap()],
                vault: VaultConfig::default(),
                name: "engine".into(),
                url: None,
                lease: Duration::from_secs(20),
            };
            w.leases.leave().await.unwrap();
            Engine::new(parts).await.unwrap()
        };
        parts.run(wakes);
        Self { w, engine: parts }
    }

    async fn create(&self, document: Value) -> engine::ids::AreaId {
        let changed = self.engine.desk().create(self.w.user, &document, false).await.unwrap();
        self.engine.changed(&changed).await;
        changed.area.id
    }

    /// An AREA on the items, whose step asks `path`.
    async fn area(&self, account: AccountId, path: &str) -> engine::ids::AreaId {
        let api = self.w.provider.uri();
        self.create(json!({
            "name": path,
            "action": {"service": "box", "name": "new", "data": {"api": api}, "account": account, "every": "1s"},
            "reactions": [{"service": "box", "name": "send", "data": {"api": api, "path": path}, "account": account}],
        }))
        .await
    }

    async fn state(&self, area: engine::ids::AreaId) -> (AreaState, Option<String>) {
        let row = self.engine.desk().get(self.w.user, area).await.unwrap();
        (row.state, row.reason)
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while !holds().await {
            assert!(tokio::time::Instant::now() < deadline, "{}: in vain: {what}", self.w.t.label);
            self.w.clock.set(self.w.clock.micros() + SECOND / 4);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The API takes this token alone.
    async fn takes(&self, token: &str, items: Value, send: u16) {
        let sent = format!("Bearer {token}");
        for (at, answer) in [("/items", ok(items)), ("/send", ResponseTemplate::new(send).set_body_json(1))] {
            let with = Mock::given(path(at)).and(wiremock::matchers::header("authorization", sent.as_str()));
            with.respond_with(answer).with_priority(1).mount(&self.w.provider).await;
            Mock::given(path(at))
                .respond_with(ResponseTemplate::new(401))
                .with_priority(9)
                .mount(&self.w.provider)
                .await;
        }
    }

    async fn sent(&self) -> usize {
        let all = self.w.provider.received_requests().await.unwrap();
        all.iter().filter(|r| r.url.path() == "/send" && r.headers.get("authorization").is_some()).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_reactions_use_the_accounts_token_and_a_401_costs_one_refresh() {
    for t in databases().await {
        let stage = Stage::on(t).await;
        let id = stage.w.linked("a0", Some("r0"), None).await;
        stage.w.answers("r0", tokens("a1", "r1")).await;
        stage.takes("a1", json!([1]), 200).await;
        let area = stage.area(id, "send").await;
        stage
            .until("joined", async || stage.engine.desk().get(stage.w.user, area).await.unwrap().joined_at.is_some())
            .await;
        stage.w.provider.reset().await;
        stage.takes("a1", json!([1, 2]), 200).await;
        stage.until("sent", async || stage.sent().await == 1).await;
        assert_eq!((stage.state(area).await.0, stage.w.row(id).await.version), (AreaState::Active, 1));
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_account_pauses_every_area_that_names_it_and_its_owner_hears_once() {
    for t in databases().await {
        let stage = Stage::on(t).await;
        let id = stage.w.linked("a0", Some("r0"), None).await;
        let api = stage.w.provider.uri();
        stage
            .create(json!({
                "name": "told",
                "action": {"service": "account", "name": "changed", "data": {}},
                "reactions": [{"service": "account", "name": "tell", "data": {"api": api, "what": "{{ event }}"}}],
            }))
            .await;
        stage.takes("a0", json!([]), 200).await;
        let (one, two) = (stage.area(id, "send").await, stage.area(id, "elsewhere").await);
        stage
            .until("joined", async || stage.engine.desk().get(stage.w.user, two).await.unwrap().joined_at.is_some())
            .await;
        stage.w.provider.reset().await;
        stage.takes("nothing", json!([]), 200).await;
        stage.w.answers("r0", refusal(400, "invalid_grant")).await;
        for area in [one, two] {
            stage.until("paused", async || stage.state(area).await.0 == AreaState::Faulted).await;
            assert!(stage.state(area).await.1.unwrap().contains("invalid_grant"), "{}", stage.w.t.label);
        }
        let mine = || {
            let all = told().lock().unwrap().clone();
            // The address alone may be that of the other database's provider, which has ended.
            all.into_iter()
                .filter(|said| said["api"] == api && said["what"]["account"]["id"] == json!(id))
                .collect::<Vec<_>>()
        };
        stage.until("told", async || !mine().is_empty()).await;
        let passed = stage.w.clock.micros();
        stage.until("some time", async || stage.w.clock.micros() > passed + 60 * SECOND).await;
        assert_eq!(mine().len(), 1, "{}: {:?}", stage.w.t.label, mine());
        assert_eq!(mine()[0]["what"]["kind"], "needs_reconnect");
        // Resumed without being linked again, it pauses again with the same reason.
        let changed = stage.engine.desk().resume(stage.w.user, one, None).await.unwrap();
        stage.engine.changed(&changed).await;
        stage.until("paused again", async || stage.state(one).await.0 == AreaState::Faulted).await;
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_lacks_a_scope_asks_for_a_reconnect_and_a_foreign_account_is_refused_at_save() {
    for t in databases().await {
        let stage = Stage::on(t).await;
        let id = stage.w.linked("a0", Some("r0"), None).await;
        stage.takes("a0", json!([]), 403).await;
        let area = stage.area(id, "send").await;
        stage
            .until("joined", async || stage.engine.desk().get(stage.w.user, area).await.unwrap().joined_at.is_some())
            .await;
        stage.w.provider.reset().await;
        stage.takes("a0", json!([1]), 403).await;
        stage.until("paused", async || stage.state(area).await.0 == AreaState::Faulted).await;
        assert_eq!(stage.w.row(id).await.reason.as_deref(), Some("the scope `send` is missing"));
        let foreign = AccountId::new();
        let bob = NewUser { email: "bob@example.org", ..NewUser::default() };
        let bob = people::create(&stage.w.t.db, &bob, start()).await.unwrap().id;
        on_write!(&stage.w.t.db, pool => {
            let link = sqlx::query(LINK).bind(foreign).bind("b").bind(bob).bind("b0").bind(None::<String>);
            link.bind(None::<i64>).execute(pool).await.map(drop)
        })
        .unwrap();
        for wrong in [foreign, AccountId::new()] {
            let document = json!({"name": "a", "action": {"service": "box", "name": "new", "data": {}, "account": wrong},
                "reactions": [{"service": "account", "name": "tell", "data": {}}]});
            let refused = stage.engine.desk().create(stage.w.user, &document, false).await;
            assert!(matches!(refused, Err(AreaError::Invalid(why)) if why[0].pointer == "/action/account"));
        }
        stage.engine.stop(Duration::from_secs(5)).await;
    }
}
