//! Several files at once: each is parsed, its includes are merged in, and everything wrong in any of them is returned.

use super::ast::{Ast, FileKind};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::parse;
use super::source::{SourceText, Sources};
use super::tree::{self, Name, Node, Value};
use super::{game_day, suggest};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a file that a playbook includes, by its path beside the playbook.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// A file may include so many others.
const MOST_INCLUDES: usize = 64;

/// Parses all files; every mistake in any of them is in the second part. A file that is no tree at all has no `Ast`.
#[must_use]
pub fn load(files: &[SourceText], read: ReadFile<'_>) -> (Vec<Ast>, Vec<Diagnostic>) {
    let (mut asts, mut said) = (Vec::new(), Vec::new());
    for file in files {
        let (ast, found) = load_one(file, read);
        asts.extend(ast);
        said.extend(found);
    }
    (asts, said)
}

fn load_one(file: &SourceText, read: ReadFile<'_>) -> (Option<Ast>, Vec<Diagnostic>) {
    let mut said = Diagnostics::new(Sources(vec![Arc::new(file.clone())]));
    let Some(mut root) = tree::parse(0, &said) else { return (None, said.finish()) };
    let Some(kind) = parse::kind(&root, &said) else { return (None, said.finish()) };
    match kind {
        FileKind::Drill => {
            merge_includes(&mut root, &mut said, read);
            let _ = parse::drill(&root, &said);
        }
        FileKind::GameDay => drop(game_day::parse(&root, &said)),
        FileKind::Configuration => {}
    }
    let broken = said.failed();
    let ast = Ast { sources: said.sources.clone(), root, kind, broken };
    (Some(ast), said.finish())
}

/// Reads every file under `include:` and merges what it shares into the playbook's own sections.
fn merge_includes(root: &mut Node, said: &mut Diagnostics, read: ReadFile<'_>) {
    let Value::Mapping(entries) = &mut root.value else { return };
    let Some(at) = entries.iter().position(|(k, _)| k.text == "include") else { return };
    let (_, list) = entries.remove(at);
    let items = match list.value {
        Value::Sequence(ref items) => items.clone(),
        _ => vec![list],
    };
    for item in items.iter().take(MOST_INCLUDES) {
        let Some(tree) = included(item, said, read) else { continue };
        for (key, value) in tree.entries() {
            merge_section(root, key, value, said);
        }
    }
}

fn included(item: &Node, said: &mut Diagnostics, read: ReadFile<'_>) -> Option<Node> {
    let Some(path) = item.text() else {
        let message = format!("`include` is a list of paths, but this is {}", item.kind());
        said.push(said.error(item.region, message).help("write `include: [shared/targets.yaml]`"));
        return None;
    };
    let full: PathBuf = said.sources.main().folder().join(path);
    let source = match read(&full) {
        Ok(bytes) => SourceText::from_bytes(full, &bytes),
        Err(why) => {
            let error = said.error(item.region, format!("cannot read `{}`: {why}", full.display()));
            said.push(error.help("paths are relative to the playbook"));
            return None;
        }
    };
    let file = u16::try_from(said.sources.0.len()).ok()?;
    said.sources.0.push(Arc::new(source));
    let tree = tree::parse(file, said)?;
    if !matches!(tree.value, Value::Mapping(_)) {
        said.push(
            said.error(tree.region, "an included file is a mapping with `targets`, `guards`, `secrets` or `params`"),
        );
        return None;
    }
    for (key, _) in tree.entries().iter().filter(|(k, _)| !parse::SHARED.contains(&k.text.as_str())) {
        let error = said.error(key.region, format!("an included file has no key `{}`", key.text));
        said.push(error.help(suggest::help(&key.text, &parse::SHARED, "keys")));
    }
    Some(tree)
}

fn merge_section(root: &mut Node, key: &Name, value: &Node, said: &Diagnostics) {
    let Value::Mapping(entries) = &mut root.value else { return };
    if !parse::SHARED.contains(&key.text.as_str()) {
        return;
    }
    let Some((_, own)) = entries.iter_mut().find(|(k, _)| k.text == key.text) else {
        entries.push((key.clone(), value.clone()));
        return;
    };
    match (&mut own.value, &value.value) {
        (Value::Sequence(own), Value::Sequence(more)) => own.extend(more.iter().cloned()),
        (Value::Mapping(own), Value::Mapping(more)) => {
            for (name, node) in more {
                if let Some((first, _)) = own.iter().find(|(k, _)| k.text == name.text) {
                    let message = format!("`{}` stands under `{}` in two files", name.text, key.text);
                    let other = said.sources.of(name.region).path.display().to_string();
                    said.push(
                        said.error(first.region, message).label(format!("also in {other}")).help("rename one of them"),
                    );
                } else {
                    own.push((name.clone(), node.clone()));
                }
            }
        }
        _ => {
            let message = format!("`{}` is {} here and {} in the playbook", key.text, value.kind(), own.kind());
            said.push(said.error(value.region, message));
        }
    }
}
