//! The page around the charts: head, sections in order, foot.

use super::markup::{El, Markup, el};
use super::{
    fields, follow_up, gantt, integrity, ledger, method, objectives, outages, parts, record, series, trend, verdict,
};
use crate::analysis::Analysis;
use crate::report::story::story;
use crate::report::{tables, words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");

pub(super) fn document(a: &Analysis) -> String {
    let h = words::headline(a);
    let meta = |name, value| el("meta").attr("name", name).attr("content", value);
    let head = el("head")
        .child(el("meta").attr("charset", "utf-8"))
        .child(el("meta").attr("http-equiv", "Content-Security-Policy").attr("content", &policy()))
        .child(meta("viewport", "width=device-width, initial-scale=1"))
        .child(meta("color-scheme", "light dark"))
        .child(el("title").text(&format!("{}: {} ({})", h.word, a.run.drill, a.run.run)))
        .child(el("style").constant(STYLE));
    let main = el("main").children(sections(a));
    let foot = el("footer").text(&format!("Made by {} from the run's journal.", a.run.host.tool));
    let body = el("body").child(verdict::header(a)).child(main).child(foot);
    let page = el("html").attr("lang", "en").child(head).child(body);
    format!("<!DOCTYPE html>\n{}\n", Markup::from(page).into_string())
}

/// No script, nothing from elsewhere, and only this one style sheet.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

fn sections(a: &Analysis) -> Vec<El> {
    let clients = !a.workloads.is_empty();
    let when = |shown: bool, chart: fn(&Analysis) -> El| Markup::from(shown.then(|| chart(a)));
    let both = |one: Markup, other: Markup| Markup::from_iter([one, other]);
    let outages = both(outages::chart(a).into(), parts::fitted(&tables::recovery(a)));
    let seen = parts::fitted(&tables::workloads(a));
    let writes = both(ledger::charts(a), parts::table(&tables::losses(a)));
    let filled = fields::all(a);
    [
        section("Objectives", objectives::cards(a)),
        section("What happened", parts::list(&story(a))),
        section("Side by side", parts::fitted(&crate::report::trade::side_by_side(a))),
        section("Outages and recovery", outages),
        section("Availability", when(clients, series::availability)),
        section("Latency", when(clients, series::latency)),
        section("Rate and errors", both(when(clients, series::rate), seen)),
        section("Writes", writes),
        section("Sites", parts::fitted(&crate::report::data::sites(a))),
        section("Data", parts::only(&crate::report::data::fingerprints(a))),
        section("Restores", parts::only(&crate::report::data::restores(a))),
        section("Steps", gantt::chart(a).into()),
        section("Faults", parts::only(&tables::faults(a))),
        section("Trend", trend::charts(a)),
        section("Deviations, actions and sign-off", follow_up::section(a)),
        section("The record", record::section(a, &filled)),
        section("Environment and method", method::section(a)),
        section("Integrity", integrity::section(a)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A section with its heading; none if there is nothing in it.
fn section(name: &'static str, inner: Markup) -> Option<El> {
    (!inner.is_empty()).then(|| el("section").child(el("h2").text(name)).child(inner))
}
