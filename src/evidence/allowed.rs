//! The `allowed_signers` file of OpenSSH: which keys may sign for whom, for what and when. Format: ssh-keygen(1), "ALLOWED
//! SIGNERS". Reading it and judging a key; checking a signature's bytes is not done here.
//!
//! Invariant: what this accepts, `ssh-keygen -Y verify` accepts. Certificates are not read: a line with `cert-authority`
//! vouches for nobody here.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone, Utc};
use ssh_key::PublicKey;
use ssh_key::public::KeyData;
use thiserror::Error;

/// Why a file of allowed signers cannot be used. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllowedError {
    /// It ends too early.
    #[error("line {0} of the allowed signers has no key: write `who@example.org ssh-ed25519 AAAA…`")]
    NoKey(usize),
    /// Its key is none.
    #[error("line {0} of the allowed signers has a key that cannot be read: {1}")]
    Key(usize, ssh_key::Error),
    /// A quotation mark is missing.
    #[error("line {0} of the allowed signers has an opening quotation mark and no closing one")]
    Quote(usize),
    /// An option that nobody knows.
    #[error(
        "line {0} of the allowed signers has the option `{1}`; there are `namespaces=\"…\"`, `valid-after=\"…\"` and \
         `valid-before=\"…\"`"
    )]
    Option(usize, String),
    /// A time that is none.
    #[error(
        "line {0} of the allowed signers has the time `{1}`; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and Z for UTC"
    )]
    Time(usize, String),
}

/// A file of allowed signers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    line: usize,
    principals: String,
    key: KeyData,
    options: Options,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    authority: bool,
    namespaces: Option<String>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

/// What a file of allowed signers says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may sign; for whom, as the file says.
    Allowed(String),
    /// The file does not name it. Lines with `cert-authority`, which are not used, are named.
    Unknown(Vec<usize>),
    /// It may sign, but not in this namespace.
    OtherNamespace(String),
    /// It may sign, but only from a later time on.
    NotYet(String),
    /// It might have signed earlier.
    Expired(String),
}

impl AllowedSigners {
    /// Reads such a file.
    ///
    /// # Errors
    /// Names the first line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, AllowedError> {
        let mut signers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                signers.push(signer(index + 1, line)?);
            }
        }
        Ok(Self { signers })
    }

    /// May this key sign in this namespace at this time? Without a time, validity is not judged.
    #[must_use]
    pub fn standing(&self, key: &KeyData, namespace: &str, at: Option<DateTime<Utc>>) -> Standing {
        self.judged(key, namespace, at, |_| true)
    }

    /// The same for one who says who they are: only lines whose principals fit this name count.
    #[must_use]
    pub fn standing_of(&self, who: &str, key: &KeyData, namespace: &str, at: Option<DateTime<Utc>>) -> Standing {
        self.judged(key, namespace, at, |principals| fits_list(who, principals))
    }

    fn judged(
        &self,
        key: &KeyData,
        namespace: &str,
        at: Option<DateTime<Utc>>,
        named: impl Fn(&str) -> bool,
    ) -> Standing {
        let authorities = self.signers.iter().filter(|signer| signer.options.authority).map(|signer| signer.line);
        let mut best = Standing::Unknown(authorities.collect());
        let of = |signer: &&Signer| !signer.options.authority && signer.key == *key && named(&signer.principals);
        for signer in self.signers.iter().filter(of) {
            let standing = signer.standing(namespace, at);
            if matches!(standing, Standing::Allowed(_)) {
                return standing;
            }
            if matches!(best, Standing::Unknown(_)) {
                best = standing;
            }
        }
        best
    }
}

impl Signer {
    fn standing(&self, namespace: &str, at: Option<DateTime<Utc>>) -> Standing {
        let Options { namespaces, after, before, .. } = &self.options;
        let who = self.principals.clone();
        if namespaces.as_ref().is_some_and(|allowed| !fits_list(namespace, allowed)) {
            return Standing::OtherNamespace(who);
        }
        let Some(at) = at else { return Standing::Allowed(who) };
        // Seconds, as ssh-keygen counts.
        if after.is_some_and(|after| at.timestamp() < after.timestamp()) {
            return Standing::NotYet(who);
        }
        if before.is_some_and(|before| at.timestamp() > before.timestamp()) {
            return Standing::Expired(who);
        }
        Standing::Allowed(who)
    }
}

fn signer(line: usize, text: &str) -> Result<Signer, AllowedError> {
    let (principals, rest) = word(line, text)?;
    // Whoever writes no options goes on with the key.
    if let Some(key) = key(rest) {
        return Ok(Signer { line, principals, key, options: Options::default() });
    }
    let (stated, rest) = options_end(line, rest)?;
    let options = options(line, stated)?;
    if rest.is_empty() {
        return Err(AllowedError::NoKey(line));
    }
    let key = PublicKey::from_openssh(rest).map_err(|error| AllowedError::Key(line, error))?;
    Ok(Signer { line, principals, key: key.key_data().clone(), options })
}

fn key(text: &str) -> Option<KeyData> {
    PublicKey::from_openssh(text).ok().map(|key| key.key_data().clone())
}

/// The first word, which may be quoted, and what follows it.
fn word(line: usize, text: &str) -> Result<(String, &str), AllowedError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"').ok_or(AllowedError::Quote(line))?;
        return Ok((word.to_owned(), rest.trim_start()));
    }
    let (word, rest) = text.split_once(char::is_whitespace).ok_or(AllowedError::NoKey(line))?;
    Ok((word.to_owned(), rest.trim_start()))
}

/// Options end at the first blank outside quotation marks.
fn options_end(line: usize, text: &str) -> Result<(&str, &str), AllowedError> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => return Ok((&text[..at], text[at..].trim_start())),
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    Err(if quoted { AllowedError::Quote(line) } else { AllowedError::NoKey(line) })
}

fn options(line: usize, mut text: &str) -> Result<Options, AllowedError> {
    let mut options = Options::default();
    let whole = text;
    let unknown = || AllowedError::Option(line, whole.to_owned());
    while !text.is_empty() {
        let end = text.find([',', '=']).unwrap_or(text.len());
        let (name, rest) = (text[..end].to_ascii_lowercase(), &text[end..]);
        let rest = match rest.strip_prefix('=') {
            None if name == "cert-authority" => {
                options.authority = true;
                rest
            }
            None => return Err(unknown()),
            Some(value) => {
                let value = value.strip_prefix('"').ok_or_else(unknown)?;
                let (value, rest) = value.split_once('"').ok_or(AllowedError::Quote(line))?;
                match name.as_str() {
                    "namespaces" => options.namespaces = Some(value.to_owned()),
                    "valid-after" => options.after = Some(time(line, value)?),
                    "valid-before" => options.before = Some(time(line, value)?),
                    _ => return Err(unknown()),
                }
                rest
            }
        };
        text = match rest.strip_prefix(',') {
            Some(more) => more,
            None if rest.is_empty() => rest,
            None => return Err(unknown()),
        };
    }
    Ok(options)
}

/// `YYYYMMDD[HHMM[SS]][Z]`; without `Z` in the time zone of this machine, as ssh-keygen takes it.
fn time(line: usize, text: &str) -> Result<DateTime<Utc>, AllowedError> {
    let wrong = || AllowedError::Time(line, text.to_owned());
    let (digits, utc) = match text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("UTC")) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let naive = match digits.len() {
        8 => NaiveDate::parse_from_str(digits, "%Y%m%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0)),
        12 => NaiveDateTime::parse_from_str(&format!("{digits}00"), "%Y%m%d%H%M%S").ok(),
        14 => NaiveDateTime::parse_from_str(digits, "%Y%m%d%H%M%S").ok(),
        _ => None,
    };
    let naive = naive.ok_or_else(wrong)?;
    if utc {
        return Ok(naive.and_utc());
    }
    Local.from_local_datetime(&naive).earliest().map(|time| time.to_utc()).ok_or_else(wrong)
}

/// Does a name fit a list of patterns as OpenSSH has them (`*`, `?`, `!` before one that must not fit, commas between)?
fn fits_list(name: &str, list: &str) -> bool {
    let mut fits = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(refused) if fits_pattern(name.as_bytes(), refused.as_bytes()) => return false,
            Some(_) => {}
            None => fits |= fits_pattern(name.as_bytes(), pattern.as_bytes()),
        }
    }
    fits
}

/// One pattern; linear in time but for the last `*`, which alone is taken back.
fn fits_pattern(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut of, mut star) = (0, 0, None);
    while at < name.len() {
        match pattern.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[at] => (at, of) = (at + 1, of + 1),
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                (at, of) = (taken + 1, back + 1);
            }
        }
    }
    pattern[of..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHZTFfGrVHJ2xmnVRzh6AUbT3BFLqFDb9zk9L4yCv0DM";

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().unwrap())
    }

    fn standing(file: &str, namespace: &str, when: &str) -> Standing {
        let allowed = AllowedSigners::parse(file).unwrap();
        allowed.standing(PublicKey::from_openssh(KEY).unwrap().key_data(), namespace, at(when))
    }

    #[test]
    fn a_key_stands_as_its_line_says() {
        let now = "2026-11-21T12:00:00Z";
        let allowed = |who: &str| Standing::Allowed(who.to_owned());
        for (file, expected) in [
            (format!("# who\n\nmira@example.org {KEY} a comment"), allowed("mira@example.org")),
            (format!("\"mira@example.org,team\" {KEY}"), allowed("mira@example.org,team")),
            (format!("mira namespaces=\"git,drill-*\" {KEY}"), allowed("mira")),
            (format!("mira namespaces=\"git\" {KEY}"), Standing::OtherNamespace("mira".to_owned())),
            (format!("mira namespaces=\"*,!drill-evidence\" {KEY}"), Standing::OtherNamespace("mira".to_owned())),
            (format!("mira valid-after=\"20270101Z\" {KEY}"), Standing::NotYet("mira".to_owned())),
            (format!("mira valid-before=\"20260101Z\" {KEY}"), Standing::Expired("mira".to_owned())),
            (format!("mira valid-after=\"20260101Z\",valid-before=\"202612312359Z\" {KEY}"), allowed("mira")),
            (format!("mira valid-before=\"20260101Z\" {KEY}\nzoe {KEY}"), allowed("zoe")),
            (format!("mira {OTHER}"), Standing::Unknown(vec![])),
            (format!("mira cert-authority {KEY}"), Standing::Unknown(vec![1])),
            (String::new(), Standing::Unknown(vec![])),
        ] {
            assert_eq!(standing(&file, "drill-evidence", now), expected, "{file}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, wrong) in [
            ("mira".to_owned(), "has no key"),
            ("mira ssh-ed25519".to_owned(), "has no key"),
            ("mira namespaces=\"git\"".to_owned(), "has no key"),
            (format!("mira namespaces=\"git {KEY}"), "no closing one"),
            (format!("mira colour=\"red\" {KEY}"), "option"),
            (format!("mira namespaces=git {KEY}"), "option"),
            (format!("mira valid-after=\"yesterday\" {KEY}"), "YYYYMMDD"),
            (format!("mira valid-after=\"20261399Z\" {KEY}"), "YYYYMMDD"),
            ("mira namespaces=\"git\" ssh-ed25519 AAAA".to_owned(), "cannot be read"),
        ] {
            let said = AllowedSigners::parse(&format!("# one\n{line}\n")).unwrap_err().to_string();
            assert!(said.starts_with("line 2 of") && said.contains(wrong), "{line}: {said}");
        }
    }

    #[test]
    fn patterns_are_those_of_openssh() {
        for (name, list, fits) in [
            ("a@b.org", "*@b.org", true),
            ("a@b.org", "?@b.org", true),
            ("aa@b.org", "?@b.org", false),
            ("a@b.org", "*@b.org,!a@*", false),
            ("a@b.org", "!c@*,*@b.org", true),
            ("a@b.org", "!c@*", false),
            ("aXbXc", "a*b*c", true),
            ("aXbX", "a*b*c", false),
            ("", "*", true),
        ] {
            assert_eq!(fits_list(name, list), fits, "{name} {list}");
        }
    }

    #[test]
    fn one_who_says_who_they_are_must_be_named() {
        let allowed = AllowedSigners::parse(&format!("*@example.org {KEY}")).unwrap();
        let key = PublicKey::from_openssh(KEY).unwrap();
        let of = |who: &str| allowed.standing_of(who, key.key_data(), "drill-evidence", None);
        assert!(matches!(of("mira@example.org"), Standing::Allowed(_)));
        assert!(matches!(of("mira@evil.org"), Standing::Unknown(_)));
    }
}
