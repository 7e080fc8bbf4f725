//! The access control list that a file has besides its mode: POSIX ACLs, as the kernel hands them out.
//!
//! A file with such a list shows as its mode's group bits what the list allows at most (its mask), and not what it gives the
//! group. So whoever copies the mode alone can give a group what it never had.
#![allow(unsafe_code)]

use nix::libc;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `XATTR_NAME_POSIX_ACL_ACCESS` in <linux/xattr.h>.
const NAME: &std::ffi::CStr = c"system.posix_acl_access";

/// `XATTR_SIZE_MAX` in <linux/limits.h>: no list is longer.
const LIST_BYTES_MAX: usize = 1 << 16;

/// The tags of <linux/posix_acl.h>.
const USER: u16 = 0x02;
const GROUP_OF_FILE: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// The bytes of an entry: a tag, what it permits, and for whom. A version is before the first.
const ENTRY_BYTES: usize = 8;
const VERSION_BYTES: usize = 4;

/// A list, as <linux/posix_acl_xattr.h> lays it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList(Vec<u8>);

impl AccessList {
    /// That of the file that a path leads to. None if there is nothing but a mode, or if the file system has no lists.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut list = vec![0; LIST_BYTES_MAX];
        // SAFETY: both texts end with a zero byte and stay where they are during the call, and the kernel writes at most as
        // many bytes as it is told, which is how many the list has.
        let code = unsafe { libc::getxattr(path.as_ptr(), NAME.as_ptr(), list.as_mut_ptr().cast(), list.len()) };
        match usize::try_from(code) {
            Ok(list_bytes) => {
                list.truncate(list_bytes);
                Ok(Some(AccessList(list)))
            }
            Err(_) => none_if_there_are_no_lists(io::Error::last_os_error()),
        }
    }

    /// Gives it to a file, whose mode becomes what the list says.
    pub fn give_to(&self, file: &File) -> io::Result<()> {
        let AccessList(list) = self;
        // SAFETY: the descriptor is open, the name ends with a zero byte, and the kernel reads as many bytes as the list has.
        let code = unsafe { libc::fsetxattr(file.as_raw_fd(), NAME.as_ptr(), list.as_ptr().cast(), list.len(), 0) };
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes the list of a file away, if it has one: what a new file has got from its directory.
    pub fn take_from(file: &File) -> io::Result<()> {
        // SAFETY: the descriptor is open, and the name ends with a zero byte.
        let code = unsafe { libc::fremovexattr(file.as_raw_fd(), NAME.as_ptr()) };
        if code == 0 { Ok(()) } else { none_if_there_are_no_lists(io::Error::last_os_error()).map(|_: Option<()>| ()) }
    }

    /// The same, but that it gives nothing to the group that the file belongs to.
    pub fn without_group(mut self) -> Self {
        for entry in self.0.get_mut(VERSION_BYTES..).unwrap_or_default().chunks_exact_mut(ENTRY_BYTES) {
            if let [tag_low, tag_high, permitted_low, permitted_high, ..] = entry {
                if u16::from_le_bytes([*tag_low, *tag_high]) == GROUP_OF_FILE {
                    [*permitted_low, *permitted_high] = [0; 2];
                }
            }
        }
        self
    }

    /// A mode, with what it says of the group being the mask of this list, that without the list permits nobody more than with
    /// it: whoever the list names may belong to the group, and to nobody else's.
    pub fn narrowed(&self, mode: u32) -> u32 {
        let permitted = |tag: u16| {
            let entries = self.entries().filter(move |(found, _)| *found == tag);
            entries.fold(0o7, |common, (_, permitted)| common & u32::from(permitted))
        };
        let mask = permitted(MASK);
        let named_users = permitted(USER);
        let group = permitted(GROUP_OF_FILE) & named_users & mask;
        let others = mode & named_users & permitted(GROUP);
        mode & !0o77 | (mode & group << 3) | (others & 0o7)
    }

    /// The tags of the entries, and what they permit.
    fn entries(&self) -> impl Iterator<Item = (u16, u16)> {
        self.0.get(VERSION_BYTES..).unwrap_or_default().chunks_exact(ENTRY_BYTES).filter_map(|entry| match *entry {
            [tag_low, tag_high, low, high, ..] => {
                Some((u16::from_le_bytes([tag_low, tag_high]), u16::from_le_bytes([low, high])))
            }
            _ => None,
        })
    }
}

/// What is the case if the kernel knows no list of a file: `ENODATA`; or no lists at all.
fn none_if_there_are_no_lists<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.raw_os_error() {
        Some(libc::ENODATA | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const OWNER: u16 = 0x01;
    const OTHERS: u16 = 0x20;
    const NOBODY: u32 = u32::MAX;

    fn list(entries: &[(u16, u16, u32)]) -> AccessList {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, permitted, id) in entries {
            bytes.extend([tag.to_le_bytes(), permitted.to_le_bytes()].concat());
            bytes.extend(id.to_le_bytes());
        }
        AccessList(bytes)
    }

    /// The owner and a user may write, the group may only read, and others may do something.
    fn example(of_user: u16, others: u16) -> AccessList {
        list(&[
            (OWNER, 6, NOBODY),
            (USER, of_user, 1234),
            (GROUP_OF_FILE, 4, NOBODY),
            (MASK, 6, NOBODY),
            (OTHERS, others, NOBODY),
        ])
    }

    #[test]
    fn without_the_list_the_mode_permits_nobody_more() {
        // The group bits are the mask.
        assert_eq!(example(6, 0).narrowed(0o660), 0o640);
        // The user may be in the group, and is one of the others if not.
        assert_eq!(example(0, 4).narrowed(0o664), 0o600);
        assert_eq!(example(4, 6).narrowed(0o666), 0o644);
        let named_group = list(&[
            (OWNER, 6, NOBODY),
            (GROUP_OF_FILE, 6, NOBODY),
            (GROUP, 0, 7),
            (MASK, 4, NOBODY),
            (OTHERS, 4, NOBODY),
        ]);
        assert_eq!(named_group.narrowed(0o644), 0o640);
        // What is no list permits what the mode does.
        assert_eq!(AccessList(vec![2, 0]).narrowed(0o644), 0o644);
    }

    #[test]
    fn a_list_can_give_the_group_nothing_and_the_others_what_it_gave_them() {
        let expected = list(&[
            (OWNER, 6, NOBODY),
            (USER, 6, 1234),
            (GROUP_OF_FILE, 0, NOBODY),
            (MASK, 6, NOBODY),
            (OTHERS, 4, NOBODY),
        ]);
        assert_eq!(example(6, 4).without_group(), expected);
        assert_eq!(AccessList(vec![1, 2, 3]).without_group(), AccessList(vec![1, 2, 3]));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_list_is_given_and_found_and_taken_away() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = || AccessList::of(file.path()).unwrap();
        assert_eq!(found(), None);
        AccessList::take_from(file.as_file()).unwrap();
        if let Err(error) = example(6, 0).give_to(file.as_file()) {
            eprintln!("not tested: the file system takes no access control list: {error}");
            return;
        }
        assert_eq!(found(), Some(example(6, 0)));
        assert_eq!(file.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o660);
        AccessList::take_from(file.as_file()).unwrap();
        assert_eq!(found(), None);
        assert_eq!(AccessList::of(Path::new("/nowhere/at all")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(AccessList(vec![1]).give_to(file.as_file()).is_err());
    }
}
