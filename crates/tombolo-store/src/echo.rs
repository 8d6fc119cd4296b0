//! The newest commits, if all that they changed came from one remote log: a peer with that log is
//! told of nothing in them, so that nothing need be read to find that out.
//!
//! It is known of the commits of this process alone, and of one log at a time, which is what a
//! device has that takes in what a server holds.

use crate::arrival::Origin;

/// Where the changes of one transaction came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Came {
    /// Nothing changed.
    #[default]
    Nowhere,
    /// All of each document from one remote log.
    From(Origin),
    /// From several, or not all from a remote one.
    Elsewhere,
}

impl Came {
    /// Notes a change of a document; `only_log` is where all of it came from.
    pub(crate) fn note(&mut self, only_log: Option<Origin>) {
        *self = match (*self, only_log) {
            (Self::Nowhere, Some(origin)) => Self::From(origin),
            (Self::From(one), Some(other)) if one == other => Self::From(one),
            _ => Self::Elsewhere,
        };
    }
}

/// The newest commits that came from one remote log: those after `after`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Echo {
    run: Option<(Origin, u64)>,
}

impl Echo {
    /// Notes a commit behind the commit `last`.
    pub(crate) fn note(&mut self, came: Came, last: u64) {
        self.run = match (came, self.run) {
            (Came::From(origin), Some((of, after))) if of == origin => Some((of, after)),
            (Came::From(origin), _) => Some((origin, last)),
            _ => None,
        };
    }

    /// Whether all that changed after `commit` came from that log.
    pub(crate) fn is_all(&self, origin: Origin, commit: u64) -> bool {
        let is_of = |(of, after): (Origin, u64)| of == origin && after <= commit;
        self.run.is_some_and(is_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Origin = Origin(2);
    const OTHER: Origin = Origin(3);

    fn came(from: &[Option<Origin>]) -> Came {
        let mut came = Came::default();
        from.iter().for_each(|only_log| came.note(*only_log));
        came
    }

    #[test]
    fn a_transaction_came_from_one_log_or_not() {
        assert_eq!(came(&[]), Came::Nowhere);
        assert_eq!(came(&[Some(ONE), Some(ONE)]), Came::From(ONE));
        for mixed in [
            [Some(ONE), Some(OTHER)],
            [None, Some(ONE)],
            [Some(ONE), None],
        ] {
            assert_eq!(came(&mixed), Came::Elsewhere);
        }
    }

    #[test]
    fn only_the_newest_commits_of_one_log_are_an_echo() {
        let mut echo = Echo::default();
        assert!(!echo.is_all(ONE, 0));
        echo.note(Came::From(ONE), 4);
        echo.note(Came::From(ONE), 5);
        assert!(echo.is_all(ONE, 4) && echo.is_all(ONE, 5));
        assert!(!echo.is_all(ONE, 3) && !echo.is_all(OTHER, 5));
        echo.note(Came::From(OTHER), 6);
        assert!(echo.is_all(OTHER, 6) && !echo.is_all(ONE, 6) && !echo.is_all(OTHER, 5));
        for other in [Came::Elsewhere, Came::Nowhere] {
            let mut echo = echo;
            echo.note(other, 7);
            assert!(!echo.is_all(OTHER, 7));
        }
    }
}
