//! Time stamps by RFC 3161: the request for a digest, and whether an answer grants it, as DER by hand. Whether the stamp
//! is signed by an authority that one trusts is for `openssl ts -verify`, or whoever checks; asking one is `adapters`' business.

use sha2::{Digest, Sha256};

/// The stamp over the start record: the first line of the journal with its line break.
pub const START: &str = "start.tsr";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
/// `AlgorithmIdentifier` of SHA-256: its object identifier 2.16.840.1.101.3.4.2.1, and no parameters (NULL).
const SHA256: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];

/// A `TimeStampReq` for these bytes: version 1, their SHA-256, the authority's certificate asked for. Without a nonce: an
/// old answer for the same digest would only prove that the bytes are older.
#[must_use]
pub fn request(message: &[u8]) -> Vec<u8> {
    let imprint = part(SEQUENCE, &[&SHA256, part(OCTETS, &[&digest(message)]).as_slice()]);
    part(SEQUENCE, &[&[INTEGER, 1, 1], &imprint, &[0x01, 0x01, 0xff]])
}

/// Is this answer a `TimeStampResp` that grants a stamp over these bytes?
///
/// # Errors
/// Says what it is instead.
pub fn granted(answer: &[u8], message: &[u8]) -> Result<(), String> {
    let broken = || "the answer is no time stamp".to_owned();
    let (tag, body, rest) = read(answer).ok_or_else(broken)?;
    let (status_tag, status, token) = read(body).ok_or_else(broken)?;
    if tag != SEQUENCE || status_tag != SEQUENCE || !rest.is_empty() {
        return Err(broken());
    }
    match read(status).ok_or_else(broken)? {
        // Granted, or granted with modifications.
        (INTEGER, [0 | 1], _) if !token.is_empty() => {}
        (INTEGER, [status], _) => return Err(format!("the authority refused (status {status})")),
        _ => return Err(broken()),
    }
    let imprint = part(OCTETS, &[&digest(message)]);
    let there = token.windows(imprint.len()).any(|window| window == imprint);
    if there { Ok(()) } else { Err("the stamp is for something else".to_owned()) }
}

fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// A tag, a length and a content; everything here is shorter than 128 bytes.
fn part(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let content = pieces.concat();
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[tag, length], content.as_slice()].concat()
}

/// A tag, its content, and what follows it.
fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    let (length, at) = match first {
        short @ ..0x80 => (usize::from(short), 2),
        long => {
            let digits = bytes.get(2..2 + usize::from(long & 0x7f)).filter(|digits| (1..=4).contains(&digits.len()))?;
            (digits.iter().fold(0_usize, |sum, digit| sum << 8 | usize::from(*digit)), 2 + digits.len())
        }
    };
    let end = at.checked_add(length)?;
    Some((tag, bytes.get(at..end)?, &bytes[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u8, token: &[u8]) -> Vec<u8> {
        part(SEQUENCE, &[&part(SEQUENCE, &[&[INTEGER, 1, status]]), token])
    }

    #[test]
    fn a_request_is_der_of_a_known_length() {
        let asked = request(b"x");
        assert_eq!(asked.len(), usize::from(asked[1]) + 2);
        assert_eq!(&asked[..5], [0x30, 0x39, 0x02, 0x01, 0x01]);
        assert!(asked.ends_with(&[0x01, 0x01, 0xff]));
    }

    #[test]
    fn only_a_stamp_over_these_bytes_is_granted() {
        let token = part(SEQUENCE, &[&part(OCTETS, &[&digest(b"x")])]);
        assert_eq!(granted(&answer(0, &token), b"x"), Ok(()));
        assert!(granted(&answer(0, &token), b"y").unwrap_err().contains("something else"));
        assert!(granted(&answer(2, &token), b"x").unwrap_err().contains("status 2"));
        assert!(granted(&answer(0, &[]), b"x").is_err());
        for end in 0..40 {
            assert!(granted(&answer(0, &token)[..end], b"x").is_err(), "cut off at {end}");
        }
        assert!(granted(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0], b"x").is_err());
    }
}
