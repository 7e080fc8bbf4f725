#!/usr/bin/env python3
"""Removes each rule of the protocol from a copy of the sources, one by one, and shows which tests go red.

    python3 tests/plant_faults.py            all of them: half a minute for each, on two cores
    python3 tests/plant_faults.py wipe seal  only these

The names are those of the rules. Exits 0 if every fault was seen: a rule that no test misses is not tested. Tests that a fault
makes hang are ended after a while, with every process that they began, and have seen it.
"""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

R = "src/engine/recover.rs"
C = "src/engine/sync.rs"
G = "src/engine/stage.rs"
SI = "src/engine/single.rs"
CM = "src/engine/commit.rs"
RP = "src/engine/repair.rs"
S = "src/layout/slot.rs"
I = "src/layout/index.rs"
O = "src/file/open.rs"
H = "src/format/header.rs"
CR = "src/format/sync_record.rs"
RD = "src/engine/read.rs"
CP = "src/engine/copy.rs"
GU = "src/engine/guard.rs"
N = "src/file/create.rs"
L = "src/sys/robust_mutex.rs"
T = "src/sys/thread.rs"
A = "src/sys/attachment.rs"
LE = "src/engine/leave.rs"
OR = "src/file/open_read_only.rs"
M = "src/engine/mod.rs"
TX = "src/engine/transaction.rs"
FK = "src/engine/fork.rs"
PR = "src/engine/prove.rs"
SP = "src/sys/process.rs"
OC = "src/engine/occupancy.rs"
AT = "src/engine/attach.rs"
PC = "src/engine/private_copy.rs"
TA = "src/table/table.rs"
CH = "src/engine/choose.rs"
OU = "src/engine/outcome.rs"
SN = "src/engine/scan.rs"
W = "src/engine/wait.rs"
CG = "src/engine/changes.rs"
GA = "src/format/gaps.rs"
PV = "src/sys/private.rs"
RB = "src/file/rebuild.rs"
NS = "src/maintenance/new_schema.rs"
TCH = "src/table/changes.rs"
IM = "src/file/image.rs"
BK = "src/maintenance/backup.rs"
RE = "src/maintenance/repair.rs"
SC = "src/engine/scrub.rs"
NA = "src/file/name.rs"

# For each rule: in which file which text is replaced by which.
FAULTS = {
 'digest': [(CH,'if (digest, live_count) != (state.digest, state.live_count) {','let _ = (digest, live_count);\n            if false {')],
 'seal': [(CR,'(state.seal(digest_seed) == seal).then_some(state)','let _ = (seal, digest_seed);\n        Some(state)')],
 'prepared': [(CH,'self.view().state(INTENDED_STATE).filter(|state| state.number == prepared)','self.view().state(INTENDED_STATE).filter(|_| prepared < u64::MAX)')],
 'burn': [(RP,"        control.store(INTENT_COUNT, 0, Ordering::Release);\n    }\n\n    /// Makes sure","        control.store(USED, control.load(LAST, Ordering::Relaxed), Ordering::Release);\n        control.store(INTENT_COUNT, 0, Ordering::Release);\n    }\n\n    /// Makes sure")],
 'wipe': [(RP,'                self.slot(intent.slot).wipe(intent.cell);','                let _ = intent;')],
 'pin-locked': [(C,"        let _guard = WriteGuard::lock(self)?;\n        let state = self.view().newest_state()?;","        let state = { let _guard = WriteGuard::lock(self)?; self.view().newest_state()? };")],
 'pin-order': [(G,"        let pin = match self","        let durable = self.control.load(DURABLE, Ordering::Acquire);\n        let pin = match self"),(G,"        };\n        let durable = self.control.load(DURABLE, Ordering::Acquire);","        };")],
 'unpin-last': [(C,"        control.store(DURABLE, state.number, Ordering::Release);\n        control.store(PIN, NO_PIN, Ordering::Release);","        control.store(PIN, NO_PIN, Ordering::Release);\n        control.store(DURABLE, state.number, Ordering::Release);")],
 'one-durable-word': [(C,"Some((carrying, record)) => (1 - carrying, record.gaps),","Some((_, record)) => (usize::from(self.control().load(22, Ordering::Relaxed) & 1 == 0), record.gaps),"),
                      (C,"        control.store(PIN, NO_PIN, Ordering::Release);\n        control.store(LAST_SYNC","        control.load(DURABLE, Ordering::Acquire);\n        control.store(22, control.load(22, Ordering::Relaxed) ^ 1, Ordering::Release);\n        control.store(PIN, NO_PIN, Ordering::Release);\n        control.store(LAST_SYNC"),
                      (R,"        self.note_recovery_number();","        let carrying = (0..2_u64).find(|record| self.sync_record(usize::try_from(*record).unwrap_or(0)).is_some_and(|found| found.state.number == state.number));\n        self.control().store(22, carrying.unwrap_or(0), Ordering::Relaxed);\n        self.note_recovery_number();")],
 'stay-failed': [(C,"        if self.faults().is_flush_failed {\n            return","        if false {\n            return")],
 'dead-flush': [(C,"if control.load(FLUSHING, Ordering::Relaxed) != 0 || control.load(PIN, Ordering::Relaxed) != NO_PIN {","if false {")],
 'lost: a sync above the durable one may have been acknowledged': [(PR,"(number <= durable || number == pin) && record.predecessor","let _ = number;\n            record.predecessor")],
 'lost: a file that will be refused is not repaired': [(PR," && record.predecessor <= durable","")],
 'lost: the sync of a dead syncer is finished': [(C,"            control.store(DURABLE, pinned, Ordering::Release);\n","")],
 'lost: also before its flush has begun': [(C," || control.load(PIN, Ordering::Relaxed) != NO_PIN {"," {")],
 'redirty': [(R,"        self.dirty_durable_group();\n","")],
 'flush-first': [(R,"        self.dirty_durable_group();\n        self.flush_recovery()?;","        self.dirty_durable_group();")],
 'unverified-first': [(R,"            None => (false, 0),","            None => (true, 0),"),(R,"                (self.digest_at(state.number) == (state.digest, state.live_count), state.number)","                (true, state.number)")],
 'record-first': [(R,"        self.flush_recovery()?;\n        Ok(target)","        Ok(target)")],
 'recovery-wipe': [(R,"        self.wipe_all_but(choice.state.number);\n","")],
 'flush': [(R,"        self.flush_durable_group().map_err(|source| Error::FlushFailed { source: Some(source) })","        Ok(())")],
 'control-last': [(R,"        self.dirty_durable_group();\n        self.flush_recovery()?;","        self.rebuild_control(State { number: plan.number, ..plan.choice.state }, plan.generation_floor)?;\n        self.dirty_durable_group();\n        self.flush_recovery()?;")],
 'incarnation-last': [(R,"        self.control().store(INCARNATION_SEAL, 0, Ordering::Release);\n",""),(AT,"            self.recovery = self.recover(is_same_boot)?;","            self.put_incarnation(own);\n            self.recovery = self.recover(is_same_boot)?;")],
 'jump': [(R,"choice.highest_number_seen.saturating_add(jump.number)","choice.state.number.saturating_add(1)")],
 'same-boot': [(R,"is_new || is_same_boot && choice.is_newest","is_new || (is_same_boot || true) && choice.is_newest")],
 'refuse': [(CH,"if acknowledged > state.number {","if false {")],
 'seed': [(H,"u64::from_ne_bytes([a, b, c, d, e, f, g, h]) | 1","u64::from_ne_bytes([a, b, c, d, e, f, g, h]) & 0")],
 'pin': [(C,"        self.control().store(PIN, state.number, Ordering::Relaxed);\n","")],
 'acknowledged: what was flushed, not what is there by now': [(C,"        self.check_name()?;\n        Ok(state.number)","        self.check_name()?;\n        Ok(control.load(LAST, Ordering::Acquire))")],
 'durable: what was flushed, not what is there by now': [(C,"        control.store(DURABLE, state.number, Ordering::Release);","        control.store(DURABLE, control.load(LAST, Ordering::Acquire), Ordering::Release);")],
 'durable: after the flush': [(C,"        control.store(FLUSHING, 1, Ordering::Release);\n        self.flush_or_fail()?;\n","        control.store(FLUSHING, 1, Ordering::Release);\n        control.store(DURABLE, state.number, Ordering::Release);\n        self.flush_or_fail()?;\n")],
 'flush: the records too': [(C,"self.medium.flush(self.geometry.durable_group())","self.medium.flush(self.geometry.cells()..self.geometry.durable_group().end)")],
 'raised record flushed before the control group': [(R,"        self.flush_recovery()?;\n        // Step 5.","        // Step 5.")],
 'floor': [(R,".saturating_add(jump.generation)","")],
 'restored: nothing is lost only with the newest': [(R,"is_new || is_same_boot && choice.is_newest","is_new || is_same_boot")],
 'report: what is lost': [(R,"            highest_number_seen: choice.highest_number_seen,\n            live_count: choice","            highest_number_seen: choice.state.number,\n            live_count: choice")],
 'report: a file that was opened is not said to be unopened': [(R,"words.all(|index| self.words().load(index, Ordering::Relaxed) == 0)","words.all(|_| true)")],
 'maintained: a copy beside an opener ends when that one goes on': [(PC,"CONDEMNED, INCARNATION_SEAL, USED]","CONDEMNED, SUPERSEDED, CONDEMNED]")],
 'maintained: a copy beside an opener is one that can be recovered': [(PC,"if tried.recover_copy(is_same_boot).is_err() || self","if self")],
 'maintained: what no process has opened yet is not read as it lies': [(PC,"            Some(_) if self.is_unopened() => Some(\"no process has opened it since it was made\"),\n","")],
 'report: what is lost is said': [(OU,"if !self.nothing_lost && self.highest_number_seen > self.number {","if matches!(self.outcome, RecoveryOutcome::Checkpoint { .. }) && self.highest_number_seen > self.number {")],
 'report: the time of the sync': [(R,"from_microseconds(synced)","from_microseconds(synced.saturating_sub(1))")],
 'reader: checked after the copy': [(S,"let is_whole = header.load(NUMBER, Ordering::Relaxed) == number;","let is_whole = header.load(NUMBER, Ordering::Relaxed) != u64::MAX;")],
 "reader: compared with the head's number": [(S,"if number != head.number() {","if number == 0 {")],
 'scan: checked after the filter has looked': [(S,"(self.words.load(place + NUMBER, Ordering::Relaxed) == head.number()).then_some(answer)","Some(answer)")],
 "scan: compared with the head's number": [(S,"if self.words.load(place + NUMBER, Ordering::Relaxed) != head.number() {\n            return None;","if self.words.load(place + NUMBER, Ordering::Relaxed) == 0 {\n            return None;"),(S,"(self.words.load(place + NUMBER, Ordering::Relaxed) == head.number()).then_some(answer)","(self.words.load(place + NUMBER, Ordering::Relaxed) != 0).then_some(answer)")],
 'scan: a record that changed meanwhile is asked about again': [(S,"                Some(false) => return Ok(None),\n                None => {}","                Some(false) | None => return Ok(None),")],
 'scan: what is returned is what was accepted': [(S,"match self.copy(head_seen, payload) {","match self.copy(self.head(), payload) {")],
 'scan: what is accepted is verified': [(SN,"                if verifies {","                if false && verifies {")],
 'scan: it goes on behind what is damaged': [(SN,"let Some(index) = slots.next() else { break };","let Some(index) = slots.clone().next() else { break };"),(SN,"                if verifies {\n                    verify(index, header, payload)?;\n                }","                if verifies {\n                    verify(index, header, payload)?;\n                }\n                slots.start += 1;")],
 "scan: what is passed over had the head's number": [(S,"is_accepted || cells.load(start + NUMBER, Ordering::Relaxed) != head.number()","is_accepted")],
 'scan: what may be accepted is not passed over': [(S,"is_accepted || cells.load(start + NUMBER, Ordering::Relaxed) != head.number()","cells.load(start + NUMBER, Ordering::Relaxed) != head.number()")],
 'scan: each one looks whether the moment lasts': [(SN,"        self.check()?;\n        found","        found")],
 'scan: a transaction sees what it staged': [(SN,"let touched = self.first_touched(slots)?;","let touched = self.first_touched(slots)?.filter(|slot| *slot == u32::MAX);")],
 'scan: also what it staged among much else': [(TX,"self.up_to_date()?.positions.range(slots.clone()).next()","self.up_to_date()?.positions.range(slots.clone()).last()")],
 'snapshot: prepared, not last': [(RD,"self.store.control().load(PREPARED, Ordering::Relaxed) == self.prepared","self.store.control().load(LAST, Ordering::Relaxed) == self.prepared")],
 'snapshot: prepared == last at the start': [(RD,"(control.load(LAST, Ordering::Acquire) == prepared).then_some","(control.load(LAST, Ordering::Acquire) != u64::MAX).then_some")],
 'snapshot: each read looks whether the moment lasts': [(RD,"if self.lasts() { Ok(()) }","if self.lasts() || true { Ok(()) }")],
 'snapshot: the last run holds the lock': [(RD,"        let _guard = WriteGuard::lock(self).map_err(Error::from)?;\n        inside_closure(self, || body(self.lasting_moment()))","        drop(WriteGuard::lock(self).map_err(Error::from)?);\n        inside_closure(self, || body(self.lasting_moment()))")],
 'snapshot: a copy is believed by its digest': [(CP,"((self.digest, self.live_count) == (state.digest, state.live_count)).then_some(state)","Some(state)")],
 'snapshot: a copy is of what is prepared': [(CP,"self.number = self.store.control().load(PREPARED, Ordering::Acquire);","self.number = self.store.control().load(LAST, Ordering::Acquire);")],
 'snapshot: a copy takes nothing later': [(CP,"visible_cell(numbers, self.number)","visible_cell(numbers, u64::MAX)")],
 'snapshot: a copy takes what changes often first': [(CP,"            if self.take(slot) {\n                self.changed.push(slot);","            if false {\n                self.changed.push(slot);")],
 'index: entries never move': [(I,"                    table.store(position, TOMBSTONE, Ordering::Release);\n                    self.clear_tombstones_before_gap(table, position);","                    // Shifts back what follows.\n                    let mut hole = position;\n                    loop {\n                        let next = (hole + 1) & (table.len() - 1);\n                        let moved = table.load(next, Ordering::Relaxed);\n                        table.store(hole, moved, Ordering::Release);\n                        hole = next;\n                        if moved == EMPTY { break; }\n                    }")],
 'index: key in before the head': [(CM,"        // 3.1. The keys that come.\n        if tally.inserted_key_count > 0 {","        if false {"),(CM,"        // 3.3. The keys that go.\n","            for change in changes.each(self) {\n                let (slot, intent) = change?;\n                if let (true, Some(hash)) = (intent.inserts_key, changes.inserted_hash(self, slot, intent)) {\n                    self.insert_key(slot, hash)?;\n                }\n            }\n")],
 'index: key out after the head': [(CM,"        // 3.3. The keys that go.\n        if tally.removed_key_count > 0 {","        if false {"),(CM,"        // 3.2. The heads.\n","            for change in changes.each(self) {\n                let (slot, intent) = change?;\n                if let (true, Some(hash)) = (intent.removes_key, changes.removed_hash(self, slot, intent)) {\n                    self.index().remove(hash, slot.index());\n                }\n            }\n")],
 'index: rebuilt in the other table': [(I,"        let table = self.table(next);\n        clear(table);","        let entries: Vec<u64> = entries.collect();\n        let next = Epoch(next.0 ^ 1);\n        let table = self.table(next);\n        clear(table);")],
 'index: grows before it is full': [(I,"if entry_count < self.room { 0 } else { live_count }","live_count")],
 'list-first': [(SI,"    view.list(0, intent);\n    slot.stage(cell, change.new, next.payload());","    slot.stage(cell, change.new, next.payload());\n    view.list(0, intent);")],
 'seal-before-prepared': [(CM,"        self.put_state(INTENDED_STATE, sealed);\n        // 2.4. The commit point.\n        control.store(PREPARED, state.number, Ordering::Release);","        control.store(PREPARED, state.number, Ordering::Release);\n        self.put_state(INTENDED_STATE, sealed);")],
 'used-first': [(G,"        self.control.store(USED, number, Ordering::Release);\n        Ok(number)","        Ok(number)"),(CM,"        control.store(PREPARED, state.number, Ordering::Release);","        control.store(crate::format::control::USED, state.number, Ordering::Release);\n        control.store(PREPARED, state.number, Ordering::Release);")],
 'list-emptied-last': [(CM,"        // 3.2. The heads.\n","        self.control.store(INTENT_COUNT, 0, Ordering::Release);\n")],
 'newest-before-last': [(CM,"        self.put_state(NEWEST_STATE, state);\n        self.control.store(LAST, number, Ordering::Release);","        self.control.store(LAST, number, Ordering::Release);\n        self.put_state(NEWEST_STATE, state);")],
 'free-count-in-undo': [(RP,"        control.store(FREE_COUNT_NEXT, control.load(FREE_COUNT, Ordering::Relaxed), Ordering::Relaxed);\n","")],
 'live-count-in-repair': [(RP,"            view.publish(state.to_words","            let state = crate::format::sync_record::State { live_count: state.live_count + 1, ..state };\n            view.publish(state.to_words")],
 'repair-moves-free-slots': [(RP,"ListedChanges { count: intent_count }, Tally::ALL)?;","ListedChanges { count: intent_count }, Tally { freed_slot_count: 0, taken_slot_count: 0, ..Tally::ALL })?;")],
 'departed: the next writer looks for the name': [(GU,"        store.settle_name()\n    }","        Ok(())\n    }")],
 'departed: each user looks for the name': [(M,"self.is_losing_its_name() && self.has_lost_its_name();","false;")],
 'departed: a successor counts only while the name goes': [(M,"self.control().load(SUPERSEDED, Ordering::Acquire) != 0\n            && self","self")],
 'departed: a first opener takes it back': [(AT,"            if self.is_losing_its_name() {","            if false {")],
 'files: a departure is announced': [(N,"        self.store.announce_departure(self.fate == Fate::CarriedOn);","        let _ = self.fate;")],
 'files: superseded after the name is gone': [(N,"    let outcome = action(&Leaving { store: &store, fate });","    store.supersede();\n    let outcome = action(&Leaving { store: &store, fate });")],
 'names: what is created is flushed with its directory': [(N,"name.make_last().and_then(|()| store.leave_gate())","store.leave_gate()")],
 'names: what is replaced is flushed with its directory': [("src/file/name.rs","self.make_last().and_then(|()| last())","last()")],
 'names: what is destroyed is flushed with its directory': [(N,"    name.make_last()\n}","    let _ = name;\n    Ok(())\n}")],
 'names: what cannot be made to last is taken away': [(N,"        name.take_away();\n        store","        store")],
 'stale: a writer looks again under the lock': [(GU,"turns out not to be\n        // attached.\n        store.check_marks()?;","turns out not to be\n        // attached.")],
 'replaced: an opener looks again behind the gate': [(O,"if attachment.is_named_by_path()? {","if attachment.is_named_by_path()? || true {")],
 'dead-flush: its failure is one': [(C,"            self.dirty_durable_group();\n            self.flush_or_fail()?;","            self.dirty_durable_group();\n            let _ = self.flush_or_fail();")],
 'predecessor: of a sync': [(C,"predecessor: durable,","predecessor: 0,")],
 'predecessor: of the state that a recovery chose': [(R,"predecessor: choice.acknowledged,","predecessor: 0,")],
 'predecessor: of the same state under its new number': [(R,"predecessor: choice.state.number,","predecessor: 0,")],
 'snapshot: under the lock in the end': [(RD,"        let _guard = WriteGuard::lock(self).map_err(Error::from)?;\n        inside_closure(self, ","        inside_closure(self, ")],
 'lock: what a thread that is gone holds is freed': [(L,"Some(holder) if is_gone(holder) => {}","Some(holder) if is_gone(holder) => return Err(LockFailure::Unusable),")],
 'lock: also by who does not wait': [(L,"None if self.free_if_orphaned(arbiter)? => self.try_once(),","None if false => self.try_once(),")],
 'lock: what a living thread holds is not': [(L,"if owner == 0 || !is_gone(owner) {","if owner == 0 {")],
 'lock: a thread that comes too late unlocks nothing': [(PV,"            Err(_) => None,","            Err(_) => Some(ThreadGuard(self)).filter(|_| false),")],
 'lock: by one at a time': [(L,"if arbiter.try_once()?.is_none() {","if arbiter.try_once()?.is_none() && false {")],
 'lock: a thread that nobody waited for is gone': [(T," || has_ended(thread_id) && proc_is_of_this_namespace()","")],
 'around: a sync looks at the name': [(C,"has its name.\n        self.check_name()?;","has its name.")],
 'around: so does one with nothing to do': [(C,"        if durable >= wanted {\n            self.check_name()?;","        if durable >= wanted {")],
 'around: a process that has changed its root knows nothing': [(A,' && FileId::of_path(Path::new("/")) == self.root','')],
 'around: what this process alone sees is told to nobody else': [(M,"if self.attachment.as_ref().is_some_and(Attachment::is_nameless) {","if self.attachment.is_some() {")],
 'around: a time to come is no young sync': [(C,"now.wrapping_sub(last) >= interval_milliseconds &&","now.saturating_sub(last) >= interval_milliseconds &&"),(C,"        if self.seen_sync.is_older(durable, now, interval_milliseconds) {\n            return true;\n        }","        let _ = durable;")],
 'around: two clocks must say that it is time': [(C," && self.is_old_by_the_wall_clock(interval_milliseconds)"," && (self.is_old_by_the_wall_clock(interval_milliseconds) || true)")],
 'around: the last to go syncs': [(LE,"if (is_last || !is_alone_in_going) && self","if !is_alone_in_going && self")],
 'around: who goes when a sync is due makes it': [(LE,"        if self.is_sync_owed(true) {","        if false && self.is_sync_owed(true) {")],
 'around: nobody syncs who was told not to': [(LE,"let Some(interval) = self.settings.sync_every else { return false };","let interval = self.settings.sync_every.unwrap_or_default();")],
 'around: nobody syncs who is not attached': [(AT,"        store.occupancy = Occupancy::of_nobody();","        let _ = (&mut store, Occupancy::of_nobody());")],
 'around: a sparse file gets its blocks': [(O,"            reserve_blocks(&entry.attachment, &entry.header)?;\n","")],
 'around: a path is that of where it was opened': [(A,"std::path::absolute(path).map_err(Error::io(\"find\", path))","Ok(path.to_owned())")],
 'around: readers need no gate': [(OR,"            if let Some(None) = reason.transpose()? {\n                break None;\n            }\n","            reason.transpose()?;\n")],
 'around: readers are not attached': [(OR,"        let header = read_header(attachment.file(), path)?;","        let header = read_header(attachment.file(), path)?;\n        let _ = attachment.try_attach(crate::sys::attachment::Hold::Shared);")],
 'around: a handle compares the number of the recovery': [(M,"        marks | is_stale != 0","        let _ = is_stale;\n        marks != 0")],
 'around: a private copy watches what it is a copy of': [(PC,"Some(origin) if origin.store.marks() != origin.marks =>","Some(origin) if origin.store.marks() != origin.marks && false =>")],
 'alone: a recovery has a number': [(M,"control.load(RECOVERY_NUMBER, Ordering::Relaxed) ^ self.recovery_number.get();","0;"),(M,"self.control().load(RECOVERY_NUMBER, Ordering::Acquire) != self.recovery_number.get()","false")],
 'alone: a transaction of before a recovery is not published': [(TX,"        self.store.check_not_recovered()","        Ok(())")],
 'alone: a transaction of before a recovery is not undone': [(TX,"        if self.check_mine().is_ok() {","        if self.guard.is_mine() {")],
 'alone: a child reads nothing by what its parent has begun': [(TX,"-> Internal<Located> {\n        self.check_not_forked()?;\n","-> Internal<Located> {\n")],
 'alone: the child of a fork attaches by itself': [(FK,"            self.attach_anew()?;\n","")],
 'alone: a child that cannot attach is refused': [(FK,"            self.attach_anew()?;","            let _ = self.attach_anew();")],
 'alone: a child that is alone proves the table': [(FK,"if own.try_attach(Hold::Exclusive)? {","if false {")],
 'alone: a child keeps what it has opened itself': [(FK,"        self.go_over_to(inherited, &own)\n    }\n}","        let _ = inherited;\n        Ok(())\n    }\n}")],
 'alone: a child leaves what it has inherited of a dead handle': [(FK,"            self.leave_inherited()?;\n        }\n        self.note_sync();","        }\n        self.note_sync();")],
 'alone: a child maps the file again': [(FK,"        self.medium.map_again(own.file()).map_err(Error::io(\"map again, in the child of a fork,\", self.path()))","        Ok(())")],
 "alone: a child lets nothing go that is its parent's": [(A,"        if self.process.get() == u64::from(fork_generation()) && self.has_its_descriptor() {","        if self.has_its_descriptor() {")],
 "alone: nothing is let go by a number that is another file's": [(A,"        if self.process.get() == u64::from(fork_generation()) && self.has_its_descriptor() {","        if self.process.get() == u64::from(fork_generation()) {")],
 "alone: nothing is asked by a number that is another file's": [(LE,"        if !attachment.has_its_descriptor() {","        if false {")],
 'alone: what is given up is unlocked': [(A,"        // Closing alone would leave the locks to a child that was forked meanwhile.\n        self.let_go();","")],
 'alone: a reopened handle gives up what it has closed': [(LE,"        self.let_closed_file_go()\n","        Ok(())\n")],
 'alone: another file says nothing of the table': [(A,"self.has_its_descriptor() && self.file().metadata().is_ok_and(|metadata| metadata.nlink() == 0)","self.file().metadata().is_ok_and(|metadata| metadata.nlink() == 0)")],
 'a failed insert takes no slot': [(TX,"        let meta = self.insert_into(slot, record)?;\n","        self.taken_count += 1;\n        let meta = self.insert_into(slot, record)?;\n        self.taken_count -= 1;\n")],
 'alone: reopening waits for those who are inside': [(LE,"        if !is_empty {","        if !is_empty && timeout > Duration::MAX {")],
 'alone: the last one inside gives the attachment up': [(OC,"                Ok(_) => break,","                Ok(_) => return true,")],
 'alone: reopening inside a closure is nested': [("src/table/table.rs","        self.store().check_not_nested()?;\n","")],
 'alone: one thread reopens at a time': [(TA,"self.reopening.lock(timeout)","Box::leak(Box::<ThreadLock>::default()).lock(timeout)")],
 'alone: a handle in order is not reopened': [(TA,"if self.store().is_in_order() {","if false {"),(TA,"if store.is_in_order() {","if false {")],
 'alone: what another thread has reopened is not reopened': [(TA,"if store.is_in_order() {","if false {")],
 'alone: reopening inside a closure waits for nobody': [(TA,"        self.store().check_not_nested()?;\n        let timeout","        let timeout")],
 'alone: threads of a parent are not inside in its child': [(OC,"self.0.store(death | this_process(), Ordering::Release);","self.0.store(death | this_process() | self.0.load(Ordering::Relaxed) & THREAD_COUNT_MASK, Ordering::Release);")],
 'alone: a child opens what it has inherited': [(A,"match self.open_same(Path::new(&descriptor), OPEN_FLAGS - OFlag::O_NOFOLLOW, action) {","match self.open_by_path(action) {")],
 'alone: a child is not told by its process id': [(SP,"AtomicBool::new(cfg!(miri))","AtomicBool::new(true)")],
 'alone: which file it is, not which header': [(M,"table_id: attachment.as_ref().map_or(digest_seed, |attachment| attachment.id().number()),","table_id: digest_seed,")],
 'alone: the closures around count too': [(GU,"AROUND.with_borrow(|tables| tables.contains(&table))","false")],
 'alone: a handle that lets go is dead': [(M,"        if self.occupancy.die(death) {\n            self.let_go();\n        }\n        self.wake_own_threads();\n        // Another thread may have found another reason first.\n        self.dead()","        self.let_go();\n        death.error().into()")],
 'proof: whoever is alone asks for it': [(AT,'seems_in_order && self.is_proved()?','seems_in_order && (self.is_proved()? || true)')],
 'proof: every number that was given out is taken': [(PR,' && prepared <= used && ',' && ')],
 'proof: numbers are not used up': [(PR,' && used < NUMBER_LIMIT)',')')],
 'proof: the state is that of the last prepared transaction': [(PR,'.filter(|state| state.number == prepared)?','?')],
 'proof: the digest': [(PR,'(digest, cells.live_count) == (state.digest, state.live_count)','cells.live_count == state.live_count')],
 'proof: the count': [(PR,'(digest, cells.live_count) == (state.digest, state.live_count)','digest == state.digest')],
 'proof: the checksum of each record': [(PR,'if !header.verifies(crc32(bytemuck::cast_slice(&payload))) {','if false {')],
 'proof: a slot that was never used has no head': [(PR,'                cells.are_heads_right &= slot.head() == Head::EMPTY;\n','')],
 'proof: each head names the cell that is visible': [(PR,'            cells.are_heads_right &= slot.head() == Head::new(header.number, header.is_live, cell);\n','')],
 'proof: so it does after something was finished': [(PR,'cells.are_heads_right = self.are_heads_right();','cells.are_heads_right = self.are_heads_right() || true;')],
 'proof: a record carries the durable number': [(PR,'            && is_carried\n','')],
 'proof: no sync is in flight of what is to come': [(PR,'            && is_pin_past\n','')],
 'proof: there are generations above the floor': [(PR,'            && floor < GENERATION_LIMIT\n','')],
 'proof: the floor is above that of the records': [(PR,' && record.generation_floor <= floor','')],
 'proof: what is being staged is not what is visible': [(PR,'!is_visible && (','(')],
 'proof: what is being staged has the number that is taken': [(PR,'(number <= prepared || number == used)','true')],
 'proof: what was prepared has its number': [(PR,'                number == prepared\n','                true\n')],
 'proof: no slot is on the intent list twice': [(PR,' || !listed.insert(intent.slot)',' || (listed.insert(intent.slot) && false)')],
 'proof: what is newer is on the intent list': [(PR,' && listed_newer_count == newer_count','')],
 'proof: each word of the index means something': [(PR,'Entry::Meaningless(_) => return false,','Entry::Meaningless(_) => {}')],
 'proof: the index has as many keys as there are records': [(PR,'key_count == live_count\n','(key_count == live_count || true)\n')],
 'proof: the index is not fuller than it says': [(PR,'self.known(INDEX_OCCUPIED) >= occupied_count','(self.known(INDEX_OCCUPIED) >= occupied_count || true)')],
 'proof: the index leads to each record': [(PR,'any(|found| found == slot.index())','any(|_| true)')],
 'proof: no free slot is about to come or go': [(PR,'next_count != known_count || ','')],
 'proof: there are as many free slots as are counted': [(PR,' || known_count != free_count','')],
 'proof: a slot on the free stack is free': [(PR,'is_free && is_seen.get','is_seen.get')],
 'proof: a slot is on the free stack once': [(PR,'.is_some_and(|is_seen| !std::mem::replace(is_seen, true))','.is_some()')],
 'proof: a copy goes on elsewhere': [(R,"            attachment.id() != attached.file","            attachment.id().inode == attached.file.inode + 1")],
 'proof: a file that is born later is another': [(A,"birth_time.map_or(0, |time|","birth_time.filter(|_| false).map_or(0, |time|")],
 'proof: readers ask for it too': [(PC,"        Ok((!is_proved).then_some(","        Ok((!is_proved && false).then_some(")],
 'stale: the state is final only after the count': [(R,"        if self.write_progress() != progress {","        if false && self.write_progress() != progress {")],
 'stale: an overtaken write is not acknowledged': [(C,"        self.check_not_recovered()?;\n        match","        match")],
 'told: nor in a cell that no list names': [(R,'.max(self.generation_given_up(choice.state.number))','')],
 'facade: a write past it': [(I,"    pub fn remove(self, hash: KeyHash, slot: u32) {","    pub fn remove(self, hash: KeyHash, slot: u32) {\n        let _: Option<&std::sync::atomic::AtomicU64> = None;")],
 'index: a miss counts if the epoch is the same': [(RD,"if index.is_still(epoch) {","if true {"),(RD,"None if index.is_still(epoch) => Ok(None),","None => Ok(None),")],
 'touch: an or with 0': [("src/sys/words.rs","        let value = word.load(Ordering::Relaxed);\n        let _ = word.compare_exchange(value, std::hint::black_box(value), Ordering::Relaxed, Ordering::Relaxed);","        word.fetch_or(0, Ordering::Relaxed);")],
 'restored: ids that were told are burned when they are undone': [(RP,"        self.burn_generations(intent_count);\n","")],
 'restored: ids that were told before a recovery stay burned': [(R,"            .max(if is_credible { latest } else { 0 })\n","            .max(u64::from(is_credible && false))\n")],
 'told: a cell that is staged again is counted': [(RP,"([0, used].contains(&staged.number) && staged","(staged.number == used && staged")],
 'told: also by a first opener': [(R,".max(if is_same_boot { self.generation_being_staged() } else { 0 })","")],
 'restored: a change that is undone gives no generation out': [(RP," && staged.generation > before)",")")],
 'restored: nor does one that a recovery wipes': [(R,"(before + 1..GENERATION_LIMIT - 1)","(before.min(0)..GENERATION_LIMIT - 1)")],
 'restored: no two copies have the same numbers': [(R,"COPY_NUMBER_JUMP + first % COPY_NUMBER_JUMP,","COPY_NUMBER_JUMP + first % 2,")],
 'restored: no two copies have the same ids': [(R,"COPY_GENERATION_JUMP + second % COPY_GENERATION_JUMP,","COPY_GENERATION_JUMP + second % 2,")],
 'cursor: a recovery notes what it jumps over': [(R,"choice.gaps.with(Gap { chosen: choice.state.number, resumed: number })","choice.gaps.with(Gap { chosen: number, resumed: number })")],
 'cursor: what was noted before is passed on by a recovery': [(R,"choice.gaps.with(Gap {","Gaps::default().with(Gap {")],
 'cursor: what was noted is passed on by a sync': [(C,"(1 - carrying, record.gaps)","(1 - carrying, Gaps { newest_first: Gaps::default().newest_first, ..record.gaps })")],
 'cursor: what is forgotten is refused': [(GA,"forgotten_below.max(oldest.resumed)","forgotten_below.max(oldest.resumed - oldest.resumed)")],
 'cursor: the state that was chosen is part of the past': [(GA,"gap.chosen < number && number","gap.chosen <= number && number")],
 'cursor: newer than the table': [(CG,"cursor.number > newest.number","cursor.number > u64::MAX - 1 && newest.number > 0")],
 'cursor: of another table': [(CG,"if cursor.uuid != newest.uuid {","if cursor.uuid != cursor.uuid && newest.number > 0 {")],
 'cursor: of the state that a private copy has chosen': [(CG,"if self.recovery.is_private_copy { self.recovery.number } else { number }","if false { self.recovery.number } else { number }")],
 'cursor: what is prepared has happened': [(W,"self.check_cursor(cursor, self.last_prepared_cursor()?)?;\n        let mut bell","self.check_cursor(cursor, self.newest_cursor()?)?;\n        let mut bell")],
 'feed: what was synced, not what came after it': [(CG,"if head.number() > up_to {","if head.number() == u64::MAX {")],
 'feed: a sync during the look is noticed': [(CG,"if self.control().load(DURABLE, Ordering::Relaxed) == durable {\n                return Ok(found?);","if self.control().load(DURABLE, Ordering::Relaxed) != 0 {\n                return Ok(found?);")],
 'feed: a cursor never goes back': [(CG,"if synced.number <= cursor.number {","if synced.number == cursor.number {")],
 'feed: in the order of transactions': [(CG,"        found.slots.sort_unstable_by_key(|changed| (changed.meta.version, changed.meta.id));\n","")],
 'feed: deletions too': [(CG,"        found.slots.push(ChangedSlot { meta","        if start.is_none() { return Ok(()); }\n        found.slots.push(ChangedSlot { meta")],
 'wake: the writer looks whether somebody waits': [(GU,"            self.inside.store.wake_waiters();\n","")],
 'wake: a wish that is newer than the wake stays': [(W,"self.words().exchange(control + WAITING, wish, 0, Ordering::Relaxed);","let _ = wish;\n        self.words().store(control + WAITING, 0, Ordering::Relaxed);")],
 'wake: each wake changes the count': [(W,"        self.words().increment(control + WAKE_COUNT, Ordering::Relaxed);\n","")],
 'wake: a waiter looks again after its wish': [(W,"            if self.newest_cursor()?.number <= cursor.number {\n                watched","            {\n                watched")],
 'wake: a waiter sleeps on the count from before its wish': [(W,"sleep_on(index, wake_count, deadline","sleep_on(index, watched.words().load(index, Ordering::Relaxed), deadline")],
 'wake: who takes the table away tells those that wait': [(M,"        self.control().store(SUPERSEDED, 1, Ordering::Release);\n        self.wake_everyone();","        self.control().store(SUPERSEDED, 1, Ordering::Release);")],
 'follow: a recovery tells those that wait': [(R,"        self.count(RECOVERY_NUMBER);\n        self.wake_everyone();","        self.count(RECOVERY_NUMBER);")],
 'altered: what is changed meanwhile is done again': [(RB,"        let changed_count = work.catch_up()?;\n        work.seal(settings)?;","        let changed_count = 0;\n        work.seal(settings)?;")],
 'altered: under the lock': [(N,"    let _guard = if is_alone { None } else { Some(WriteGuard::lock(&store)?) };","    let _guard = if is_alone || fate == Fate::CarriedOn { None } else { Some(WriteGuard::lock(&store)?) };")],
 'altered: what was written last counts as written': [(C,"            Err(Error::Superseded) if self.is_carried_on() => Ok(()),\n","")],
 'altered: sealed again': [(RB,"        let changed_count = work.catch_up()?;\n        work.seal(settings)?;","        let changed_count = work.catch_up()?;")],
 'altered: burned ids': [(RB,"            generation_floor: generation.max(self.dropped_generation),","            generation_floor: self.dropped_generation.max(generation.min(0)),")],
 'altered: ids of dropped slots': [(RB,"            generation_floor: generation.max(self.dropped_generation),","            generation_floor: generation,")],
 'altered: keys stay unique': [(RB,"            Some((key, other)) => Err(self.duplicate(key, other)),","            Some((key, other)) => {\n                drop(self.duplicate(key, other));\n                Ok(())\n            }")],
 'altered: keys that change are taken out first': [(RB,"        changed.iter().for_each(|slot| self.keys.take_out(*slot));\n","")],
 'altered: records in dropped slots stop it': [(RB,"            if header.is_live {\n                let key","            if header.is_live && slot == u32::MAX {\n                let key")],
 'altered: misfits stop it': [(RB,"        misfits.check()?;\n        Ok(word(changed.len()))","        Ok(word(changed.len()))")],
 'altered: the file is still the same': [(RB,"    if source.attachment().map(Attachment::id) != Some(entry.attachment().id()) {","    if source.attachment().map(Attachment::id).is_none() {")],
 'altered: no waiting for itself': [(RB,"inside_closure(self.source, || convert(id, payload, new))","convert(id, payload, new)")],
 'altered: nothing is missing': [(RB,"        image.note_that_nothing_is_missing()?;\n","")],
 'altered: whoever follows records that may be others is told': [(RB,"!plan.may_change_content && old.schema","old.schema")],
 'altered: a field that is dropped and added is another': [(NS,"self.columns.iter().enumerate().all(is_its_own)","self.columns.iter().enumerate().any(is_its_own)")],
 'altered: no float is rounded': [(NS," && !is_f32(wide) =>"," && !is_f32(wide) && wide.is_nan() =>")],
 'follow: a cursor is given out only if it can be followed': [(TCH,"                Some(_) if change.version() < self.forgotten_below => {}\n","")],
 'altered: permissions': [(RB,"Permissions::Of(path)","Permissions::Mode(0o600)")],
 'cut: what was copied is on the disk before it has the name': [(IM,'self.attachment.file().sync_all().map_err(Error::io("flush", self.attachment.path()))','Ok(())')],
 'cut: what was created is on the disk before it has the name': [(N,"    file.sync_all()\n","    Ok(())\n")],
 'cut: another file of that name is on the disk before it is said to be done': [(NA,"Some(directory) => directory.sync_all(),","Some(_) => Ok(()),")],
 'maintained: numbers above the table': [(BK,"let resumed = number.max(given_out.number.saturating_add(1));","let resumed = number.max(given_out.number.min(0));")],
 'maintained: ids above the table': [(BK,"generation_floor: generation_floor.max(given_out.generation),","generation_floor,")],
 'maintained: no table from itself': [(BK,"FileId::of(of_table) == FileId::of(&of_backup))","FileId::of(of_table).device == 0)")],
 'cut: a new name is on the disk before it is said to be done': [(IM,"        self.name.make_last().inspect_err(|_| self.name.take_away())","        Ok(())")],
 'maintained: permissions of a copy': [(BK,"Permissions::Of(permissions)","{ let _ = permissions; Permissions::Mode(0o600) }")],
 'maintained: the newer of two': [(RE,"            if version > header.number {","            if version < header.number {")],
 'maintained: ids go on after a repair of nothing': [(RE,"Continuation { number: 1, generation_floor: 0,","Continuation { number: 0, generation_floor: 0,"),(RE,"        after.number = after.number.max(record.state.number);\n","")],
 'maintained: a table that is scrubbed is synced first': [(SC,"        self.sync()?;\n        let cell_count","        let cell_count")],
 'maintained: what is behind a tombstone': [(SC,"            true => !slot.cell_header(*cell).is_live && slot.scrub_payload(*cell, record_words),","            true => false,")],
 'scrub: the current cell': [(SC,"            (head.exists() && head.cell() == cell)\n                || kept","            kept")],
 'scrub: what the syncs need': [(SC,"let kept = [PIN, DURABLE].map(|index| self.control().load(index, Ordering::Acquire));","let kept = [PIN, DURABLE].map(|_| NO_PIN);")],
 'scrub: what a pin needs': [(SC,"let kept = [PIN, DURABLE].map(|index|","let kept = [DURABLE, DURABLE].map(|index|")],
 'scrub: under the lock': [(SC,"            let _guard = WriteGuard::lock(self)?;\n","")],
 'scrub: no half record': [(C,"        if state.number != durable {\n","        if state.number != u64::MAX {\n")],
}
# Each of these is seen by tests of its own; that nothing is lost needs all of them.
FAULTS['doors: neither is there'] = [
    edit
    for name in ('alone: a recovery has a number', 'alone: a handle that lets go is dead', 'alone: the child of a fork attaches by itself')
    for edit in FAULTS[name]
]

# The slowest tests take half a minute, and what their children wait for ends after two.
TEST_LIMIT_S = int(os.environ.get("LOCULE_TEST_LIMIT_S", 600))
BUILD_LIMIT_S = 3600
PR_SET_CHILD_SUBREAPER = 36

TESTS = ["cargo", "test", "--lib", "--quiet", "--", "engine::tests", "touched"]
# What is seen by other tests, by the beginning of its name.
OTHER_TESTS = {
    "files:": ["cargo", "test", "--test", "killed_at_system_calls", "--quiet"],
    "names:": ["cargo", "test", "--test", "creating", "--quiet"],
    "replaced:": ["cargo", "test", "--test", "moving", "--quiet"],
    "lock:": ["cargo", "test", "--lib", "--test", "dying", "--no-fail-fast", "--quiet", "--", "sys::", "executing", "ending", "a_lock"],
    "proof:": ["cargo", "test", "--test", "restored", "--quiet", "--", "contradictions", "given_up", "given_out", "staging", "raced"],
    "restored:": ["cargo", "test", "--test", "restored", "--quiet", "--", "given_up", "given_out", "newer"],
    "stale:": ["cargo", "test", "--lib", "--quiet", "--", "stale_writers"],
    "doors:": ["cargo", "test", "--test", "alone", "--quiet", "--", "either_door"],
    "alone:": ["cargo", "test", "--test", "alone", "--quiet"],
    "around:": ["cargo", "test", "--test", "surroundings", "--quiet"],
    "cursor:": ["cargo", "test", "--lib", "--quiet", "--", "feed", "gaps", "histories", "cut_recoveries"],
    "feed:": ["cargo", "test", "--lib", "--quiet", "--", "feed", "crash_points::readers"],
    "follow:": ["cargo", "test", "--test", "following", "--quiet"],
    # With the model checker, which finds a thread that nobody wakes as a deadlock.
    "wake:": ["cargo", "test", "--release", "--lib", "--quiet", "--", "loom_tests::waits"],
    "altered:": ["cargo", "test", "--test", "altering", "--quiet"],
    "maintained:": ["cargo", "test", "--test", "maintaining", "--quiet"],
    "cut:": ["cargo", "test", "--test", "power_cuts", "--quiet"],
    "departed:": ["cargo", "test", "--lib", "--quiet", "--", "file::create", "a_successor"],
    "facade:": ["cargo", "test", "--test", "facade", "--quiet"],
}


def plant(tree, edits):
    """Changes the files; returns what they were, or says which text is not there exactly once."""
    originals = {}
    for name, old, new in edits:
        path = tree / name
        text = path.read_text()
        if text.count(old) != 1:
            restore(originals)
            return None, f"{name} has {text.count(old)} times: {old.strip()[:70]!r}"
        originals.setdefault(path, text)
        path.write_text(text.replace(old, new))
    return originals, None


def restore(originals):
    for path, text in originals.items():
        path.write_text(text)


def descendants():
    """The processes that this one began, and those that they began, as far as they are not gone."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, can have anything in it.
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def end_descendants():
    """Ends all of them. Those whose parents have gone are this process's children: see `main`."""
    while running := descendants():
        for process in running:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, 0):
                pass
        except ChildProcessError:
            pass


def run_command(command, tree, environment, limit_s):
    """Its output, and whether it had to be ended."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            process.wait(limit_s)
            hung = False
        except subprocess.TimeoutExpired:
            hung = True
        end_descendants()
        output.seek(0)
        return output.read(), hung


def red_tests(tree, target, name):
    """The tests that fail, and the first reason; or None and why it did not compile."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), RUST_BACKTRACE="0")
    if name.startswith("wake:"):
        environment["RUSTFLAGS"] = f"{environment.get('RUSTFLAGS', '')} --cfg loom".strip()
    tests = next((tests for start, tests in OTHER_TESTS.items() if name.startswith(start)), TESTS)
    options = tests.index("--") if "--" in tests else len(tests)
    output, _ = run_command([*tests[:options], "--no-run"], tree, environment, BUILD_LIMIT_S)
    for line in output.splitlines():
        if line.startswith(("error: could not compile", "error[")):
            return None, line
    output, hung = run_command(tests, tree, environment, TEST_LIMIT_S)
    lines = output.splitlines()
    red = sorted({match[1] for line in lines if (match := re.match(r"    (?:\w+::)*(\w+)$", line))})
    if hung:
        return [*red, "hung"], f"no end after {TEST_LIMIT_S} s"
    reasons = [lines[n + 1] for n, line in enumerate(lines[:-1]) if re.search(r"panicked at (src/(engine/tests|sys|layout)|tests|crates)/", line)]
    return red, reasons[0][:120] if reasons else ""


def main():
    wanted = sys.argv[1:] or list(FAULTS)
    unknown = [name for name in wanted if name not in FAULTS]
    if unknown:
        sys.exit(f"no such rule: {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    root = pathlib.Path(__file__).resolve().parent.parent
    # Whoever loses its parent becomes a child of this process, and so cannot hide from it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    unseen = 0
    with tempfile.TemporaryDirectory() as directory:
        tree, target = pathlib.Path(directory, "tree"), pathlib.Path(directory, "target")
        shutil.copytree(root, tree, ignore=shutil.ignore_patterns("target", ".git"))
        for name in wanted:
            originals, trouble = plant(tree, FAULTS[name])
            red = []
            if originals is not None:
                red, trouble = red_tests(tree, target, name)
                restore(originals)
            if red:
                print(f"red    {name}: {', '.join(red)} ({trouble})", flush=True)
            else:
                unseen += 1
                print(f"{'UNSEEN' if red == [] and originals is not None else 'STALE '} {name}: {trouble}", flush=True)
    print(f"{len(wanted) - unseen} of {len(wanted)} planted faults were seen")
    sys.exit(1 if unseen else 0)


if __name__ == "__main__":
    main()
