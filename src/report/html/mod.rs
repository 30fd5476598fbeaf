//! `report.html`: one file with no script and nothing loaded from elsewhere, the same bytes for the same analysis.
//! Charts are SVG drawn here; colours are variables of the style sheet, so that light, dark and paper share the drawing.

mod axis;
mod gantt;
mod ledger;
mod markup;
mod objectives;
mod outages;
mod page;
mod series;

use crate::analysis::Analysis;

/// The page.
#[must_use]
pub fn html(a: &Analysis) -> String {
    page::document(a)
}
