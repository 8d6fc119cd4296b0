//! A range of addresses, as `trusted_proxies` names it: one address, or a prefix in CIDR notation.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Bits of an IPv4 address before its own within IPv6.
const MAPPED_BITS: u32 = 96;

/// Addresses with a common prefix. IPv4 is kept as it stands within IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    first: u128,
    prefix_bits: u32,
}

/// The text is neither an address nor a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither an address nor a prefix, or has bits beyond the prefix")]
pub(crate) struct NotANetwork;

impl Network {
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        number(address) & mask(self.prefix_bits) == self.first
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let (before, own) = match address {
            IpAddr::V4(_) => (MAPPED_BITS, 32),
            IpAddr::V6(_) => (0, 128),
        };
        let bits = match bits {
            None => own,
            Some(bits) => bits.parse::<u32>().map_err(|_| NotANetwork)?,
        };
        let first = number(address);
        let prefix_bits = before + bits;
        if bits > own || first & mask(prefix_bits) != first {
            return Err(NotANetwork);
        }
        Ok(Self { first, prefix_bits })
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

const fn mask(prefix_bits: u32) -> u128 {
    match prefix_bits {
        0 => 0,
        bits => u128::MAX << (128 - bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_itself_and_a_prefix_all_below_it() {
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("10.0.0.0/8", "10.9.9.9") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "9.9.9.9") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "9.9.9.9") && holds("10.0.0.0/8", "::ffff:10.1.1.1"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "proxy",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "*",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
