//! Finding the addresses of a host that the service will ask: only such as may be asked.
//! The name is looked up here and nowhere else, so that what was checked is what is connected to.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::is_public;

/// Most addresses of one host that are tried.
const ADDRESSES_MAX: usize = 16;

/// No address of the host may be asked.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host has no address outside of private networks; write allow_private_network: true if it should"
)]
pub(super) struct OnlyPrivate;

/// Looks hosts up with the system's resolver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) allow_private_network: bool,
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private_network = self.allow_private_network;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
            let allowed = allowed(found, allow_private_network)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    mut addresses: Vec<SocketAddr>,
    allow_private_network: bool,
) -> Result<Vec<SocketAddr>, OnlyPrivate> {
    addresses.retain(|address| allow_private_network || is_public(address.ip()));
    match addresses.is_empty() {
        true => Err(OnlyPrivate),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_left_unless_a_private_network_is_allowed() {
        let addresses: Vec<SocketAddr> = ["127.0.0.1:0", "8.8.8.8:0", "[::1]:0"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let public = allowed(addresses.clone(), false).unwrap();
        assert_eq!(public, [addresses[1]]);
        assert_eq!(allowed(addresses.clone(), true).unwrap(), addresses);
        assert!(allowed(addresses[..1].to_vec(), false).is_err());
        assert!(allowed(Vec::new(), true).is_err());
    }
}
