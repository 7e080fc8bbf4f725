//! Sees which process holds a table's write lock, fast enough to meet it in the middle of its work: in the words of the
//! file, at the places that `format.md` names.

use locule::testing::SharedWords;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::path::Path;
use std::sync::atomic::Ordering;

/// The word of the header that says where the control region begins, in bytes.
const CONTROL_OFFSET: usize = 8;
const WRITE_MUTEX: usize = 0;
const PREPARED: usize = 25;
const LAST: usize = 26;
/// The bits of the kernel's word for a robust mutex that are the owner's thread id.
const THREAD_ID_MASK: u64 = 0x3fff_ffff;

pub struct Watcher {
    words: SharedWords,
    control: usize,
}

impl Watcher {
    pub fn new(path: &Path) -> Self {
        let words = SharedWords::open(path).unwrap();
        let control = usize::try_from(words.words()[CONTROL_OFFSET].load(Ordering::Relaxed) / 8).unwrap();
        Watcher { words, control }
    }

    fn load(&self, index: usize) -> u64 {
        self.words.words()[self.control + index].load(Ordering::Relaxed)
    }

    /// The id of the thread that holds the lock; 0 if none does.
    fn holder(&self) -> u64 {
        let word = self.load(WRITE_MUTEX);
        // The kernel's word is the first 32 bits of glibc's mutexes, and the second of musl's.
        let is_low_half = cfg!(target_env = "gnu") == cfg!(target_endian = "little");
        (if is_low_half { word } else { word >> 32 }) & THREAD_ID_MASK
    }

    /// Fails if the lock is held by a thread that no longer exists: the kernel hands on the lock of a thread before its
    /// id is gone.
    #[track_caller]
    pub fn assert_not_left_behind(&self) {
        let holder = self.holder();
        let is_gone = kill(Pid::from_raw(i32::try_from(holder).unwrap()), None) == Err(nix::errno::Errno::ESRCH);
        assert!(!is_gone || self.holder() != holder, "the lock was left with nobody, thread {holder}");
    }

    /// Whether this process holds the lock, and its transaction can no longer be undone, but is not over.
    pub fn is_prepared_by(&self, pid: Pid) -> bool {
        self.load(PREPARED) != self.load(LAST) && self.is_holder(pid)
    }

    /// Whether the main thread of this process holds the lock.
    pub fn is_holder(&self, pid: Pid) -> bool {
        u64::try_from(pid.as_raw()) == Ok(self.holder())
    }

    /// Which of these processes holds the lock, looking this many times; with `is_prepared` only one whose transaction
    /// can no longer be undone, but is not over.
    pub fn find_holder(&self, supervisor: &[Pid], is_prepared: bool, look_count: u32) -> Option<usize> {
        (0..look_count).find_map(|_| {
            if is_prepared && self.load(PREPARED) == self.load(LAST) {
                return None;
            }
            // The main thread of a process has the process's id.
            let holder = self.holder();
            if holder == 0 { None } else { supervisor.iter().position(|pid| u64::try_from(pid.as_raw()) == Ok(holder)) }
        })
    }
}
