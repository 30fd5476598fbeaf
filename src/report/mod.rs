//! Pure renderings of an analysis: one file per format, and the live view. What tables say stands in [`tables`], how
//! figures are worded in [`words`]; nothing here measures or judges.

pub mod after_action;
mod checked;
mod data;
pub mod export;
mod html;
mod intoto;
mod json;
mod junit;
pub mod live;
mod markdown;
mod metrics;
mod oscal;
mod otlp;
pub mod stats;
mod story;
pub mod tables;
mod terminal;
mod trade;
pub mod words;

pub use html::{after_action_page, html};
pub use intoto::{Envelope, PAYLOAD_TYPE, Signature, intoto, pae, statement};
pub use json::{VERSION, json, schema};
pub use junit::junit;
pub use markdown::{annotations, markdown};
pub use metrics::metrics;
pub use oscal::oscal;
pub use otlp::trace;
pub use terminal::{Style, View, section, terminal};
