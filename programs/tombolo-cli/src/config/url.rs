//! URLs that the node itself will ask, and which addresses are nobody else's business.
//! Stricter than URLs are: a host that two readers could understand differently is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const URL_BYTES_MAX: usize = 2048;

/// Checks a URL; gives what is wrong with it.
///
/// # Errors
/// Anything that is not an absolute URL of the right scheme, with a plain host.
pub(super) fn check(text: &str, allow_private_network: bool) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if text.len() > URL_BYTES_MAX || !text.bytes().all(is_plain) {
        return Err("is no URL of at most 2048 visible ASCII characters");
    }
    let rest = match text.split_once("://") {
        Some(("https", rest)) => rest,
        Some(("http", rest)) if allow_private_network => rest,
        Some(("http", _)) => {
            return Err("is not https, and only a private network may do without");
        }
        _ => return Err("is no https:// URL"),
    };
    if rest.contains('#') {
        return Err("has a fragment, which is never sent");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user or password, which would be told to the log");
    }
    let host = host_of(authority).ok_or("has no host that can be asked")?;
    match host.parse::<IpAddr>() {
        Ok(address) if !allow_private_network && !is_public(address) => {
            Err("names an address of a private network, which allow_private_network must allow")
        }
        Ok(_) => Ok(()),
        Err(_) if is_name(host) => Ok(()),
        Err(_) => Err("has no host that can be asked"),
    }
}

/// The host of `host[:port]`, brackets removed.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (
                host,
                rest.strip_prefix(':')
                    .or(rest.is_empty().then_some("443"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "443")),
    };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+');
    is_port.then_some(host)
}

/// A name whose last part cannot be read as a number, as browsers read `0x7f.1`.
fn is_name(host: &str) -> bool {
    let is_part = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !part.is_empty() && part.bytes().all(is_letter)
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && host.split('.').all(is_part)
        && last.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

/// Whether anybody on the internet could be behind an address. Whatever is not known to be public is not.
#[must_use]
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_reserved = match first {
        0 | 10 | 127 | 224..=255 => true,
        100 => second & 0xc0 == 64,
        169 => second == 254,
        172 => second & 0xf0 == 16,
        192 => {
            second == 168 || (second == 0 && matches!(third, 0 | 2)) || (second, third) == (88, 99)
        }
        198 => matches!(second, 18 | 19) || (second, third) == (51, 100),
        203 => (second, third) == (0, 113),
        _ => false,
    };
    !is_reserved
}

/// Of the space that is handed out, without what only wraps or documents another address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = address.to_ipv4_mapped() {
        return is_public_v4(inside);
    }
    match address.segments() {
        // 2001::/23 holds Teredo and other protocols, 2001:db8::/32 is for documents, 2002::/16 wraps IPv4.
        [0x2001, second, ..] => second >= 0x0200 && second != 0x0db8,
        [0x2002, ..] | [0x3fff, ..] => false,
        // The well-known prefix that wraps IPv4.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [first, second] = high.to_be_bytes();
            let [third, fourth] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(first, second, third, fourth))
        }
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_can_be_asked_are_taken() {
        for url in [
            "https://auth.example/ditto",
            "https://auth.example:8443",
            "https://8.8.8.8/x?y=1",
            "https://[2606:4700::1111]:443/",
            "https://xn--bcher-kva.example./",
        ] {
            assert_eq!(check(url, false), Ok(()), "{url}");
        }
        for url in [
            "http://localhost:9000/hook",
            "http://10.0.0.7",
            "https://[::1]/",
        ] {
            assert_eq!(check(url, true), Ok(()), "{url}");
        }
    }

    #[test]
    fn urls_that_could_mislead_are_refused() {
        for url in [
            "",
            "auth.example",
            "ftp://auth.example/",
            "https://",
            "https:///x",
            "https://u:p@auth.example/",
            "https://auth.example/#x",
            "https://auth.example:0/",
            "https://auth.example:70000/",
            "https://auth.example:+443/",
            "https://auth..example/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://127.1/",
            "https://[::1/",
            "https://a b/",
            "https://auth.example\\@localhost/",
            "https://b\u{fc}cher.example/",
        ] {
            assert!(check(url, true).is_err(), "{url}");
        }
        let long = format!("https://auth.example/{}", "x".repeat(URL_BYTES_MAX - 21));
        assert_eq!(check(&long, false), Ok(()));
        assert!(check(&format!("{long}x"), false).is_err());
    }

    #[test]
    fn private_networks_need_leave() {
        for url in [
            "http://auth.example/",
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
        ] {
            assert!(check(url, false).is_err(), "{url}");
            assert_eq!(check(url, true), Ok(()), "{url}");
        }
    }

    #[test]
    fn every_reserved_range_is_private_at_both_ends_and_public_beside_them() {
        let is = |text: &str| is_public(text.parse().unwrap());
        for private in [
            "0.0.0.0",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2002:a00:1::",
            "2001::1",
            "100::1",
        ] {
            assert!(!is(private), "{private}");
        }
        for public in [
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:200::1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is(public), "{public}");
        }
    }
}
