//! Which process this is: noticing a fork without a system call, the PID namespace, and descriptors that a fork inherited.
#![allow(unsafe_code)]

use memmap2::{MmapOptions, MmapRaw};
use nix::libc;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// A number of this process that none of its ancestors has, and that is never 0. It takes a system call only the first
/// time in each process.
///
/// It is not the process id, since a child in another PID namespace can have its parent's id. It is kept in a page that
/// the kernel wipes in a child of `fork`. A process that finds it wiped increments a counter that it has inherited in
/// memory that is not wiped.
#[inline(always)]
pub fn fork_generation() -> u32 {
    // SAFETY: the pointer is to `NONE`, or was stored by `generation_page`: to a page that is mapped for the life of the process,
    // aligned, and only ever used as this one atomic.
    let generation = unsafe { &*GENERATION_PAGE.load(Ordering::Acquire) }.load(Ordering::Relaxed);
    if generation == 0 { begin_generation() } else { generation }
}

/// What is read before there is a page. Never written.
static NONE: AtomicU32 = AtomicU32::new(0);
static GENERATION_PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new((&raw const NONE).cast_mut());

#[cold]
fn begin_generation() -> u32 {
    /// The newest generation that this process may have or, just after a fork, that its nearest ancestor may have had.
    static NEWEST: AtomicU32 = AtomicU32::new(0);
    // Without such a page (kernels before 4.14) it is the process id, by a system call each time.
    let Some(known) = generation_page() else { return std::process::id() };
    // Counted before any process has it: a child that is forked at any moment goes on above it. Several threads may be
    // here at once, and then the first to exchange decides.
    let next = NEWEST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
    match known.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(generation) => generation,
    }
}

/// The page of this process, made when it is first asked for. Threads that are here at once wait for none of the
/// others, even if the process is forked meanwhile: each makes a page, and the first to put it in its place decides.
fn generation_page() -> Option<&'static AtomicU32> {
    static IS_UNAVAILABLE: AtomicBool = AtomicBool::new(cfg!(miri));
    let none = (&raw const NONE).cast_mut();
    let mut page = GENERATION_PAGE.load(Ordering::Acquire);
    if page == none {
        if IS_UNAVAILABLE.load(Ordering::Relaxed) {
            return None;
        }
        let Some(made) = make_generation_page() else {
            IS_UNAVAILABLE.store(true, Ordering::Relaxed);
            return None;
        };
        page = made.as_mut_ptr().cast();
        match GENERATION_PAGE.compare_exchange(none, page, Ordering::AcqRel, Ordering::Acquire) {
            // It stays mapped for the life of the process.
            Ok(_) => std::mem::forget(made),
            Err(others) => page = others,
        }
    }
    // SAFETY: as in `fork_generation`; it is not `NONE`.
    Some(unsafe { &*page })
}

fn make_generation_page() -> Option<MmapRaw> {
    let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon().ok()?);
    // SAFETY: the page was just mapped, private and anonymous, is a whole page, and nothing refers to it yet.
    let code = unsafe { libc::madvise(page.as_mut_ptr().cast(), 4096, libc::MADV_WIPEONFORK) };
    (code == 0).then_some(page)
}

/// The number of the inode of this process's PID namespace.
pub fn pid_namespace() -> io::Result<u64> {
    match own_pid_namespace() {
        Some(namespace) => Ok(namespace.metadata()?.ino()),
        // Kernels before 6.11.
        None => Ok(std::fs::metadata("/proc/self/ns/pid")?.ino()),
    }
}

/// The namespace as a file, without a walk through /proc, which takes longer than all the rest of opening a table.
fn own_pid_namespace() -> Option<File> {
    // `_IO(PIDFS_IOCTL_MAGIC, 5)` in <linux/pidfd.h>.
    const PIDFD_GET_PID_NAMESPACE: libc::c_ulong = 0xFF05;
    // SAFETY: the call takes two numbers, and makes a descriptor.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
    let process = libc::c_int::try_from(process).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    let process = unsafe { OwnedFd::from_raw_fd(process) };
    // SAFETY: the descriptor is open; this request takes no argument, and makes another descriptor.
    let namespace = unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_PID_NAMESPACE as _, 0) };
    // SAFETY: as above.
    (namespace >= 0).then(|| unsafe { File::from_raw_fd(namespace) })
}

/// Makes `target` the same open file as `source`, under the number that `target` has. What `target` was before is
/// closed; it is not unlocked if another process has it too.
pub fn replace_descriptor(target: &File, source: &File) -> io::Result<()> {
    // SAFETY: both descriptors are open, and stay owned by these two. The number of `target` becomes another open file
    // in one step; a thread that uses it at the moment uses one or the other.
    let code = unsafe { libc::dup3(source.as_raw_fd(), target.as_raw_fd(), libc::O_CLOEXEC) };
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_generation() {
        let generation = fork_generation();
        assert_ne!(generation, 0);
        for _ in 0..3 {
            assert_eq!(fork_generation(), generation);
        }
        // Kernels before 4.14 wipe no page in a child, and Miri has no kernel.
        assert_eq!(std::ptr::eq(GENERATION_PAGE.load(Ordering::Acquire), &raw const NONE), cfg!(miri));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no namespaces")]
    fn the_pid_namespace_is_the_one_that_proc_tells() {
        let expected = std::fs::metadata("/proc/self/ns/pid").unwrap().ino();
        assert_eq!(pid_namespace().unwrap(), expected);
        if let Some(namespace) = own_pid_namespace() {
            assert_eq!(namespace.metadata().unwrap().ino(), expected);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_descriptor_becomes_another_file_under_its_number() {
        let [target, source] = ["target", "source"].map(|content| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            file.reopen().unwrap()
        });
        let number = target.as_raw_fd();
        replace_descriptor(&target, &source).unwrap();
        drop(source);
        assert_eq!(target.as_raw_fd(), number);
        assert_eq!(std::io::read_to_string(&target).unwrap(), "source");
        let flags = nix::fcntl::fcntl(&target, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
}
