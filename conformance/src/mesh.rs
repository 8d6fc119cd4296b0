//! Links between peers: a real session at each end, and a line that loses
//! nothing between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tombolo::Parameters;
use tombolo::replication::{Host, Outward, Seat};
use tombolo_identity::Permissions;
use tombolo_sync::{Event, Interests, Local, Now};

use crate::failure::Failure;
use crate::identity::{DATABASE, proven};
use crate::peer::Peer;

/// Frames after which a mesh is never quiet.
const FRAMES_MAX: usize = 65_536;

/// Two peers in alphabetical order.
type Pair = (String, String);

/// Which peers are linked, and the sessions over the links.
#[derive(Default)]
pub(crate) struct Mesh {
    links: BTreeSet<Pair>,
    lines: BTreeMap<Pair, [End; 2]>,
    under_way: VecDeque<Frame>,
}

/// One end of a link.
struct End {
    name: String,
    seat: Seat,
    interests: Arc<Interests>,
    parameters: Arc<Parameters>,
}

/// Bytes under way to one end of a link.
struct Frame {
    link: Pair,
    to: usize,
    bytes: Bytes,
}

fn pair(left: &str, right: &str) -> Pair {
    let (left, right) = if left < right {
        (left, right)
    } else {
        (right, left)
    };
    (left.to_owned(), right.to_owned())
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Expectation(error.to_string())
}

/// The moment by the clock of a peer. A line without delay knows no silence, so
/// the other clock stands still.
fn now(peer: &Peer) -> Now {
    Now {
        unix_ms: peer.database().time().unix_ms(),
        monotonic: Duration::ZERO,
    }
}

impl Mesh {
    /// Links each of these peers with each other.
    pub(crate) fn connect(&mut self, peers: &[String]) {
        for (at, left) in peers.iter().enumerate() {
            self.links
                .extend(peers[at + 1..].iter().map(|right| pair(left, right)));
        }
    }

    /// Removes the links among these peers.
    pub(crate) fn disconnect(&mut self, peers: &[String]) -> Result<(), Failure> {
        self.links
            .retain(|(left, right)| !peers.contains(left) || !peers.contains(right));
        self.end_unlinked()
    }

    /// Removes all links.
    pub(crate) fn clear(&mut self) -> Result<(), Failure> {
        self.links.clear();
        self.end_unlinked()
    }

    /// Carries frames until nobody has anything to say. The clocks of the peers
    /// stay where they stand, so that a case orders its writes alone.
    pub(crate) fn sync(&mut self, peers: &BTreeMap<String, Peer>) -> Result<(), Failure> {
        self.open_missing(peers)?;
        for _ in 0..FRAMES_MAX {
            if self.under_way.is_empty() {
                self.tell_news(peers)?;
            }
            let Some(frame) = self.under_way.pop_front() else {
                return Ok(());
            };
            self.deliver(peers, frame)?;
        }
        Err(broken("the mesh never became quiet"))
    }

    fn end_unlinked(&mut self) -> Result<(), Failure> {
        let links = &self.links;
        self.under_way.retain(|frame| links.contains(&frame.link));
        let gone = self.lines.keys().filter(|link| !links.contains(*link));
        let gone: Vec<Pair> = gone.cloned().collect();
        for ends in gone.iter().filter_map(|link| self.lines.remove(link)) {
            for end in ends {
                end.seat.end().map_err(broken)?;
            }
        }
        Ok(())
    }

    fn open_missing(&mut self, peers: &BTreeMap<String, Peer>) -> Result<(), Failure> {
        let missing = self.links.iter();
        let missing = missing.filter(|link| !self.lines.contains_key(*link));
        for link in missing.cloned().collect::<Vec<_>>() {
            let (left, left_out) = End::open(peers, &link.0, &link.1)?;
            let (right, right_out) = End::open(peers, &link.1, &link.0)?;
            let ends = [left, right];
            for (from, outward) in [left_out, right_out].into_iter().enumerate() {
                carry(&mut self.under_way, (&link, &ends, from), outward)?;
            }
            self.lines.insert(link, ends);
        }
        Ok(())
    }

    /// Tells every session what changed at its own side.
    fn tell_news(&mut self, peers: &BTreeMap<String, Peer>) -> Result<(), Failure> {
        for (link, ends) in &mut self.lines {
            for from in 0..ends.len() {
                let end = &mut ends[from];
                let outward = end.tell_news(find(peers, &end.name)?)?;
                carry(&mut self.under_way, (link, ends, from), outward)?;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, peers: &BTreeMap<String, Peer>, frame: Frame) -> Result<(), Failure> {
        let Frame { link, to, bytes } = frame;
        let Some(ends) = self.lines.get_mut(&link) else {
            return Ok(());
        };
        let end = &mut ends[to];
        let now = now(find(peers, &end.name)?);
        let outward = end.seat.handle(Event::Frame(bytes), now);
        carry(
            &mut self.under_way,
            (&link, ends, to),
            outward.map_err(broken)?,
        )
    }
}

fn find<'p>(peers: &'p BTreeMap<String, Peer>, name: &str) -> Result<&'p Peer, Failure> {
    let peer = peers.get(name);
    peer.ok_or_else(|| Failure::Case(format!("there is no peer {name}")))
}

/// Puts what one end sends on its way to the other.
fn carry(
    under_way: &mut VecDeque<Frame>,
    (link, ends, from): (&Pair, &[End; 2], usize),
    outward: Vec<Outward>,
) -> Result<(), Failure> {
    let to = 1 - from;
    for out in outward {
        match out {
            Outward::Send(_, bytes) => under_way.push_back(Frame {
                link: link.clone(),
                to,
                bytes,
            }),
            Outward::Close(reason) => {
                let (name, other) = (&ends[from].name, &ends[to].name);
                return Err(broken(format!("{name} left {other}: {reason}")));
            }
            Outward::Wake(_)
            | Outward::Met(_)
            | Outward::Revocations(_)
            | Outward::Attachment(_)
            | Outward::Notice(_) => {}
        }
    }
    Ok(())
}

impl End {
    fn open(
        peers: &BTreeMap<String, Peer>,
        name: &str,
        other: &str,
    ) -> Result<(Self, Vec<Outward>), Failure> {
        let peer = find(peers, name)?;
        let host = Host::new(peer.database());
        let local = Local {
            database_id: DATABASE.to_owned(),
            permissions: Permissions::everything(),
            device_name: name.to_owned(),
            os: String::new(),
            version: String::new(),
            metadata: Vec::new(),
            is_server: false,
            secret: host.secret().map_err(broken)?,
            skew_limit_ms: u64::MAX,
        };
        let interests = peer.database().interests();
        let parameters = host.parameters();
        let wanted = Arc::clone(&interests);
        let opened = Seat::open(host, Arc::new(local), proven(other)?, wanted, now(peer));
        let (seat, outward) = opened.map_err(broken)?;
        let end = Self {
            name: name.to_owned(),
            seat,
            interests,
            parameters,
        };
        Ok((end, outward))
    }

    fn tell_news(&mut self, peer: &Peer) -> Result<Vec<Outward>, Failure> {
        let now = now(peer);
        let mut events = Vec::new();
        let interests = peer.database().interests();
        if !Arc::ptr_eq(&interests, &self.interests) {
            self.interests = Arc::clone(&interests);
            events.push(Event::Interests(interests));
        }
        let parameters = peer.database().parameters();
        if !Arc::ptr_eq(&parameters, &self.parameters) {
            self.parameters = Arc::clone(&parameters);
            events.push(Event::Parameters(parameters));
        }
        let mut outward = Vec::new();
        for event in events {
            outward.extend(self.seat.handle(event, now).map_err(broken)?);
        }
        outward.extend(self.seat.committed(now).map_err(broken)?);
        Ok(outward)
    }
}

#[cfg(test)]
mod tests {
    use tombolo_sync::CloseReason;

    use super::*;

    fn peers() -> BTreeMap<String, Peer> {
        ["A", "B"]
            .map(|name| (name.to_owned(), Peer::open(name).unwrap()))
            .into()
    }

    #[test]
    fn a_session_that_ends_by_itself_fails_the_case() {
        let peers = peers();
        let ends = ["A", "B"].map(|name| {
            let other = if name == "A" { "B" } else { "A" };
            End::open(&peers, name, other).unwrap().0
        });
        let outward = vec![Outward::Close(CloseReason::OwnActor)];
        let mut under_way = VecDeque::new();
        let failure = carry(&mut under_way, (&pair("A", "B"), &ends, 1), outward).unwrap_err();
        assert!(failure.to_string().starts_with("B left A: "), "{failure}");
    }

    #[test]
    fn a_link_that_is_gone_has_no_session_and_no_bytes_under_way() {
        let (peers, names) = (peers(), ["A".to_owned(), "B".to_owned()]);
        let mut mesh = Mesh::default();
        mesh.connect(&names);
        mesh.open_missing(&peers).unwrap();
        assert_eq!((mesh.lines.len(), mesh.under_way.len()), (1, 2));
        mesh.disconnect(&names).unwrap();
        assert_eq!((mesh.lines.len(), mesh.under_way.len()), (0, 0));
    }
}
