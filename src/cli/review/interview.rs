//! A review by questions, for a person at a terminal. An empty answer means: nothing to say.

use super::given::{self, Given, GivenAction};
use crate::evidence::addendum::{Decision, Note, Review};
use crate::report::words::clean;

/// A question is asked again at most so often.
const PATIENCE: usize = 5;
/// So many notes or actions at most.
const MOST: usize = 50;

/// What is asked for each field.
const QUESTIONS: [(&str, &str); 8] = [
    ("participant", "who took part (name, role)"),
    ("absent", "who was absent"),
    ("deviation", "what went differently from the plan"),
    ("root_cause", "what was the cause"),
    ("lesson", "what was learned"),
    ("communication", "who was told, when, and how"),
    ("security", "what protected it while it was degraded"),
    ("note", "anything else"),
];

/// Asks; `question` gives the answer without its line break, and nothing when the input ends. None if it is broken off or
/// not confirmed.
pub(super) fn ask(known: Given, question: &mut dyn FnMut(&str) -> Option<String>) -> Option<Given> {
    let mut said = known;
    if said.by.is_empty() {
        said.by = until(question, "Your name:", |text| (!text.is_empty()).then(|| text.to_owned()))?;
    }
    if said.role.is_empty() {
        said.role = question("Your role (Enter: none):")?;
    }
    said.decision = until(question, "Decision: [a]ccept, accept [w]ith actions, [r]eject, [n]one:", decision)?;
    for (field, what) in QUESTIONS {
        for _ in 0..MOST {
            let text = question(&format!("{}{} (Enter: go on):", what[..1].to_uppercase(), &what[1..]))?;
            if text.is_empty() {
                break;
            }
            said.notes.push(Note { field: field.to_owned(), text });
        }
    }
    if said.decision != Some(Decision::Accepted) {
        actions(&mut said, question)?;
    }
    let review = said.review(&"this run".into(), 1);
    let shown = format!("\n{}\nType `yes` to write it:", summary(&said.by, &said.role, &review));
    (question(&shown)? == "yes").then_some(said)
}

fn actions(said: &mut Given, question: &mut dyn FnMut(&str) -> Option<String>) -> Option<()> {
    for _ in 0..MOST {
        let needed = said.decision == Some(Decision::AcceptedWithActions) && said.actions.is_empty();
        let text = question(if needed { "What is to be done:" } else { "What is to be done (Enter: go on):" })?;
        if text.is_empty() && !needed {
            break;
        }
        if text.is_empty() {
            continue;
        }
        let owner = until(question, "  By whom:", |text| (!text.is_empty()).then(|| text.to_owned()))?;
        let due = until(question, "  By when, like 2027-01-31 (Enter: open):", |text| {
            if text.is_empty() { Some(None) } else { given::date(text).ok().map(Some) }
        })?;
        let retest = until(question, "  Closed only by a later run that passes? [y/n]", yes)?;
        said.actions.push(GivenAction { text, owner, due, retest });
    }
    Some(())
}

fn until<T>(
    question: &mut dyn FnMut(&str) -> Option<String>,
    text: &str,
    understood: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    for _ in 0..PATIENCE {
        if let Some(answer) = understood(&question(text)?) {
            return Some(answer);
        }
    }
    None
}

fn decision(text: &str) -> Option<Option<Decision>> {
    match text.to_lowercase().as_str() {
        "a" | "accept" => Some(Some(Decision::Accepted)),
        "w" | "with" | "accept with actions" => Some(Some(Decision::AcceptedWithActions)),
        "r" | "reject" => Some(Some(Decision::Rejected)),
        "n" | "none" | "" => Some(None),
        _ => None,
    }
}

fn yes(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

/// A review in lines of text.
pub(super) fn summary(by: &str, role: &str, review: &Review) -> String {
    let role = if role.is_empty() { String::new() } else { format!(", {role}") };
    let decided = match review.decision {
        Some(Decision::Accepted) => "accepts the run",
        Some(Decision::AcceptedWithActions) => "accepts the run, with actions",
        Some(Decision::Rejected) => "does not accept the run",
        None => "decides nothing",
    };
    let mut lines = vec![format!("  {by}{role}: {decided}")];
    lines.extend(review.notes.iter().map(|note| format!("  {}: {}", note.field.replace('_', " "), note.text)));
    for action in &review.actions {
        let due = action.due.map_or_else(String::new, |day| format!(", by {day}"));
        let retest = if action.retest { ", to be retested" } else { "" };
        lines.push(format!("  action {}: {} ({}{due}{retest})", action.number, action.text, action.owner));
    }
    lines.extend(review.closes.iter().map(|c| format!("  done: {}#{}, {}", c.run, c.number, c.how)));
    lines.iter().map(|line| clean(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &[&str]) -> Option<Given> {
        let mut answers = answers.iter();
        ask(Given::default(), &mut |_| answers.next().map(|answer| (*answer).to_owned()))
    }

    #[test]
    fn answers_become_a_review() {
        let notes = ["Ann, lead", "", "", "late page", "", "", "", "", "", ""];
        let mut answers = vec!["", "Kim", "boss", "what?", "w"];
        answers.extend(notes);
        answers.extend(["", "mend it", "Ann", "soon", "2027-01-31", "y", "", "yes"]);
        let said = asked(&answers).unwrap();
        assert_eq!((said.by.as_str(), said.role.as_str()), ("Kim", "boss"));
        assert_eq!(said.decision, Some(Decision::AcceptedWithActions));
        let fields: Vec<&str> = said.notes.iter().map(|note| note.field.as_str()).collect();
        assert_eq!(fields, ["participant", "deviation"]);
        assert_eq!((said.actions.len(), said.actions[0].retest), (1, true));
        assert!(said.checked().is_ok());
    }

    #[test]
    fn what_is_broken_off_or_not_confirmed_is_nothing() {
        let accepted = ["Kim", "", "a", "", "", "", "", "", "", "", ""];
        assert!(asked(&accepted).is_none(), "the input ends before the confirmation");
        assert!(asked(&[accepted.as_slice(), &["no"]].concat()).is_none());
        assert!(asked(&[accepted.as_slice(), &["yes"]].concat()).is_some());
        assert!(asked(&["", "", "", "", ""]).is_none(), "nobody is asked for ever");
    }

    #[test]
    fn a_summary_is_plain_text() {
        let review =
            Review { notes: vec![Note { field: "note".into(), text: "a\u{1b}[2J\nb".into() }], ..Review::default() };
        assert_eq!(summary("Kim", "", &review), "  Kim: decides nothing\n  note: a[2J b\n");
    }
}
