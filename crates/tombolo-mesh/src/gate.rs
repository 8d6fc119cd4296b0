//! How many handshakes may be half done, in all and from one address, so that
//! those who never finish theirs do not keep out those who do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Half-done handshakes from one address. A site behind one address shares them.
pub(crate) const HANDSHAKES_PER_ADDRESS_MAX: usize = 16;

/// Counts half-done handshakes.
pub(crate) struct Gate {
    handshakes_max: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// One half-done handshake.
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    pub(crate) fn new(handshakes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            handshakes_max,
            inside: Mutex::default(),
        })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one handshake, unless there are too many.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Ticket> {
        let mut inside = self.inside();
        let here = inside.by_address.get(&address).copied().unwrap_or(0);
        if inside.all >= self.handshakes_max || here >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        inside.all += 1;
        inside.by_address.insert(address, here + 1);
        drop(inside);
        Some(Ticket {
            gate: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.all -= 1;
        match inside.by_address.get(&self.address).copied() {
            Some(here) if here > 1 => {
                inside.by_address.insert(self.address, here - 1);
            }
            _ => {
                inside.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_does_not_take_all_places() {
        let gate = Gate::new(100);
        let enter = || gate.enter(address(1));
        let tickets: Vec<_> = (0..HANDSHAKES_PER_ADDRESS_MAX).map(|_| enter()).collect();
        assert!(tickets.iter().all(Option::is_some));
        assert!(enter().is_none());
        assert!(gate.enter(address(2)).is_some());
        drop(tickets);
        assert!(enter().is_some());
        assert!(gate.inside().by_address.is_empty());
    }

    #[test]
    fn all_addresses_together_are_bounded() {
        let gate = Gate::new(2);
        let one = gate.enter(address(1));
        let two = gate.enter(address(2));
        assert!(one.is_some() && two.is_some() && gate.enter(address(3)).is_none());
        drop(one);
        assert!(gate.enter(address(3)).is_some());
    }
}
