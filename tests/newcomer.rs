//! Takes the page on writing a fault at its word: its file and its two lines are added to a copy of the sources, and
//! nothing else is; then the new fault's own test passes there, and those of the program's lists.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands in the code block between `<!-- NAME -->` and `<!-- /NAME -->`.
fn block(page: &str, name: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n```rust,ignore\n"), format!("```\n<!-- /{name} -->"));
    let start = page.find(&open).unwrap_or_else(|| panic!("no block {name}")) + open.len();
    page[start..start + page[start..].find(&close).unwrap()].to_owned()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Cargo in the copy, with the dependencies that are compiled already.
fn cargo(project: &Path, arguments: &[&str]) -> String {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_blackstart")).parent().unwrap().parent().unwrap().to_path_buf();
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(project).env("CARGO_TARGET_DIR", built).env("CARGO_TERM_COLOR", "never");
    // What cargo and its runners tell this test of itself would be told to build scripts: they would do all their work again,
    // and once more for the next who builds here.
    let of_this_test = |name: &str| {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "NEXTEST", "__NEXTEST"];
        told.iter().any(|start| name.starts_with(start))
            || [
                "CARGO",
                "CARGO_CRATE_NAME",
                "CARGO_PRIMARY_PACKAGE",
                "CARGO_TARGET_TMPDIR",
                "OUT_DIR",
                "LD_LIBRARY_PATH",
            ]
            .contains(&name)
    };
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| of_this_test(name)).for_each(|name| {
        command.env_remove(name);
    });
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_fault_is_one_file_and_two_lines() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("src/docs/writing_a_fault.md")).unwrap();
    let place = tempfile::Builder::new().prefix("blackstart-newcomer.").tempdir_in("/var/tmp").unwrap();
    // The manifest names targets under tests/, so they must be there.
    for part in ["Cargo.toml", "Cargo.lock", "README.md", "src", "drills", "tests"] {
        copy(&here.join(part), &place.path().join(part));
    }
    fs::write(place.path().join("src/faults/process_nice.rs"), block(&page, "file")).unwrap();
    let registry = place.path().join("src/faults/mod.rs");
    let text = fs::read_to_string(&registry).unwrap();
    let after = |text: &str, line: &str, new: &str| {
        assert_eq!(text.matches(line).count(), 1, "{line}");
        text.replacen(line, &format!("{line}{new}"), 1)
    };
    let text = after(&text, "mod process_pause;\n", &block(&page, "module"));
    let text = after(&text, "= \"process_pause\",\n", &block(&page, "registry"));
    fs::write(&registry, text).unwrap();
    // The fault's own test, and those of the lists and of the reference, which look at each kind.
    let tests = ["faults::process_nice::", "cli::list::", "cli::reference::"];
    let said = cargo(place.path(), &[&["test", "--locked", "--lib", "--"], &tests[..]].concat());
    assert!(said.contains("faults::process_nice::tests::conforms_on_real_processes ... ok"), "{said}");
}
