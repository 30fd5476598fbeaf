//! What an auditor must find, field by field: the number, who fills it, what it holds here; and where a control that the
//! playbook declares asks for a field that nobody filled, that it is missing.

use super::fields::Filled;
use super::markup::{El, Markup, el, prose, text};
use super::parts;
use crate::analysis::Analysis;
use crate::controls::{self, Control, Field, Found, Source};
use crate::report::words;
use std::collections::BTreeSet;

/// Fields in the order in which an auditor asks.
const GROUPS: [(&str, &[u8]); 7] = [
    ("The run", &[1, 2, 10, 28]),
    ("What was exercised, and why", &[4, 5, 6, 7, 31]),
    ("People", &[8, 9, 20, 21]),
    ("Objectives and results", &[3, 13, 14, 15, 16, 26]),
    ("Recovery and clean-up", &[11, 12, 17, 18, 19]),
    ("Follow-up", &[22, 23, 24, 25, 27]),
    ("Evidence", &[29, 30, 32]),
];
/// So many controls are told of.
const MOST_CONTROLS: usize = 40;

pub(super) fn section(a: &Analysis, filled: &[Filled]) -> Markup {
    let declared = declared(a);
    let mut out = Markup::from(el("p").child(prose(
        "What auditors look for, by number, with who fills it: the tool, the playbook (`metadata:`), or people afterwards \
         (`blackstart review`).",
    )));
    for (name, numbers) in GROUPS {
        let fields = controls::FIELDS.iter().filter(|field| numbers.contains(&field.number));
        let each = fields.filter_map(|f| Some((f, filled.iter().find(|filled| filled.number == f.number)?)));
        out.push(el("h3").text(name));
        out.push(el("dl").class("record").children(each.map(|(field, filled)| row(field, filled, &declared))));
    }
    let own = own_metadata(a);
    if !own.is_empty() {
        out.push(el("h3").text("What else the playbook says"));
        out.push(parts::pairs(own));
    }
    out.push(el("h3").text("Controls"));
    out.push(relevant(a, filled));
    out
}

/// Controls that the playbook declares and that are known here, by name.
fn declared(a: &Analysis) -> Vec<(&str, &'static Control)> {
    let names = a.run.metadata.get("controls").into_iter().flatten();
    names
        .filter_map(|name| match controls::find(name) {
            Found::Known(_, control) => Some((name.as_str(), control)),
            _ => None,
        })
        .collect()
}

fn row(field: &Field, filled: &Filled, declared: &[(&str, &'static Control)]) -> El {
    let title = format!("{}{}", field.title[..1].to_uppercase(), &field.title[1..]);
    let number = format!("E{}", field.number);
    let name = el("dt")
        .child(el("span").class("number").text(&number))
        .child(text(" "))
        .child(el("span").class("name").text(&title))
        .child(text(" "))
        .child(el("span").class("who").text(field.source.word()));
    el("div").child(name).child(el("dd").child(value(field, filled, declared)))
}

fn value(field: &Field, filled: &Filled, declared: &[(&str, &'static Control)]) -> Markup {
    let mut out: Markup = filled.lines.iter().map(|line| parts::paragraph(line)).collect();
    out.push(filled.see.map(|section| el("p").class("faint").text(&format!("See “{section}” above."))));
    if filled.is_given() {
        return out;
    }
    let asking: Vec<&str> =
        declared.iter().filter(|(_, c)| c.fields.contains(&field.number)).map(|(name, _)| *name).collect();
    let how = if field.source == Source::Tool { String::new() } else { format!(" It comes from {}.", field.how) };
    let missing = if field.source == Source::Tool { "not measured in this run" } else { "not given" };
    out.push(match asking.as_slice() {
        [] => parts::faint(&format!("{missing}.{how}")),
        some => el("p")
            .class("unsure")
            .child(el("strong").text(missing))
            .child(prose(&words::shortened(&format!(", though asked for by {}.{how}", some.join(", ")), 600))),
    });
    out
}

/// What the playbook's own keys say, which no field claims.
fn own_metadata(a: &Analysis) -> Vec<(String, String)> {
    let own = a.run.metadata.iter().filter(|(key, _)| !super::fields::KEYS.contains(&key.as_str()));
    own.map(|(key, values)| (spaced(key), values.join(", "))).collect()
}

fn spaced(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str().replace('_', " "))
}

/// Control by control: what it is about, and which of its fields are filled.
fn relevant(a: &Analysis, filled: &[Filled]) -> Markup {
    let given: BTreeSet<u8> = filled.iter().filter(|f| f.is_given()).map(|f| f.number).collect();
    let names: Vec<&String> = a.run.metadata.get("controls").into_iter().flatten().collect();
    if names.is_empty() {
        return parts::faint("The playbook names no control that this drill is evidence for.").into();
    }
    let told: Vec<String> = names.iter().take(MOST_CONTROLS).map(|name| control(name, &given)).collect();
    Markup::from_iter([el("p").text(controls::CLAIM).into(), parts::list(&told)])
}

fn control(name: &str, given: &BTreeSet<u8>) -> String {
    let name_of = words::shortened(name, 80);
    match controls::find(name) {
        Found::Known(framework, control) => {
            let coverage = controls::coverage(control, given);
            let missing = match coverage.missing.as_slice() {
                [] => String::new(),
                some => format!("; not given: {}", controls::numbers(some)),
            };
            let filled = match coverage.filled.as_slice() {
                [] => "none of its fields is here".to_owned(),
                some => format!("here: {}", controls::numbers(some)),
            };
            format!("`{name_of}` {}: {} ({}); {filled}{missing}.", framework.title, control.title, control.summary)
        }
        Found::Open(framework) => format!("`{name_of}` {}: what it asks for is not known here.", framework.title),
        _ => format!("`{name_of}`: not known here."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_place_and_one_only() {
        let mut all: Vec<u8> = GROUPS.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=32).collect::<Vec<u8>>());
    }
}
