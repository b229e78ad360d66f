//! A node of its own: the test binary, started again. It takes orders on its standard input, a line each, and answers with a line.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::clock::Clock;
use engine::fault::Fault;
use engine::ids::AccountId;
use engine::lease::Leases;
use engine::net::{Http, NetConfig};
use engine::store::{Db, DbConfig};
use engine::vault::{KeyRing, Parts, Vault, VaultConfig};

use super::World;
use crate::peers;

/// Where a node finds its database; that it is set makes a test such a node.
const DATABASE: &str = "AREA_TEST_VAULT_DATABASE";
const PROVIDER: &str = "AREA_TEST_VAULT_PROVIDER";
const KEYS: &str = "AREA_TEST_VAULT_KEYS";
const NAME: &str = "AREA_TEST_VAULT_NAME";
/// What an answer begins with: the test harness prints too.
const ANSWER: &str = "answer ";
/// For how long a node counts as alive without a sign, in seconds; not set, [`LEASE`].
const LEASE_S: &str = "AREA_TEST_VAULT_LEASE_S";
/// Short, so that the claim of a killed node is soon free.
pub const LEASE: Duration = Duration::from_secs(2);
/// For nodes that nobody kills: none of them is taken for dead because the machine is busy.
pub const PATIENT: (&str, &str) = (LEASE_S, "60");

/// Such a process. Dropped: killed.
pub struct Process {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one; with more in its environment: a crash point at which it dies, a mechanism that is taken out.
    pub fn start(world: &World, name: &str, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "vault::process::a_node", "--nocapture"]);
        command.env(DATABASE, &world.url).env(PROVIDER, world.oidc.url()).env(NAME, name);
        command.env(KEYS, world.folder.path().join("keys.json"));
        let mut child = command
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, orders, answers };
        assert_eq!(process.answer().as_deref(), Some("ready"));
        process
    }

    /// Kills it, as `kill -9` does.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `tasks` of it want the account's token at once.
    pub fn want(&mut self, account: AccountId, tasks: usize) {
        writeln!(self.orders, "{account} {tasks}").unwrap();
        self.orders.flush().unwrap();
    }

    /// What they got, the same for all: `token …`, `later …`, `reconnect …`. `None`: it died.
    pub fn answer(&mut self) -> Option<String> {
        let line = self.answers.by_ref().map_while(Result::ok).find_map(|l| l.strip_prefix(ANSWER).map(str::to_owned));
        if line.is_none() {
            self.child.wait().unwrap();
        }
        line
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test by itself: what such a process does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node() {
    let Ok(database) = std::env::var(DATABASE) else { return };
    let var = |name: &str| std::env::var(name).unwrap();
    let db = Db::open(&DbConfig { url: database, connections: 8 }).await.unwrap();
    let clock = Clock::system();
    let lease = std::env::var(LEASE_S).map_or(LEASE, |seconds| Duration::from_secs(seconds.parse().unwrap()));
    let leases = Arc::new(Leases::arrive(db.clone(), clock.clone(), var(NAME), None, lease).await.unwrap());
    let keeping = Arc::clone(&leases);
    tokio::spawn(async move {
        loop {
            let _ = keeping.round().await;
            tokio::time::sleep(keeping.beat_every()).await;
        }
    });
    let vault = Vault::new(Parts {
        db,
        ring: KeyRing::load_or_create(Path::new(&var(KEYS))).unwrap(),
        http: Http::new(NetConfig::default()).unwrap(),
        clock,
        providers: vec![peers::provider(&var(PROVIDER))],
        config: VaultConfig::default(),
        leases: Some(leases),
    });
    println!("\n{ANSWER}ready");
    let (lines, mut orders) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = lines.blocking_send(line);
        }
    });
    while let Some(order) = orders.recv().await {
        let (account, tasks) = order.split_once(' ').unwrap();
        let all = wanted(&vault, account.parse().unwrap(), tasks.parse().unwrap()).await;
        println!("{ANSWER}{all}");
    }
}

async fn wanted(vault: &Vault, account: AccountId, tasks: usize) -> String {
    vault.forget(account);
    let want = |vault: Vault| async move {
        match vault.access(account).await {
            Ok(token) => format!("token {}", token.expose()),
            Err(Fault::Reconnect { why, .. }) => format!("reconnect {why}"),
            Err(other) => format!("later {other}"),
        }
    };
    let all: Vec<_> = (0..tasks).map(|_| tokio::spawn(want(vault.clone()))).collect();
    let mut got = Vec::new();
    for one in all {
        got.push(one.await.unwrap());
    }
    // Around a refresh some may be told to come later and some get its token: then all of them ask again.
    if let Some(early) = got.iter().find(|said| said.starts_with("later ")) {
        return early.clone();
    }
    got.dedup();
    got.join(" AND ")
}
