//! Keys of any width anywhere in a record: looked up, distinguished to the byte, and taken out of the index again.

use crate::engine::read::Meta;
use crate::engine::tests::heap_store;
use crate::engine::tests::world::settings;
use crate::engine::{Encoded, Store};
use crate::error::{Error, Internal};
use crate::format::control::FREE_COUNT;
use crate::format::control::PIN;
use crate::format::header::Header;
use crate::schema::{FieldSchema, Schema};
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

    /// A key that differs from the others in one byte: its first, its last, or one in between.
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
                // Everything around the key may change, but nothing in it.
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
                index.entries().filter(|entry| *entry != crate::layout::index::IndexEntry::Empty).count(),
                0,
                "{described}"
            );
        }
    }
}

#[test]
fn damage_in_the_free_stack_or_the_index_is_an_error() {
    let layout = Layout { before_bytes: 0, key_bytes: 8, after_bytes: 8 };
    let insert = |table: &Store, number: u8| error_of(table.insert(Encoded::new(&layout.record(number, 0))));
    let top_of = |table: &Store| {
        let free_count = usize::try_from(table.control_word(FREE_COUNT)).unwrap();
        table.geometry.free_stack() + free_count - 1
    };
    for stray in [CAPACITY, CAPACITY + 1, u64::MAX] {
        let table = layout.table();
        table.plant(top_of(&table), &[stray]);
        assert!(matches!(insert(&table, 0), Some(Error::Damaged { .. })), "{stray}");
    }
    // The slot of a live record is given out as free.
    let table = layout.table();
    assert!(insert(&table, 0).is_none());
    let taken = table.word_at(top_of(&table) + 1);
    table.plant(top_of(&table), &[taken]);
    assert!(matches!(insert(&table, 1), Some(Error::Damaged { .. })));
    // More slots are free than there are.
    let table = layout.table();
    table.plant(table.geometry.control() + FREE_COUNT, &[CAPACITY + 1]);
    assert!(matches!(insert(&table, 0), Some(Error::Damaged { .. })));
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

#[test]
fn a_key_at_the_end_of_the_file_is_read_to_its_end_and_no_further() {
    // Cells that fill their last page: the file ends behind the last of them.
    let layout = Layout { before_bytes: 21, key_bytes: 16, after_bytes: 3 };
    let field = |name: &str, width: u16| FieldSchema::new(name, FieldType::Bytes(width - 2));
    let fields = vec![
        field("before", layout.before_bytes),
        field("key", layout.key_bytes).key(),
        field("after", layout.after_bytes),
    ];
    let table = heap_store(Header::new(128, Schema::new(fields).unwrap(), [7; 16], 5, 0).unwrap(), settings());
    assert_eq!(table.geometry.slot(127).end, table.geometry.word_count());
    let insert = |number| table.insert(Encoded::new(&layout.record(number, 0))).unwrap();
    let ids: Vec<RecordId> = (0..128).map(|number| insert(number).id).collect();
    let last = ids[127];
    let update = |around| {
        let version = table.update(last, None, Encoded::new(&layout.record(127, around))).unwrap().version;
        (table.head_of(127).cell(), version)
    };
    // One cell is kept for the sync, another as if a sync were in flight: so all four come into use.
    table.sync().unwrap();
    let (_, version) = update(1);
    table.plant(table.geometry.control() + PIN, &[version]);
    assert!((2..9).any(|around| update(around).0 == 3));
    table.delete(last, None).unwrap();
    assert_eq!(layout.find(&table, 127), None);
    let again = insert(127);
    assert_eq!((again.id.slot(), layout.find(&table, 127)), (127, Some(again)));
}

#[test]
fn records_without_a_key_are_as_many_as_are_inserted_whatever_is_in_them() {
    let schema = Schema::new(vec![FieldSchema::new("value", FieldType::U64)]).unwrap();
    let table = heap_store(Header::new(8, schema, [7; 16], 5, 0).unwrap(), settings());
    let record = Encoded::new(&[5]);
    let single = [table.insert(record).unwrap().id, table.insert(record).unwrap().id];
    let mut transaction = table.begin().unwrap();
    let several = [0; 4].map(|_| transaction.insert(record).unwrap().id);
    transaction.update(several[0], None, Encoded::new(&[6])).unwrap();
    transaction.delete(several[1], None).unwrap();
    transaction.insert(record).unwrap();
    transaction.commit().unwrap();
    drop(transaction);
    assert_eq!(table.live_count().unwrap(), 6);
    table.delete(single[0], None).unwrap();
    table.update(single[1], None, Encoded::new(&[7])).unwrap();
    let mut payload = [0];
    assert_eq!(table.get(single[0], &mut payload).unwrap(), None);
    for (id, value) in [(single[1], 7), (several[0], 6), (several[2], 5)] {
        assert!(table.get(id, &mut payload).unwrap().is_some());
        assert_eq!(payload, [value]);
    }
    let three = [0; 3].map(|_| table.insert(record).unwrap().id);
    assert_eq!(three.map(|id| table.get(id, &mut [0]).unwrap().is_some()), [true; 3]);
    assert!(matches!(error_of(table.insert(record)), Some(Error::Full { .. })));
}

#[test]
fn keys_that_come_and_go_for_ever_never_fill_the_index() {
    let layout = Layout { before_bytes: 0, key_bytes: 8, after_bytes: 8 };
    let table = layout.table();
    let rebuilt_before = table.status().index_rebuild_count;
    let mut ids = std::collections::VecDeque::new();
    let step_count = if cfg!(miri) { 200 } else { 5_000 };
    for number in 0..step_count {
        // One comes as another goes, so that no write only takes out.
        let mut transaction = table.begin().unwrap();
        if ids.len() == usize::try_from(CAPACITY).unwrap() {
            transaction.delete(ids.pop_front().unwrap(), None).unwrap();
        }
        ids.push_back(transaction.insert(Encoded::new(&[number, 0])).unwrap().id);
        transaction.commit().unwrap();
        drop(transaction);
        assert!(table.find(&number.to_ne_bytes(), &mut [0; 2]).unwrap().is_some(), "key {number}");
        assert!(table.find(&(number + 1).to_ne_bytes(), &mut [0; 2]).unwrap().is_none());
    }
    // What was taken out of the index is cleared away now and then, or searches would get longer and longer.
    assert!(table.status().index_rebuild_count > rebuilt_before || cfg!(miri));
}
