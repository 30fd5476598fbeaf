//! How the bytes of a secret look in other alphabets: base64 at every place of a longer text, hexadecimal. Pure.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A shorter piece of base64 stands in too many texts that have nothing to do with the secret.
const SHORTEST_STEM: usize = 5;
/// Base64 is broken into lines of 57 bytes at least; a piece of this length is whole in each of them.
const PIECE: usize = 18;

/// Base64 (RFC 4648 §4 and §5) of the bytes wherever they begin in a longer text: without the digits that depend on what
/// stands before or after them. Of long ones also every piece, because base64 is broken into lines.
pub(super) fn base64(bytes: &[u8]) -> Vec<String> {
    let mut all = vec![STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)];
    all.extend(stems(bytes));
    if bytes.len() > 2 * PIECE {
        bytes.chunks_exact(PIECE).for_each(|piece| all.extend(stems(piece)));
    }
    all.retain(|form| form.len() >= SHORTEST_STEM);
    all
}

/// Base64 of its base64: what `kubectl get secret` shows, encoded once more.
pub(super) fn base64_twice(bytes: &[u8]) -> Vec<String> {
    let once: Vec<String> = stems(bytes).into_iter().filter(|stem| stem.len() > 2 * SHORTEST_STEM).collect();
    once.iter().flat_map(|stem| stems(stem.as_bytes())).collect()
}

/// The digits that depend on the bytes alone, for each of three places, in both alphabets.
fn stems(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for before in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
        // A byte before them reaches into the second digit, two into the third.
        let first = [0, 2, 3][before];
        let last = padded.len() * 8 / 6;
        if last <= first {
            continue;
        }
        for whole in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            found.extend(whole.get(first..last).map(str::to_owned));
        }
    }
    found
}

/// Is it a digit of base64, in either alphabet, or its padding?
pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// Hexadecimal, in small and capital letters.
pub(super) fn hex(bytes: &[u8]) -> [String; 2] {
    let small: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let capital = small.to_ascii_uppercase();
    [small, capital]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    #[test]
    fn base64_is_found_wherever_the_secret_begins() {
        let secret = b"p\"ss w/rd\xfb\xff";
        let forms = base64(secret);
        for before in 0..9 {
            for after in 0..4 {
                let text: Vec<u8> = [vec![b'u'; before], secret.to_vec(), vec![b'z'; after]].concat();
                for whole in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    assert!(forms.iter().any(|form| whole.contains(form)), "{before} {after} {whole}");
                }
                let twice = STANDARD.encode(STANDARD.encode(&text));
                assert!(base64_twice(secret).iter().any(|form| twice.contains(form)), "{before} {after} {twice}");
            }
        }
    }

    #[test]
    fn a_long_one_is_found_in_every_line() {
        let secret: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(37)).collect();
        let forms = base64(&secret);
        let whole = STANDARD.encode(&secret);
        for line in whole.as_bytes().chunks(76).filter(|line| line.len() == 76) {
            let line = std::str::from_utf8(line).unwrap();
            assert!(forms.iter().any(|form| line.contains(form)), "{line}");
        }
    }

    #[test]
    fn hexadecimal_has_both_cases() {
        assert_eq!(hex(b"\x0f\xab"), ["0fab", "0FAB"]);
    }
}
