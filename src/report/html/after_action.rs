//! The page of an after-action report: like the page of a run, one file with no script and nothing loaded from elsewhere.

use super::markup::{El, Markup, el, prose};
use crate::controls::CLAIM;
use crate::model::Verdict;
use crate::report::after_action::{self as aa, AfterAction, Counts, Drill, Point, Trend};
use crate::report::tables::{Align, Table, Tone};
use crate::report::words;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");

/// A chart's size, and where its drawing begins and ends.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 96.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 74.0;
/// A chart shows so many runs, the last ones.
const MOST: usize = 40;

/// The page.
#[must_use]
pub fn page(report: &AfterAction) -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'");
    let meta = |name, value| el("meta").attr("name", name).attr("content", value);
    let head = el("head")
        .child(el("meta").attr("charset", "utf-8"))
        .child(el("meta").attr("http-equiv", "Content-Security-Policy").attr("content", &policy))
        .child(meta("viewport", "width=device-width, initial-scale=1"))
        .child(meta("color-scheme", "light dark"))
        .child(el("title").text(&format!("{}: after-action report", report.title)))
        .child(el("style").constant(STYLE));
    let main = el("main").children(sections(report));
    let body = el("body").child(header(report)).child(main).child(el("footer").child(prose(aa::LIMITS)));
    let page = el("html").attr("lang", "en").child(head).child(body);
    format!("<!DOCTYPE html>\n{}\n", Markup::from(page).into_string())
}

fn header(report: &AfterAction) -> El {
    let (tone, sign, word) = overall(report);
    let facts = format!("{}, as of {}", aa::time(report), words::wall(report.as_of));
    let reasons = report.summary.iter().map(|line| el("li").child(prose(line)));
    el("header")
        .class(tone)
        .child(
            el("h1")
                .child(el("span").class("verdict").text(&format!("{sign} {word}")))
                .child(super::markup::text(" "))
                .child(el("span").class("name").text(&report.title)),
        )
        .child(el("p").class("title").text("After-action report"))
        .child(el("ul").class("reasons").children(reasons))
        .child(el("p").class("faint").text(&facts))
}

/// What a reader must know first: is anything late, wrong, or open?
fn overall(report: &AfterAction) -> (&'static str, &'static str, &'static str) {
    let late = |d: &Drill| matches!(d.standing, aa::Standing::Overdue | aa::Standing::NeverPassed);
    let today = report.as_of.date_naive();
    let past = |a: &aa::ActionInput| a.standing == aa::Done::Open && a.due.is_some_and(|due| due < today);
    let open = report.actions.iter().any(|a| a.standing == aa::Done::Open);
    let Counts { runs, passed, not_healed, .. } = report.counts;
    if not_healed > 0 {
        ("bad", "!", "NOT HEALED")
    } else if report.drills.iter().any(late) {
        ("bad", "✗", "OVERDUE")
    } else if report.actions.iter().any(past) || !report.doubts.is_empty() {
        ("bad", "✗", "NEEDS ATTENTION")
    } else if runs == 0 {
        ("unsure", "?", "NOTHING RUN")
    } else if open || passed < runs {
        ("unsure", "?", "OPEN POINTS")
    } else {
        ("good", "✓", "UP TO DATE")
    }
}

fn sections(report: &AfterAction) -> Vec<El> {
    let tables = aa::tables(report);
    let find = |title: &str| tables.iter().find(|table| table.title == title);
    let one = |title: &str| find(title).map(only).unwrap_or_default();
    let second = |title: &str| find(title).map(|table| drawn(table, "shown")).unwrap_or_default();
    let both = |parts: Vec<Markup>| Markup::from_iter(parts);
    let controls = one("Controls");
    let controls = if controls.is_empty() { controls } else { both(vec![controls_intro(), controls, rest(report)]) };
    [
        section("Not to be relied on", one("Not to be relied on")),
        section("Drills", both(vec![one("Drills"), second("Objectives")])),
        section("Trend", trends(report)),
        section("Runs", one("Runs")),
        section("Actions", one("Actions")),
        section("Reviews", both(vec![one("Reviews"), second("What was found")])),
        section("Controls", controls),
        section("Systems, sites and third parties", one("Systems, sites and third parties")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn section(name: &'static str, inner: Markup) -> Option<El> {
    (!inner.is_empty()).then(|| el("section").child(el("h2").text(name)).child(inner))
}

fn controls_intro() -> Markup {
    el("p").text(CLAIM).into()
}

/// What is missing, and which controls nobody named.
fn rest(report: &AfterAction) -> Markup {
    let names = report.not_named.iter().enumerate().map(|(i, name)| {
        let comma = if i == 0 { "" } else { ", " };
        Markup::from_iter([super::markup::text(comma), el("code").text(name).into()])
    });
    let n = words::plural(report.not_named.len() as u64, "more control");
    let not_named = (!report.not_named.is_empty()).then(|| {
        el("details")
            .child(el("summary").text(&format!("{n} of these frameworks a drill can be evidence for, named by no run")))
            .child(el("p").class("faint").children(names))
    });
    Markup::from_iter([drawn(&aa::missing(report), "shown"), not_named.into()])
}

/// A chart for each objective that several runs measured.
fn trends(report: &AfterAction) -> Markup {
    let cards = report
        .drills
        .iter()
        .flat_map(|drill| drill.objectives.iter().filter(|t| t.points.len() > 1).map(move |t| card(drill, t)));
    let cards: Vec<El> = cards.collect();
    if cards.is_empty() {
        return Markup::default();
    }
    let legend = el("p").class("faint").text(
        "Run by run, oldest first, with error bars; round: met, square: missed, hollow: not decided. The line is the \
         target at that time; a cross stands where nothing was measured. The table above has the figures.",
    );
    Markup::from_iter([legend, el("ul").class("cards").children(cards)])
}

fn card(drill: &Drill, t: &Trend) -> El {
    let last = t.points.last();
    let tone = last.map_or("unsure", |p| verdict(p.verdict));
    let badge = format!("{} of {} met", t.met, t.points.len());
    let figure = last.map_or_else(String::new, |point| aa::bar(t, point));
    el("li")
        .class(&format!("card {tone}"))
        .child(
            el("h3")
                .child(el("span").text(&format!("{}: {}", drill.drill, aa::name(drill, t))))
                .child(super::markup::text(" "))
                .child(el("span").class("badge").text(&badge)),
        )
        .child(
            el("p")
                .class("figure")
                .child(el("span").class("best").text(&figure))
                .child(el("span").class("ends").text(" in the last run")),
        )
        .child(chart(drill, t))
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "good",
        Verdict::Fail => "bad",
        Verdict::Inconclusive => "unsure",
    }
}

/// Points on an axis that begins at 0, with the target as a line.
fn chart(drill: &Drill, t: &Trend) -> El {
    let points = &t.points[t.points.len().saturating_sub(MOST)..];
    let most = points.iter().flat_map(|p| [Some(p.target), p.high]).flatten().fold(0.0_f64, f64::max);
    let full = if most.is_finite() && most > 0.0 { most * 1.12 } else { 1.0 };
    let y = |value: f64| BOTTOM - (value / full).clamp(0.0, 1.0) * (BOTTOM - TOP);
    let step = (WIDTH - 24.0) / points.len().max(1) as f64;
    let x = |i: usize| 12.0 + step * (i as f64 + 0.5);
    let label = format!("{} of {}, {} runs", aa::name(drill, t), drill.drill, points.len());
    let mut inner = Markup::from(el("title").text(&label));
    inner.push(line("grid", (0.0, BOTTOM), (WIDTH, BOTTOM)));
    for (i, point) in points.iter().enumerate() {
        let (left, right) = (x(i) - step / 2.0, x(i) + step / 2.0);
        inner.push(line("target", (left, y(point.target)), (right, y(point.target))));
        inner.extend(mark(t, point, x(i), y));
    }
    if let (Some(first), Some(last)) = (points.first(), points.last()) {
        let day = |p: &Point| p.started.format("%Y-%m-%d").to_string();
        inner.push(el("text").class("tick").at(0.0, BOTTOM + 16.0).text(&day(first)));
        inner.push(el("text").class("tick end").at(WIDTH, BOTTOM + 16.0).text(&day(last)));
        let above = y(last.target) - 5.0;
        let at = if above < 10.0 { y(last.target) + 12.0 } else { above };
        inner.push(el("text").class("panel end").at(WIDTH, at).text(&format!("target {}", aa::figure(t, last.target))));
    }
    el("svg")
        .class("bullet")
        .attr("viewBox", &format!("0 0 {WIDTH} {HEIGHT}"))
        .attr("role", "img")
        .attr("aria-label", &label)
        .child(inner)
}

fn mark(t: &Trend, point: &Point, x: f64, y: impl Fn(f64) -> f64) -> Vec<El> {
    let (Some(low), Some(best), Some(high)) = (point.low, point.best, point.high) else {
        let cross = |dy: f64| line("whisker", (x - 4.0, BOTTOM - 8.0 - dy), (x + 4.0, BOTTOM - 8.0 + dy));
        return vec![cross(4.0), cross(-4.0)];
    };
    let round = if point.verdict == Verdict::Pass { 4.0 } else { 0.0 };
    let class = if point.verdict == Verdict::Inconclusive { "cut whisker" } else { verdict(point.verdict) };
    let title = format!("{}: {}, {}", point.run, aa::bar(t, point), words::judged(point.verdict));
    let dot = el("rect").class(class).at(x - 4.0, y(best) - 4.0).num("width", 8.0).num("height", 8.0).num("rx", round);
    vec![line("whisker", (x, y(low)), (x, y(high))), dot.child(el("title").text(&title))]
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> El {
    el("line").class(class).num("x1", from.0).num("y1", from.1).num("x2", to.0).num("y2", to.1)
}

/// A table below a heading; its caption is there for those who cannot see the heading.
fn only(of: &Table) -> Markup {
    drawn(of, "hidden")
}

/// A table; a wide one scrolls, also by keyboard.
fn drawn(of: &Table, caption: &'static str) -> Markup {
    if of.is_empty() {
        return Markup::default();
    }
    let side = |i: usize| if of.align.get(i) == Some(&Align::Right) { "r" } else { "l" };
    let head = of.head.iter().enumerate().map(|(i, h)| el("th").attr("scope", "col").class(side(i)).text(h));
    let rows = of.rows.iter().map(|row| {
        el("tr").children(row.iter().enumerate().map(|(i, cell)| {
            let tone = match cell.tone {
                Tone::Plain => "",
                Tone::Good => " good",
                Tone::Bad => " bad",
                Tone::Unsure => " unsure",
                Tone::Faint => " faint",
            };
            let cell_of = if i == 0 { el("th").attr("scope", "row") } else { el("td") };
            cell_of.class(&format!("{}{tone}", side(i))).child(prose(&cell.text))
        }))
    });
    let table = el("table")
        .child(el("caption").class(caption).text(of.title))
        .child(el("thead").child(el("tr").children(head)))
        .child(el("tbody").children(rows));
    el("div")
        .class("scroll")
        .attr("tabindex", "0")
        .attr("role", "region")
        .attr("aria-label", of.title)
        .child(table)
        .into()
}
