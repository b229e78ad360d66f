//! What it costs to know who asks: sessions checked, against a bare look at one row by its key; and a sign-in, against a bare
//! argon2id by the same parameters. No HTTP: the checks themselves.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use api::identity::address::Address;
use api::identity::password::Passwords;
use api::identity::{Identity, Origin};
use api::settings::Settings;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use engine::clock::Clock;
use engine::on;
use engine::store::Db;
use engine::store::people::{self, NewUser};
use tokio::time::Instant;

use crate::daemon::Install;
use crate::table::{Aim, Table};
use crate::{Kit, REPEATS, median};

const CHECKS: usize = 20_000;
const SIGN_INS: usize = 20;
const EMAIL: &str = "ann@example.org";
const PASSWORD: &str = "plums in the icebox";
const BARE: &str = "SELECT id FROM next_auth_sessions WHERE \"sessionToken\" = $1";

pub fn run(kit: &mut Kit, table: &mut Table) {
    for install in kit.installs() {
        for at_once in [1, 16] {
            let (checked, bare) = kit.runtime.block_on(sessions(&install, at_once));
            let what = format!("sessions checked, {at_once} at once, {}", install.label);
            table.ratio(&what, "/s", median(checked), median(bare), Aim::AtLeast(0.5));
        }
        let (signed, bare) = kit.runtime.block_on(sign_ins(&install));
        table.ratio(&format!("sign-in, {}", install.label), "ms", median(signed), median(bare), Aim::AtMost(1.2));
    }
}

async fn sessions(install: &Install, at_once: usize) -> (Vec<f64>, Vec<f64>) {
    let (identity, db) = set(install).await;
    let (_, opened) = identity.sign_in(EMAIL, PASSWORD, &origin()).await.unwrap();
    let token: Arc<str> = opened.token.expose().into();
    let (mut checked, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        checked.push(
            per_second(at_once, async || {
                let mut headers = HeaderMap::new();
                headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
                assert!(identity.caller(&headers, &origin()).await.unwrap().is_some());
            })
            .await,
        );
        bare.push(
            per_second(at_once, async || {
                let found: Option<uuid::Uuid> =
                    on!(&db, pool => sqlx::query_scalar(BARE).bind("nobody").fetch_optional(pool).await).unwrap();
                assert!(found.is_none());
            })
            .await,
        );
    }
    db.close().await;
    (checked, bare)
}

async fn per_second(at_once: usize, one: impl AsyncFn()) -> f64 {
    let began = Instant::now();
    let all = (0..at_once).map(async |_| {
        for _ in 0..CHECKS / at_once {
            one().await;
        }
    });
    futures::future::join_all(all).await;
    CHECKS as f64 / began.elapsed().as_secs_f64()
}

async fn sign_ins(install: &Install) -> (Vec<f64>, Vec<f64>) {
    let (identity, db) = set(install).await;
    let passwords = Passwords::new(&Settings::default().passwords);
    let (mut signed, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let began = Instant::now();
        for _ in 0..SIGN_INS {
            identity.sign_in(EMAIL, PASSWORD, &origin()).await.unwrap();
        }
        signed.push(began.elapsed().as_secs_f64() * 1_000.0 / SIGN_INS as f64);
        let began = Instant::now();
        for _ in 0..SIGN_INS {
            passwords.hash(PASSWORD).await.unwrap();
        }
        bare.push(began.elapsed().as_secs_f64() * 1_000.0 / SIGN_INS as f64);
    }
    db.close().await;
    (signed, bare)
}

/// An identity without limits, and somebody with a password.
async fn set(install: &Install) -> (Identity, Db) {
    let (db, clock) = (install.db().await, Clock::system());
    let mut settings = Settings::default();
    settings.throttle.sign_in_per_address = 0;
    settings.throttle.sign_in_per_user = 0;
    let hash = Passwords::new(&settings.passwords).hash(PASSWORD).await.unwrap();
    let new = NewUser { email: EMAIL, password: Some(&hash), ..NewUser::default() };
    // The second scene finds them there.
    let _ = people::create(&db, &new, clock.now()).await;
    (Identity::new(db.clone(), clock, settings).unwrap(), db)
}

fn origin() -> Origin {
    Origin { address: Address(IpAddr::V4(Ipv4Addr::LOCALHOST)), agent: "bench".to_owned() }
}
