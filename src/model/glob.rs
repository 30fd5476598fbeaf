//! Patterns for names, as people write them for files and tables: `*`, `?`, and `**` across folders. Pure.

/// Does the whole text match? `*` and `?` stand for anything but `/`; `**` for anything.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // reached[j]: the pattern so far matches the first j characters. One row at a time: no pattern takes long.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut i = 0;
    while i < pattern.len() {
        let deep = pattern[i] == '*' && pattern.get(i + 1) == Some(&'*');
        let mut next = vec![false; text.len() + 1];
        match pattern[i] {
            '*' => {
                for j in 0..=text.len() {
                    let over = j > 0 && next[j - 1] && (deep || text[j - 1] != '/');
                    next[j] = reached[j] || over;
                }
            }
            '?' => (0..text.len()).for_each(|j| next[j + 1] = reached[j] && text[j] != '/'),
            c => (0..text.len()).for_each(|j| next[j + 1] = reached[j] && text[j] == c),
        }
        // `a/**/b` matches `a/b` too.
        if deep && pattern.get(i + 2) == Some(&'/') {
            let below: Vec<bool> =
                (0..=text.len()).map(|j| reached[j] || (j > 0 && next[j] && text[j - 1] == '/')).collect();
            next = below;
            i += 1;
        }
        reached = next;
        i += if deep { 2 } else { 1 };
    }
    reached[text.len()]
}

/// Is a path below some folder left out by a pattern? One without `/` is about a name at any depth, one with `/` about the
/// path from the folder on; what leaves a folder out leaves out all that is in it.
#[must_use]
pub fn left_out(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| {
        let pattern = pattern.trim_end_matches('/');
        let name = path.rsplit('/').next().unwrap_or(path);
        if pattern.contains('/') { glob(pattern.trim_start_matches("./"), path) } else { glob(pattern, name) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_people_expect() {
        for (pattern, text, wanted) in [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "a/b.tmp", false),
            ("**.tmp", "a/b.tmp", true),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
            ("a/**/c", "a/b/b/c", true),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/bc", false),
            ("**", "", true),
            ("?", "ä", true),
            ("?", "/", false),
            ("", "", true),
            ("", "x", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        let (pattern, text) = ("*a".repeat(200) + "b", "a".repeat(2_000));
        assert!(!glob(&pattern, &text));
    }

    #[test]
    fn a_name_is_left_out_at_any_depth_and_a_path_from_the_folder_on() {
        let out =
            |patterns: &[&str], path| left_out(&patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>(), path);
        assert!(out(&["*.tmp"], "a/b.tmp") && out(&["cache/"], "a/cache") && out(&["./a/x"], "a/x"));
        assert!(!out(&["a/x"], "b/a/x") && !out(&[], "a"));
    }
}
