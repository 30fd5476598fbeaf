//! `report.html`: one file with no script and nothing loaded from elsewhere, the same bytes for the same analysis.
//! Charts are SVG drawn here; colours are variables of the style sheet, so that light, dark and paper share the drawing.

mod after_action;
mod axis;
mod fields;
mod follow_up;
mod gantt;
mod groups;
mod integrity;
mod ledger;
mod markup;
mod method;
mod objectives;
mod outages;
mod page;
mod paper;
mod parts;
mod record;
mod series;
mod trend;
mod verdict;

pub use after_action::page as after_action_page;

use crate::analysis::Analysis;

/// The page.
#[must_use]
pub fn html(a: &Analysis) -> String {
    page::document(a)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// Colours by name, as they are in light, and with what dark makes of them.
    fn colours() -> [BTreeMap<String, [f64; 3]>; 2] {
        let mut blocks = include_str!("style.css").split(":root {").skip(1).map(|block| {
            let block = block.split('}').next().unwrap();
            let of = |pair: &str| {
                let (name, value) = pair.split_once(": #")?;
                let hex: String = value
                    .trim()
                    .chars()
                    .flat_map(|c| if value.trim().len() == 3 { vec![c, c] } else { vec![c] })
                    .collect();
                let part = |i: usize| f64::from(u8::from_str_radix(&hex[i..i + 2], 16).unwrap()) / 255.0;
                Some((name.trim().trim_start_matches("--").to_owned(), [part(0), part(2), part(4)]))
            };
            block.split(';').filter_map(of).collect::<BTreeMap<_, _>>()
        });
        let light = blocks.next().unwrap();
        let mut dark = light.clone();
        dark.extend(blocks.next().unwrap());
        [light, dark]
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(rgb: [f64; 3]) -> f64 {
        let linear = rgb.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn text_stands_out_from_what_is_behind_it_in_both_modes() {
        const BANDS: &str = "band-baseline band-outage band-restore band-verify band-other";
        for (mode, colours) in ["light", "dark"].into_iter().zip(colours()) {
            let pairs = [
                ("ink", format!("paper soft {BANDS}")),
                ("faint", format!("paper soft {BANDS}")),
                ("accent", "paper".to_owned()),
                ("good", "paper soft good-soft".to_owned()),
                ("bad", "paper soft bad-soft".to_owned()),
                ("unsure", "paper soft unsure-soft".to_owned()),
                ("paper", "good bad unsure".to_owned()),
            ];
            for (text, behind) in pairs.iter().flat_map(|(text, all)| all.split(' ').map(move |one| (*text, one))) {
                let (a, b) = (luminance(colours[text]), luminance(colours[behind]));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{mode}: {text} on {behind}: {contrast:.2}");
            }
        }
    }
}
