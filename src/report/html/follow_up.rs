//! What was not as planned, what is still to be done, and who signs it off. People's words come after the run and never
//! change this page, so it says where they stand.

use super::markup::{El, Markup, el, prose};
use super::parts;
use crate::analysis::Analysis;
use crate::event::OpenAction;
use crate::report::tables::{Align, Cell, Table, Tone};
use crate::report::words;

pub(super) fn section(a: &Analysis) -> Markup {
    let mut out = Markup::from(el("h3").text("Deviations"));
    let deviations = deviations(a);
    out.push(if deviations.is_empty() {
        Markup::from(parts::faint("None is recorded."))
    } else {
        parts::list(&deviations)
    });
    out.push(el("h3").text("Open actions of earlier runs"));
    let actions = actions(a);
    out.push(if actions.is_empty() {
        Markup::from(parts::faint("None is known from when this run began."))
    } else {
        parts::only(&actions)
    });
    out.push(el("h3").text("Sign-off"));
    out.push(sign_off(a));
    out
}

/// Notes of the analysis, and guards that were waived.
pub(super) fn deviations(a: &Analysis) -> Vec<String> {
    let waived = a.run.waivers.iter().map(|w| format!("Waived: {w}"));
    waived.chain(a.notes.iter().cloned()).collect()
}

/// Actions that were open when the run began, in order.
pub(super) fn open(a: &Analysis) -> &[OpenAction] {
    a.run.lineage.as_ref().map_or(&[], |lineage| lineage.actions.as_slice())
}

fn actions(a: &Analysis) -> Table {
    let today = a.started.date_naive();
    let rows = open(a).iter().map(|action| {
        let due = match action.due {
            None => Cell::toned("no date", Tone::Faint),
            Some(due) if due < today => Cell::toned(format!("✗ {due}, overdue"), Tone::Bad),
            Some(due) => due.to_string().into(),
        };
        let asked = format!("{}, no. {}", action.run, action.number);
        vec![action.text.as_str().into(), action.owner.as_str().into(), due, asked.into()]
    });
    let (l, rows) = (Align::Left, rows.collect());
    Table::new("Open actions", &[("what", l), ("who", l), ("by when", l), ("asked for by run", l)], rows)
}

fn sign_off(a: &Analysis) -> Markup {
    let given = |key: &str| a.run.metadata.get(key).map(|values| values.join(", ")).filter(|text| !text.is_empty());
    let before = match (given("approver"), given("approval")) {
        (None, None) => "No approval before the run is named in the playbook.".to_owned(),
        (who, place) => {
            let place = place.map_or_else(String::new, |place| format!(" ({place})"));
            format!("Approved before the run by {}{place}, as the playbook says.", who.unwrap_or("somebody".to_owned()))
        }
    };
    let after: El = el("p").child(prose(
        "Sign-off, root cause, lessons and new actions are added after the run with `blackstart review FOLDER`. They stand in \
         `addenda/`, each signed on its own and chained to what is sealed here; this page is never changed by them.",
    ));
    Markup::from_iter([el("p").text(&words::shortened(&before, 600)), after])
}
