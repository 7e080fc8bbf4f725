//! Attaching to a mapped file: as the first process, which is alone and puts the file in order, or as one of many.

use super::occupancy::Occupancy;
use super::outcome::Recovery;
use super::{Access, Settings, Store};
use crate::error::{Error, Result, TableLock};
use crate::format::checksum::mix;
use crate::format::control::{INCARNATION, INCARNATION_SEAL, INCARNATION_WORDS, LAST, NEWEST_STATE};
use crate::format::header::Header;
use crate::sys::attachment::{Attachment, Hold, Incarnation};
use crate::sys::mapping::{Map, MappedWords};
use crate::sys::medium::Medium;
use crate::sys::words::Ordering;
use std::time::Duration;

impl Store {
    /// A handle on a mapped file, not attached yet.
    pub fn map(attachment: Attachment, header: Header, access: Access, settings: &Settings) -> Result<Self> {
        let geometry = header.geometry;
        let is_writable = access == Access::ReadWrite;
        let map = MappedWords::of_file(attachment.file(), geometry.word_count(), is_writable, settings.prefault)
            .and_then(|words| Map::new(words, geometry.control()))
            .map_err(Error::io("map", attachment.path()))?;
        let mut store = Store::new(Medium::Mapped(map), header, settings.clone(), access, Some(attachment));
        if is_writable {
            // Until it is attached, nobody may lock through it: not even to sync when it is dropped.
            store.occupancy = Occupancy::of_nobody();
        }
        Ok(store)
    }

    /// Attaches while no other process is attached or can attach: recovers the table unless everything is proved to be in
    /// order, then lets others in.
    pub fn attach_as_the_first(&mut self, own: &Incarnation) -> Result<()> {
        let attached = self.incarnation();
        let is_same_boot = attached.is_some_and(|attached| attached.is_same_boot(own));
        if self.is_left_in_order(own)? {
            self.make_locks_anew()?;
            if self.is_losing_its_name() {
                // It was opened by its name, and nobody else can be at it.
                self.call_departure_off();
            }
            self.note_recovery_number();
            self.note_in_order();
        } else {
            self.recovery = self.recover(is_same_boot)?;
            self.make_locks_anew()?;
            self.put_incarnation(own);
        }
        // From here on other processes may attach: the exclusive hold becomes a shared one in one step.
        self.attachment.as_ref().map_or(Ok(true), |attachment| attachment.try_attach(Hold::Shared))?;
        self.occupancy.adopt();
        Ok(())
    }

    /// A process that is alone always does this: the owner of a lock may have died, which is dealt with, or a first opener while it
    /// made the locks, and then they look free and are none.
    pub(super) fn make_locks_anew(&self) -> Result<()> {
        self.medium.initialise_locks().map_err(Error::io("make the locks of", self.path()))
    }

    /// Whether the last process that used the table left it in order. No process is attached.
    pub(super) fn is_left_in_order(&self, own: &Incarnation) -> Result<bool> {
        // The file may have been restored in place, with a mutex that was held.
        let seems_in_order =
            self.incarnation() == Some(*own) && self.faults().any().is_none() && self.medium.locks_are_free();
        Ok(seems_in_order && self.is_proved()?)
    }

    /// Attaches beside the processes that are attached already. The gate is held, so they stay what they are.
    pub fn attach_as_one_of_many(&mut self) -> Result<()> {
        if let Some(attachment) = &self.attachment {
            self.share_through(attachment)?;
        }
        if let Some(fault) = self.faults().any() {
            return Err(fault.error());
        }
        self.note_recovery_number();
        self.note_in_order();
        self.occupancy.adopt();
        Ok(())
    }

    /// Attaches through an open file, if this process can share the table with those that are attached. The gate is held.
    pub(super) fn share_through(&self, attachment: &Attachment) -> Result<()> {
        let attached = self.incarnation();
        // They run on this kernel, unless other machines can lock the file too.
        let is_local = !self.settings.any_file_system;
        let known = attached.filter(|_| is_local).map(|attached| attached.boot_id);
        let own = Incarnation::current(attachment.id(), attachment.path(), known)?;
        if attached != Some(own) {
            let holder = match (attached, attachment.attached_process()) {
                (None, Some(process)) => format!(" (process {process} holds a lock of it)"),
                _ => String::new(),
            };
            return Err(Error::Incompatible { reason: own.difference(attached.as_ref()) + &holder });
        }
        if !attachment.try_attach(Hold::Shared)? {
            let reason = "somebody has the file to himself: another program locks it".to_owned();
            return Err(Error::Incompatible { reason });
        }
        Ok(())
    }

    /// Remembers that opening found the table in order.
    pub fn note_in_order(&mut self) {
        self.recovery = self.recovery_in_order();
    }

    fn recovery_in_order(&self) -> Recovery {
        let number = self.control().load(LAST, Ordering::Acquire);
        let live_count = self.control().load(NEWEST_STATE + 1, Ordering::Acquire);
        Recovery { number, highest_number_seen: number, live_count, ..self.recovery }
    }

    pub fn incarnation(&self) -> Option<Incarnation> {
        let words = self.control().to_array::<INCARNATION_WORDS>(INCARNATION);
        let seal = self.control().load(INCARNATION_SEAL, Ordering::Acquire);
        (seal == incarnation_seal(words)).then(|| Incarnation::from_words(words))
    }

    fn put_incarnation(&self, incarnation: &Incarnation) {
        let [words @ .., seal] = sealed_incarnation(incarnation);
        for (offset, content) in words.into_iter().enumerate() {
            self.control().store(INCARNATION + offset, content, Ordering::Relaxed);
        }
        self.control().store(INCARNATION_SEAL, seal, Ordering::Release);
    }

    /// What is said when another process has been opening the file for the whole timeout.
    pub fn opening_timeout(&self) -> Error {
        let holder_pid = self.attachment.as_ref().and_then(Attachment::attached_process);
        Error::Timeout { lock: TableLock::Gate, holder_pid, waited: self.settings.lock_timeout }
    }

    /// Waits until no process is recovering the file, and keeps others from beginning to. `left` is what is left of the timeout.
    pub fn wait_at_gate(&self, left: Duration) -> Result<()> {
        if let Some(attachment) = &self.attachment {
            attachment.enter_gate(Hold::Shared, left).map_err(|error| match error {
                Error::Timeout { lock, holder_pid, .. } => {
                    Error::Timeout { lock, holder_pid, waited: self.settings.lock_timeout }
                }
                error => error,
            })?;
        }
        self.note_recovery_number();
        Ok(())
    }

    pub fn leave_gate(&self) -> Result<()> {
        self.attachment.as_ref().map_or(Ok(()), Attachment::leave_gate)
    }
}

/// The words of an incarnation, and its seal.
pub fn sealed_incarnation(incarnation: &Incarnation) -> [u64; INCARNATION_WORDS + 1] {
    let words = incarnation.to_words();
    let [a, b, c, d, e, f, g] = words;
    [a, b, c, d, e, f, g, incarnation_seal(words)]
}

/// Never 0, which is what is written while there is no incarnation.
fn incarnation_seal([a, b, c, d, e, f, g]: [u64; INCARNATION_WORDS]) -> u64 {
    mix(mix(a, b, c), mix(d, e, f), g) | 1
}

#[cfg(test)]
mod tests {
    use super::super::tests::heap_store;
    use super::super::tests::world::{header, incarnation, settings};
    use super::*;
    use crate::format::control::{CONDEMNED, LOSING_ITS_NAME, SUCCESSOR, SUPERSEDED};
    use crate::sys::attachment::FileId;

    #[test]
    fn an_incarnation_is_there_only_if_its_seal_fits() {
        let store = heap_store(header(1), settings());
        // Zeros, as in a new file, are no incarnation.
        assert_eq!(store.incarnation(), None);
        let own = incarnation(1);
        store.put_incarnation(&own);
        assert_eq!(store.incarnation(), Some(own));
        for index in INCARNATION..=INCARNATION_SEAL {
            let place = store.geometry.control() + index;
            let content = store.word_at(place);
            store.plant(place, &[content ^ 1 << 7]);
            assert_eq!(store.incarnation(), None, "word {index}");
            store.plant(place, &[content]);
        }
        assert_eq!(store.incarnation(), Some(own));
    }

    /// A process that died between the two words once left a successor that never came.
    #[test]
    fn a_successor_counts_only_while_the_name_goes() {
        let store = heap_store(header(1), settings());
        let mark = |index: usize, value: u64| store.plant(store.geometry.control() + index, &[value]);
        mark(SUCCESSOR, 1);
        assert!(!store.is_carried_on());
        for superseded in [LOSING_ITS_NAME, 1] {
            mark(SUPERSEDED, superseded);
            assert!(store.is_carried_on());
        }
        mark(SUCCESSOR, 0);
        assert!(!store.is_carried_on());
    }

    #[test]
    fn a_reader_is_told_why_a_file_needs_a_recovery() {
        let store = heap_store(header(1), settings());
        let own = incarnation(1);
        let reason = || store.recovery_reason(&own).unwrap_or("in order");
        assert_eq!(reason(), "whoever opened or repaired it last did not finish");
        store.put_incarnation(&own);
        assert_eq!(reason(), "in order");
        // Readers use no mutex.
        store.put_incarnation(&Incarnation { pid_namespace: !own.pid_namespace, ..own });
        assert_eq!(reason(), "in order");
        store.put_incarnation(&Incarnation { file: FileId { birth_time: !own.file.birth_time, ..own.file }, ..own });
        assert_eq!(reason(), "it was copied, moved or restored");
        store.put_incarnation(&incarnation(2));
        assert_eq!(reason(), "it was last used in another boot");
        let mark = |index: usize| store.plant(store.geometry.control() + index, &[1]);
        mark(SUPERSEDED);
        assert_eq!(reason(), "it is marked as replaced");
        mark(CONDEMNED);
        assert_eq!(reason(), "one of its locks can no longer be used");
    }
}
