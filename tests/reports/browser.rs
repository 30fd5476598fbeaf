//! The page in a real Chromium: its policy, its layout on every screen and on paper, what a checker of accessibility says of
//! it, and that nothing from outside becomes an element. One browser looks at all pages, among them two that are wrong in
//! every way, which must be found.

use crate::{analyses, large, sealed};
use blackstart::report;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const AXE: &str = "/var/cache/blackstart-tests/axe/node_modules/axe-core/axe.min.js";
const SCREENS: [&str; 4] = ["desktop light", "phone dark", "desktop dark", "phone light"];

/// The policy of our pages over what it forbids.
const FORBIDDEN: &str = "<!DOCTYPE html><html><head><meta http-equiv=\"Content-Security-Policy\" content=\"default-src \
    'none'; style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='\"></head><body style=\"color:red\">\
    <script>document.title = 'x'</script><p onclick=\"alert(1)\">x</p></body></html>";

/// No policy, and whatever a page can do wrong to its readers.
const WRONG: &str = "<!DOCTYPE html><html><body><h1>x</h1><img src=\"nowhere.png\"><h4 style=\"color:#ccc\">pale</h4>\
    <div style=\"width:2000px\"><p>wide</p></div><table style=\"width:2000px\"><tr><td>x</td></tr></table>\
    <svg class=\"chart\" role=\"img\" viewBox=\"0 0 100 3000\" style=\"width:680px\"><text x=\"5\" y=\"9\">one label</text>\
    <text x=\"6\" y=\"9\">another</text><text x=\"95\" y=\"50\">beside</text></svg></body></html>";

/// A folder that is gone when its test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn page(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(format!("{name}.html"));
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the browser says of each page, by its path.
fn looked_at(folder: &Folder, pages: &[(usize, PathBuf)]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/axe/check.mjs");
    // A browser whose pipe ends, ends.
    let out = Command::new("timeout")
        .args(["-k", "5", "300", "node"])
        .args([&script, Path::new("/usr/bin/chromium"), &folder.0.join("profile"), Path::new(AXE)])
        .args(pages.iter().map(|(screens, page)| format!("{screens}:{}", page.display())))
        .output()
        .expect("node and chromium: tests/install.sh installs them");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("the script answers in JSON")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_page_is_what_it_says_in_a_real_browser() {
    let folder = Folder::new("browser");
    let hostile = analyses::all().into_iter().find(|(case, ..)| *case == "hostile").unwrap().2;
    let ours = [
        ("sealed", 4, report::html(&sealed::sealed())),
        ("fail", 4, report::html(&analyses::fail())),
        ("not-run", 2, report::html(&analyses::not_run())),
        ("hostile", 1, report::html(&hostile)),
        ("large", 0, report::html(&large::large())),
    ];
    let mut pages: Vec<_> = ours.iter().map(|(name, screens, text)| (*screens, folder.page(name, text))).collect();
    pages.push((0, folder.page("forbidden", FORBIDDEN)));
    pages.push((4, folder.page("wrong", WRONG)));
    let seen = looked_at(&folder, &pages);
    let of = |name: &str| &seen[folder.0.join(format!("{name}.html")).to_str().unwrap()];
    for (name, ..) in &ours {
        loads_nothing_and_breaks_no_policy(name, of(name));
        reads_well_on_every_screen(name, of(name));
        prints_to_tagged_paper(name, of(name));
        holds_only_elements_of_ours(name, of(name));
    }
    hostile_names_are_text(of("hostile"));
    what_is_wrong_is_found(of("forbidden"), of("wrong"));
}

fn loads_nothing_and_breaks_no_policy(name: &str, page: &Value) {
    assert_eq!(texts(&page["requests"]), [""; 0], "{name}");
    assert_eq!(texts(&page["complaints"]), [""; 0], "{name}");
}

fn reads_well_on_every_screen(name: &str, page: &Value) {
    for screen in SCREENS {
        let shown = &page["screens"][screen];
        assert_eq!(texts(&shown["axe"]), [""; 0], "{name}, {screen}");
        assert!(shown["wide"].as_u64() <= shown["screen"].as_u64(), "{name}, {screen}: {}", shown["wide"]);
        assert_eq!(texts(&shown["clashes"]), [""; 0], "{name}, {screen}");
    }
    let colour = |screen: &str| page["screens"][screen]["paper"].as_str().unwrap().to_owned();
    assert_ne!(colour("desktop light"), colour("desktop dark"), "{name}");
    let headings: Vec<u64> = page["dom"]["headings"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(headings.iter().filter(|h| **h == 1).count(), 1, "{name}");
    assert!(headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{name}: {headings:?}");
    assert_eq!((&page["dom"]["undescribed"], &page["dom"]["ids"]), (&0.into(), &0.into()), "{name}");
    assert_eq!(page["dom"]["figures"], page["dom"]["tables"], "{name}: a chart without its table");
}

fn prints_to_tagged_paper(name: &str, page: &Value) {
    let pdf = &page["pdf"];
    assert_eq!((&pdf["tagged"], &pdf["language"]), (&true.into(), &true.into()), "{name}: {pdf}");
    assert_eq!(texts(&pdf["sizes"]), ["0 0 594.95996 841.91998"], "{name}: A4");
    assert!(["H1", "H2", "Table", "TH", "TD"].iter().all(|tag| texts(&pdf["tags"]).contains(tag)), "{name}: {pdf}");
    assert_eq!(page["paper"]["tall"], 0, "{name}: cut at the end of a page");
    assert_eq!(texts(&page["paper"]["over"]), [""; 0], "{name}: cut at the right");
}

/// Whatever else stands in the record, the page is made of these.
fn holds_only_elements_of_ours(name: &str, page: &Value) {
    const ELEMENTS: &str = "body caption circle code dd desc details div dl dt figcaption figure footer h1 h2 h3 head header \
        html li line main meta p path pre rect section span strong style summary svg table tbody td text th thead title tr ul";
    const ATTRIBUTES: &str = "aria-describedby aria-hidden aria-label aria-labelledby charset class content cx cy d height \
        http-equiv id lang name r role rx scope tabindex viewBox width x x1 x2 y y1 y2";
    for (what, allowed) in [("elements", ELEMENTS), ("attributes", ATTRIBUTES)] {
        let allowed: Vec<&str> = allowed.split_whitespace().collect();
        let strange: Vec<&str> = texts(&page["dom"][what]).into_iter().filter(|one| !allowed.contains(one)).collect();
        assert!(strange.is_empty(), "{name}: {what} {strange:?}");
    }
}

fn hostile_names_are_text(page: &Value) {
    let text = page["dom"]["text"].as_str().unwrap();
    let shown = "</style><script>alert(1)</script>|";
    assert!(text.matches(shown).count() > 20, "{} times", text.matches(shown).count());
    assert!(!text.contains("&lt;") && !text.contains("&amp;"), "escaped twice");
}

/// The same checks, on pages that must not pass them.
fn what_is_wrong_is_found(forbidden: &Value, wrong: &Value) {
    assert!(texts(&forbidden["complaints"]).len() >= 3, "{}", forbidden["complaints"]);
    assert!(texts(&forbidden["dom"]["elements"]).contains(&"script"));
    assert!(texts(&forbidden["dom"]["attributes"]).contains(&"onclick"));
    assert_eq!(texts(&wrong["requests"]).len(), 1, "{}", wrong["requests"]);
    for screen in SCREENS {
        let shown = &wrong["screens"][screen];
        let found = |rule: &str| texts(&shown["axe"]).iter().any(|found| found.starts_with(rule));
        assert!(found("image-alt") && found("html-has-lang") && found("color-contrast"), "{screen}: {}", shown["axe"]);
        assert!(shown["wide"].as_u64() > shown["screen"].as_u64(), "{screen}");
        assert_eq!(texts(&shown["clashes"]).len(), 2, "{screen}: {}", shown["clashes"]);
    }
    assert_eq!((&wrong["paper"]["tall"], &wrong["dom"]["undescribed"]), (&1.into(), &1.into()));
    assert!(texts(&wrong["paper"]["over"]).len() >= 2, "{}", wrong["paper"]);
}
