//! How many pieces are pulled ahead: as many as come without delay, so that what
//! queues there are on the way stay short for documents.

use std::time::Duration;

use crate::limits::{PIECE_DELAY_MAX, PULLED_PIECES_MAX, WINDOW_PIECES};

/// Pieces in time that open it by one.
const PIECES_TO_GROW: usize = 4;
/// How slowly the fastest time is forgotten: a way that became longer is known
/// after about so many pieces.
const FORGETTING: u32 = 64;

#[derive(Debug)]
pub(crate) struct Window {
    pieces: usize,
    in_time: usize,
    fastest: Option<Duration>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            pieces: WINDOW_PIECES.0,
            in_time: 0,
            fastest: None,
        }
    }
}

impl Window {
    pub(crate) const fn pieces(&self) -> usize {
        self.pieces
    }

    /// A piece came so long after it was pulled.
    pub(crate) fn arrived(&mut self, after: Duration) {
        let fastest = self.fastest.map_or(after, |fastest| fastest.min(after));
        self.fastest = Some(fastest + (after - fastest) / FORGETTING);
        if after > fastest + PIECE_DELAY_MAX {
            self.in_time = 0;
            self.pieces = (self.pieces - 1).max(WINDOW_PIECES.1);
            return;
        }
        self.in_time += 1;
        if self.in_time == PIECES_TO_GROW {
            self.in_time = 0;
            self.pieces = (self.pieces + 1).min(PULLED_PIECES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_while_pieces_come_in_time_and_closes_when_they_do_not() {
        let mut window = Window::default();
        for _ in 0..4 * PULLED_PIECES_MAX {
            window.arrived(Duration::from_millis(5));
        }
        assert_eq!(window.pieces(), PULLED_PIECES_MAX);
        for _ in 0..PULLED_PIECES_MAX {
            window.arrived(Duration::from_millis(80));
        }
        assert_eq!(window.pieces(), WINDOW_PIECES.1);
    }

    #[test]
    fn a_way_that_became_longer_is_not_punished_for_ever() {
        let mut window = Window::default();
        window.arrived(Duration::from_millis(1));
        for _ in 0..1_000 {
            window.arrived(Duration::from_millis(60));
        }
        assert_eq!(window.pieces(), PULLED_PIECES_MAX);
    }
}
