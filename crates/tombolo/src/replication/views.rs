//! The views that a session keeps while it needs them.

use std::collections::BTreeMap;

use tombolo_sync::WhichView;

use super::host::Host;
use super::view::StoreView;

/// Views by the numbers that a session gave them.
#[derive(Default)]
pub struct Views(BTreeMap<u64, StoreView>);

impl Views {
    /// The view that a reading runs over, kept if that is asked for.
    pub fn pick(&mut self, host: &Host, which: WhichView) -> StoreView {
        match which {
            WhichView::Newest => host.view(),
            WhichView::Keep(number) => {
                let view = host.view();
                self.0.insert(number, view.clone());
                view
            }
            // A session asks for views only while it keeps them.
            WhichView::Kept(number) => {
                let kept = self.0.get(&number).cloned();
                kept.unwrap_or_else(|| host.view())
            }
        }
    }

    /// Drops a view that was kept.
    pub fn release(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// How many are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.0.len()
    }
}
