//! A secret that a text was cut in the middle of: its first part at the end or before an ellipsis, its last part at the
//! beginning or behind one. Pure.

/// A shorter part stands in too many texts by accident.
const SHORTEST: usize = 6;

/// Where a part of the secret stands at a cut: from, to.
pub(super) fn parts(text: &str, secret: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    if secret.len() <= SHORTEST {
        return found;
    }
    for end in ends(text) {
        found.extend(prefix_before(&text[..end], secret));
    }
    for start in starts(text) {
        found.extend(suffix_behind(text, start, secret));
    }
    found
}

/// Places at which a text may have been cut: its end, and before each ellipsis.
fn ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    std::iter::once(text.len()).chain(ellipses(text).map(|(at, _)| at))
}

fn starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    std::iter::once(0).chain(ellipses(text).map(|(at, length)| at + length))
}

fn ellipses(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    ["…", "...", "[…]"].into_iter().flat_map(|mark| text.match_indices(mark).map(|(at, mark)| (at, mark.len())))
}

fn prefix_before(text: &str, secret: &str) -> Option<(usize, usize)> {
    let longest = secret.len().min(text.len() + 1) - 1;
    let mut lengths = (SHORTEST..=longest).rev().filter(|n| secret.is_char_boundary(*n));
    lengths.find(|n| text.ends_with(&secret[..*n])).map(|n| (text.len() - n, text.len()))
}

fn suffix_behind(text: &str, start: usize, secret: &str) -> Option<(usize, usize)> {
    let rest = &text[start..];
    let mut froms = (1..=secret.len() - SHORTEST).filter(|from| secret.is_char_boundary(*from));
    froms.find(|from| rest.starts_with(&secret[*from..])).map(|from| (start, start + secret.len() - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_at_a_cut_is_found_and_nothing_else() {
        let secret = "kT9-ä-vbQ2xZ";
        assert_eq!(parts("the answer was kT9-ä-v", secret), [(15, 23)]);
        assert_eq!(parts("kT9-ä-vb… and on", secret), [(0, 9)]);
        assert_eq!(parts("vbQ2xZ is the end", secret), [(0, 6)]);
        assert_eq!(parts("…-vbQ2xZ it was", secret), [(3, 10)]);
        for harmless in ["", "kT9", "has kT9-ä- in it", secret, "bQ2xZ"] {
            assert!(parts(harmless, secret).is_empty(), "{harmless}");
        }
        assert!(parts("hunter", "hunter").is_empty());
    }
}
