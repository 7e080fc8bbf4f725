//! The keys of a table that is being written, no two of which may be the same in the end.
//!
//! Records swap keys in one transaction, so while several slots are changed, two may have one key. So all keys that change
//! are taken out first, and then the new ones are put in.

use std::collections::HashMap;
use std::sync::Arc;

/// Which slot has which key.
pub struct UniqueKeys {
    /// The key of the record in each slot.
    of_slots: Vec<Option<Arc<[u8]>>>,
    slots: HashMap<Arc<[u8]>, u32>,
}

impl UniqueKeys {
    pub fn new(slot_count: usize) -> Self {
        UniqueKeys { of_slots: vec![None; slot_count], slots: HashMap::new() }
    }

    /// Forgets the key of a slot.
    pub fn take_out(&mut self, slot: u32) {
        let key = self.of_slots.get_mut(crate::format::geometry::widen(slot)).and_then(Option::take);
        if let Some(key) = key {
            self.slots.remove(&key);
        }
    }

    /// Notes the key of a slot that has none. Returns the other slot that has this key, if one does; then nothing is noted.
    pub fn put(&mut self, slot: u32, key: &[u8]) -> Option<u32> {
        if let Some(other) = self.slots.get(key) {
            return Some(*other);
        }
        let key: Arc<[u8]> = key.into();
        if let Some(place) = self.of_slots.get_mut(crate::format::geometry::widen(slot)) {
            *place = Some(Arc::clone(&key));
            self.slots.insert(key, slot);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_slots_may_swap_their_keys_and_not_share_one() {
        let mut keys = UniqueKeys::new(3);
        assert_eq!([keys.put(0, b"a"), keys.put(1, b"b"), keys.put(2, b"b")], [None, None, Some(1)]);
        [0, 1].into_iter().for_each(|slot| keys.take_out(slot));
        assert_eq!([keys.put(0, b"b"), keys.put(1, b"a")], [None, None]);
        // What was taken out twice, or was never there, takes nothing from others.
        [2, 1, 1].into_iter().for_each(|slot| keys.take_out(slot));
        assert_eq!([keys.put(2, b"b"), keys.put(2, b"a")], [Some(0), None]);
    }
}
