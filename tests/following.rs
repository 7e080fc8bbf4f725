//! Processes that follow the changes of a table, and sleep until there are some.

use locule::{Change, Cursor, CursorLoss, Error, Row, Table};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_kit::{Child, Visit, Visits, hear, insert_all, options, say, scratch, visit};

/// Longer than any of these tests takes.
const FOR_EVER: Duration = Duration::from_secs(100);

#[test]
fn child_process() {
    test_kit::play(&[
        ("wait and follow", wait_and_follow),
        ("follow by syncs", follow_by_syncs),
        ("write", write),
        ("wait with one handle", wait_with_one_handle),
        ("consume", consume),
        ("wait without permission", wait_without_permission),
    ]);
}

/// A copy of a table, made of its changes alone.
struct Mirror {
    rows: HashMap<u32, Row<Visit>>,
    cursor: Cursor,
}

impl Mirror {
    fn new(table: &Visits) -> Self {
        Mirror { rows: HashMap::new(), cursor: table.first_cursor() }
    }

    fn apply(&mut self, changes: locule::Changes<Visit>) {
        self.cursor = changes.cursor();
        for change in changes {
            match change {
                Change::Put(row) => self.rows.insert(row.id().slot(), row),
                deleted => self.rows.remove(&deleted.id().slot()),
            };
        }
    }

    fn catch_up(&mut self, table: &Visits) {
        self.apply(table.changes_since(&self.cursor).unwrap());
    }

    #[track_caller]
    fn assert_is(&self, table: &Visits) {
        let rows: HashMap<_, _> = table.iter().map(|row| row.unwrap()).map(|row| (row.id().slot(), row)).collect();
        assert_eq!(self.rows, rows);
    }

    /// The greatest number of hits, which writers count up.
    fn newest(&self, visitor: u64) -> u64 {
        self.rows.values().find(|row| row.visitor == visitor).map_or(0, |row| row.hits)
    }
}

/// The time that this process has spent, in the kernel too.
fn cpu_time() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let spent = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().try_into().unwrap(), u32::try_from(time.tv_usec()).unwrap() * 1000)
    };
    spent(usage.user_time()) + spent(usage.system_time())
}

// -- many that wait ----------------------------------------------------------------------------------

const WRITERS: [u64; 2] = [1, 2];
const HITS: u64 = 300;

/// Follows until every writer is done. It must see every writer count on, and never back, and the final records.
fn follow(table: &Visits, wait: impl Fn(&Cursor) -> bool, changes: impl Fn(&Cursor) -> locule::Changes<Visit>) {
    let mut mirror = Mirror::new(table);
    mirror.apply(changes(&mirror.cursor));
    say("ready");
    let mut newest = WRITERS.map(|writer| mirror.newest(writer));
    while newest != [HITS; 2] {
        assert!(wait(&mirror.cursor), "nobody woke it");
        mirror.apply(changes(&mirror.cursor));
        let now = WRITERS.map(|writer| mirror.newest(writer));
        assert!(now >= newest, "{now:?} after {newest:?}");
        newest = now;
    }
    mirror.assert_is(table);
    // From here on nobody writes, and it costs nothing to wait.
    say("done");
    let before = (cpu_time(), hear());
    assert!(!wait(&mirror.cursor));
    let spent = cpu_time() - before.0;
    say(format!("spent {}", spent.as_micros()));
    hear();
}

fn wait_and_follow(path: &Path, argument: &str) {
    let table = if argument == "read-only" { options().open_read_only(path) } else { options().open(path) }.unwrap();
    follow(
        &table,
        |cursor| table.wait(cursor, by_state(&table, cursor)).unwrap(),
        |cursor| table.changes_since(cursor).unwrap(),
    );
}

fn follow_by_syncs(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    follow(
        &table,
        |cursor| table.wait_synced(cursor, by_state(&table, cursor)).unwrap(),
        |cursor| table.synced_changes_since(cursor).unwrap(),
    );
}

/// While the writers write it waits for as long as it takes; when they are done, for a while.
fn by_state(table: &Visits, _: &Cursor) -> Duration {
    let is_done = WRITERS.iter().all(|writer| table.find(writer).unwrap().is_some_and(|row| row.hits == HITS));
    if is_done && table.status().durable == table.status().last { PAUSE } else { FOR_EVER }
}

const PAUSE: Duration = Duration::from_millis(700);

fn write(path: &Path, argument: &str) {
    let table = options().open(path).unwrap();
    let visitor: u64 = argument.parse().unwrap();
    let id = table.insert(&visit(visitor, 0)).unwrap();
    say("ready");
    hear();
    for hits in 1..=HITS {
        table.replace(id, &visit(visitor, hits)).unwrap();
        if hits % 7 == 0 {
            // A pause now and then, in which those that follow go to sleep.
            std::thread::yield_now();
            table.sync().unwrap();
        }
    }
    table.sync().unwrap();
    say("written");
}

#[test]
fn fifty_processes_that_wait_see_everything_and_spend_nothing_while_nothing_happens() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let mut writers: Vec<_> = WRITERS.iter().map(|writer| Child::spawn("write", &path, writer)).collect();
    writers.iter_mut().for_each(|writer| writer.expect("ready"));
    let followers = (0..50).map(|number| match number % 5 {
        0 => Child::spawn("wait and follow", &path, "read-only"),
        1 => Child::spawn("follow by syncs", &path, ""),
        _ => Child::spawn("wait and follow", &path, ""),
    });
    let mut followers: Vec<_> = followers.collect();
    followers.iter_mut().for_each(|follower| follower.expect("ready"));
    writers.iter_mut().for_each(|writer| writer.tell("go"));
    writers.iter_mut().for_each(|writer| writer.expect("written"));
    followers.iter_mut().for_each(|follower| follower.expect("done"));
    followers.iter_mut().for_each(|follower| follower.tell("wait"));
    let spent: Vec<u128> =
        followers.iter_mut().map(|follower| follower.hear().strip_prefix("spent ").unwrap().parse().unwrap()).collect();
    println!("microseconds of 700 ms: {spent:?}");
    // One that looked every five milliseconds would spend more than a thousand.
    let median = {
        let mut sorted = spent.clone();
        sorted.sort_unstable();
        sorted[25]
    };
    assert!(median < 500, "{spent:?}");
    assert_eq!(table.len().unwrap(), 2);
}

// -- one that waits ----------------------------------------------------------------------------------

/// Says how a wait ended.
fn wait_with_one_handle(path: &Path, argument: &str) {
    let options = options();
    let table = if argument.contains("read-only") { options.open_read_only(path) } else { options.open(path) }.unwrap();
    let cursor = table.cursor().unwrap();
    say("ready");
    let outcome =
        if argument.contains("sync") { table.wait_synced(&cursor, FOR_EVER) } else { table.wait(&cursor, FOR_EVER) };
    say(match outcome {
        Ok(is_changed) => is_changed.to_string(),
        Err(error) => format!("{error:?}").split([' ', '(']).next().unwrap().to_owned(),
    });
}

fn waiter(path: &Path, argument: &str) -> Child {
    let mut child = Child::spawn("wait with one handle", path, argument);
    child.expect("ready");
    child.wait_until_asleep_on_shared_word();
    child
}

#[test]
fn whatever_ends_a_handle_wakes_those_that_wait_with_it() {
    let start = Instant::now();
    for kind in ["", "sync", "read-only", "read-only sync"] {
        let (_directory, path) = scratch();
        let table = options().create(&path).unwrap();
        insert_all(&table, 0..3);
        table.sync().unwrap();
        let mut child = waiter(&path, kind);
        drop(options().replace(&path).unwrap());
        child.expect("Superseded");
        child.finish();

        let (_directory, path) = scratch();
        drop(options().create(&path).unwrap());
        let mut child = waiter(&path, kind);
        locule::destroy(&path).unwrap();
        child.expect("Superseded");
        child.finish();
    }
    // A read-only handle keeps nobody from recovering the file.
    for kind in ["read-only", "read-only sync"] {
        let (_directory, path) = scratch();
        options().create(&path).unwrap().insert(&visit(1, 1)).unwrap();
        let mut child = waiter(&path, kind);
        // As if the file had been restored with a state that was not left in order.
        let mut bytes = std::fs::read(&path).unwrap();
        let control = u64::from_ne_bytes(bytes[64..72].try_into().unwrap()) as usize;
        bytes[control + 144] = 1;
        {
            use std::os::unix::fs::FileExt;
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&bytes[control + 144..control + 145], control as u64 + 144).unwrap();
        }
        // A waiter would look by itself in the end; the word on which it sleeps says that it was woken before.
        let sync_end_count = || {
            let bytes = std::fs::read(&path).unwrap();
            u32::from_ne_bytes(bytes[control + 368..control + 372].try_into().unwrap())
        };
        let before = sync_end_count();
        let recovered = options().open(&path).unwrap();
        assert_ne!(sync_end_count(), before);
        child.expect("Recovered");
        child.finish();
        drop(recovered);
    }
    // Nobody had to wait until it looks by itself.
    println!("{:?}", start.elapsed());
}

#[test]
fn a_thread_that_waits_is_woken_when_another_reopens_the_handle() {
    let (_directory, path) = scratch();
    let table = Arc::new(options().create(&path).unwrap());
    let cursor = table.cursor().unwrap();
    std::thread::scope(|scope| {
        let waiting = Arc::clone(&table);
        let waiter = scope.spawn(move || waiting.wait(&cursor, FOR_EVER));
        drop(options().replace(&path).unwrap());
        table.reopen().unwrap();
        let outcome = waiter.join().unwrap();
        // It may have begun only after the reopening.
        let is_told = matches!(outcome, Err(Error::Superseded | Error::CursorLost { reason: CursorLoss::OtherTable }));
        assert!(is_told, "{outcome:?}");
    });
}

/// A process that may not write to the file can leave no wish, and looks again.
fn wait_without_permission(path: &Path, _: &str) {
    if nix::unistd::geteuid().is_root() {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65534)).unwrap();
    }
    assert!(std::fs::OpenOptions::new().write(true).open(path).is_err());
    let reader = options().open_read_only(path).unwrap();
    let cursor = reader.cursor().unwrap();
    assert!(!reader.wait(&cursor, Duration::from_millis(30)).unwrap());
    say("ready");
    assert!(reader.wait(&cursor, FOR_EVER).unwrap());
    assert_eq!(reader.changes_since(&cursor).unwrap().len(), 1);
}

#[test]
fn a_process_that_may_not_write_the_file_sees_that_something_was_published() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let set_mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    set_mode(&path, 0o444);
    set_mode(directory.path(), 0o755);
    let mut child = Child::spawn("wait without permission", &path, "");
    child.expect("ready");
    table.insert(&visit(1, 1)).unwrap();
    child.finish();
}

/// That a read-only handle changes nothing else is why anybody may follow.
#[test]
fn a_read_only_handle_that_waits_changes_only_the_words_of_its_wish() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    table.sync().unwrap();
    let before = std::fs::read(&path).unwrap();
    let reader = options().open_read_only(&path).unwrap();
    let cursor = reader.cursor().unwrap();
    assert!(reader.changes_since(&reader.first_cursor()).unwrap().len() == 3);
    assert!(!reader.wait_synced(&cursor, Duration::from_millis(5)).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(!reader.wait(&cursor, Duration::from_millis(5)).unwrap());
    let control = u64::from_ne_bytes(before[64..72].try_into().unwrap()) as usize;
    let after = std::fs::read(&path).unwrap();
    let changed: Vec<_> = (0..before.len()).filter(|offset| before[*offset] != after[*offset]).collect();
    assert!(!changed.is_empty() && changed.iter().all(|offset| (control + 576..control + 584).contains(offset)));
}

#[test]
fn a_wait_inside_a_closure_of_the_table_is_refused() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let cursor = table.cursor().unwrap();
    let outcome = table.write(|_| Ok([table.wait(&cursor, FOR_EVER), table.wait_synced(&cursor, FOR_EVER)]));
    for outcome in outcome.unwrap() {
        assert!(matches!(outcome, Err(Error::Nested)), "{outcome:?}");
    }
}

#[test]
fn a_wait_ends_after_its_timeout_and_at_once_if_there_is_something() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let before = table.cursor().unwrap();
    table.insert(&visit(1, 1)).unwrap();
    let after = table.cursor().unwrap();
    assert!(table.wait(&before, Duration::ZERO).unwrap());
    assert!(!table.wait(&after, Duration::ZERO).unwrap());
    assert!(!table.wait(&after, Duration::from_millis(20)).unwrap());
    assert!(!table.wait_synced(&before, Duration::from_millis(20)).unwrap());
    table.sync().unwrap();
    assert!(table.wait_synced(&before, Duration::MAX).unwrap());
    assert!(!table.wait_synced(&after, Duration::ZERO).unwrap());
}

// -- a consumer that dies ----------------------------------------------------------------------------

/// Keeps a copy of the table in a file, whole, with its cursor, and never ends.
fn consume(path: &Path, _: &str) {
    let table = options().open_read_only(path).unwrap();
    let kept = path.with_extension("kept");
    let (mut cursor, mut rows) = read_kept(&kept).unwrap_or((table.first_cursor(), HashMap::new()));
    say("ready");
    loop {
        let changes = table.changes_since(&cursor).unwrap();
        cursor = changes.cursor();
        for change in &changes {
            rows.retain(|id, _| !change.replaces(locule::RecordId::from_u64(*id)));
            if let Change::Put(row) = change {
                rows.insert(row.id().to_u64(), (row.visitor, row.hits));
            }
        }
        let lines = rows.iter().map(|(id, (visitor, hits))| format!("{id} {visitor} {hits}\n"));
        let content = format!("{cursor}\n{}", lines.collect::<String>());
        let new = path.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(&new, &kept).unwrap();
        table.wait(&cursor, FOR_EVER).unwrap();
    }
}

type Kept = (Cursor, HashMap<u64, (u64, u64)>);

fn read_kept(path: &Path) -> Option<Kept> {
    let content = std::fs::read_to_string(path).ok()?;
    let (cursor, rows) = content.split_once('\n').unwrap();
    let row = |line: &str| {
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        (numbers[0], (numbers[1], numbers[2]))
    };
    Some((cursor.parse().unwrap(), rows.lines().map(row).collect()))
}

#[test]
fn a_consumer_that_is_killed_again_and_again_goes_on_where_it_was() {
    let kill_count = std::env::var("LOCULE_CONSUMER_KILLS").map_or(30, |count| count.parse().unwrap());
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..kill_count {
        let mut consumer = Child::spawn("consume", &path, "");
        if round % 2 == 0 {
            consumer.expect("ready");
        }
        for hits in 0..random.u64(1..200) {
            let visitor = random.u64(..70);
            match table.find(&visitor).unwrap() {
                Some(row) if random.u8(..4) == 0 => drop(table.delete(row.id()).unwrap()),
                _ => drop(table.upsert(&visit(visitor, round * 1000 + hits))),
            }
        }
        consumer.kill();
    }
    // The last one is let live until it has everything.
    let mut consumer = Child::spawn("consume", &path, "");
    consumer.expect("ready");
    let kept = path.with_extension("kept");
    let newest = table.cursor().unwrap();
    test_kit::wait_until("the copy is as new as the table", || read_kept(&kept).is_some_and(|kept| kept.0 == newest));
    let expected: HashMap<_, _> =
        table.iter().map(|row| row.unwrap()).map(|row| (row.id().to_u64(), (row.visitor, row.hits))).collect();
    assert_eq!(read_kept(&kept).unwrap().1, expected);
    println!("{kill_count} times a consumer was killed; {} records", expected.len());
}

// -- copies and backups ------------------------------------------------------------------------------

#[track_caller]
fn assert_lost(table: &Visits, cursor: &Cursor, expected: CursorLoss) {
    for outcome in [table.changes_since(cursor).map(drop), table.wait(cursor, Duration::ZERO).map(drop)] {
        assert!(matches!(outcome, Err(Error::CursorLost { reason }) if reason == expected), "{outcome:?}");
    }
}

#[test]
fn a_cursor_is_followed_in_each_copy_of_the_file_only_up_to_where_they_part() {
    let (directory, path) = scratch();
    let original = options().create(&path).unwrap();
    insert_all(&original, 0..3);
    let together = original.cursor().unwrap();
    original.sync().unwrap();
    let copies = ["first.loc", "second.loc"].map(|name| directory.path().join(name));
    for copy in &copies {
        std::fs::copy(&path, copy).unwrap();
    }
    insert_all(&original, 10..13);
    let [first, second] = copies.map(|copy| options().open(copy).unwrap());
    insert_all(&first, 20..22);
    insert_all(&second, 30..31);
    for (table, change_count) in [(&original, 3), (&first, 2), (&second, 1)] {
        assert_eq!(table.changes_since(&together).unwrap().len(), change_count);
    }
    let cursors = [&original, &first, &second].map(|table| table.cursor().unwrap());
    assert_lost(&first, &cursors[0], CursorLoss::RolledBack);
    assert_lost(&original, &cursors[1], CursorLoss::NewerThanTable);
    let refused = [first.changes_since(&cursors[2]), second.changes_since(&cursors[1])];
    assert!(refused.iter().all(|outcome| matches!(outcome, Err(Error::CursorLost { .. }))), "{refused:?}");
}

#[test]
fn the_cursors_of_single_changes_can_all_be_followed_however_often_the_table_was_recovered() {
    let (directory, path) = scratch();
    drop(options().create(&path).unwrap());
    for recovery_count in 0_u64..12 {
        let table = options().open(&path).unwrap();
        insert_all(&table, 2 * recovery_count..2 * recovery_count + 2);
        let changes = table.changes_since(&table.first_cursor()).unwrap();
        assert_eq!(changes.len() as u64, 2 * recovery_count + 2);
        let mut fewest = changes.len();
        for (position, (change, cursor)) in changes.with_cursors().enumerate() {
            let left = table.changes_since(&cursor).unwrap();
            // All that is behind it comes, and what comes again is all that is not to be told apart.
            let behind = &changes.iter().as_slice()[position + 1..];
            assert!(left.iter().as_slice().ends_with(behind), "{recovery_count} {change:?}");
            assert!(left.len() == behind.len() || left.len() == changes.len(), "{recovery_count} {change:?}");
            fewest = fewest.min(left.len());
        }
        assert_eq!(fewest, 0);
        table.close().unwrap();
        // A copy is recovered when it is opened, as every file is after a restart of the machine.
        let copy = directory.path().join("copy.loc");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::rename(&copy, &path).unwrap();
    }
}

#[test]
fn a_cursor_that_is_newer_than_a_backup_that_was_put_back_is_refused() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    table.close().unwrap();
    let backup = directory.path().join("backup.loc");
    std::fs::copy(&path, &backup).unwrap();
    let table = options().open(&path).unwrap();
    insert_all(&table, 3..6);
    let newer = table.cursor().unwrap();
    drop(table);
    std::fs::rename(&backup, &path).unwrap();
    let table = options().open(&path).unwrap();
    assert_lost(&table, &newer, CursorLoss::RolledBack);
    insert_all(&table, 10..30);
    assert_lost(&table, &newer, CursorLoss::RolledBack);
}

#[test]
fn a_mirror_that_was_kept_across_restarts_is_the_table() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let mut mirror = Mirror::new(&table);
    insert_all(&table, 0..5);
    mirror.catch_up(&table);
    mirror.assert_is(&table);
    table.close().unwrap();
    let table = options().open(&path).unwrap();
    for row in table.select(|visit| visit.visitor % 2 == 0).unwrap() {
        table.delete(row.id()).unwrap();
    }
    mirror.catch_up(&table);
    mirror.assert_is(&table);
    // Read-only handles follow too.
    let reader = options().open_read_only(&path).unwrap();
    insert_all(&table, 10..14);
    mirror.catch_up(&reader);
    mirror.assert_is(&table);
    let other = Table::<Visit>::open_read_only(&path).unwrap();
    assert!(other.changes_since(&mirror.cursor).unwrap().is_empty());
}
