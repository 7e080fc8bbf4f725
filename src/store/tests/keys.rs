//! Keys of any width anywhere in a record: looked up, told apart to the byte, and taken out of the index again.

use super::heap_store;
use super::world::settings;
use crate::error::{Error, Internal};
use crate::format::header::Header;
use crate::format::schema::{FieldSchema, Schema};
use crate::store::read::Meta;
use crate::store::{Encoded, Store};
use crate::{FieldType, RecordId};

const CAPACITY: u64 = 5;

/// A record with a key, and something else around it.
struct Layout {
    before_bytes: u16,
    key_bytes: u16,
    after_bytes: u16,
}

impl Layout {
    fn table(&self) -> Store {
        // Text and bytes have two bytes before them.
        let field = |name: &str, width: u16| FieldSchema::new(name, FieldType::Bytes(width - 2));
        let mut fields = vec![field("key", self.key_bytes).key()];
        if self.before_bytes > 0 {
            fields.insert(0, field("before", self.before_bytes));
        }
        fields.push(field("after", self.after_bytes));
        heap_store(Header::new(CAPACITY, Schema::new(fields).unwrap(), [7; 16], 5, 0).unwrap(), settings())
    }

    /// A key that differs from the others in one byte: its first, its last, or one between.
    fn key(&self, number: u8) -> Vec<u8> {
        let mut key = vec![0x55; usize::from(self.key_bytes)];
        let place = [0, key.len() - 1, key.len() / 2][usize::from(number) % 3];
        key[place] ^= number + 1;
        key
    }

    fn record(&self, number: u8, around: u8) -> Vec<u64> {
        let [before, after] = [self.before_bytes, self.after_bytes].map(|width| vec![around; usize::from(width)]);
        let mut bytes = [before, self.key(number), after].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect()
    }

    fn find(&self, table: &Store, number: u8) -> Option<Meta> {
        let mut payload = vec![0; table.geometry.record_words()];
        table.find(&self.key(number), &mut payload).unwrap()
    }
}

fn error_of<T>(result: Internal<T>) -> Option<Error> {
    result.err().map(Error::from)
}

#[test]
fn a_key_is_all_of_its_bytes_and_no_others_wherever_it_is() {
    for (before_bytes, key_bytes, after_bytes) in [
        (0, 8, 8),
        (0, 3, 3),
        (3, 5, 7),
        (11, 8, 3),
        (6, 13, 3),
        (8, 16, 8),
        (5, 64, 5),
        (7, 65, 3),
        (0, 64, 3),
        (3, 300, 9),
    ] {
        let layout = Layout { before_bytes, key_bytes, after_bytes };
        let table = layout.table();
        let insert = |number: u8, around: u8| table.insert(Encoded::new(&layout.record(number, around)));
        let described = format!("{key_bytes} bytes at {before_bytes}");
        let mut ids: Vec<RecordId> = Vec::new();
        for round in 0..3 {
            for number in 0..5 {
                assert_eq!(layout.find(&table, number), None, "{described}");
                let meta = insert(number, round).unwrap_or_else(|_| panic!("{described}: {number} is another key"));
                assert_eq!(layout.find(&table, number), Some(meta), "{described}");
                assert!(matches!(error_of(insert(number, !round)), Some(Error::DuplicateKey { .. })), "{described}");
                ids.push(meta.id);
            }
            assert!(matches!(error_of(insert(5, round)), Some(Error::Full { .. })), "{described}");
            for (number, id) in (0..5).zip(ids.drain(..)) {
                // Around the key everything may change, in it nothing.
                let changed = layout.record(number, round + 100);
                table.update(id, None, Encoded::new(&changed)).unwrap_or_else(|_| panic!("{described}"));
                let other = layout.record(number + 1, round);
                let refused = error_of(table.update(id, None, Encoded::new(&other)));
                assert!(matches!(refused, Some(Error::KeyChanged)), "{described}: {refused:?}");
                table.delete(id, None).unwrap_or_else(|_| panic!("{described}"));
                assert_eq!(layout.find(&table, number), None, "{described}");
            }
            // Nothing of them is left in the index.
            let index = table.key_index().unwrap();
            assert_eq!(
                index.entries().filter(|entry| *entry != crate::shm::index::Entry::Empty).count(),
                0,
                "{described}"
            );
        }
    }
}

#[test]
fn damage_in_the_free_ring_or_the_index_is_an_error() {
    let layout = Layout { before_bytes: 0, key_bytes: 8, after_bytes: 8 };
    let insert = |table: &Store, number: u8| error_of(table.insert(Encoded::new(&layout.record(number, 0))));
    for stray in [CAPACITY, CAPACITY + 1, u64::MAX] {
        let table = layout.table();
        table.plant(table.geometry.free_ring(), &[stray]);
        assert!(matches!(insert(&table, 0), Some(Error::Damaged { .. })), "{stray}");
    }
    // The slot of a live record is given out as free.
    let table = layout.table();
    assert!(insert(&table, 0).is_none());
    let taken = table.word_at(table.geometry.free_ring());
    table.plant(table.geometry.free_ring() + 1, &[taken]);
    assert!(matches!(insert(&table, 1), Some(Error::Damaged { .. })));
    // The index names a slot that the table does not have.
    let table = layout.table();
    assert!(insert(&table, 0).is_none());
    let index = table.geometry.index()..table.geometry.index() + 2 * table.geometry.index_entry_count();
    for word in index.filter(|word| table.word_at(*word) != 0) {
        let entry = table.word_at(word);
        table.plant(word, &[entry & !0xff_ffff | CAPACITY]);
    }
    let mut payload = [0; 2];
    assert!(matches!(error_of(table.find(&layout.key(0), &mut payload)), Some(Error::Damaged { .. })));
    assert!(matches!(insert(&table, 0), Some(Error::Damaged { .. })));
}
