//! SHA-256 of files, piece by piece: the one way in which sealing, checking, reviewing and removing read what they vouch for.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Length in bytes and SHA-256, hex, of what is left to read.
///
/// # Errors
/// When it cannot be read to its end.
pub fn of(mut from: impl Read) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((bytes, super::merkle::hex(&hash.finalize()))),
            Ok(length) => {
                hash.update(&buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same of a file.
///
/// # Errors
/// When it cannot be opened, or not be read to its end.
pub fn of_file(path: &Path) -> io::Result<(u64, String)> {
    of(File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read in two pieces, with an interruption before each.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let length = self.0.len().min(2);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn an_interrupted_read_goes_on() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of(Interrupted(b"abc", false)).unwrap(), (3, abc.to_owned()));
        assert!(of_file(Path::new("/nowhere")).is_err());
    }
}
