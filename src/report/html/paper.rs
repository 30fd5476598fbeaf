//! What charts are drawn on: a wide and a narrow paper, of which a reader sees the one that fits the screen; the figure
//! around them, with a caption, a description and the data as a table.

use super::markup::{El, Markup, el, text};
use super::parts;
use crate::report::words;

/// A row of labels.
pub(super) const ROW: f64 = 15.0;

/// A character's width at the charts' small text size, on the generous side, for layout without a font.
const CHARACTER: f64 = 6.7;

/// How wide a label may get.
pub(super) fn width_of(label: &str) -> f64 {
    label.chars().count() as f64 * CHARACTER
}

/// So much of a label as there is room for.
pub(super) fn fit(label: &str, room: f64) -> String {
    words::shortened(label, (room / CHARACTER).max(3.0) as usize)
}

/// The charts' own units, which the page scales; text stays readable because a phone gets a drawing of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paper {
    /// For desks and A4.
    Wide,
    /// For phones.
    Narrow,
}

impl Paper {
    pub(super) fn width(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 380.0,
        }
    }

    /// Where plots begin: room for the labels of the other axis.
    pub(super) fn left(self) -> f64 {
        match self {
            Self::Wide => 58.0,
            Self::Narrow => 52.0,
        }
    }

    /// Where plots end.
    pub(super) fn right(self) -> f64 {
        self.width() - 8.0
    }

    /// How wide plots are.
    pub(super) fn plot(self) -> f64 {
        self.right() - self.left()
    }

    /// Ticks that have room.
    pub(super) fn ticks(self) -> i64 {
        match self {
            Self::Wide => 9,
            Self::Narrow => 4,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

/// Something drawn, and how high it is.
pub(super) type Drawing = (Markup, f64);

/// A chart to be drawn.
pub(super) struct Chart<'a> {
    /// Unique in the page.
    pub(super) id: &'a str,
    /// What it is called.
    pub(super) name: &'a str,
    /// What is to be seen, in a sentence or two.
    pub(super) description: &'a str,
    /// Its data, as a table or several.
    pub(super) data: Markup,
}

impl Chart<'_> {
    /// The chart on both papers, each an SVG that names and describes itself, in a figure with a caption and a table.
    pub(super) fn figure(self, draw: impl Fn(Paper) -> Drawing) -> El {
        let drawings = [Paper::Wide, Paper::Narrow].map(|paper| self.svg(paper, draw(paper)));
        let data = (!self.data.is_empty())
            .then(|| el("details").child(el("summary").text("The same as a table")).child(self.data.clone()));
        el("figure").child(el("figcaption").child(text(self.description))).children(drawings).child(Markup::from(data))
    }

    fn svg(&self, paper: Paper, (inner, height): Drawing) -> El {
        let of = |what: &str| format!("{}-{what}-{}", self.id, paper.class());
        let (title, description) = (of("t"), of("d"));
        el("svg")
            .class(&format!("chart {}", paper.class()))
            .attr("viewBox", &format!("0 0 {} {height:.0}", paper.width()))
            .attr("role", "img")
            .attr("aria-labelledby", &title)
            .attr("aria-describedby", &description)
            .child(el("title").attr("id", &title).text(self.name))
            .child(el("desc").attr("id", &description).text(self.description))
            .child(inner)
    }
}

/// Says what a chart leaves out; nothing if that is nothing.
pub(super) fn left_out(n: usize, what: &str) -> Markup {
    let line = || format!("and {} more, in report.json", words::plural(n as u64, what));
    (n > 0).then(|| parts::faint(&line())).into()
}
