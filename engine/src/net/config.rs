//! What the operator may set about outgoing HTTP, and every limit's name and default.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

/// From the first look-up of a name to the end of the TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A whole call: every redirect and the last byte of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer, counted after decompression.
pub const MAX_BODY_BYTES: usize = 8 << 20;
/// Redirects followed in one call.
pub const REDIRECTS: usize = 5;
/// Idle connections kept to one host. High, because thousands of sources may live on one host.
pub const IDLE_PER_HOST: usize = 512;
/// How long an idle connection is kept. Short, because polls of ten thousand hosts would each hold a socket.
pub const IDLE_FOR: Duration = Duration::from_secs(30);
/// Look-ups of names at the same time: each holds a thread until the system's resolver gives up.
pub const LOOKUPS: usize = 64;
/// Calls a second to one host given by users. Hosts in the operator's own allow list are not limited.
pub const PER_HOST_PER_SECOND: NonZeroU32 = NonZeroU32::new(500).expect("500 is not zero");
/// The longest URL.
pub const MAX_URL_BYTES: usize = 8 << 10;
/// What servers see as `User-Agent`.
pub const USER_AGENT: &str = concat!("area-runner/", env!("CARGO_PKG_VERSION"));

/// The settings of an [`Http`](super::Http).
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Networks that user-given URLs may reach although they are private (`AREA_NET__ALLOW`).
    pub allow: Vec<IpNet>,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`TIMEOUT`]; a call may ask for its own.
    pub timeout: Duration,
    /// See [`MAX_BODY_BYTES`]; a call may ask for less, and one to a provider's API for more.
    pub max_body_bytes: usize,
    /// See [`REDIRECTS`].
    pub redirects: usize,
    /// See [`IDLE_PER_HOST`].
    pub idle_per_host: usize,
    /// See [`IDLE_FOR`].
    pub idle_for: Duration,
    /// See [`LOOKUPS`].
    pub lookups: usize,
    /// See [`PER_HOST_PER_SECOND`]; `None` is no limit.
    pub per_host_per_second: Option<NonZeroU32>,
    /// See [`USER_AGENT`].
    pub user_agent: String,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            connect_timeout: CONNECT_TIMEOUT,
            timeout: TIMEOUT,
            max_body_bytes: MAX_BODY_BYTES,
            redirects: REDIRECTS,
            idle_per_host: IDLE_PER_HOST,
            idle_for: IDLE_FOR,
            lookups: LOOKUPS,
            per_host_per_second: Some(PER_HOST_PER_SECOND),
            user_agent: USER_AGENT.to_owned(),
        }
    }
}

/// Reads `AREA_NET__ALLOW`: networks (`10.1.0.0/16`) or single addresses (`::1`), separated by commas.
///
/// # Errors
/// Names the part that is neither.
pub fn parse_allow(text: &str) -> Result<Vec<IpNet>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let net = part.parse().or_else(|_| part.parse::<std::net::IpAddr>().map(IpNet::from));
            net.map_err(|_: std::net::AddrParseError| {
                format!("`{part}` is neither a network like 10.1.0.0/16 nor an address like ::1")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allow_list_takes_networks_and_addresses_and_names_what_it_cannot_read() {
        let check = |text: &str, want: Result<&[&str], &str>| {
            let got = parse_allow(text).map(|nets| nets.iter().map(ToString::to_string).collect::<Vec<_>>());
            match want {
                Ok(nets) => assert_eq!(got.unwrap(), nets, "{text}"),
                Err(part) => assert!(got.unwrap_err().contains(part), "{text}"),
            }
        };
        check("", Ok(&[]));
        check("127.0.0.0/8, ::1", Ok(&["127.0.0.0/8", "::1/128"]));
        check(" 10.0.0.7 ,", Ok(&["10.0.0.7/32"]));
        check("10.0.0.0/33", Err("`10.0.0.0/33`"));
        check("127.0.0.1,localhost", Err("`localhost`"));
    }
}
