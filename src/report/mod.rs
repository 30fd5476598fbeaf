//! Pure renderings of an analysis: one file per format, and the live view. What tables say stands in [`tables`], how
//! figures are worded in [`words`]; nothing here measures or judges.

mod data;
pub mod export;
mod html;
mod json;
mod junit;
pub mod live;
mod markdown;
pub mod stats;
mod story;
pub mod tables;
mod terminal;
pub mod words;

pub use html::html;
pub use json::{VERSION, json, schema};
pub use junit::junit;
pub use markdown::{annotations, markdown};
pub use terminal::{Style, View, terminal};
