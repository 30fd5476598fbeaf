//! Reads Rust sources as the rules need them: what is code, what is comment or text, what is test, where functions
//! end. Not a parser: it knows just enough of the language to blank out what is no code.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub struct Source {
    /// Relative to the package.
    pub path: String,
    /// As written.
    pub text: String,
    /// Comments, strings and characters blanked out, line breaks kept.
    pub code: String,
    /// The same without what only tests are built from.
    pub product: String,
}

impl Source {
    /// From text.
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let test_file = path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/");
        let product = if test_file { String::new() } else { without_tests(&code) };
        Self { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    /// The top module it belongs to: `cli` for `src/cli/run.rs`, `clock` for `src/clock.rs`.
    pub fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or("");
        inner.split('/').next().unwrap_or("").trim_end_matches(".rs")
    }
}

/// All Rust sources below a folder of the package, in order.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut all = read_all(folder);
    let tests: Vec<String> = all.iter().flat_map(test_files).collect();
    for source in all.iter_mut().filter(|source| tests.contains(&source.path)) {
        source.product.clear();
    }
    all
}

/// The files that this one declares under `#[cfg(test)]`.
fn test_files(source: &Source) -> Vec<String> {
    let folder = match source.path.strip_suffix("/mod.rs").or_else(|| source.path.strip_suffix("/lib.rs")) {
        Some(folder) => folder.to_owned(),
        None => source.path.trim_end_matches(".rs").to_owned(),
    };
    let declared = source.code.match_indices("#[cfg(test)]").filter_map(|(at, attribute)| {
        let name = source.code[at + attribute.len()..].trim_start().strip_prefix("mod ")?.split(';').next()?;
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| format!("{folder}/{name}.rs"))
    });
    declared.collect()
}

fn read_all(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    files(&root.join(folder))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            Source::new(&name, &fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// All files below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Blanks out comments, strings and characters; line breaks stay where they are.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = foreign(rest, &code);
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// How many bytes from here on are comment, string or character; 0 if this is code.
fn foreign(rest: &str, before: &str) -> usize {
    let in_word = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if rest.starts_with('"') {
        string(rest)
    } else if !in_word && (rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br")) {
        raw_string(rest)
    } else if rest.starts_with('\'') {
        character(rest)
    } else {
        0
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> usize {
    let start = rest.trim_start_matches('b').trim_start_matches('r');
    let hashes = start.len() - start.trim_start_matches('#').len();
    let opening = rest.len() - start.len() + hashes;
    if !rest[opening..].starts_with('"') {
        return 0; // an identifier such as `r#type`, or `broken`
    }
    let closing = format!("\"{}", "#".repeat(hashes));
    rest[opening + 1..].find(&closing).map_or(rest.len(), |end| opening + 1 + end + closing.len())
}

/// A character; a lifetime is code.
fn character(rest: &str) -> usize {
    let mut inner = rest[1..].char_indices();
    match inner.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |end| end + 4),
        Some((_, c)) if rest[1 + c.len_utf8()..].starts_with('\'') => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// Blanks out every item that stands under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut product = code.to_owned();
    while let Some(start) = product.find("#[cfg(test)]") {
        let end = item_end(&product, start);
        let blanked: String = product[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        product.replace_range(start..end, &blanked);
    }
    product
}

/// The end of the item that begins here: its `;` or the brace that closes it.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0i32;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return start + at + usize::from(depth == 1),
            '}' => depth -= 1,
            ';' | ',' if depth == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Name, first line and number of lines of every function.
pub fn functions(code: &str) -> Vec<(String, usize, usize)> {
    words(code, "fn").into_iter().filter_map(|at| function(code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<(String, usize, usize)> {
    let name: String = code[at + 2..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return None; // the type of a function
    }
    let end = item_end(code, at);
    let first = code[..at].matches('\n').count() + 1;
    Some((name, first, code[at..end].matches('\n').count() + 1))
}

/// The parameters and result of every `pub fn`.
pub fn public_signatures(code: &str) -> Vec<(usize, &str)> {
    ["pub fn ", "pub async fn ", "pub const fn "]
        .iter()
        .flat_map(|start| code.match_indices(start))
        .map(|(at, _)| (code[..at].matches('\n').count() + 1, &code[at..at + code[at..].find(['{', ';']).unwrap_or(0)]))
        .collect()
}

/// Where a word stands as a whole word.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !code[..*at].chars().next_back().is_some_and(part))
        .filter(|at| !code[at + word.len()..].chars().next().is_some_and(part))
        .collect()
}

/// The top modules of this crate that the code names, with their lines; also in `use crate::{a, b::c}`.
pub fn crate_modules(code: &str) -> Vec<(String, usize)> {
    let mut named = Vec::new();
    for (at, found) in code.match_indices("crate::").chain(code.match_indices("blackstart::")) {
        let rest = &code[at + found.len()..];
        let line = code[..at].matches('\n').count() + 1;
        named.extend(heads(rest).into_iter().map(|name| (name, line)));
    }
    named
}

/// The first segment of a path, or of each path of a group.
fn heads(rest: &str) -> Vec<String> {
    let head =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![head(rest)];
    };
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    parts.iter().map(|part| head(part)).filter(|name| !name.is_empty()).collect()
}

mod tests {
    use super::*;

    #[test]
    fn text_and_comments_are_no_code() {
        let source = Source::new(
            "src/x.rs",
            "let a = \"println!\"; // println!\nlet b = r#\"println!\"#; /* println! */ let c = '\"'; d(\"\\\"println!\");",
        );
        assert!(!source.code.contains("println"), "{}", source.code);
        assert!(source.code.contains("let c ="), "{}", source.code);
        assert_eq!(source.code.matches('\n').count(), 1);
    }

    #[test]
    fn lifetimes_are_code() {
        let source = Source::new("src/x.rs", "fn f<'a>(x: &'a str) { g('x', '\\'', '\\n'); unwrap() }");
        assert!(source.code.contains("<'a>(x: &'a str)") && source.code.contains("unwrap"), "{}", source.code);
    }

    #[test]
    fn tests_are_no_product() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { x.unwrap() } }\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}";
        let product = Source::new("src/x.rs", text).product;
        assert!(product.contains("fn a") && product.contains("fn c") && product.contains("fn e"), "{product}");
        assert!(!product.contains("unwrap") && !product.contains("use d"), "{product}");
    }

    #[test]
    fn files_of_tests_are_found_by_their_declaration() {
        let in_folder =
            Source::new("src/faults/mod.rs", "mod a;\n#[cfg(test)]\nmod conformance;\n#[cfg(test)]\nmod b { }");
        assert_eq!(test_files(&in_folder), ["src/faults/conformance.rs"]);
        let beside = Source::new("src/plan/lower.rs", "#[cfg(test)]\nmod cases;");
        assert_eq!(test_files(&beside), ["src/plan/lower/cases.rs"]);
    }

    #[test]
    fn functions_have_their_length() {
        let code = "fn a() {\n  b();\n}\ntrait T { fn c();\n fn d() {} }\n";
        let found = functions(code);
        assert_eq!(found, [("a".to_owned(), 1, 3), ("c".to_owned(), 4, 1), ("d".to_owned(), 5, 1)]);
    }

    #[test]
    fn groups_name_each_module() {
        let found = crate_modules("use crate::{model::{Mono, Span}, event};\ncrate::clock::Clock");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["model", "event", "clock"]);
    }
}
