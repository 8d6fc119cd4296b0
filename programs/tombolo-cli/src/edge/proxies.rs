//! Where a request comes from. A header is believed only from a proxy that the configuration names,
//! and only the nearest address in it that is no such proxy: everything left of that, a client may have written.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use crate::config::{ForwardedHeader, Proxies};

/// Addresses of one request that are looked at, from the nearest.
const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address. What cannot be read ends the search at the last proxy that is trusted.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> IpAddr {
    let is_trusted = |address: IpAddr| proxies.trusted.iter().any(|net| net.contains(address));
    let mut address = peer.to_canonical();
    if !is_trusted(address) {
        return address;
    }
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match proxies.header {
        ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, plain),
        ForwardedHeader::Forwarded => (header::FORWARDED, forwarded),
    };
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let hops = lines
        .iter()
        .rev()
        .flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        let Some(nearer) = read(hop.trim()) else {
            return address;
        };
        address = nearer.to_canonical();
        if !is_trusted(address) {
            return address;
        }
    }
    address
}

/// An address, perhaps with its port.
fn plain(text: &str) -> Option<IpAddr> {
    let address = text.parse::<SocketAddr>().map(|address| address.ip());
    let inside = || {
        text.strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
    };
    address
        .ok()
        .or_else(|| text.parse().ok())
        .or_else(|| inside()?.parse().ok())
}

/// The `for` of one element of `Forwarded`.
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    plain(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "::1"];
        Proxies {
            trusted: trusted.iter().map(|text| text.parse().unwrap()).collect(),
            header,
        }
    }

    fn found(peer: &str, header: ForwardedHeader, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &proxies(header)).to_string()
    }

    #[test]
    fn nobody_but_a_named_proxy_is_believed() {
        let spoofed = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")];
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            assert_eq!(found("9.9.9.9", header, &spoofed), "9.9.9.9");
        }
        let header = ForwardedHeader::XForwardedFor;
        assert_eq!(found("::ffff:10.0.0.1", header, &spoofed), "1.1.1.1");
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_is_the_client() {
        let header = ForwardedHeader::XForwardedFor;
        let chain = [("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.9")];
        assert_eq!(found("10.0.0.1", header, &chain), "1.2.3.4");
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "1.2.3.4:99"),
        ];
        assert_eq!(found("::1", header, &lines), "1.2.3.4");
        let all = [("x-forwarded-for", "10.0.0.3, 10.0.0.2")];
        assert_eq!(found("10.0.0.1", header, &all), "10.0.0.3");
    }

    #[test]
    fn the_header_that_the_proxy_does_not_set_is_ignored() {
        let both = [
            ("x-forwarded-for", "6.6.6.6"),
            (
                "forwarded",
                r#"for=1.1.1.1, for="[2001:db8::7]:81";proto=https"#,
            ),
        ];
        assert_eq!(
            found("10.0.0.1", ForwardedHeader::Forwarded, &both),
            "2001:db8::7"
        );
        assert_eq!(
            found("10.0.0.1", ForwardedHeader::XForwardedFor, &both),
            "6.6.6.6"
        );
    }

    #[test]
    fn what_cannot_be_read_is_the_proxy_that_wrote_it() {
        let header = ForwardedHeader::XForwardedFor;
        for text in ["unknown", "", "1.2.3.4, _hidden", "1.2.3.4,"] {
            let lines = [("x-forwarded-for", text)];
            assert_eq!(found("10.0.0.1", header, &lines), "10.0.0.1", "{text}");
        }
        let none: [(&str, &str); 0] = [];
        assert_eq!(found("10.0.0.1", header, &none), "10.0.0.1");
    }
}
