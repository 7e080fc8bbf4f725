#!/usr/bin/env python3
"""Weakens each memory ordering and leaves out each fence of `src/shm` and `src/store`, one by one, and shows which models go red.

    python3 tests/weaken_orderings.py                  all of them, about half an hour
    python3 tests/weaken_orderings.py slot.rs commit   only those whose place has one of these in it

The tests are built once, with the model checker. They weaken a place themselves when `LOCULE_WEAKEN` names it: see
`src/shm/modelled/words.rs`. What is printed for each place:

    red      these models fail
    excused  none does; the source says why, in a comment at that place that has "The checker" in it
    UNSEEN   none does, and the source does not say why: this is to be tested, relaxed, or explained
    UNRUN    no model gets there, and the source does not say why

Exits 0 if every place is red or excused.
"""
import collections
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ORDERING = re.compile(r"Ordering::(Acquire|Release|AcqRel|SeqCst)")
# The medium that the checker does not run, since it has its own: mapped files, pthread mutexes, and a heap with locks for tests.
STUBBED = {"src/shm/lock.rs", "src/shm/map.rs", "src/shm/heap.rs", "src/shm/probe.rs"}
EXCUSE = "The checker"
SECONDS_PER_TEST = 120


def build():
    """The test program."""
    flags = os.environ.get("RUSTFLAGS", "") + " --cfg loom"
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target" / "loom"))
    environment = dict(os.environ, RUSTFLAGS=flags.strip(), CARGO_TARGET_DIR=target)
    command = ["cargo", "test", "--release", "--lib", "--no-run", "--message-format=json"]
    run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("executable"))


def run_models(program, names=(), **variables):
    environment = dict(os.environ, RUST_BACKTRACE="0", **variables)
    arguments = ["--exact", *names] if names else ["loom_tests"]
    # As `.ci/run` does; a place that nothing sees is tried again without that bound.
    environment.setdefault("LOOM_MAX_PREEMPTIONS", "2")
    run = subprocess.run(
        [program, *arguments, "--nocapture", "--test-threads=1"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return run.stdout + run.stderr


def places_in_text():
    """Each line with an ordering that is not relaxed, before the tests of its file; and whether it is excused there."""
    places = collections.OrderedDict()
    for folder in ("src/shm", "src/store"):
        for path in sorted((ROOT / folder).glob("*.rs")):
            name = str(path.relative_to(ROOT))
            if name in STUBBED or name.endswith("_tests.rs"):
                continue
            lines = path.read_text().split("#[cfg(test)]\nmod tests")[0].splitlines()
            for number, line in enumerate(lines, 1):
                if ORDERING.search(line.split("//")[0]):
                    places[f"{name}:{number}"] = is_excused(lines, number - 1)
    return places


def is_excused(lines, index):
    """Whether the comment before the statement that has this line says what the checker cannot see."""
    while index > 0 and not lines[index - 1].lstrip().startswith("//"):
        if lines[index].lstrip().startswith(("let ", "fence", "fn ", "pub fn")) or lines[index - 1].rstrip().endswith((";", "{", "}")):
            return False
        index -= 1
    comment = []
    while index > 0 and lines[index - 1].lstrip().startswith("//"):
        index -= 1
        comment.append(lines[index])
    return EXCUSE in " ".join(reversed(comment))
