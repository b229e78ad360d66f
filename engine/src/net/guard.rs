//! The guard on user-given URLs (SSRF). Three gates, all of them needed: the URL itself before every hop (an address written
//! out never reaches a resolver), the resolver that every connection asks, and the redirects that `Http` follows by hand.
//! What is absent: no proxy from the environment, which would resolve names out of our sight.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::address;
use super::config::MAX_URL_BYTES;

/// Ports that speak something which HTTP could be made to imitate: the "bad ports" of the Fetch standard (2.9).
const FORBIDDEN_PORTS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Reads a URL that a user gave, and refuses what no configuration could allow: another scheme than http and https, a
/// user name or password inside, a forbidden port, more than [`MAX_URL_BYTES`].
///
/// # Errors
/// One sentence that says what is wrong and what would be right.
pub fn parse_url(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("the URL has {} bytes; at most {MAX_URL_BYTES} are allowed", text.len()));
    }
    memo(text, || {
        let url =
            Url::parse(text).map_err(|e| format!("not a URL ({e}); it should look like https://example.com/path"))?;
        form(&url)?;
        Ok(url)
    })
}

/// Parsed URLs that each thread remembers: a poll's URL is mostly the one that it asked a moment ago, and to parse it again
/// costs a tenth of the whole call.
const REMEMBERED: usize = 256;

/// A URL's text, and what it was parsed to.
type Remembered = Option<(Box<str>, Url)>;

thread_local! {
    static MEMO: (RandomState, RefCell<Vec<Remembered>>) = (RandomState::new(), RefCell::default());
}

fn memo(text: &str, parse: impl FnOnce() -> Result<Url, String>) -> Result<Url, String> {
    MEMO.with(|(hasher, slots)| {
        let mut slots = slots.borrow_mut();
        slots.resize(REMEMBERED, None);
        let slot = &mut slots[hasher.hash_one(text) as usize % REMEMBERED];
        match slot {
            Some((known, url)) if **known == *text => Ok(url.clone()),
            _ => {
                let url = parse()?;
                *slot = Some((text.into(), url.clone()));
                Ok(url)
            }
        }
    })
}

/// The part of a URL template that is sure to be its whole origin: `https://example.com` of `https://example.com/{{ id }}`.
/// `None` where a template may still change the origin.
pub fn literal_origin(template: &str) -> Option<&str> {
    let end = ["{{", "{%", "{#"].iter().filter_map(|open| template.find(open)).min().unwrap_or(template.len());
    let literal = &template[..end];
    let host = literal.find("://")? + 3;
    match literal[host..].find(['/', '?', '#']) {
        Some(len) => Some(&literal[..host + len]),
        None => (end == template.len()).then_some(literal),
    }
}

/// The same, with the addresses: what is refused before a request is sent, and already when an AREA is saved.
///
/// # Errors
/// One sentence.
pub(super) fn check(url: &Url, allow: &[IpNet]) -> Result<(), String> {
    form(url)?;
    let ips: &[IpAddr] = match url.host() {
        Some(Host::Ipv4(ip)) => &[ip.into()],
        Some(Host::Ipv6(ip)) => &[ip.into()],
        Some(Host::Domain(name)) if is_localhost(name) => {
            &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        }
        _ => return Ok(()),
    };
    let mut why = None;
    for &ip in ips {
        match address::refusal(ip, allow) {
            Some(refusal) => why = Some(refusal),
            None => return Ok(()),
        }
    }
    why.map_or(Ok(()), |why| Err(forbidden(url.host_str().unwrap_or_default(), why)))
}

/// Whether the URL's host is written out as an address of the operator's allow list.
pub(super) fn is_own(url: &Url, allow: &[IpNet]) -> bool {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(name)) if is_localhost(name) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return false,
    };
    allow.iter().any(|net| net.contains(&ip))
}

fn form(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme `{}` is not allowed; use http or https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password in a URL is not allowed; put it into a header".to_owned());
    }
    match url.port_or_known_default() {
        Some(port) if !FORBIDDEN_PORTS.contains(&port) => Ok(()),
        port => Err(format!("port {} is not allowed: it does not speak HTTP", port.unwrap_or(0))),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn forbidden(host: &str, why: &str) -> String {
    format!("`{host}` is {why}, which URLs may not reach unless the operator allows it (AREA_NET__ALLOW)")
}

/// Why a name led nowhere that may be reached. A type, so that it is found again under the client's own errors.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// Every address of the name is forbidden.
    Forbidden(String),
    /// The resolver failed or knows no address.
    Unknown(String),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Forbidden(why) | Self::Unknown(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Unresolved {}

/// Asks the system's resolver and hands on only what may be reached.
#[derive(Debug)]
pub(super) struct Resolver {
    allow: Arc<[IpNet]>,
    guarded: bool,
    turns: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new(allow: Arc<[IpNet]>, guarded: bool, turns: Arc<Semaphore>) -> Self {
        Self { allow, guarded, turns }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow, guarded, turns) = (Arc::clone(&self.allow), self.guarded, Arc::clone(&self.turns));
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // The turn goes with the thread: a look-up cannot be interrupted, and giving up waiting must not free its place.
            let turn = turns.acquire_owned().await?;
            let looked_up = tokio::task::spawn_blocking(move || {
                let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
                drop(turn);
                found
            });
            let found = looked_up.await?;
            let addresses = choose(&host, found, guarded.then_some(&*allow))?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of `host` that may be reached; `allow` is `None` where nothing is guarded.
fn choose(
    host: &str,
    found: io::Result<Vec<SocketAddr>>,
    allow: Option<&[IpNet]>,
) -> Result<Vec<SocketAddr>, Unresolved> {
    let unknown = || Unresolved::Unknown(format!("no address is known for `{host}`"));
    let found = found.map_err(|_| unknown())?;
    let Some(allow) = allow else { return Ok(found) };
    let mut why = None;
    let mut open = Vec::with_capacity(found.len());
    for address in found {
        match address::refusal(address.ip(), allow) {
            None => open.push(address),
            Some(refusal) => why = Some(refusal),
        }
    }
    match why {
        Some(why) if open.is_empty() => Err(Unresolved::Forbidden(forbidden(host, why))),
        _ if open.is_empty() => Err(unknown()),
        _ => Ok(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_url(text: &str, allow: &str, want: Result<(), &str>) {
        let allow = super::super::config::parse_allow(allow).unwrap();
        let got = parse_url(text).and_then(|url| check(&url, &allow));
        match (&got, want) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) if why.contains(part) => {}
            _ => panic!("{text} with {allow:?}: {got:?}, wanted {want:?}"),
        }
    }

    #[test]
    fn public_urls_pass() {
        for url in
            ["https://example.com/a?b=c", "http://1.1.1.1:8080/", "https://[2606:4700::1111]/", "http://a.b:65535"]
        {
            check_url(url, "", Ok(()));
        }
    }

    #[test]
    fn a_loopback_address_is_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.01",
            "127.0.0.1.",
            "127%2e0%2e0%2e1",
            "１２７.0.0.1",
            "①②⑦.0.0.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
        ] {
            check_url(&format!("http://{host}/"), "", Err("a loopback address"));
            check_url(&format!("https://{host}:8443/x"), "", Err("a loopback address"));
        }
        check_url("http://[::127.0.0.1]/", "", Err("an IPv4-compatible address"));
        check_url("http://0/", "", Err("an address of this network"));
        check_url("http://169.254.169.254/latest/meta-data", "", Err("metadata"));
    }

    #[test]
    fn the_operator_may_allow_an_address() {
        for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
            check_url(&format!("http://{host}:9999/"), "127.0.0.1/32", Ok(()));
        }
        check_url("http://localhost/", "::1", Ok(()));
        check_url("http://[::1]/", "127.0.0.1/32", Err("a loopback address"));
        check_url("http://127.0.0.2/", "127.0.0.1/32", Err("a loopback address"));
    }

    #[test]
    fn what_no_configuration_could_allow_is_refused() {
        let everything = "0.0.0.0/0,::/0";
        check_url("ftp://example.com/", everything, Err("scheme `ftp`"));
        check_url("file:///etc/passwd", everything, Err("scheme `file`"));
        check_url("javascript:alert(1)", everything, Err("scheme `javascript`"));
        check_url("http://u:p@example.com/", everything, Err("user name or password"));
        check_url("http://u@example.com/", everything, Err("user name or password"));
        check_url("http://example.com:22/", everything, Err("port 22"));
        check_url("http://127.0.0.1:25/", everything, Err("port 25"));
        check_url("http://example.com:0/", everything, Err("port 0"));
        check_url("/relative", everything, Err("not a URL"));
        check_url("http://", everything, Err("not a URL"));
        check_url("http://1.2.3.4.5/", everything, Err("not a URL"));
        check_url(&format!("http://example.com/{}", "a".repeat(MAX_URL_BYTES)), everything, Err("bytes"));
    }

    #[test]
    fn what_is_remembered_is_what_was_parsed() {
        for round in 0..3 {
            for n in 0..REMEMBERED * 3 {
                let text = format!("http://h{n}.example/{n}?q={n}");
                assert_eq!(parse_url(&text).unwrap().as_str(), text, "{round}");
            }
            assert!(parse_url("http://u:p@a.example/").is_err() && parse_url("no url").is_err());
        }
    }

    #[test]
    fn a_name_keeps_only_the_addresses_that_may_be_reached() {
        let found = |ips: &[&str]| Ok(ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect());
        let ips = |got: Vec<SocketAddr>| got.iter().map(|a| a.ip().to_string()).collect::<Vec<_>>();
        let mixed = choose("a.example", found(&["127.0.0.1", "1.1.1.1", "fd00::1"]), Some(&[])).unwrap();
        assert_eq!(ips(mixed), ["1.1.1.1"]);
        let inside = choose("a.example", found(&["10.0.0.1"]), Some(&[]));
        assert!(matches!(inside, Err(Unresolved::Forbidden(why)) if why.contains("`a.example` is a private address")));
        assert!(matches!(choose("a.example", found(&[]), Some(&[])), Err(Unresolved::Unknown(_))));
        assert_eq!(ips(choose("a.example", found(&["10.0.0.1"]), None).unwrap()), ["10.0.0.1"]);
    }

    #[tokio::test]
    async fn the_resolver_hands_on_nothing_that_leads_inside() {
        let resolve = |allow: &str, guarded| {
            let allow: Arc<[IpNet]> = super::super::config::parse_allow(allow).unwrap().into();
            Resolver::new(allow, guarded, Arc::new(Semaphore::new(1))).resolve("localhost".parse().unwrap())
        };
        let error = resolve("", true).await.err().unwrap();
        assert!(
            matches!(error.downcast_ref(), Some(Unresolved::Forbidden(why)) if why.contains("`localhost` is a loopback"))
        );
        assert!(resolve("127.0.0.1,::1", true).await.unwrap().all(|found| found.ip().is_loopback()));
        assert!(resolve("", false).await.unwrap().count() > 0);
    }

    #[test]
    fn a_template_has_a_literal_origin_only_if_nothing_can_change_it() {
        let table = [
            ("https://example.com/{{ id }}", Some("https://example.com")),
            ("https://example.com?q={{ id }}", Some("https://example.com")),
            ("https://example.com", Some("https://example.com")),
            ("https://example.com/a/b", Some("https://example.com")),
            ("https://example.com{{ id }}", None),
            ("https://{{ host }}/x", None),
            ("https://example.{{ tld }}/x", None),
            ("https://example.com:{{ port }}/", None),
            ("https://example.com\\{{ x }}", None),
            ("{{ url }}", None),
            ("http{{ s }}://example.com/", None),
            ("https://{# c #}example.com/", None),
        ];
        for (template, want) in table {
            assert_eq!(literal_origin(template), want, "{template}");
        }
    }
}
