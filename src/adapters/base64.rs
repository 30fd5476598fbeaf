//! Base64 (RFC 4648, section 4), as JSON interfaces carry bytes.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text, padded.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= part.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Bytes from padded text; none if it is no such text.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (whole, padded) = (text.trim_end_matches('='), text.len());
    if !padded.is_multiple_of(4) || padded - whole.len() > 2 {
        return None;
    }
    for part in whole.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for byte in part {
            word = word << 6 | DIGITS.iter().position(|digit| digit == byte)? as u32;
        }
        word <<= 6 * (4 - part.len());
        bytes.extend_from_slice(&word.to_be_bytes()[1..part.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_rfc_4648_has_it() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in pairs {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decoded(text), Some(bytes.as_bytes().to_vec()));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encoded(&all)), Some(all));
        for wrong in ["Z", "Zg=", "Zg", "Z===", "Zm9v=", "Z g=", "Zg==Zg=="] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
