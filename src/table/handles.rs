//! The handle that a table uses, and those that it used before a reopening.
//!
//! Readers take no lock and are not counted, so it is not known when the last of them has left a handle. Each handle is
//! therefore kept, dead, until the table is dropped.

use crate::engine::Store;
use crate::sys::once_box::OnceBox;

/// A handle, and the one that came after it, if it was reopened.
struct Link {
    store: Store,
    next: OnceBox<Link>,
}

/// The handles of a table, the one in use last.
pub struct Handles(Link);

impl Handles {
    pub fn new(store: Store) -> Self {
        Handles(Link { store, next: OnceBox::new() })
    }

    fn last(&self) -> &Link {
        let mut link = &self.0;
        while let Some(next) = link.next.get() {
            link = next;
        }
        link
    }

    /// The handle in use.
    #[inline(always)]
    pub fn current(&self) -> &Store {
        match self.0.next.get() {
            None => &self.0.store,
            Some(_) => self.reopened(),
        }
    }

    #[cold]
    fn reopened(&self) -> &Store {
        &self.last().store
    }

    /// Goes over to another handle. Only one thread may do this at a time.
    pub fn go_over_to(&self, store: Store) {
        // With one thread at a time, the last link has none after it.
        let _ = self.last().next.set(Box::new(Link { store, next: OnceBox::new() }));
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // One by one: a long chain that dropped itself recursively would need an equally deep stack.
        let mut next = self.0.next.take();
        while let Some(mut link) = next {
            next = link.next.take();
        }
    }
}
