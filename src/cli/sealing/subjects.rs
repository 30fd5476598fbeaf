//! What was under test: images, releases, commits, by digest. A CI's commit is known from its environment.

use crate::event::Subject;

/// `NAME=sha256:…`, `NAME=gitCommit:…`, or the digest alone.
pub(super) fn parse(text: &str) -> Result<Subject, String> {
    let (name, digest) = text.rsplit_once('=').unwrap_or(("", text));
    let lengths: &[usize] = match digest.split_once(':') {
        Some(("sha256", _)) => &[64],
        Some(("gitCommit", _)) => &[40, 64],
        _ => return Err("write NAME=sha256:… or NAME=gitCommit:…".to_owned()),
    };
    let digits = digest.split_once(':').map_or("", |(_, digits)| digits);
    let hex = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if !hex || !lengths.contains(&digits.len()) {
        let wanted = lengths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        return Err(format!("after the colon come {wanted} hexadecimal digits in lower case, in full"));
    }
    Ok(Subject { name: name.to_owned(), digest: digest.to_owned() })
}

/// What was given, and the commit that GitHub or GitLab has checked out.
pub(super) fn all(given: &[Subject], variable: impl Fn(&str) -> Option<String>) -> Vec<Subject> {
    let mut subjects = given.to_vec();
    for (name, commit) in [("GITHUB_REPOSITORY", "GITHUB_SHA"), ("CI_PROJECT_PATH", "CI_COMMIT_SHA")] {
        let Some(digest) = variable(commit).and_then(|commit| parse(&format!("gitCommit:{commit}")).ok()) else {
            continue;
        };
        if subjects.iter().all(|known| known.digest != digest.digest) {
            subjects.push(Subject { name: variable(name).unwrap_or_default(), digest: digest.digest });
        }
    }
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_a_whole_digest() {
        let (image, commit) = ("a".repeat(64), "0".repeat(40));
        let subject = parse(&format!("registry/app=sha256:{image}")).unwrap();
        assert_eq!((subject.name.as_str(), subject.digest), ("registry/app", format!("sha256:{image}")));
        assert_eq!(parse(&format!("gitCommit:{commit}")).unwrap().name, "");
        for wrong in ["app", "app=sha256:abc", "app=md5:0", &format!("sha256:{}", image.to_uppercase())] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_commit_of_the_ci_is_added_once() {
        let commit = "1".repeat(40);
        let github = |name: &str| match name {
            "GITHUB_SHA" => Some("1".repeat(40)),
            "GITHUB_REPOSITORY" => Some("a/b".to_owned()),
            _ => None,
        };
        let known = Subject { name: "a/b".to_owned(), digest: format!("gitCommit:{commit}") };
        assert_eq!(all(&[], github), std::slice::from_ref(&known));
        assert_eq!(all(std::slice::from_ref(&known), github).len(), 1);
        assert_eq!(all(&[], |_| None), []);
    }
}
