//! Keeps the generated parts of the documentation equal to the code. `BLACKSTART_BLESS=1 cargo test --test docs`
//! writes them anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use blackstart::cli::{Exit, reference};
use std::fs;
use std::path::Path;

#[test]
fn the_readme_has_the_exit_codes() {
    same("README.md", "exit-codes", &Exit::markdown());
}

#[test]
fn the_page_on_exit_codes_has_them() {
    same("src/docs/exit_codes.md", "exit-codes", &Exit::markdown());
}

#[test]
fn the_reference_has_every_kind() {
    same("src/docs/playbooks.md", "kinds", &reference());
}

#[test]
fn the_keys_of_metadata_are_those_that_are_checked() {
    same("src/docs/playbooks.md", "metadata", &blackstart::playbook::metadata::markdown());
}

#[test]
fn the_page_on_controls_has_the_registry() {
    same("src/docs/controls.md", "controls", &blackstart::controls::markdown());
}

/// Compares what stands between `<!-- NAME -->` and `<!-- /NAME -->`.
fn same(file: &str, name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = text.find(&open).unwrap_or_else(|| panic!("{file} has no {open}")) + open.len();
    let end = start + text[start..].find(&close).unwrap_or_else(|| panic!("{file} has no {close}"));
    let wanted = format!("\n{}\n", wanted.trim_end_matches('\n').to_owned() + "\n");
    if std::env::var_os("BLACKSTART_BLESS").is_some() {
        fs::write(&path, format!("{}{wanted}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert_eq!(text[start..end], wanted, "{file} is out of step; BLACKSTART_BLESS=1 cargo test --test docs");
}
