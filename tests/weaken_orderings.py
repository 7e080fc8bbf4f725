#!/usr/bin/env python3
"""Weakens each memory ordering and leaves out each fence of `src/sys`, `src/layout`, `src/engine` and `src/file`, one by one, and shows which models go red.

    python3 tests/weaken_orderings.py                  all of them, some minutes
    python3 tests/weaken_orderings.py slot.rs sync   only those whose place has one of these in it

The tests are built once, with the model checker. They weaken a place themselves when `LOCULE_WEAKEN` names it: see
`src/sys/modelled/words.rs`. What is printed for each place:

    red      these models fail
    excused  none does; EXCUSES says why
    UNSEEN   none does, and nothing says why: it is to be tested, relaxed, or explained
    UNRUN    no model gets there, and nothing says why

An excuse whose place is gone is STALE, and so is one whose place a model sees after all. Exits 0 if every place is red or excused.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ORDERING = re.compile(r"Ordering::(Acquire|Release|AcqRel|SeqCst)")
# What the checker does not run, since it has a medium of its own: mapped files, pthread mutexes, a heap with locks for tests. Nor
# does it watch what a handle has for itself, which is one word in which everything has one order, and locks.
STUBBED = {
    "src/sys/robust_mutex.rs", "src/sys/mapping.rs", "src/sys/heap.rs", "src/sys/probe.rs",
    "src/engine/occupancy.rs", "src/sys/private.rs", "src/sys/atomic.rs", "src/sys/copy_words.rs",
    "src/sys/once_box.rs", "src/sys/process.rs",
}

# Why no model can see a place, by file, function and text. The same is said in the files themselves.
DEATH = "keeps stores in order for whoever goes on after a death, by the compiler; the checker lets nobody die there"
DELAYED = "the checker runs each access where it stands, and never a load later or a store earlier"
LOOKING = "looks from outside at words that are not of one moment anyway"
COPY = "the fences of a slot's read, for the whole table: thousands of words, which is more than the checker can explore"
ALONE = "a first opener is alone, and file locks order it against others"
NAMES = "is about names of files, which no model has"
ONCE = "a word that only ever becomes 1, and tells nothing about others"
RECOVERED = "only a first opener changes it, who is alone; whoever meets it with a handle is told, and no model has one"
AGAIN = "what a pass misses for want of it, the next one finds before anything is called damaged"
C, I, G, O = "src/engine/sync.rs", "src/layout/index.rs", "src/engine/guard.rs", "src/engine/attach.rs"
M, N, P, R = "src/engine/mod.rs", "src/engine/inspect.rs", "src/engine/repair.rs", "src/engine/recover.rs"
K, S, T = "src/engine/copy.rs", "src/engine/status.rs", "src/engine/stage.rs"
LE, OR = "src/engine/leave.rs", "src/engine/private_copy.rs"
W, CH = "src/engine/wait.rs", "src/engine/changes.rs"
TOLD = "who is told a number may look at what it stands for, and each look at records has an acquire of its own"
EXCUSES = {
    (I, "insert", "table.store(position, new, Ordering::Release);"): DEATH,
    (I, "clear_tombstones_before_gap",
     "self.control.store(INDEX_OCCUPIED, occupied.saturating_sub(cleared), Ordering::Release);"): DEATH,
    (I, "go_over", "self.control.store(INDEX_OCCUPIED, occupied, Ordering::Release);"): DEATH,
    (C, "sync_up_to", "let end_count = control.load(SYNC_END_COUNT, Ordering::Acquire);"): DELAYED,
    (C, "sync_up_to", "let durable = control.load(DURABLE, Ordering::Acquire);"):
        "who returns with this number may look at the sync record that carries it; no operation does",
    (C, "write_checkpoint", "control.store(FLUSHING, 0, Ordering::Release);"): DEATH,
    (C, "write_checkpoint", "control.store(FLUSHING, 1, Ordering::Release);"): DEATH,
    (C, "finish_flushed", "control.store(DURABLE, pinned, Ordering::Release);"): DEATH,
    (C, "finish_flushed", "control.store(PIN, NO_PIN, Ordering::Release);"): DEATH,
    (C, "finish_flushed", "control.store(FLUSHING, 0, Ordering::Release);"): DEATH,
    (C, "flush_or_fail", "control.store(FAILED, 1, Ordering::Release);"): DEATH,
    (C, "flush_or_fail", "control.store(FLUSHING, 0, Ordering::Release);"): DEATH,
    (K, "catch_up", "self.number = self.store.control().load(PREPARED, Ordering::Acquire);"): AGAIN,
    (K, "take_unpublished", "if shared.control.load(LAST, Ordering::Acquire) == self.number {"): AGAIN,
    (K, "take_unpublished", "fence(Ordering::Acquire);"): AGAIN,
    (G, "lock_failed", "self.control().store(crate::format::control::CONDEMNED, 1, Ordering::Release);"): ONCE,
    (M, "supersede", "self.control().store(SUPERSEDED, 1, Ordering::Release);"): ONCE,
    (M, "announce_departure", "self.control().store(SUPERSEDED, LOSING_ITS_NAME, Ordering::Release);"): NAMES,
    (M, "call_departure_off", "self.control().store(SUPERSEDED, 0, Ordering::Release);"): NAMES,
    ("src/engine/faults.rs", "is_losing_its_name", "self.control().load(SUPERSEDED, Ordering::Acquire) == LOSING_ITS_NAME"): NAMES,
    (M, "is_carried_on", "self.control().load(SUPERSEDED, Ordering::Acquire) != 0"): NAMES,
    ("src/engine/faults.rs", "faults", "let is_set = |index| self.control().load(index, Ordering::Acquire) != 0;"): ONCE,
    (M, "is_stale", "self.control().load(RECOVERY_NUMBER, Ordering::Acquire) != self.recovery_number.get()"): RECOVERED,
    (M, "note_recovery_number",
     "self.recovery_number.set(self.control().load(RECOVERY_NUMBER, Ordering::Acquire));"): RECOVERED,
    ("src/engine/pending.rs", "pending", "fence(Ordering::Acquire);"): LOOKING,
    (LE, "has_something_to_sync",
     "self.control().load(LAST, Ordering::Acquire) > self.control().load(DURABLE, Ordering::Acquire)"): LOOKING,
    (OR, "marks", ".map(|index| self.control().load(index, Ordering::Acquire))"): LOOKING,
    (N, "copy_of_one_moment", "fence(Ordering::Acquire);"): COPY,
    (N, "control_word", "self.control().load(index, Ordering::Acquire)"): LOOKING,
    (O, "recovery_in_order", "let number = self.control().load(LAST, Ordering::Acquire);"): ALONE,
    (O, "recovery_in_order",
     "let live_count = self.control().load(NEWEST_STATE + 1, Ordering::Acquire);"): ALONE,
    (O, "incarnation", "let seal = self.control().load(INCARNATION_SEAL, Ordering::Acquire);"): ALONE,
    (O, "put_incarnation",
     "self.control().store(INCARNATION_SEAL, seal, Ordering::Release);"): ALONE,
    ("src/engine/read.rs", "lasts", "fence(Ordering::Acquire);"):
        "each read in a snapshot ends with an acquire of its own; a snapshot is not to hang on that",
    (R, "recover", "self.control().store(INCARNATION_SEAL, 0, Ordering::Release);"): ALONE,
    ("src/engine/commit.rs", "publish", "self.control.store(INTENT_COUNT, 0, Ordering::Release);"): DEATH,
    (R, "write_progress", "[USED, PREPARED, LAST].map(|index| self.control().load(index, Ordering::Acquire))"): ALONE,
    (P, "undo", "control.store(INTENT_COUNT, 0, Ordering::Release);"): DEATH,
    (P, "repair", "control.store(INTENT_COUNT, 0, Ordering::Release);"): DEATH,
    ("src/layout/view.rs", "put_intent",
     "self.words.store(self.geometry.intents() + position, intent.to_word(), Ordering::Release);"): DEATH,
    (S, "writer_state", "let prepared = control.load(PREPARED, Ordering::Acquire);"): LOOKING,
    (S, "writer_state", "if prepared != control.load(LAST, Ordering::Acquire) {"): LOOKING,
    (T, "take_number", "self.control.store(USED, number, Ordering::Release);"): DEATH,
    (T, "choose_cell", "let durable = self.control.load(DURABLE, Ordering::Acquire);"):
        "the load of PIN before it is an acquire, and sees the same store; which of the two comes first is what counts",
    (W, "wait", "let wake_count = watched.words().load(index, Ordering::Acquire);"): DELAYED,
    (W, "ring", "words.raise(start + WAITING, wake_count.wrapping_add(1), Ordering::Release);"): DELAYED,
    (W, "grant", "let wish = self.words().load(control + WAITING, Ordering::Acquire);"): DELAYED,
    (W, "wait_synced", "if self.cursor_of(self.control().load(DURABLE, Ordering::Acquire)).number > cursor.number {"): TOLD,
    (W, "wake_everyone", "fence(Ordering::SeqCst);"):
        "what is compiled for the checker has another fence behind it, in `wake_waiters`; on x86-64 this is the only one",
    (CH, "synced_changes_since", "let durable = self.control().load(DURABLE, Ordering::Acquire);"):
        "the look for gaps, which follows, loads the same word with an acquire of its own",
    (CH, "gaps", "fence(Ordering::Acquire);"):
        "a record is overwritten under a reader only by the second of two syncs, and no model has two beside one",
    (CH, "last_prepared_cursor", "Ok(self.cursor_of(self.control().load(PREPARED, Ordering::Acquire)))"): TOLD,
    ("src/sys/words.rs", "fence_after_unlocking", "std::sync::atomic::compiler_fence(Ordering::SeqCst);"):
        "it is for the compiler alone; for the checker the fence is compiled that stands there on other machines",
    (T, "list", "self.control.store(INTENT_COUNT, word(position).wrapping_add(1), Ordering::Release);"): DEATH,
}


def build():
    """The test program."""
    flags = os.environ.get("RUSTFLAGS", "") + " --cfg loom"
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target" / "loom"))
    environment = dict(os.environ, RUSTFLAGS=flags.strip(), CARGO_TARGET_DIR=target)
    command = ["cargo", "test", "--release", "--lib", "--no-run", "--message-format=json"]
    run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("executable"))


def run_models(program, **variables):
    """What the models print. The one of three threads is interrupted less often than the others."""
    output = ""
    for bound, choice in (("2", ["loom_tests", "--skip", "of_three"]), ("1", ["of_three"])):
        environment = dict(os.environ, RUST_BACKTRACE="0", LOOM_MAX_PREEMPTIONS=bound, **variables)
        command = [program, *choice, "--nocapture", "--test-threads=1"]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        output += run.stdout + run.stderr
    return output


def places_in_text():
    """Each line with an ordering that is not relaxed, before the tests of its file, by file and number."""
    places = {}
    for folder in ("src/sys", "src/layout", "src/engine", "src/file"):
        for path in sorted((ROOT / folder).glob("*.rs")):
            name = str(path.relative_to(ROOT))
            if name in STUBBED or name.endswith("_tests.rs"):
                continue
            lines = re.split(r"#\[cfg\(test\)\]\nmod tests \{", path.read_text())[0].splitlines()
            for number, line in enumerate(lines, 1):
                if ORDERING.search(line.split("//")[0]):
                    places[f"{name}:{number}"] = (name, function_of(lines, number), line.strip())
    return places


def function_of(lines, number):
    """The function that a line is in."""
    heads = (re.search(r"\bfn (\w+)", line) for line in reversed(lines[:number]))
    return next((head[1] for head in heads if head), "")


def main():
    program = build()
    unchanged = run_models(program, LOCULE_LIST_ORDERINGS="1")
    if "FAILED" in unchanged:
        sys.exit("the models fail as they are:\n" + unchanged[-2000:])
    reached = set(re.findall(r"^(?:.* )?ordering (\S+) \w+$", unchanged, re.MULTILINE))
    places = places_in_text()
    counts = dict.fromkeys(("red", "excused", "UNSEEN", "UNRUN", "STALE"), 0)

    def say(kind, what):
        counts[kind] += 1
        print(f"{kind:8}{what}", flush=True)

    wanted = sys.argv[1:]
    for place, (name, function, text) in places.items():
        if wanted and not any(word in place or word in function for word in wanted):
            continue
        excuse = EXCUSES.get((name, function, text))
        red = []
        if place in reached:
            red = sorted(set(re.findall(r"^    \S+::(\w+)$", run_models(program, LOCULE_WEAKEN=place), re.MULTILINE)))
        described = f"{place} {function}: {text}"
        if red and excuse:
            say("STALE", f"{described}: excused, and seen by {', '.join(red)}")
        elif red:
            say("red", f"{described}: {', '.join(red)}")
        elif excuse:
            say("excused", f"{described}: {excuse}")
        else:
            say("UNSEEN" if place in reached else "UNRUN", described)
    for key in EXCUSES:
        if key not in places.values():
            say("STALE", f"{' '.join(key)}: is not there")
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    sys.exit(1 if counts["UNSEEN"] + counts["UNRUN"] + counts["STALE"] else 0)


if __name__ == "__main__":
    main()
