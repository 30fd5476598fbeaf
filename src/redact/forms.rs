//! The secrets of a run in all their forms. A clone is a handle to the same secrets. Pure.

use super::{encode, escaped, split, tokens};
use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::Regex;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A shorter secret is not looked for: it would occur everywhere.
pub const SHORTEST: usize = 4;
/// A line of a secret that has several is looked for by itself from this length on.
const LINE: usize = 12;
/// Longer secrets are not looked for as a whole beyond this in files, but line by line.
const REACH: usize = 1 << 20;

/// Can a secret be told from any other text?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// It is shorter than [`SHORTEST`]: nothing can be done.
    TooShort,
    /// A plain word or number: taken out of texts, but a file that holds it proves nothing.
    Plain,
    /// Wherever it stands, it is this secret.
    Strong,
}

impl Strength {
    /// Of a value. A plain one has fewer than six characters, or fewer than twelve of one kind.
    #[must_use]
    pub fn of(value: &str) -> Self {
        let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
        let one_kind = kinds.iter().any(|kind| value.bytes().all(|byte| kind(&byte)));
        match value.len() {
            0..SHORTEST => Self::TooShort,
            SHORTEST..6 => Self::Plain,
            6..12 if one_kind => Self::Plain,
            _ => Self::Strong,
        }
    }
}

/// Something in a file that must not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its first byte.
    pub at: usize,
    /// The byte after it.
    pub end: usize,
    /// What it is, never its value: ``the secret `db` ``, `a GitHub token`.
    pub what: String,
}

/// All secrets of a run, by name, in every form in which they may turn up.
#[derive(Clone, Default)]
pub struct Forms(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    values: Vec<Value>,
    literals: Vec<Literal>,
    finder: Option<AhoCorasick>,
}

/// A secret, or a line of one.
struct Value {
    name: String,
    text: SecretString,
    strength: Strength,
    escaped: Option<Regex>,
}

/// A form that is looked for byte by byte.
struct Literal {
    text: SecretString,
    /// Its place among the values.
    of: usize,
    alphabet: Alphabet,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// As it is, or in hexadecimal.
    Any,
    /// The digits beside it belong to the same text.
    Base64,
}

/// A place and whose it is.
type Place = (usize, usize, usize);

impl Forms {
    /// From now on this secret is known; says how well it can be told from other text.
    pub fn register(&self, name: &str, secret: &str) -> Strength {
        let strength = Strength::of(secret);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.add(name, secret);
        if secret.trim() != secret {
            known.add(name, secret.trim());
        }
        // The frame of a key is no secret.
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= LINE && !line.starts_with("-----"));
        for line in lines.filter(|line| line.len() < secret.trim().len()) {
            known.add(name, line);
        }
        known.rebuild();
        strength
    }

    /// The text without secrets: those that are registered by name, and what is secret by its looks.
    pub fn clean(&self, text: &mut String) {
        let mut named = Vec::new();
        {
            let known = self.read();
            let parts = known.values.iter().enumerate().flat_map(|(n, value)| {
                let parts = split::parts(text, value.text.expose_secret());
                parts.into_iter().map(move |(from, to)| (from, to, n))
            });
            let all = known.places(text.as_bytes(), Strength::Plain).into_iter().chain(parts);
            named.extend(all.map(|(from, to, of)| (from, to, format!("${{secrets.{}}}", known.values[of].name))));
        }
        replace(text, named);
        let bytes = text.as_bytes();
        let tokens =
            tokens::tokens(bytes).into_iter().map(|(from, to, what)| (from, to, format!("[{what}, taken out]")));
        let others = [tokens::userinfo(bytes), tokens::headers(bytes)].concat();
        let others = others.into_iter().map(|(from, to, _)| (from, to, "…".to_owned()));
        let found = tokens.chain(others).collect();
        replace(text, found);
    }

    /// Does a registered secret stand in it?
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        !self.read().places(text.as_bytes(), Strength::Plain).is_empty()
    }

    /// Everything that must not be in a file: secrets that can be told from other text, tokens, passwords in URLs. In
    /// order; what overlaps counts once.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Hit> {
        let known = self.read();
        let named = known.places(bytes, Strength::Strong).into_iter().map(|(at, end, of)| {
            let what = format!("the secret `{}`", known.values[of].name);
            Hit { at, end, what }
        });
        let looks = [tokens::tokens(bytes), tokens::userinfo(bytes)].concat();
        let looks = looks.into_iter().map(|(at, end, what)| Hit { at, end, what: what.to_owned() });
        let mut hits: Vec<Hit> = named.chain(looks).collect();
        hits.sort_by_key(|hit| (hit.at, std::cmp::Reverse(hit.end)));
        let mut apart: Vec<Hit> = Vec::new();
        for hit in hits {
            match apart.last_mut() {
                Some(last) if hit.at < last.end => last.end = last.end.max(hit.end),
                _ => apart.push(hit),
            }
        }
        apart
    }

    /// A file may be searched in pieces that overlap by so many bytes: nothing is longer that [`Forms::find`] must see whole.
    #[must_use]
    pub fn reach(&self) -> usize {
        let known = self.read();
        let longest = known.values.iter().map(|value| value.text.expose_secret().len()).max().unwrap_or_default();
        (longest.saturating_mul(16) + 32_768).min(REACH)
    }

    /// The names of those that are shorter than can be looked for, or plain words, with what that means.
    #[must_use]
    pub fn weak(&self) -> Vec<(String, Strength)> {
        let known = self.read();
        let mut strongest: Vec<(String, Strength)> = Vec::new();
        for value in &known.values {
            match strongest.iter_mut().find(|(name, _)| *name == value.name) {
                Some((_, strength)) => *strength = (*strength).max(value.strength),
                None => strongest.push((value.name.clone(), value.strength)),
            }
        }
        strongest.retain(|(_, strength)| *strength != Strength::Strong);
        strongest
    }

    /// Also knows what another knows.
    pub fn join(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let theirs: Vec<(String, SecretString)> =
            other.read().values.iter().map(|value| (value.name.clone(), value.text.clone())).collect();
        for (name, text) in theirs {
            self.register(&name, text.expose_secret());
        }
    }

    fn names(&self) -> Vec<String> {
        self.read().values.iter().map(|value| value.name.clone()).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forms").field(&self.names()).finish()
    }
}

/// The same names: values are not compared.
impl PartialEq for Forms {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for Forms {}

impl Known {
    fn add(&mut self, name: &str, text: &str) {
        if self.values.iter().any(|value| value.name == name && value.text.expose_secret() == text) {
            return;
        }
        let strength = Strength::of(text);
        let of = self.values.len();
        let looked_for = strength != Strength::TooShort;
        let escaped = if looked_for { escaped::pattern(text) } else { None };
        self.values.push(Value { name: name.to_owned(), text: text.into(), strength, escaped });
        if !looked_for {
            return;
        }
        let json = serde_json::Value::from(text).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let mut add = |form: String, alphabet| {
            let known = self.literals.iter().any(|literal| literal.of == of && literal.text.expose_secret() == form);
            if !form.is_empty() && !known {
                self.literals.push(Literal { text: form.into(), of, alphabet });
            }
        };
        encode::hex(text.as_bytes()).into_iter().for_each(|form| add(form, Alphabet::Any));
        let mut encoded = encode::base64(text.as_bytes());
        encoded.extend(encode::base64_twice(text.as_bytes()));
        if json != text {
            encoded.extend(encode::base64(json.as_bytes()));
        }
        for form in encoded {
            // As part of a URL.
            for (plus, slash) in [("%2B", "%2F"), ("%2b", "%2f"), ("+", "\\/")] {
                add(form.replace('+', plus).replace('/', slash), Alphabet::Base64);
            }
            add(form, Alphabet::Base64);
        }
        add(text.to_owned(), Alphabet::Any);
        add(json, Alphabet::Any);
    }

    fn rebuild(&mut self) {
        let forms = self.literals.iter().map(|literal| literal.text.expose_secret().as_bytes());
        self.finder = AhoCorasick::builder().match_kind(MatchKind::Standard).build(forms).ok();
    }

    /// Where forms stand that are looked for byte by byte.
    fn literals_in(&self, bytes: &[u8]) -> Vec<(usize, usize, &Literal)> {
        if let Some(finder) = &self.finder {
            let found = finder.find_overlapping_iter(bytes);
            return found.map(|f| (f.start(), f.end(), &self.literals[f.pattern().as_usize()])).collect();
        }
        // Too many for an automaton: slower, and just as sure.
        let each = self.literals.iter().flat_map(|literal| {
            let form = literal.text.expose_secret().as_bytes();
            let found = bytes.windows(form.len()).enumerate().filter(move |(_, window)| *window == form);
            found.map(move |(at, _)| (at, at + form.len(), literal))
        });
        each.collect()
    }

    /// Where secrets of this strength and stronger stand; in no order, and they may overlap.
    fn places(&self, bytes: &[u8], at_least: Strength) -> Vec<Place> {
        let mut places = Vec::new();
        let counts = |of: usize| self.values[of].strength >= at_least;
        for (start, end, literal) in self.literals_in(bytes) {
            if counts(literal.of) {
                let (from, to) = match literal.alphabet {
                    Alphabet::Any => (start, end),
                    Alphabet::Base64 => whole_run(bytes, start, end),
                };
                places.push((from, to, literal.of));
            }
        }
        for (of, value) in self.values.iter().enumerate().filter(|(of, _)| counts(*of)) {
            let found = value.escaped.iter().flat_map(|pattern| pattern.find_iter(bytes));
            places.extend(found.map(|found| (found.start(), found.end(), of)));
        }
        places
    }
}

/// The digits of base64 on both sides belong to what was found: they hold its first and its last bits.
fn whole_run(bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
    const FARTHEST: usize = 4096;
    let before = bytes[..start].iter().rev().take(FARTHEST).take_while(|byte| encode::is_base64(**byte)).count();
    let after = bytes[end..].iter().take(FARTHEST).take_while(|byte| encode::is_base64(**byte)).count();
    (start - before, end + after)
}

/// Puts what stands for it in the place of each; what overlaps is replaced as one.
fn replace(text: &mut String, mut found: Vec<(usize, usize, String)>) {
    if found.is_empty() {
        return;
    }
    found.sort_by_key(|(from, to, _)| (*from, std::cmp::Reverse(*to)));
    let mut merged: Vec<(usize, usize, String)> = Vec::new();
    for (from, to, stands) in found {
        match merged.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to, stands)),
        }
    }
    let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
    for (from, to, stands) in merged {
        clean.push_str(&String::from_utf8_lossy(&text.as_bytes()[done..from]));
        clean.push_str(&stands);
        done = to;
    }
    clean.push_str(&String::from_utf8_lossy(&text.as_bytes()[done..]));
    *text = clean;
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine;
    use ::base64::engine::general_purpose::STANDARD;

    fn cleaned(forms: &Forms, text: &str) -> String {
        let mut text = text.to_owned();
        forms.clean(&mut text);
        text
    }

    #[test]
    fn every_form_of_a_secret_is_taken_out() {
        let forms = Forms::default();
        let secret = "p\"ss w/rd";
        forms.register("db", secret);
        let header = STANDARD.encode(format!("user:{secret}"));
        for form in [
            secret,
            "p\\\"ss w/rd",
            "cCJzcyB3L3Jk",
            "p%22ss%20w%2Frd",
            "p%22ss+w%2frd",
            "702273732077 2f7264".replace(' ', "").as_str(),
            &header,
        ] {
            assert!(forms.holds(form), "{form}");
            assert_eq!(cleaned(&forms, &format!("before {form} after")), "before ${secrets.db} after", "{form}");
            assert_eq!(forms.find(form.as_bytes())[0].what, "the secret `db`");
        }
    }

    #[test]
    fn the_longest_secret_goes_first_and_the_shortest_stay() {
        let forms = Forms::default();
        for (name, secret) in [("a", "abcd"), ("b", "abcdef"), ("c", "ab")] {
            forms.register(name, secret);
        }
        assert_eq!(cleaned(&forms, "abcdef abcd ab"), "${secrets.b} ${secrets.a} ab");
        let weak = forms.weak();
        assert_eq!(weak.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(forms.find(b"abcdef abcd ab").is_empty(), "plain words prove nothing");
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_each_other() {
        let forms = Forms::default();
        forms.register("a", "kT9-first-half");
        forms.register("b", "half-of-another");
        assert_eq!(cleaned(&forms, "<kT9-first-half-of-another>"), "<${secrets.a}>");
    }

    #[test]
    fn lines_of_a_secret_are_looked_for_by_themselves() {
        let forms = Forms::default();
        forms.register("key", "-----BEGIN X KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nx\n-----END X KEY-----\n");
        assert_eq!(cleaned(&forms, "got MIIEvQIBADANBgkqhkiG9w0BAQ."), "got ${secrets.key}.");
        assert_eq!(cleaned(&forms, "-----BEGIN X KEY----- x"), "-----BEGIN X KEY----- x");
    }

    #[test]
    fn a_part_at_a_cut_is_taken_out_too() {
        let forms = Forms::default();
        forms.register("db", "correct-horse-battery");
        assert_eq!(cleaned(&forms, "said correct-horse-b…"), "said ${secrets.db}…");
    }

    #[test]
    fn what_is_secret_by_its_looks_needs_no_name() {
        let forms = Forms::default();
        let text = format!("postgresql://app:hunter2@h/db ghp_{} Cookie: sid=12", "a1".repeat(18));
        assert_eq!(cleaned(&forms, &text), "postgresql://…@h/db [a GitHub token, taken out] Cookie: …");
        assert_eq!(forms.find(text.as_bytes()).len(), 2);
        let by_reference = "postgresql://app:${secrets.db}@h/db";
        assert_eq!(cleaned(&forms, by_reference), by_reference);
    }

    #[test]
    fn nothing_shows_a_value() {
        let forms = Forms::default();
        forms.register("db", "correct-horse-battery");
        assert_eq!(format!("{forms:?}"), "Forms([\"db\"])");
        let other = Forms::default();
        other.join(&forms);
        assert!(other.holds("correct-horse-battery") && other == forms);
    }

    #[test]
    fn strength_tells_words_from_secrets() {
        for (value, strength) in [
            ("abc", Strength::TooShort),
            ("app1", Strength::Plain),
            ("postgres", Strength::Plain),
            ("12345678", Strength::Plain),
            ("hunter2", Strength::Strong),
            ("correcthorse", Strength::Strong),
        ] {
            assert_eq!(Strength::of(value), strength, "{value}");
        }
    }
}
