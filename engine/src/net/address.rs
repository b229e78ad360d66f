//! Which addresses a user-given URL may reach: those of the public internet, and the operator's allow list. Nothing else,
//! in whatever form an address hides another (IPv4-mapped, NAT64). Pure; names are the resolver's business in `guard`.
//!
//! Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its successors).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Why `ip` may not be reached, in a few words; `None` where it may.
pub fn refusal(ip: IpAddr, allow: &[IpNet]) -> Option<&'static str> {
    let inner = unwrap(ip);
    let why = match inner {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }?;
    let allowed = allow.iter().any(|net| net.contains(&ip) || net.contains(&inner));
    (!allowed).then_some(why)
}

/// The IPv4 address that an IPv6 one stands for, where a packet would end up there.
fn unwrap(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    let [a, b, c, d, e, f, high, low] = v6.segments();
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return v4_of(high, low).into();
    }
    ip
}

fn v4_of(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    Some(match ip.octets() {
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [169, 254, 169, 254] => "the cloud's metadata address",
        [169, 254, ..] => "a link-local address",
        [100, 64..=127, ..] => "a carrier's shared address",
        [0, ..] => "an address of this network",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "a documentation address",
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => "a reserved address",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

/// Only 2000::/3 is global unicast; inside it some blocks are not, or carry an IPv4 address to an unknown relay.
fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    Some(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0, 0, 0, 0, 0, 0, 0, 0] => "an address of this network",
        [0, 0, 0, 0, 0, 0, ..] => "an IPv4-compatible address",
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfec0..=0xfeff, ..] => "a site-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x64, 0xff9b, ..] => "a local translation address",
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => "a documentation address",
        [0x2001, 0, ..] => "a Teredo address",
        [0x2001, 0..=0x01ff, ..] => "a reserved address",
        [0x2002, ..] => "a 6to4 address",
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ip: &str, want: Option<&str>) {
        assert_eq!(refusal(ip.parse().unwrap(), &[]), want, "{ip}");
    }

    #[test]
    fn public_addresses_pass() {
        for ip in ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.0.1", "100.128.0.1", "198.17.0.1"] {
            check(ip, None);
        }
        for ip in ["2606:4700::1111", "2001:4860:4860::8888", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"] {
            check(ip, None);
        }
    }

    #[test]
    fn whatever_is_not_public_is_refused_with_its_kind() {
        let table = [
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.255", "a loopback address"),
            ("0.0.0.0", "an address of this network"),
            ("10.1.2.3", "a private address"),
            ("172.16.0.1", "a private address"),
            ("172.31.255.255", "a private address"),
            ("192.168.1.1", "a private address"),
            ("169.254.169.254", "the cloud's metadata address"),
            ("169.254.1.1", "a link-local address"),
            ("100.64.0.1", "a carrier's shared address"),
            ("192.0.0.8", "a reserved address"),
            ("192.0.2.1", "a documentation address"),
            ("198.18.0.1", "a reserved address"),
            ("224.0.0.1", "a multicast address"),
            ("255.255.255.255", "a reserved address"),
            ("::1", "a loopback address"),
            ("::", "an address of this network"),
            ("::127.0.0.1", "an IPv4-compatible address"),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("::ffff:a9fe:a9fe", "the cloud's metadata address"),
            ("64:ff9b::10.0.0.1", "a private address"),
            ("64:ff9b:1::1", "a local translation address"),
            ("fd00:ec2::254", "a private address"),
            ("fe80::1", "a link-local address"),
            ("fec0::1", "a site-local address"),
            ("ff02::1", "a multicast address"),
            ("2001:db8::1", "a documentation address"),
            ("3fff::1", "a documentation address"),
            ("2001:0:1::1", "a Teredo address"),
            ("2001:10::1", "a reserved address"),
            ("2002:7f00:1::", "a 6to4 address"),
            ("100::1", "a reserved address"),
            ("5f00::1", "a reserved address"),
        ];
        for (ip, why) in table {
            check(ip, Some(why));
        }
    }

    #[test]
    fn the_allow_list_opens_its_networks_in_every_form_of_an_address() {
        let allow: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "fd00:1::/32".parse().unwrap()];
        for ip in ["127.0.0.1", "::ffff:127.0.0.1", "fd00:1::5", "1.1.1.1"] {
            assert_eq!(refusal(ip.parse().unwrap(), &allow), None, "{ip}");
        }
        for ip in ["10.0.0.1", "::1", "fd00:2::5", "::127.0.0.1"] {
            assert!(refusal(ip.parse().unwrap(), &allow).is_some(), "{ip}");
        }
    }
}
