//! The rig's name server: one name, and the address that it leads to right now. Answers may not be kept (their time to
//! live is 0), so from the moment at which the address changes every new look-up finds the new one.
//! [RFC 1035](https://www.rfc-editor.org/rfc/rfc1035), as much of it as a question with one name needs. Pure.

use std::net::Ipv4Addr;

/// The name.
pub(super) const NAME: &str = "rig.test";

const HEADER: usize = 12;
const ADDRESS: u16 = 1;
const INTERNET: u16 = 1;
/// Response and authoritative; with what the question says about recursion.
const ANSWER: u8 = 0b1000_0100;
const RECURSION_DESIRED: u8 = 1;
const NO_SUCH_NAME: u8 = 3;

/// What is answered to a datagram; nothing if it is no question about one name.
pub(super) fn answer(question: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let (header, rest) = question.split_at_checked(HEADER)?;
    // A query, with one question.
    if header[2] & 0b1111_1000 != 0 || header[4..6] != [0, 1] {
        return None;
    }
    let (name, length) = name(rest)?;
    let asked = rest.get(length..length + 4)?;
    let known = name.eq_ignore_ascii_case(NAME);
    let found = known && asked == [ADDRESS.to_be_bytes(), INTERNET.to_be_bytes()].concat();
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&header[..2]);
    out.extend([ANSWER | (header[2] & RECURSION_DESIRED), if known { 0 } else { NO_SUCH_NAME }]);
    out.extend([0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    out.extend_from_slice(&rest[..length + 4]);
    if found {
        // The name of the question, its type and class, no time to live, and the address.
        out.extend([0xC0, HEADER as u8]);
        out.extend([ADDRESS, INTERNET].map(u16::to_be_bytes).concat());
        out.extend([0, 0, 0, 0, 0, 4]);
        out.extend(address.octets());
    }
    Some(out)
}

/// The name at the beginning, and how many bytes it takes.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut place) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(place)?);
        place += 1;
        match length {
            0 => return Some((labels.join("."), place)),
            1..64 => labels.push(String::from_utf8(bytes.get(place..place + length)?.to_vec()).ok()?),
            _ => return None,
        }
        place += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut bytes = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend(label.bytes());
        }
        bytes.extend([0, 0, kind, 0, 1]);
        bytes
    }

    #[test]
    fn its_name_leads_to_the_address_and_may_not_be_kept() {
        let asked = question("Rig.Test", 1);
        let said = answer(&asked, HERE).unwrap();
        assert_eq!(said[..12], [0xAB, 0xCD, 0x85, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(said[12..asked.len()], asked[12..]);
        assert_eq!(said[asked.len()..], [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 2]);
    }

    #[test]
    fn it_has_no_other_kind_of_address_and_knows_no_other_name() {
        let said = answer(&question(NAME, 28), HERE).unwrap();
        assert_eq!((said[3], said[7], said.len()), (0, 0, question(NAME, 28).len()));
        let said = answer(&question("other.test", 1), HERE).unwrap();
        assert_eq!((said[3], said[7]), (NO_SUCH_NAME, 0));
    }

    #[test]
    fn nonsense_is_not_answered() {
        let whole = question(NAME, 1);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], HERE), None, "{length} bytes");
        }
        let mut answered = whole.clone();
        answered[2] |= 0x80;
        let mut pointing = whole;
        pointing[12] = 0xC0;
        assert_eq!((answer(&answered, HERE), answer(&pointing, HERE)), (None, None));
    }
}
