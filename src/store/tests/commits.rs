//! The end of a commit at every access of a writer, from every point of the commit.

use super::actor::{Actor, Outcome};
use super::heap_store;
use super::world::{header, settings};
use crate::format::cell::RecordId;
use crate::format::control::DURABLE;
use crate::shm::probe::Event;
use crate::shm::words::Ordering;
use crate::store::{Encoded, Store};
use std::sync::Arc;

const TO_THE_END: u32 = u32::MAX;

/// That every cell is there that was visible at the number of the newest durable commit.
fn assert_is_whole(store: &Store) {
    let durable = store.control().load(DURABLE, Ordering::Relaxed);
    let records = [0, 1].map(|record| store.commit_record(record));
    let record = records.into_iter().flatten().find(|record| record.state.number == durable).expect("it was written");
    let found = store.digest_and_live_count_at(durable);
    assert_eq!(found, (record.state.digest, record.state.live_count), "part of the commit of {durable} is missing");
}

/// What is left to do for an actor.
fn finish(actor: Outcome) {
    if let Outcome::Running(actor) = actor {
        assert!(matches!(actor.advance(TO_THE_END), Outcome::Done), "nobody is in its way");
    }
}

/// A commit stands still `committer_steps` accesses after it has begun its flush, a writer after `writer_steps` of its own;
/// then the commit comes to its end, and then the writer. Whether each still had something to do by then.
fn end_a_commit_inside_a_write(committer_steps: u32, writer_steps: u32) -> [bool; 2] {
    let store = Arc::new(heap_store(header(1), settings()));
    let write = |store: &Store, id: RecordId, value| store.update(id, None, Encoded::new(&[1, value])).unwrap();
    let id = store.insert(Encoded::new(&[1, 0])).unwrap().id;
    store.commit().unwrap();
    write(&store, id, 1);
    let committing = Arc::clone(&store);
    let at_the_flush = |event: &Event<'_>| matches!(event, Event::Flush { .. });
    let committer = Actor::start(at_the_flush, move || {
        committing.commit().unwrap();
    });
    let Outcome::Running(committer) = committer.advance(TO_THE_END) else { panic!("it flushes") };
    // Now the slot has three cells that are needed: one of each commit, and the current one.
    write(&store, id, 2);
    let committer = if committer_steps > 0 { committer.advance(committer_steps) } else { Outcome::Running(committer) };
    let writing = Arc::clone(&store);
    let writer = Actor::start(
        |_| false,
        move || {
            write(&writing, id, 3);
        },
    );
    let writer = if writer_steps > 0 { writer.advance(writer_steps) } else { Outcome::Running(writer) };
    let were_running = [&committer, &writer].map(|actor| matches!(actor, Outcome::Running(_)));
    finish(committer);
    assert_is_whole(&store);
    finish(writer);
    assert_is_whole(&store);
    were_running
}

#[test]
fn what_a_commit_made_durable_stays_whole_wherever_in_a_write_it_ends() {
    let mut case_count = 0;
    // Miri takes seconds for each case.
    let [committer_stride, writer_stride] = if cfg!(miri) { [19, 17] } else { [1, 1] };
    for committer_steps in (0..).step_by(committer_stride) {
        for writer_steps in (0..).step_by(writer_stride) {
            let [committer_ran, writer_ran] = end_a_commit_inside_a_write(committer_steps, writer_steps);
            case_count += 1;
            if !committer_ran {
                println!("{case_count} cases");
                return assert!(case_count > 200 || cfg!(miri));
            }
            if !writer_ran {
                break;
            }
        }
    }
}
