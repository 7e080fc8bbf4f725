//! The control region: which word is where, counted in words from the start of the region.
//!
//! Words that different processes write do not share a cache line (8 words) with words that readers poll. Everything
//! here can be rebuilt: in another boot only the sealed words are believed.

/// The words of the control region: one page.
pub const CONTROL_WORDS: usize = 512;

/// The mutex under which records are written; up to 64 bytes.
pub const WRITE_MUTEX: usize = 0;
/// The mutex under which syncs are made; up to 64 bytes.
pub const SYNC_MUTEX: usize = 8;
/// Words reserved for each mutex.
pub const MUTEX_WORDS: usize = 8;

/// 1: the file was replaced or destroyed. `LOSING_ITS_NAME`: a process is about to do that, or died on the way, and each
/// user has to look whether the file still has its name.
pub const SUPERSEDED: usize = 16;
/// A value of `SUPERSEDED`.
pub const LOSING_ITS_NAME: u64 = 2;
/// 1: a mutex cannot be used any more.
pub const CONDEMNED: usize = 17;
/// 1: a flush failed.
pub const FAILED: usize = 18;
/// How often the index was rebuilt; the lowest bit says which of the two hash tables is in use.
pub const INDEX_EPOCH: usize = 19;
/// The number of the table's last recovery by a first opener. Each recovery increments it before it changes anything
/// else. A handle that was attached under another number may neither write nor acknowledge a sync.
pub const RECOVERY_NUMBER: usize = 21;
/// 1 from before a file with everything that this one holds takes its name. If its maker died before that, the next writer
/// takes it back.
pub const SUCCESSOR: usize = 22;

/// The highest transaction number ever taken.
pub const USED: usize = 24;
/// The number of the transaction whose intent list is complete: the commit point for process death.
pub const PREPARED: usize = 25;
/// The number of the last published transaction.
pub const LAST: usize = 26;
/// How many entries the intent list has; 0 when no transaction is in progress.
pub const INTENT_COUNT: usize = 27;
/// How many slots are on the free stack.
pub const FREE_COUNT: usize = 28;
/// What `FREE_COUNT` becomes when the transaction in progress is published.
pub const FREE_COUNT_NEXT: usize = 29;

/// The sealed newest state, four words.
pub const NEWEST_STATE: usize = 32;
/// The sealed intent, four words.
pub const INTENDED_STATE: usize = 36;

/// The number of the newest sync that is on the disk.
pub const DURABLE: usize = 40;
/// The number of the sync in flight, or `NO_PIN`.
pub const PIN: usize = 41;
/// 1 while a flush of the durable group is under way.
pub const FLUSHING: usize = 42;
/// When the last sync ended, in milliseconds of the monotonic clock.
pub const LAST_SYNC_MILLISECONDS: usize = 43;
/// When the last sync ended, in milliseconds since 1970: a second clock, for processes whose monotonic clock shows
/// something else.
pub const LAST_SYNC_WALL_MILLISECONDS: usize = 47;
/// New records get generations above this one.
pub const GENERATION_FLOOR: usize = 44;
/// How many entries of the hash table in use are not empty.
pub const INDEX_OCCUPIED: usize = 45;

/// The incarnation: boot id (two words), device, inode, time of birth, PID namespace, mutex fingerprint, and a seal
/// over them, which is written last and taken away first.
pub const INCARNATION: usize = 48;
/// The words of the incarnation before its seal.
pub const INCARNATION_WORDS: usize = 7;
/// The seal of the incarnation; 0: none.
pub const INCARNATION_SEAL: usize = 55;

/// How many syncs have ended, successfully or not. A thread that waits for one sleeps on the low half of this word.
pub const SYNC_END_COUNT: usize = 46;

/// Syncs made.
pub const SYNC_COUNT: usize = 56;
/// Owners that died holding the write mutex with nothing in progress.
pub const REPAIRED_HOLDING_COUNT: usize = 58;
/// Owners that died while they were staging.
pub const REPAIRED_STAGING_COUNT: usize = 59;
/// Owners that died between preparing and publishing.
pub const REPAIRED_PREPARED_COUNT: usize = 60;
/// Owners that died while they were publishing.
pub const REPAIRED_PUBLISHING_COUNT: usize = 61;
/// Owners that died holding the sync mutex.
pub const DEAD_SYNCER_COUNT: usize = 62;

/// The mutex under which one of the other two is taken from an owner that is gone; up to 64 bytes.
pub const ARBITER_MUTEX: usize = 64;

/// 0 if nobody waits for publications; otherwise more than `WAKE_COUNT` was when the last of those that wait began to. In a cache
/// line of its own, since those that only wait write it.
pub const WAITING: usize = 72;
/// How often those that wait were woken. They sleep on the low half of this word.
pub const WAKE_COUNT: usize = 73;

/// What `PIN` holds when no sync is in flight.
pub const NO_PIN: u64 = u64::MAX;

const _: () = {
    assert!(SYNC_MUTEX >= WRITE_MUTEX + MUTEX_WORDS && SUPERSEDED >= SYNC_MUTEX + MUTEX_WORDS);
    assert!(INTENDED_STATE == NEWEST_STATE + crate::format::sync_record::STATE_WORDS);
    assert!(INCARNATION_SEAL == INCARNATION + INCARNATION_WORDS);
    assert!(USED / 8 != SUPERSEDED / 8 && DEAD_SYNCER_COUNT < ARBITER_MUTEX);
    assert!(ARBITER_MUTEX + MUTEX_WORDS <= WAITING && WAITING % 8 == 0 && WAKE_COUNT < CONTROL_WORDS);
};
