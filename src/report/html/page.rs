//! The page around the charts: head, verdict, sections in order, and the record.

use super::markup::{El, Markup, el, prose, text};
use super::{gantt, ledger, objectives, outages, series};
use crate::analysis::{Analysis, Reason};
use crate::report::story::story;
use crate::report::tables::{self, Align, Table, Tone};
use crate::report::words;
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
    let body = el("body").child(header(a)).child(main).child(foot);
    let page = el("html").attr("lang", "en").child(head).child(body);
    format!("<!DOCTYPE html>\n{}\n", Markup::from(page).into_string())
}

/// No script, nothing from elsewhere, and only this one style sheet.
fn policy() -> String {
    let digest = base64(&Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |all, b| all << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { letter as char } else { '=' });
        }
    }
    out
}

fn header(a: &Analysis) -> El {
    let h = words::headline(a);
    let ended = a.ended.map_or_else(|| "no end recorded".to_owned(), |at| at.format("%H:%M:%S UTC").to_string());
    let when = format!("{} to {ended}", a.started.format("%Y-%m-%d %H:%M:%S"));
    let facts = format!("Run {} in {}, {when} ({})", a.run.run, a.run.environment, words::duration(a.length));
    let reasons: Markup = match a.reasons.as_slice() {
        [] => el("p").class("reason").child(prose(&h.reason)).into(),
        some => el("ul").class("reasons").children(some.iter().map(reason)).into(),
    };
    let title = (!a.run.title.is_empty()).then(|| el("p").class("title").text(&a.run.title));
    el("header")
        .class(objectives::tone(h.verdict))
        .child(
            el("h1")
                .child(el("span").class("verdict").text(&format!("{} {}", h.sign, h.word)))
                .child(text(" "))
                .child(el("span").class("name").text(a.run.drill.as_str())),
        )
        .child(Markup::from(title))
        .child(reasons)
        .child(el("p").class("faint").text(&facts))
}

fn reason(r: &Reason) -> El {
    let place = r.place.as_ref().map(|p| el("code").class("place").text(p));
    el("li")
        .class(objectives::tone(r.verdict))
        .child(prose(&format!("{} {} ", words::sign(r.verdict), r.text)))
        .child(Markup::from(place))
}

fn sections(a: &Analysis) -> Vec<El> {
    let clients = !a.workloads.is_empty();
    let when = |shown: bool, chart: fn(&Analysis) -> El| shown.then(|| chart(a));
    [
        section("In short", list(&story(a))),
        section("Objectives", objectives::cards(a)),
        section("Outages", Markup::from_iter([Markup::from(outages::chart(a)), table(&tables::recovery(a))])),
        section("Availability", when(clients, series::availability).into()),
        section("Latency", when(clients, series::latency).into()),
        section(
            "Rate and errors",
            Markup::from_iter([when(clients, series::rate).into(), table(&tables::workloads(a))]),
        ),
        section("Writes", Markup::from_iter([ledger::charts(a), table(&tables::losses(a))])),
        section("Sites", only(&crate::report::data::sites(a))),
        section("Data", only(&crate::report::data::fingerprints(a))),
        section("Steps", gantt::chart(a).into()),
        section("Faults", only(&tables::faults(a))),
        section("Notes", notes(a)),
        section("Record", record(a)),
        section("Method and limits", method(a)),
        section("Integrity", integrity(a)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A section with its heading; none if there is nothing in it.
fn section(name: &'static str, inner: Markup) -> Option<El> {
    (!inner.is_empty()).then(|| el("section").child(el("h2").text(name)).child(inner))
}

fn paragraphs(sentences: &[String]) -> Markup {
    sentences.iter().map(|s| el("p").text(s)).collect()
}

/// A table that is a section's content; empty if it has no rows.
fn table(of: &Table) -> Markup {
    let inner = data(of);
    if inner.is_empty() { inner } else { el("div").class("scroll").child(inner).into() }
}

/// A table as HTML; empty if it has no rows.
pub(super) fn data(of: &Table) -> Markup {
    captioned(of, "shown")
}

/// A table whose section already has its name: the caption is there for those who cannot see the heading beside it.
pub(super) fn only(of: &Table) -> Markup {
    let inner = captioned(of, "hidden");
    if inner.is_empty() { inner } else { el("div").class("scroll").child(inner).into() }
}

fn captioned(of: &Table, caption: &'static str) -> Markup {
    if of.is_empty() {
        return Markup::default();
    }
    let side = |i: usize| if of.align.get(i) == Some(&Align::Right) { "r" } else { "l" };
    let head = of.head.iter().enumerate().map(|(i, h)| el("th").attr("scope", "col").class(side(i)).text(h));
    let rows = of.rows.iter().map(|row| {
        el("tr").children(row.iter().enumerate().map(|(i, cell)| {
            let class = match cell.tone {
                Tone::Plain => side(i).to_owned(),
                Tone::Good => format!("{} good", side(i)),
                Tone::Bad => format!("{} bad", side(i)),
                Tone::Unsure => format!("{} unsure", side(i)),
                Tone::Faint => format!("{} faint", side(i)),
            };
            el("td").class(&class).child(prose(&cell.text))
        }))
    });
    el("table")
        .child(el("caption").class(caption).text(of.title))
        .child(el("thead").child(el("tr").children(head)))
        .child(el("tbody").children(rows))
        .into()
}

fn list(lines: &[String]) -> Markup {
    let items = lines.iter().map(|line| el("li").child(prose(line)));
    (!lines.is_empty()).then(|| el("ul").class("list").children(items)).into()
}

fn notes(a: &Analysis) -> Markup {
    let waived = a.run.waivers.iter().map(|w| format!("Waived: {w}"));
    list(&a.notes.iter().cloned().chain(waived).collect::<Vec<_>>())
}

fn pairs(items: impl IntoIterator<Item = (String, String)>) -> Markup {
    let rows = items
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| el("div").child(el("dt").text(&name)).child(el("dd").text(&value)));
    el("dl").children(rows).into()
}

fn record(a: &Analysis) -> Markup {
    let r = &a.run;
    let fixed = [
        ("Run", r.run.0.clone()),
        ("Drill", r.drill.0.clone()),
        ("Environment", r.environment.clone()),
        ("Started", words::wall(a.started)),
        ("Ended", a.ended.map_or_else(|| "no end recorded".to_owned(), words::wall)),
        ("Started by", r.host.trigger.clone()),
        ("Playbook", r.playbook.clone()),
        ("Playbook, SHA-256", r.playbook_digest.clone()),
        ("As resolved, SHA-256", r.resolved_digest.clone()),
        ("The system is expected to", expectation(a).to_owned()),
    ];
    let metadata = r.metadata.iter().map(|(key, values)| (spaced(key), values.join(", ")));
    let params = r.params.iter().map(|(key, value)| (format!("Parameter {key}"), value.clone()));
    let machine = [
        ("Tool", r.host.tool.clone()),
        ("Host", format!("{}, {}, {}", r.host.host, r.host.system, words::plural(r.host.cores.into(), "core"))),
        ("Boot", r.host.boot.clone()),
    ];
    let own = |items: Vec<(&str, String)>| {
        items.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>()
    };
    pairs(own(fixed.into()).into_iter().chain(metadata).chain(params).chain(own(machine.into())))
}

fn expectation(a: &Analysis) -> &'static str {
    if a.run.expects_failover {
        "save itself before the fault is removed"
    } else {
        "come back when the fault is removed"
    }
}

fn spaced(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str().replace('_', " "))
}

fn method(a: &Analysis) -> Markup {
    let mut out = paragraphs(&[
        "Clients send operations on a fixed schedule, whether or not earlier ones have been answered. An operation is \
         served if it is acknowledged within its deadline, counted from when it was due; one without any answer is \
         unknown, never counted as failed. An outage lasts from the first operation that was not served to the last. \
         Every figure is an interval that holds the true value; its width comes from the schedule's period and from \
         the width of the fault."
            .to_owned(),
        "Service is sustained from the first served operation after which no window falls below what the workload \
         calls service, for as long as “stable” says. A write is lost if it was acknowledged and the final read-back \
         does not find it."
            .to_owned(),
    ]);
    out.push(table(&limits(a)));
    out.push(table(&tables::stalls(a)));
    if a.stalls.is_empty() && !a.workloads.is_empty() {
        out.push(el("p").text("The runner could see all the time: no stall, no suspend, no step of the clock."));
    }
    out
}

/// What each workload can resolve, and how punctual its schedule was.
fn limits(a: &Analysis) -> Table {
    let (l, r) = (Align::Left, Align::Right);
    let columns = [
        ("workload", l),
        ("client", l),
        ("one operation every", r),
        ("deadline", r),
        ("given up after", r),
        ("stable for", r),
        ("schedule late by: p50", r),
        ("p99", r),
        ("at most", r),
    ];
    let nanos = |d: std::time::Duration| words::duration(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    let rows = a.run.workloads.iter().map(|s| {
        let lateness = a.workloads.iter().find(|w| w.name == s.name).and_then(|w| w.lateness);
        let late = |f: fn(&crate::analysis::Percentiles) -> i64| {
            lateness.as_ref().map_or_else(|| words::UNKNOWN.to_owned(), |p| words::duration(f(p))).into()
        };
        vec![
            s.name.as_str().into(),
            words::client(&s.client).into(),
            words::duration((1e9 / s.rate.max(1e-9)) as i64).into(),
            nanos(s.service.deadline).into(),
            nanos(s.timeout).into(),
            nanos(s.service.stable).into(),
            late(|p| p.p50),
            late(|p| p.p99),
            late(|p| p.max),
        ]
    });
    Table::new("What each workload can resolve", &columns, rows.collect())
}

fn integrity(a: &Analysis) -> Markup {
    let mut out = paragraphs(&[
        "Every figure here follows from the run's journal and operations logs. Each line of the journal holds the \
         digest of the line before it, so its last line vouches for all."
            .to_owned(),
    ]);
    out.push(pairs([
        ("Journal's last line, SHA-256".to_owned(), a.journal_head.clone()),
        ("Lines".to_owned(), words::count(a.journal_lines)),
        ("Cut".to_owned(), a.journal_cut.clone().unwrap_or_default()),
    ]));
    out.push(el("p").text("To compute this report again from the run's folder:"));
    out.push(el("pre").text("blackstart analyze FOLDER"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_rfc_4648_has_it() {
        assert_eq!(
            [b"".as_slice(), b"f", b"fo", b"foo", b"foob"].map(base64),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
