//! What an error of a file operation says about a record: did it definitely not happen, or does nobody know? Pure.

use super::wire::{Step, Trouble, Whose};
use crate::model::Outcome;
use nix::errno::Errno;

/// The outcome of a write that ended like this.
///
/// Before the first byte of the record nothing of it can be there. A record of which only a part was taken can never become
/// whole, for nothing is appended to its file again. An error of write(2) is about this write on a local file system; on
/// NFS, FUSE and the like it may be about an earlier one, while this one was taken and is written later. After a failed
/// fsync(2) nobody knows: the kernel may have thrown the pages away, kept them, or written them.
pub(super) fn write(trouble: &Trouble) -> Outcome {
    let Trouble { step, taken, whose, .. } = trouble;
    let errno = Errno::from_raw(trouble.errno);
    match step {
        Step::Open if ours(errno) => Outcome::Unsent,
        Step::Open => Outcome::Fail,
        Step::Write if *taken > 0 => Outcome::Fail,
        Step::Write if *whose == Whose::Local && refused(errno) => Outcome::Fail,
        Step::Write | Step::Sync | Step::Rename | Step::SyncFolder | Step::Read => Outcome::Unknown,
    }
}

/// The outcome of a visit that ended like this: it leaves nothing that counts, so what was refused is a failure.
pub(super) fn visit(trouble: &Trouble) -> Outcome {
    if trouble.step == Step::Open && ours(Errno::from_raw(trouble.errno)) { Outcome::Unsent } else { Outcome::Fail }
}

/// This machine has no more of something: our own gap.
fn ours(errno: Errno) -> bool {
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)
}

/// Said before a byte is taken.
fn refused(errno: Errno) -> bool {
    matches!(errno, Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG | Errno::EROFS | Errno::EBADF | Errno::EPERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(step: Step, errno: Errno, taken: usize, whose: Whose) -> Outcome {
        write(&Trouble { step, errno: errno as i32, taken, whose })
    }

    #[test]
    fn before_the_first_byte_it_is_definite() {
        for errno in [Errno::ENOENT, Errno::EIO, Errno::EROFS, Errno::ESTALE, Errno::ENOTCONN, Errno::ENOSPC] {
            assert_eq!(of(Step::Open, errno, 0, Whose::Other), Outcome::Fail, "{errno}");
        }
        assert_eq!(of(Step::Open, Errno::EMFILE, 0, Whose::Local), Outcome::Unsent);
    }

    #[test]
    fn a_full_disk_refuses_and_a_full_server_may_mean_an_earlier_write() {
        for errno in [Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS] {
            assert_eq!(of(Step::Write, errno, 0, Whose::Local), Outcome::Fail, "{errno}");
            assert_eq!(of(Step::Write, errno, 0, Whose::Other), Outcome::Unknown, "{errno}");
            assert_eq!(of(Step::Write, errno, 9, Whose::Other), Outcome::Fail, "half a record never becomes whole");
        }
        for errno in [Errno::EIO, Errno::ESTALE, Errno::ENOTCONN, Errno::ETIMEDOUT] {
            assert_eq!(of(Step::Write, errno, 0, Whose::Local), Outcome::Unknown, "{errno}");
        }
    }

    #[test]
    fn a_failed_sync_decides_nothing() {
        for step in [Step::Sync, Step::SyncFolder, Step::Rename] {
            for errno in [Errno::EIO, Errno::ENOSPC, Errno::EROFS, Errno::EDQUOT, Errno::ESTALE] {
                assert_eq!(of(step, errno, 300, Whose::Local), Outcome::Unknown, "{step:?} {errno}");
            }
        }
    }
}
