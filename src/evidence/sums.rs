//! `SHA256SUMS`: a digest and a name a line, as coreutils' `sha256sum` writes and checks them. Pure text.

use thiserror::Error;

/// The name of the file.
pub const FILE: &str = "SHA256SUMS";
/// Its signature.
pub const SIGNATURE: &str = "SHA256SUMS.sig";
/// A time stamp over the signature, or over the digests if there is none.
pub const STAMP: &str = "SHA256SUMS.tsr";

/// Digests by path, sorted by the paths' bytes.
#[must_use]
pub fn text<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut files: Vec<(&str, &str)> = files.into_iter().collect();
    files.sort_unstable();
    files.iter().map(|(path, digest)| line(path, digest)).collect()
}

/// A line whose name would break it begins with a backslash, and has backslashes and line breaks written as two letters.
fn line(path: &str, digest: &str) -> String {
    if path.contains(['\\', '\n']) {
        return format!("\\{digest}  {}\n", path.replace('\\', "\\\\").replace('\n', "\\n"));
    }
    format!("{digest}  {path}\n")
}

/// Why a text is no `SHA256SUMS`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SumsError {
    /// A line that is not a digest, two spaces and a name. Counted from 1.
    #[error("line {0} of SHA256SUMS is not a digest, two spaces and a name")]
    Line(usize),
    /// A name that stands there twice.
    #[error("SHA256SUMS names `{0}` twice")]
    Twice(String),
    /// The last line has no line break.
    #[error("the last line of SHA256SUMS is cut off")]
    Torn,
}

/// Paths with their digests, in the order of the text.
///
/// # Errors
/// What is wrong with the first line that is not as [`text`] writes it.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, SumsError> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(SumsError::Torn);
    }
    let mut files: Vec<(String, String)> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for (n, line) in text.lines().enumerate() {
        let (path, digest) = entry(line).ok_or(SumsError::Line(n + 1))?;
        if !names.insert(path.clone()) {
            return Err(SumsError::Twice(path));
        }
        files.push((path, digest));
    }
    Ok(files)
}

fn entry(line: &str) -> Option<(String, String)> {
    let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |rest| (true, rest));
    let (digest, path) = line.split_once("  ")?;
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digest.len() != 64 || !digest.bytes().all(lower_hex) || path.is_empty() {
        return None;
    }
    let path = if escaped { plain(path)? } else { path.to_owned() };
    Some((path, digest.to_owned()))
}

fn plain(escaped: &str) -> Option<String> {
    let (mut text, mut letters) = (String::new(), escaped.chars());
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn lines_are_sorted_and_odd_names_are_escaped() {
        let written = text([("b", A), ("a b", A), ("ops/x\\y\nz", A)]);
        assert_eq!(written, format!("{A}  a b\n{A}  b\n\\{A}  ops/x\\\\y\\nz\n"));
    }

    #[test]
    fn what_is_no_line_is_named() {
        assert_eq!(parse(&format!("{A}  a\n{A} b\n")), Err(SumsError::Line(2)));
        assert_eq!(parse(&format!("{}  a\n", A.to_uppercase())), Err(SumsError::Line(1)));
        assert_eq!(parse(&format!("\\{A}  a\\b\n")), Err(SumsError::Line(1)));
        assert_eq!(parse(&format!("{A}  a\n{A}  a\n")), Err(SumsError::Twice("a".to_owned())));
        assert_eq!(parse(&format!("{A}  a")), Err(SumsError::Torn));
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_name_comes_back(names in prop::collection::btree_set("[a\\\\\n /ü]{1,6}", 0..6)) {
            let pairs: Vec<(String, String)> = names.into_iter().map(|name| (name, A.to_owned())).collect();
            let written = text(pairs.iter().map(|(name, digest)| (name.as_str(), digest.as_str())));
            prop_assert_eq!(parse(&written), Ok(pairs));
        }
    }
}
