//! One user with a thousand AREAs on one mailbox: what they cost of Gmail's quota beside a poll for each AREA, which is counted and
//! not measured; and what a thousand mails cost the daemon, each of which is for one of the AREAs. The mailbox is served here: what is
//! measured is the daemon's own CPU.

use std::process::Command;
use std::time::Duration;

use engine::clock::Clock;
use engine::ids::{AccountId, UserId};
use engine::store::people;
use engine::{on, on_write};
use serde_json::json;
use tokio::time::Instant;

use crate::daemon::{Daemon, Install};
use crate::gmail::{Gmail, SUBJECTS};
use crate::table::{Aim, Table};
use crate::{Kit, machine};

const AREAS: usize = SUBJECTS;
const MAILS: usize = 1_000;
/// Between two polls, in seconds: the floor of the action.
const EVERY: usize = 15;
/// Of `history.list`, by Google's table.
const UNITS: usize = 2;
const WATCHED: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(300);
const EMAIL: &str = "ann@example.org";

const LINK: &str =
    "INSERT INTO next_auth_accounts (id, type, provider, \"providerAccountId\", \"userId\", access_token,
    expires_at, scope) VALUES ($1, 'oauth', 'google', 'ann', $2, 'plain', $3, 'https://www.googleapis.com/auth/gmail.readonly')";
const DONE: &str = "SELECT COUNT(*) FROM runs WHERE state = 'done'";

pub fn run(kit: &mut Kit, table: &mut Table) {
    let gmail = kit.runtime.block_on(Gmail::start());
    for install in kit.installs() {
        gmail.holds(0);
        let token = token(&install);
        let account = kit.runtime.block_on(link(&install));
        let daemon = install.start_with(&[
            ("AREA_SAMPLES__LOAD", "false"),
            ("AREA_LOG__FILTER", "error"),
            ("AREA_PROVIDERS__GOOGLE__APIS__GMAIL", &gmail.url),
            ("AREA_PROVIDERS__GOOGLE__CLIENT_ID", "area"),
            ("AREA_PROVIDERS__GOOGLE__CLIENT_SECRET", "secret"),
            // What a mail costs is asked here, not how many a minute Google allows.
            ("AREA_PROVIDERS__GOOGLE__ACCOUNT_QUOTA__GMAIL", "100000000/1m"),
            ("AREA_PROVIDERS__GOOGLE__APP_QUOTA__GMAIL", "100000000/1m"),
        ]);
        kit.runtime.block_on(make(&daemon, &token, account));
        let what = |figure: &str| format!("{}: {AREAS} AREAs on one mailbox, {figure}", install.label);
        kit.sleep(Duration::from_secs(2 * EVERY as u64));
        let began = units(&gmail);
        kit.sleep(WATCHED);
        let an_hour = (units(&gmail) - began) * 3_600.0 / WATCHED.as_secs_f64();
        let apart = (AREAS * UNITS * 3_600 / EVERY) as f64;
        table.ratio(&what("quota"), "units/h", an_hour, apart, Aim::AtMost(0.01));
        let (cpu, took) = kit.runtime.block_on(arrived(&install, &daemon, &gmail));
        table.figure(&what("CPU of 1,000 mails"), "s", cpu, "");
        table.figure(&what("1,000 mails reacted to after"), "s", took, "");
    }
}

/// What the mailbox counted so far.
fn units(gmail: &Gmail) -> f64 {
    gmail.spent().into_iter().map(|(_, units)| f64::from(units)).sum()
}

/// A token of the user, by the command line.
fn token(install: &Install) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_area"));
    command.args(["token", "create", "--email", EMAIL]).current_dir(install.folder.path()).env_clear();
    let ran = command.env("AREA_DATABASE_URL", &install.url).output().unwrap();
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

async fn link(install: &Install) -> AccountId {
    let (db, id) = (install.db().await, AccountId::new());
    let user: UserId = people::by_email(&db, EMAIL).await.unwrap().unwrap().id;
    let expires = Clock::system().now().timestamp() + 36_000;
    on_write!(&db, pool => sqlx::query(LINK).bind(id).bind(user).bind(expires).execute(pool).await.map(drop)).unwrap();
    db.close().await;
    id
}

/// The AREAs, each for the mails with its word in the subject.
async fn make(daemon: &Daemon, token: &str, account: AccountId) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0..AREAS {
        let area = json!({
            "name": format!("Mail {number}"),
            "action": {"service": "google", "name": "new_mail", "account": account, "every": format!("{EVERY}s"),
                "data": {"query": format!("subject:nr{number}x")}},
            "reactions": [{"service": "log", "name": "write", "data": {"text": "{{ event.subject }}"}}],
        });
        let request = http.post(format!("http://127.0.0.1:{}/v1/areas", daemon.port)).bearer_auth(token).json(&area);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }
}

/// The mails come in at once: the daemon's CPU until all of them are reacted to, and how long that took, in seconds.
async fn arrived(install: &Install, daemon: &Daemon, gmail: &Gmail) -> (f64, f64) {
    let db = install.db().await;
    let (cpu, began) = (machine::cpu(daemon.pid()), Instant::now());
    gmail.holds(MAILS);
    loop {
        let (done,): (i64,) = on!(&db, pool => sqlx::query_as(DONE).fetch_one(pool).await).unwrap();
        if done >= MAILS as i64 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "only {done} of {MAILS} mails were reacted to");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    db.close().await;
    (machine::cpu(daemon.pid()) - cpu, began.elapsed().as_secs_f64())
}
