//! A real PostgreSQL from `initdb` in a temporary folder, on a random port of 127.0.0.1 and no socket file. [`url`] shares one
//! server among the tests of a process; a test that restarts or breaks its server starts its own [`Server`].
//!
//! A shell keeps the server: it takes orders on its standard input, and the end of that input (the test process ended,
//! panicked or was killed) makes it stop the server and remove the folder. `initdb` refuses root, so as root everything runs
//! as the user `postgres`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use uuid::Uuid;

/// A free port may be taken by another process before the server binds it: so many others are tried.
const PORTS_TRIED: u32 = 5;
/// Where Debian keeps the servers that are not in the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Settings of every test server.
const COMMON: &str = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400 \
     -c shared_buffers=64MB -c max_wal_size=256MB";
/// Without these a machine that loses power loses data; a test process that dies does not.
const FAST: &str = "-c fsync=off -c full_page_writes=off";

/// `$1`: the folder, `$2`: `pg_ctl`, `$3`: the server's options. Orders come as lines, each answered by one.
const KEEPER: &str = r#"
folder=$1 ctl=$2 options=$3
while read -r order port; do
  case $order in
    start) "$ctl" -D "$folder/data" -l "$folder/log" -o "$options -p $port" -t 60 -w start ;;
    *) "$ctl" -D "$folder/data" -m "$order" -t 60 -w stop ;;
  esac >/dev/null 2>&1 && echo done || echo failed
done
"$ctl" -D "$folder/data" -m immediate -t 60 -w stop >/dev/null 2>&1
rm -rf "$folder"
"#;

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Sync to disk as a real server does. Slower; for benchmarks and crash tests.
    pub durable: bool,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Connections are cut, everything is written.
    Fast,
    /// As in a crash: recovery runs at the next start.
    Immediate,
}

/// A server of its own. Dropped: stopped, and its folder removed.
#[derive(Debug)]
pub struct Server {
    keeper: Mutex<Keeper>,
    password: String,
    port: u16,
    folder: PathBuf,
}

#[derive(Debug)]
struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Makes and starts a server; blocks for about two seconds. The error is a sentence.
    pub fn start(options: Options) -> Result<Self, String> {
        let bin =
            binaries().ok_or("PostgreSQL is not installed (no `initdb` in the PATH or in /usr/lib/postgresql)")?;
        let folder = tempfile::Builder::new().prefix("area-postgres-").tempdir().map_err(|e| e.to_string())?;
        let root = folder.path().metadata().map_err(|e| e.to_string())?.uid() == 0;
        let password = Uuid::new_v4().simple().to_string();
        initdb(&bin, folder.path(), &password, root)?;
        let settings = if options.durable { COMMON.to_owned() } else { format!("{COMMON} {FAST}") };
        let keeper = Keeper::spawn(&bin.join("pg_ctl"), &folder.keep(), &settings, root)?;
        let (mut keeper, folder) = keeper;
        let port = keeper.start_somewhere().ok_or_else(|| log_of(&folder))?;
        Ok(Self { keeper: Mutex::new(keeper), password, port, folder })
    }

    /// The URL of `database` on this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The port it listens on: the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its data and log are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stops it; blocks until it has ended.
    pub fn stop(&self, how: Stop) {
        let order = if how == Stop::Fast { "fast" } else { "immediate" };
        assert!(self.keeper().order(order), "PostgreSQL did not stop\n{}", log_of(&self.folder));
    }

    /// Starts it again on the same port; blocks until it answers.
    pub fn start_again(&self) {
        assert!(self.keeper().order(&format!("start {}", self.port)), "{}", log_of(&self.folder));
    }

    /// Makes an empty database and hands out its URL.
    pub async fn create_database(&self) -> Result<String, sqlx::Error> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut admin = PgConnection::connect_with(&PgConnectOptions::from_str(&self.url("postgres"))?).await?;
        let forgotten = std::mem::take(&mut *FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner));
        for old in forgotten {
            admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {old} WITH (FORCE)"))).await?;
        }
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        admin.close().await?;
        Ok(self.url(&name))
    }

    fn keeper(&self) -> std::sync::MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut keeper = self.keeper();
        keeper.orders = None;
        let _ = keeper.child.wait();
    }
}

impl Keeper {
    /// Starts the shell; from here on it removes the folder.
    fn spawn(ctl: &Path, folder: &Path, settings: &str, root: bool) -> Result<(Self, PathBuf), String> {
        let mut child = as_postgres("sh", root)
            .args(["-c", KEEPER, "keeper"])
            .args([folder, ctl])
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("PostgreSQL's keeper does not start: {e}"))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Ok((Self { child, orders, answers }, folder.to_owned()))
    }

    /// Gives an order; true when it was carried out.
    fn order(&mut self, order: &str) -> bool {
        let Some(orders) = &mut self.orders else { return false };
        let mut answer = String::new();
        writeln!(orders, "{order}").is_ok()
            && orders.flush().is_ok()
            && self.answers.read_line(&mut answer).is_ok()
            && answer == "done\n"
    }

    fn start_somewhere(&mut self) -> Option<u16> {
        (0..PORTS_TRIED).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            self.order(&format!("start {port}")).then_some(port)
        })
    }
}

/// A fresh empty database on the server that this process's tests share, started by the first call. `None` where PostgreSQL is
/// not installed (or a failure, see [`super::REQUIRE_ALL`]).
pub async fn url() -> Option<String> {
    static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
    let shared = tokio::task::spawn_blocking(|| SHARED.get_or_init(|| Server::start(Options::default()))).await;
    match shared.expect("starting PostgreSQL does not panic") {
        Ok(server) => Some(server.create_database().await.expect("CREATE DATABASE")),
        Err(why) => {
            super::skip(why);
            None
        }
    }
}

/// Names of databases whose test has ended: dropped with the next that is made.
static FORGOTTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(super) fn forget(url: &str) {
    let name = url.rsplit('/').next().unwrap_or_default().to_owned();
    FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner).push(name);
}

fn initdb(bin: &Path, folder: &Path, password: &str, root: bool) -> Result<(), String> {
    let secret = folder.join("password");
    std::fs::write(&secret, password).map_err(|e| e.to_string())?;
    if root {
        let chown = Command::new("chown").args(["-R", "postgres:"]).arg(folder).output();
        said(chown, "chown to the user `postgres`")?;
    }
    let made = as_postgres(bin.join("initdb"), root)
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-U", "postgres", "-A", "password", "-E", "UTF8", "--locale=C", "--no-sync", "--pwfile"])
        .arg(&secret)
        .output();
    said(made, "initdb")
}

fn said(output: std::io::Result<std::process::Output>, what: &str) -> Result<(), String> {
    match output {
        Ok(o) if o.status.success() => Ok(()),
        Ok(o) => Err(format!("{what} failed: {}", String::from_utf8_lossy(&o.stderr).trim())),
        Err(e) => Err(format!("{what} does not start: {e}")),
    }
}

fn as_postgres(program: impl AsRef<std::ffi::OsStr>, root: bool) -> Command {
    let mut command = if root { Command::new("runuser") } else { Command::new(&program) };
    if root {
        command.args(["-u", "postgres", "--"]).arg(program);
    }
    command.current_dir("/");
    command
}

/// The folder of `initdb`, `pg_ctl` and `postgres`: the newest of Debian's, else the PATH's.
fn binaries() -> Option<PathBuf> {
    let complete = |bin: &PathBuf| bin.join("initdb").is_file() && bin.join("pg_ctl").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let version = |d: &std::fs::DirEntry| d.file_name().to_string_lossy().parse::<u32>().unwrap_or(0);
    let newest = debian.filter(|d| complete(&d.path().join("bin"))).max_by_key(version);
    newest.map(|d| d.path().join("bin")).or_else(|| std::env::split_paths(&path).find(complete))
}

fn log_of(folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    format!("PostgreSQL does not start:\n{log}")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    const CHILD: &str = "AREA_TESTKIT_CHILD";

    async fn gone(path: &Path, port: u16) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while path.exists() || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(tokio::time::Instant::now() < deadline, "{} or port {port} is still there", path.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn own_server(durable: bool) -> Option<Server> {
        Server::start(Options { durable }).map_err(|why| crate::testkit::skip(&why)).ok()
    }

    #[tokio::test]
    async fn a_durable_server_survives_an_immediate_stop_with_what_was_committed() {
        let Some(server) = own_server(true) else { return };
        let url = server.create_database().await.unwrap();
        let mut c = PgConnection::connect(&url).await.unwrap();
        c.execute("CREATE TABLE t (x BIGINT)").await.unwrap();
        c.execute("INSERT INTO t VALUES (7)").await.unwrap();
        server.stop(Stop::Immediate);
        assert!(c.execute("SELECT 1").await.is_err());
        server.start_again();
        let mut c = PgConnection::connect(&url).await.unwrap();
        let x: i64 = sqlx::query_scalar("SELECT x FROM t").fetch_one(&mut c).await.unwrap();
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut c).await.unwrap();
        assert_eq!((x, fsync.as_str()), (7, "on"));
        let (folder, port) = (server.folder().to_owned(), server.port());
        drop(server);
        gone(&folder, port).await;
    }

    /// The part of the next test that runs in the process that is killed.
    fn serve_until_killed() {
        let server = own_server(false).unwrap();
        println!("\n{} {}", server.port(), server.folder().display());
        let _ = std::io::stdin().read(&mut [0]);
    }

    #[tokio::test]
    async fn a_server_ends_with_the_process_that_started_it_even_when_that_is_killed() {
        if binaries().is_none() {
            return crate::testkit::skip("PostgreSQL is not installed");
        }
        if std::env::var_os(CHILD).is_some() {
            return serve_until_killed();
        }
        let me = std::thread::current();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", me.name().unwrap(), "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|l| l.contains("area-postgres-")).unwrap();
        let (port, folder) = line.split_once(' ').unwrap();
        let (port, folder) = (port.parse().unwrap(), PathBuf::from(folder));
        assert!(folder.is_dir() && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        child.kill().unwrap();
        child.wait().unwrap();
        gone(&folder, port).await;
    }
}
