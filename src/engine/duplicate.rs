//! What is reported when a key is there already.

use super::change::VisibleCell;
use super::{Encoded, Store};
use crate::error::{Error, Fault};
use crate::schema::decode_value;

impl Store {
    /// The error that the record in a slot has the key of a record that was to be inserted. Under the write mutex.
    #[cold]
    #[inline(never)]
    pub(super) fn duplicate_key_in(&self, slot: u32, record: Encoded<'_>) -> Fault {
        match self.view().current(self.slot(slot)) {
            Ok((_, there)) => self.duplicate_key(there, record),
            Err(fault) => fault,
        }
    }

    /// The error that a record, which a transaction sees here, has the key of a record that was to be inserted.
    #[cold]
    #[inline(never)]
    pub(super) fn duplicate_key(&self, there: VisibleCell<'_>, record: Encoded<'_>) -> Fault {
        Error::DuplicateKey { key: self.key_as_text(record), id: there.meta().id }.into()
    }

    /// The key of a record, as text for people.
    fn key_as_text(&self, record: Encoded<'_>) -> String {
        let bytes: &[u8] = bytemuck::cast_slice(record.payload);
        let decode = || {
            let field = self.header.schema.key()?;
            let bytes = bytes.get(field.offset_bytes()..)?.get(..field.field_bytes())?;
            decode_value(field, bytes).ok()
        };
        decode().map(|key| key.to_string()).unwrap_or_default()
    }
}
