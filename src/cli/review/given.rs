//! What is said of a run, from flags and from a file, checked before anything is written.

use super::Args;
use crate::cli::files;
use crate::cli::{Complaint, Exit, Terminal};
use crate::evidence::addendum::{Action, Closed, Decision, NOTE_FIELDS, Note, Review};
use crate::model::RunId;
use crate::playbook::{self, Diagnostics, SourceText, Sources, suggest};
use chrono::NaiveDate;
use serde::{Deserialize, Deserializer};
use std::path::Path;
use std::sync::Arc;

/// A text of a review is not longer.
const LONGEST: usize = 4_000;
/// A review has at most so many notes, actions or closed actions.
const MOST: usize = 200;

/// What somebody says; numbers of actions come later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub by: String,
    pub role: String,
    pub decision: Option<Decision>,
    pub notes: Vec<Note>,
    pub actions: Vec<GivenAction>,
    pub closes: Vec<GivenClose>,
}

/// An action without its number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenAction {
    pub text: String,
    #[serde(default)]
    pub owner: String,
    #[serde(default, deserialize_with = "day")]
    pub due: Option<NaiveDate>,
    #[serde(default)]
    pub retest: bool,
}

/// A closed action; of this run if none is named.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenClose {
    #[serde(default)]
    pub run: Option<RunId>,
    pub number: u32,
    pub how: String,
}

/// `--from FILE`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    by: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    decision: Option<Decision>,
    #[serde(default)]
    notes: Vec<NoteOfFile>,
    #[serde(default)]
    actions: Vec<GivenAction>,
    #[serde(default)]
    closes: Vec<GivenClose>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteOfFile {
    field: String,
    text: String,
}

fn day<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NaiveDate>, D::Error> {
    let text = String::deserialize(from)?;
    date(&text).map(Some).map_err(serde::de::Error::custom)
}

/// A day, as `2027-01-31`.
pub(super) fn date(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d")
        .map_err(|_| format!("`{text}` is not a day; write it like 2027-01-31"))
}

/// All that flags and file say.
pub(super) fn from_args(args: &Args, terminal: &mut Terminal) -> Result<Given, Complaint> {
    let mut said = match &args.from {
        Some(path) => from_file(path, terminal)?,
        None => Given::default(),
    };
    if let Some(by) = &args.by {
        said.by.clone_from(by);
    }
    if let Some(role) = &args.role {
        said.role.clone_from(role);
    }
    said.decision = args.decision.decision().or(said.decision);
    for text in &args.note {
        said.notes
            .push(note(text).map_err(|why| wrong("--note", text, &why, "--note deviation=\"the page came late\""))?);
    }
    for text in &args.action {
        let mend = "--action \"TEXT; owner=NAME; due=2027-01-31; retest\"";
        said.actions.push(action(text).map_err(|why| wrong("--action", text, &why, mend))?);
    }
    for text in &args.close {
        said.closes
            .push(close(text).map_err(|why| wrong("--close", text, &why, "--close RUN#2=\"done in CHG-4711\""))?);
    }
    Ok(said)
}

fn wrong(flag: &str, text: &str, why: &str, mend: &str) -> Complaint {
    Complaint::new(Exit::Usage, format!("{flag} \"{text}\": {why}")).mend(mend)
}

fn from_file(path: &Path, terminal: &mut Terminal) -> Result<Given, Complaint> {
    let unreadable = |why| Complaint::new(Exit::Usage, format!("cannot read {}: {why}", path.display()));
    let bytes = files::read(path).map_err(unreadable)?;
    let said = Diagnostics::new(Sources(vec![Arc::new(SourceText::from_bytes(path, &bytes))]));
    let file: Option<File> =
        playbook::tree::parse(0, &said).and_then(|tree| playbook::decode::decode(&tree, "review", &said));
    match file {
        Some(file) if !said.failed() => Ok(Given {
            by: file.by,
            role: file.role,
            decision: file.decision,
            notes: file.notes.into_iter().map(|n| Note { field: n.field, text: n.text }).collect(),
            actions: file.actions,
            closes: file.closes,
        }),
        _ => {
            terminal.warn(&playbook::render_all(&said.finish(), terminal.drawing()));
            Err(Complaint::new(Exit::Usage, format!("{} says nothing that can be used", path.display())))
        }
    }
}

/// `FIELD=TEXT`
pub(super) fn note(text: &str) -> Result<Note, String> {
    let (field, text) = text.split_once('=').ok_or("it is not FIELD=TEXT")?;
    Ok(Note { field: field.trim().to_owned(), text: text.trim().to_owned() })
}

/// `TEXT; owner=NAME; due=DATE; retest`
pub(super) fn action(text: &str) -> Result<GivenAction, String> {
    let mut parts = text.split(';').map(str::trim);
    let mut action = GivenAction {
        text: parts.next().unwrap_or_default().to_owned(),
        owner: String::new(),
        due: None,
        retest: false,
    };
    for part in parts {
        match part.split_once('=').map_or((part, None), |(key, value)| (key.trim(), Some(value.trim()))) {
            ("owner", Some(name)) => name.clone_into(&mut action.owner),
            ("due", Some(day)) => action.due = Some(date(day)?),
            ("retest", None) => action.retest = true,
            ("", None) => {}
            (key, _) => {
                let help = suggest::help(key, &["owner", "due", "retest"], "keys");
                return Err(format!(
                    "`{part}` is not understood, {help} A text with `;` in it goes into a file, see --from"
                ));
            }
        }
    }
    Ok(action)
}

/// `RUN#N=HOW` or `N=HOW`
pub(super) fn close(text: &str) -> Result<GivenClose, String> {
    let (which, how) = text.split_once('=').ok_or("it does not say how: N=HOW")?;
    let (run, number) = which.rsplit_once('#').unwrap_or(("", which));
    let run = Some(run.trim()).filter(|run| !run.is_empty()).map(RunId::from);
    let number = number.trim().parse().map_err(|_| format!("`{number}` is not the number of an action"))?;
    Ok(GivenClose { run, number, how: how.trim().to_owned() })
}

impl Given {
    /// Is nothing said? Only a name is nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.decision.is_none() && self.notes.is_empty() && self.actions.is_empty() && self.closes.is_empty()
    }

    /// The same, if it can be written down.
    pub(super) fn checked(self) -> Result<Self, Complaint> {
        let refused = |what: String, mend: &str| Err(Complaint::new(Exit::Usage, what).mend(mend));
        if self.by.trim().is_empty() {
            return refused("nobody says it: a review has a name".to_owned(), "--by \"Kim Berg\"");
        }
        for note in &self.notes {
            if !NOTE_FIELDS.contains(&note.field.as_str()) {
                let mend = suggest::help(&note.field, &NOTE_FIELDS, "fields");
                return refused(format!("a review has no field `{}`", note.field), &mend);
            }
        }
        if let Some(action) = self.actions.iter().find(|action| action.owner.trim().is_empty()) {
            let what = format!("nobody is to do it: \"{}\"", action.text);
            return refused(what, "--action \"TEXT; owner=NAME; due=2027-01-31\"");
        }
        match self.decision {
            Some(Decision::AcceptedWithActions) if self.actions.is_empty() => {
                return refused("accepted with actions, and there is none".to_owned(), "--action, or --accept");
            }
            Some(Decision::Accepted) if !self.actions.is_empty() => {
                return refused("accepted as it is, and something is to be done".to_owned(), "--accept-with-actions");
            }
            _ => {}
        }
        if let Some((what, _)) = self.texts().find(|(_, text)| text.trim().is_empty()) {
            return refused(format!("{what} is empty"), "a text, or leave it out");
        }
        if let Some((what, _)) = self.texts().find(|(_, text)| text.len() > LONGEST) {
            return refused(format!("{what} is longer than {LONGEST} bytes"), "a summary, and where the rest is");
        }
        if self.notes.len().max(self.actions.len()).max(self.closes.len()) > MOST {
            return refused(format!("more than {MOST} notes or actions"), "several reviews");
        }
        Ok(self)
    }

    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let notes = self.notes.iter().map(|note| ("a note", note.text.as_str()));
        let actions =
            self.actions.iter().flat_map(|a| [("an action", a.text.as_str()), ("an owner", a.owner.as_str())]);
        let closes = self.closes.iter().map(|close| ("how an action was done", close.how.as_str()));
        let role = Some(("a role", self.role.as_str())).filter(|(_, role)| !role.is_empty());
        [("a name", self.by.as_str())].into_iter().chain(role).chain(notes).chain(actions).chain(closes)
    }

    /// As it is written, with actions numbered from `first`.
    pub(super) fn review(&self, run: &RunId, first: u32) -> Review {
        let actions = self.actions.iter().zip(first..).map(|(a, number)| Action {
            number,
            text: a.text.clone(),
            owner: a.owner.clone(),
            due: a.due,
            retest: a.retest,
        });
        let closes = self.closes.iter().map(|close| Closed {
            run: close.run.clone().unwrap_or_else(|| run.clone()),
            number: close.number,
            how: close.how.clone(),
        });
        Review {
            decision: self.decision,
            notes: self.notes.clone(),
            actions: actions.collect(),
            closes: closes.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_text_with_keys() {
        let full = action("mend the page; owner=Ann Lee; due=2027-01-31; retest").unwrap();
        assert_eq!((full.text.as_str(), full.owner.as_str(), full.retest), ("mend the page", "Ann Lee", true));
        assert_eq!(full.due, NaiveDate::from_ymd_opt(2027, 1, 31));
        assert_eq!(action("x;owner=A;").unwrap().owner, "A");
        for (wrong, why) in [
            ("x; ower=Ann", "did you mean `owner`?"),
            ("x; due=31.1.2027", "not a day"),
            ("x; retest=no", "not understood"),
            ("x; and y", "goes into a file"),
        ] {
            let said = action(wrong).unwrap_err();
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }

    #[test]
    fn a_closed_action_is_of_this_run_or_of_another() {
        let closed = |text| close(text).map(|c| (c.run.map(|run| run.0), c.number, c.how));
        assert_eq!(closed("2=done"), Ok((None, 2, "done".to_owned())));
        assert_eq!(closed("#2=a=b"), Ok((None, 2, "a=b".to_owned())));
        assert_eq!(closed("r-1#3= x"), Ok((Some("r-1".to_owned()), 3, "x".to_owned())));
        assert!(closed("2").is_err() && closed("r#x=y").is_err() && closed("=").is_err() && closed("-1=x").is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let good = Given { by: "Kim".to_owned(), decision: Some(Decision::Accepted), ..Given::default() };
        assert!(good.clone().checked().is_ok() && !good.is_nothing());
        let action = action("x; owner=A").unwrap();
        let refused = |given: Given| given.checked().unwrap_err().what;
        assert!(refused(Given { by: String::new(), ..good.clone() }).contains("has a name"));
        assert!(refused(Given { actions: vec![action.clone()], ..good.clone() }).contains("something is to be done"));
        let with = Some(Decision::AcceptedWithActions);
        assert!(refused(Given { decision: with, ..good.clone() }).contains("there is none"));
        assert!(Given { decision: with, actions: vec![action.clone()], ..good.clone() }.checked().is_ok());
        let nobody = GivenAction { owner: String::new(), ..action };
        assert!(
            refused(Given { decision: with, actions: vec![nobody], ..good.clone() }).contains("nobody is to do it")
        );
        let odd = Note { field: "rootcause".to_owned(), text: "x".to_owned() };
        let complaint = Given { notes: vec![odd], ..good.clone() }.checked().unwrap_err();
        assert_eq!(complaint.mend.as_deref(), Some("did you mean `root_cause`?"));
        let long = Note { field: "note".to_owned(), text: "x".repeat(LONGEST + 1) };
        assert!(refused(Given { notes: vec![long], ..good }).contains("longer"));
    }
}
