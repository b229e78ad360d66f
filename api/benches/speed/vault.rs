//! Tokens: how long one from memory takes, and what it costs to keep those of 100,000 accounts alive, each good for an hour. A part of
//! them is due at once, and every account is needed by an active AREA; the CPU of a refresh times the refreshes that 100,000 accounts
//! need in a second is the daemon's part of a core.

use std::time::Duration;

use engine::clock::Clock;
use engine::ids::{AccountId, UserId};
use engine::in_tx;
use engine::net::{Http, NetConfig};
use engine::partition;
use engine::store::Db;
use engine::vault::{Parts, Vault, VaultConfig};
use serde_json::json;
use tokio::time::Instant;

use crate::daemon::Install;
use crate::table::Table;
use crate::{Kit, REPEATS, machine, median, seed};

const ACCOUNTS: i64 = 100_000;
/// Of them, due at the start.
const DUE: i64 = 4_000;
/// Tokens taken from memory in one repetition.
const TAKEN: u32 = 1_000_000;
/// How often an hour's token is refreshed: at four fifths of its life.
const A_SECOND: f64 = ACCOUNTS as f64 / (3_600.0 * 0.8);
const PATIENCE: Duration = Duration::from_secs(120);
const SECOND: i64 = 1_000_000;

const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    refresh_token, expires_at) VALUES ($1, 'oauth', 'spotify', $2, $3, 'plain', 'plain', $4)";
const KNOW: &str = "INSERT INTO account_state (account_id, provider, part, refresh_at) VALUES ($1, 'spotify', $2, $3)";
const NEED: &str = "INSERT INTO area_accounts (area_no, account_id) SELECT MIN(no), $1 FROM areas";
const OWNER: &str = "SELECT id FROM users WHERE email = 'bench@example.org'";

pub fn run(kit: &mut Kit, table: &mut Table) {
    for install in kit.installs() {
        let area = json!({
            "name": "Bench",
            "action": {"service": "timer", "name": "every", "data": {"every": "1d"}},
            "reactions": [{"service": "log", "name": "write", "data": {"text": "x"}}]
        });
        kit.runtime.block_on(seed::fill(&install, &area, 1, 1));
        let account = kit.runtime.block_on(link(&install));
        let nanos = median((0..REPEATS).map(|_| kit.runtime.block_on(from_memory(&install, account))).collect());
        table.figure(&format!("{}: a token from memory", install.label), "µs", nanos / 1000.0, "< 2");
        refreshed(kit, table, &install);
    }
}

/// 100,000 accounts, of which some are due.
async fn link(install: &Install) -> AccountId {
    let (db, now) = (install.db().await, Clock::system().micros());
    let owner: UserId = engine::on!(&db, pool => sqlx::query_scalar(OWNER).fetch_one(pool).await).unwrap();
    let mut last = AccountId::new();
    for batch in 0..ACCOUNTS / 1_000 {
        last = linked(&db, owner, batch * 1_000..(batch + 1) * 1_000, now).await.unwrap();
    }
    db.close().await;
    last
}

async fn linked(db: &Db, owner: UserId, numbers: std::ops::Range<i64>, now: i64) -> sqlx::Result<AccountId> {
    in_tx!(db, tx => {
        let mut id = AccountId::new();
        for number in numbers {
            id = AccountId::new();
            let expires = now / SECOND + 3_600;
            let link = sqlx::query(LINK).bind(id).bind(number.to_string()).bind(owner).bind(expires);
            link.execute(&mut *tx).await?;
            let refresh_at = if number < DUE { now } else { now + 3_000 * SECOND };
            let part = partition::of(owner, &id.to_string());
            sqlx::query(KNOW).bind(id).bind(part).bind(refresh_at).execute(&mut *tx).await?;
            sqlx::query(NEED).bind(id).execute(&mut *tx).await?;
        }
        Ok(id)
    })
}

/// Nanoseconds for one.
async fn from_memory(install: &Install, account: AccountId) -> f64 {
    let (db, ring) = (install.db().await, install.ring());
    let (http, clock) = (Http::new(NetConfig::default()).unwrap(), Clock::system());
    let parts = Parts { db, ring, http, clock, providers: Vec::new(), config: VaultConfig::default(), leases: None };
    let vault = Vault::new(parts);
    vault.access(account).await.unwrap();
    let began = Instant::now();
    for _ in 0..TAKEN {
        std::hint::black_box(vault.access(account).await.unwrap());
    }
    began.elapsed().as_nanos() as f64 / f64::from(TAKEN)
}

fn refreshed(kit: &Kit, table: &mut Table, install: &Install) {
    let token = format!("http://127.0.0.1:{}/token", kit.peer.lists);
    let daemon = install.start_with(&[
        ("AREA_SAMPLES__LOAD", "false"),
        ("AREA_LOG__FILTER", "warn"),
        ("AREA_PROVIDERS__SPOTIFY__TOKEN_URL", &token),
        ("AREA_PROVIDERS__SPOTIFY__CLIENT_ID", "area"),
        ("AREA_PROVIDERS__SPOTIFY__CLIENT_SECRET", "secret"),
    ]);
    let done = || daemon.metric("area_refreshes_total{provider=\"spotify\",outcome=\"refreshed\"}").unwrap_or(0.0);
    let (began, cpu) = (Instant::now(), machine::cpu(daemon.pid()));
    while done() < DUE as f64 {
        assert!(began.elapsed() < PATIENCE, "only {} of {DUE} were refreshed", done());
        kit.sleep(Duration::from_millis(100));
    }
    let (took, used) = (began.elapsed().as_secs_f64(), machine::cpu(daemon.pid()) - cpu);
    let what = |figure: &str| format!("{}: 100,000 accounts, {figure}", install.label);
    table.figure(&what("refreshes of what is due"), "/s", DUE as f64 / took, &format!("> {:.0}", 2.0 * A_SECOND));
    table.figure(&what("CPU to keep them alive, of a core"), "%", used / DUE as f64 * A_SECOND * 100.0, "< 10");
    table.figure(&what("resident"), "MB", machine::memory(daemon.pid()).0, "");
}
