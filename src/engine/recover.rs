//! Recovery by a first opener, which is alone: how the file is brought to the state that was [chosen](super::choose).
//!
//! Invariants:
//!
//! 1. Heads, index, free stack and everything else that is not sealed are not believed. A sealed state or sync record is
//!    believed only if the digest, computed anew from the cells visible at its number, matches.
//! 2. Nothing is changed before a state is chosen; if none can be, the file stays as it is.
//! 3. Each step is flushed before the next, since the power can fail again. At every moment the choice can be made again from
//!    what is on the disk. The steps are those of format.md:
//!    1. every page is written again and flushed, so that later flushes cover what an earlier, failed one left clean;
//!    2. a sync record carries the choice: if none does yet, one is written over a record that does not verify, or else over
//!       the older one;
//!    3. every cell that the choice does not show is wiped;
//!    4. the other sync record carries the same state under a number far above everything seen, and a raised generation floor:
//!       so numbers and ids that were given out in the time that was lost do not come again, even if the power fails before the
//!       next sync. It names the numbers that were jumped over too, so that a cursor that was given out in that time is
//!       refused;
//!    5. the control group is rebuilt, and the incarnation is written last, by the caller.

use crate::engine::Store;
use crate::engine::choose::Choice;
use crate::engine::outcome::{Recovery, RecoveryOutcome};
use crate::error::{Error, Internal, Result, broken_invariant};
use crate::format::cell::{GENERATION_LIMIT, Head, NUMBER_LIMIT};
use crate::format::control::{
    CONDEMNED, CONTROL_WORDS, DURABLE, FAILED, FLUSHING, FREE_COUNT, FREE_COUNT_NEXT, GENERATION_FLOOR, INCARNATION,
    INCARNATION_SEAL, INCARNATION_WORDS, INTENDED_STATE, INTENT_COUNT, LAST, LAST_SYNC_MILLISECONDS,
    LAST_SYNC_WALL_MILLISECONDS, NEWEST_STATE, NO_PIN, PIN, PREPARED, RECOVERY_NUMBER, SUCCESSOR, SUPERSEDED, USED,
    WAITING,
};
use crate::format::gaps::{Gap, Gaps};
use crate::format::geometry::{SYNC_RECORD_COUNT, word};
use crate::format::sync_record::{SYNC_RECORD_WORDS, State, SyncRecord};
use crate::layout::slot;
use crate::sys::attachment::{Incarnation, random_uuid, uuid_words};
use crate::sys::words::Ordering;
use crate::value::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How far above everything seen numbers continue after a recovery: further than any were given out in the time that was lost.
const NUMBER_JUMP: u64 = 1 << 32;
/// How far generations jump after a recovery that may have lost something: further than any slot got in the time that was lost.
/// There is room for a million of these jumps.
const GENERATION_JUMP: u64 = 1 << 20;
/// The same for a file that is a copy of another, or was restored from one: the other file may have been in use for a long time
/// since, and may itself have been recovered. A random amount of up to the same size is added, so that two copies of one file
/// do not meet either.
const COPY_NUMBER_JUMP: u64 = 1 << 40;
const COPY_GENERATION_JUMP: u64 = 1 << 26;

/// How far a recovery jumps over what must not be given out again.
struct Jump {
    number: u64,
    generation: u64,
}

/// What a recovery will lead to.
struct Plan {
    choice: Choice,
    is_new: bool,
    is_unopened: bool,
    nothing_lost: bool,
    number: u64,
    generation_floor: u64,
    /// What was known, and the numbers that this recovery jumps over.
    gaps: Gaps,
}

impl Store {
    /// Brings the table to the newest state that can be found in it. The caller is alone, has checked the header, and writes
    /// the incarnation afterwards. `is_same_boot`: the file was last used in this boot, in place.
    pub(super) fn recover(&self, is_same_boot: bool) -> Result<Recovery> {
        let progress = self.write_progress();
        let mut plan = self.plan_recovery(is_same_boot)?;
        self.control().store(INCARNATION_SEAL, 0, Ordering::Release);
        self.count(RECOVERY_NUMBER);
        self.wake_everyone();
        // Step 1.
        self.dirty_durable_group();
        self.flush_recovery()?;
        // A process that writes although it is not attached was not refused until the recovery was counted.
        if self.write_progress() != progress {
            plan = self.plan_recovery(is_same_boot)?;
        }
        let Plan { choice, is_new, is_unopened, nothing_lost, number, generation_floor, gaps } = plan;
        // Step 2.
        let carrying = self.see_that_a_record_carries(&choice)?;
        // Step 3.
        self.wipe_all_but(choice.state.number);
        self.flush_recovery()?;
        // Step 4.
        let state = State { number, ..choice.state };
        self.put_sync_record(
            1 - carrying,
            SyncRecord {
                state,
                predecessor: choice.state.number,
                generation_floor,
                wall_time_microseconds: (self.settings.wall_clock)(),
                gaps,
            },
        );
        self.flush_recovery()?;
        // Step 5.
        self.rebuild_control(state, generation_floor)?;
        self.note_recovery_number();
        Ok(Recovery {
            outcome: match choice.record.map(|(_, record)| record.wall_time_microseconds) {
                _ if is_new => RecoveryOutcome::New,
                Some(made) if is_unopened => {
                    RecoveryOutcome::Unopened { wall_time: Timestamp::from_microseconds(made) }
                }
                Some(synced) if !nothing_lost => {
                    RecoveryOutcome::Checkpoint { wall_time: Timestamp::from_microseconds(synced) }
                }
                _ => RecoveryOutcome::Newest,
            },
            nothing_lost: nothing_lost || is_unopened,
            number: choice.state.number,
            highest_number_seen: choice.highest_number_seen,
            live_count: choice.state.live_count,
            is_private_copy: false,
        })
    }

    /// What changes with each write that is made.
    fn write_progress(&self) -> [u64; 3] {
        [USED, PREPARED, LAST].map(|index| self.control().load(index, Ordering::Acquire))
    }

    /// Plans the recovery, before anything is changed.
    fn plan_recovery(&self, is_same_boot: bool) -> Result<Plan> {
        let choice = self.choose()?;
        // Neither the state that was chosen nor anything newer has a number.
        let is_new = choice.highest_number_seen == 0;
        let nothing_lost = is_new || is_same_boot && choice.is_newest;
        let jump = if is_new { Jump { number: 1, generation: 0 } } else { self.jump(nothing_lost)? };
        let number = choice.highest_number_seen.saturating_add(jump.number);
        let generation_floor =
            self.generation_floor(&choice, is_same_boot).saturating_add(jump.generation).min(GENERATION_LIMIT);
        if number >= NUMBER_LIMIT {
            return Err(Error::damaged("a transaction number is close to the highest possible"));
        }
        let gaps = choice.gaps.with(Gap { chosen: choice.state.number, resumed: number });
        let is_unopened = !is_new && choice.is_newest && self.is_unopened();
        Ok(Plan { choice, is_new, is_unopened, nothing_lost, number, generation_floor, gaps })
    }

    /// Whether no process has opened the file since it was made from another table. Nothing but an incarnation is in its control
    /// region then, and only one sync record was written: a first opener writes both before anything else can be published.
    pub(super) fn is_unopened(&self) -> bool {
        let control = self.geometry.control();
        let sync_record = self.geometry.sync_record(1);
        let mut words = (control..control + INCARNATION)
            .chain(control + INCARNATION_SEAL + 1..control + CONTROL_WORDS)
            .chain(sync_record..sync_record + SYNC_RECORD_WORDS);
        words.all(|index| self.words().load(index, Ordering::Relaxed) == 0)
    }

    /// How far numbers and generations go on.
    fn jump(&self, nothing_lost: bool) -> Result<Jump> {
        let is_copy = self.attachment.as_ref().is_some_and(|attachment| {
            // This is read whether or not an unfinished recovery has taken the seal away.
            let attached = Incarnation::from_words(self.control().to_array::<INCARNATION_WORDS>(INCARNATION));
            attachment.id() != attached.file
        });
        if is_copy {
            let [first, second] = uuid_words(random_uuid());
            return Ok(Jump {
                number: COPY_NUMBER_JUMP + first % COPY_NUMBER_JUMP,
                generation: COPY_GENERATION_JUMP + second % COPY_GENERATION_JUMP,
            });
        }
        Ok(Jump { number: NUMBER_JUMP, generation: if nothing_lost { 0 } else { GENERATION_JUMP } })
    }

    /// The generation that the next ones must be above: at least the floor of the sync records. Where nothing can be lost, the
    /// ids given out in transactions that were later given up are known only from the control region, or from cells that have
    /// not been undone.
    fn generation_floor(&self, choice: &Choice, is_same_boot: bool) -> u64 {
        let latest = self.control().load(GENERATION_FLOOR, Ordering::Relaxed);
        let is_credible = is_same_boot && latest < GENERATION_LIMIT;
        choice
            .generation_floor
            .max(if is_credible { latest } else { 0 })
            .max(self.generation_given_up(choice.state.number))
            .max(if is_same_boot { self.generation_being_staged() } else { 0 })
    }

    /// The highest generation in the cells of the intent list. A cell that was being staged again when its writer died does not
    /// verify, and its id may have been told to others. What is far from the floor was never given out.
    fn generation_being_staged(&self) -> u64 {
        let view = self.view();
        let limit = self.control().load(GENERATION_FLOOR, Ordering::Relaxed).saturating_add(GENERATION_JUMP);
        let listed = (0..view.intent_count().unwrap_or(0)).filter_map(|position| view.intent(position).ok());
        let generations = listed.map(|intent| {
            let (slot, head) = (view.slot(intent.slot), view.slot(intent.slot).head());
            let current = if head.exists() { slot.cell_header(head.cell()).generation } else { 0 };
            (slot.cell_header(intent.cell).generation, current)
        });
        let is_given_out = |(staged, current): &(u64, u64)| {
            (current + 1..GENERATION_LIMIT - 1).contains(staged) && *staged <= limit.max(current + GENERATION_JUMP)
        };
        generations.filter(is_given_out).map(|(staged, _)| staged).max().unwrap_or(0)
    }

    /// The highest generation of a record that was inserted after the choice: a process that died while staging it may have
    /// told its id to others.
    fn generation_given_up(&self, number: u64) -> u64 {
        let mut before = BTreeMap::new();
        self.for_visible_cells(number, |slot, _, header| {
            before.insert(slot, header.generation);
        });
        let mut highest = 0;
        self.for_verified_cells(|slot, header| {
            let before = before.get(&slot).copied().unwrap_or(0);
            // The next insert gets a generation above this one, so one that leaves no next generation does not count.
            if header.number > number && (before + 1..GENERATION_LIMIT - 1).contains(&header.generation) {
                highest = highest.max(header.generation);
            }
        });
        highest
    }

    fn flush_recovery(&self) -> Result<()> {
        self.flush_durable_group().map_err(|source| Error::FlushFailed { source: Some(source) })
    }

    /// Makes sure that a sync record on the disk carries the choice. Returns which one.
    fn see_that_a_record_carries(&self, choice: &Choice) -> Result<usize> {
        if let Some((record, _)) = choice.record {
            return Ok(record);
        }
        let worth = |record: &usize| match self.sync_record(*record) {
            None => (false, 0),
            Some(SyncRecord { state, .. }) => {
                (self.digest_at(state.number) == (state.digest, state.live_count), state.number)
            }
        };
        let Some(target) = (0..SYNC_RECORD_COUNT).min_by_key(worth) else {
            broken_invariant("there are sync records");
        };
        self.put_sync_record(
            target,
            SyncRecord {
                state: choice.state,
                predecessor: choice.acknowledged,
                generation_floor: choice.generation_floor,
                wall_time_microseconds: (self.settings.wall_clock)(),
                gaps: choice.gaps,
            },
        );
        self.flush_recovery()?;
        Ok(target)
    }

    fn wipe_all_but(&self, number: u64) {
        let mut shown = Vec::new();
        self.for_visible_cells(number, |slot, cell, _| shown.push((slot, cell)));
        let mut shown = shown.into_iter().peekable();
        for slot in 0..self.geometry.capacity() {
            let kept = shown.next_if(|(visible_slot, _)| *visible_slot == slot).map(|(_, cell)| cell);
            let numbers = self.slot(slot).cell_numbers();
            for (cell, found) in (0..).zip(numbers) {
                if Some(cell) != kept && found != 0 {
                    self.slot(slot).wipe(cell);
                }
            }
        }
    }

    /// Writes every word of the control group except the mutexes and the incarnation.
    pub(super) fn rebuild_control(&self, state: State, generation_floor: u64) -> Internal<()> {
        let control = self.control();
        let mut free_slots = self.rebuild_heads();
        // The slot that became free last is on top. Those that were never used are at the bottom, the first of them uppermost.
        free_slots.sort_unstable_by_key(|(number, slot)| (*number, Reverse(*slot)));
        for (position, (_, slot)) in (0..).zip(&free_slots) {
            self.view().put_free_stack_entry(position, *slot)?;
        }
        let free_count = word(free_slots.len());
        if self.geometry.key().is_some() {
            let live = (0..self.geometry.capacity()).map(|slot| self.slot(slot)).filter(|slot| slot.head().is_live());
            let live_count = live.clone().count();
            let keys =
                live.filter_map(|slot| Some((self.view().hash_of_key_in(slot, slot.head().cell())?, slot.index())));
            self.view().index().rebuild_from(keys, live_count);
        }
        let sealed = state.to_words(self.digest_seed);
        self.view().put_state(NEWEST_STATE, sealed);
        self.view().put_state(INTENDED_STATE, sealed);
        for (index, content) in [
            (INTENT_COUNT, 0),
            (USED, state.number),
            (PREPARED, state.number),
            (LAST, state.number),
            (FREE_COUNT, free_count),
            (FREE_COUNT_NEXT, free_count),
            (PIN, NO_PIN),
            (DURABLE, state.number),
            (GENERATION_FLOOR, generation_floor),
            (LAST_SYNC_MILLISECONDS, crate::engine::status::monotonic_milliseconds()),
            (LAST_SYNC_WALL_MILLISECONDS, self.wall_milliseconds()),
            (FLUSHING, 0),
            (FAILED, 0),
            (SUPERSEDED, 0),
            (SUCCESSOR, 0),
            (CONDEMNED, 0),
            (WAITING, 0),
        ] {
            control.store(index, content, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Points every head at the one cell that is left in its slot. Returns the free slots, each with its number.
    fn rebuild_heads(&self) -> Vec<(u64, u32)> {
        let mut free_slots = Vec::new();
        for slot in 0..self.geometry.capacity() {
            let numbers = self.slot(slot).cell_numbers();
            let head = match slot::visible_cell(numbers, NUMBER_LIMIT) {
                None => {
                    free_slots.push((0, slot));
                    Head::EMPTY
                }
                Some(cell) => {
                    let header = self.slot(slot).cell_header(cell);
                    if !header.is_live && header.generation < GENERATION_LIMIT - 1 {
                        free_slots.push((header.number, slot));
                    }
                    Head::new(header.number, header.is_live, cell)
                }
            };
            self.slot(slot).publish(head);
        }
        free_slots
    }
}
