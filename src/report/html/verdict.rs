//! The head of the page: the verdict with its sign, its word and its reason, what was measured with its error, who will
//! sign it, and which run it is.

use super::markup::{El, Markup, el, prose, text};
use super::objectives::tone;
use super::parts;
use crate::analysis::{Analysis, Reason};
use crate::model::Verdict;
use crate::report::words;

/// So many reasons; the others stand in report.json.
const MOST_REASONS: usize = 20;

pub(super) fn header(a: &Analysis) -> El {
    let h = words::headline(a);
    let ended = a.ended.map_or_else(|| "no end recorded".to_owned(), |at| at.format("%H:%M:%S UTC").to_string());
    let when = format!("{} to {ended}", a.started.format("%Y-%m-%d %H:%M:%S"));
    let environment = words::shortened(&a.run.environment, 80);
    let facts = format!("Run {} in {environment}, {when} ({})", a.run.run, words::duration(a.length));
    let title = (!a.run.title.is_empty()).then(|| el("p").class("title").text(&words::shortened(&a.run.title, 300)));
    el("header")
        .class(tone(h.verdict))
        .child(
            el("h1")
                .child(el("span").class("verdict").text(&format!("{} {}", h.sign, h.word)))
                .child(text(" "))
                .child(el("span").class("name").text(a.run.drill.as_str())),
        )
        .child(Markup::from(title))
        .child(reasons(a, &h.reason))
        .child(el("p").class("faint").text(&facts))
        .child(signature(a))
}

fn reasons(a: &Analysis, passed: &str) -> Markup {
    if a.reasons.is_empty() {
        return el("p").class("reason").child(prose(passed)).into();
    }
    let left = a.reasons.len().saturating_sub(MOST_REASONS);
    let more = (left > 0).then(|| el("li").text(&format!("and {} more, in report.json", words::count(left as u64))));
    let list =
        el("ul").class("reasons").children(a.reasons.iter().take(MOST_REASONS).map(reason)).child(Markup::from(more));
    let figures = words::figures(a);
    let measured = (!figures.is_empty()).then(|| el("p").class("measured-line").text(&format!("Measured: {figures}.")));
    Markup::from_iter([list.into(), Markup::from(measured)])
}

fn reason(r: &Reason) -> El {
    let place = r.place.as_ref().map(|p| el("code").class("place").text(&words::shortened(p, 120)));
    let said = words::shortened(&r.text, 400);
    el("li")
        .class(tone(r.verdict))
        .child(prose(&format!("{} {said} ", words::sign(r.verdict))))
        .child(Markup::from(place))
}

/// Who will sign the evidence, or that nobody will: a page cannot hold the signature over itself.
fn signature(a: &Analysis) -> El {
    let signer = a.run.lineage.as_ref().and_then(|lineage| lineage.signer.as_deref());
    match signer {
        Some(key) => el("p")
            .class("signature")
            .child(text("Will be signed by "))
            .child(parts::code(key))
            .child(prose("; check with `ssh-keygen -Y verify`, as Integrity says below.")),
        None => el("p")
            .class("signature unsigned")
            .child(el("strong").text(&format!("{} UNSIGNED", words::sign(Verdict::Inconclusive))))
            .child(text(": no key vouches for this evidence. Its digests show damage, not who made it.")),
    }
}
