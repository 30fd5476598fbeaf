//! Reads a mapping by hand where a kind stands beside modifiers: what is asked for is known, everything else is a mistake.

use super::diagnostic::Diagnostics;
use super::source::Region;
use super::suggest;
use super::tree::{Name, Node, Value};

/// The entries of a mapping that are read one after the other.
pub struct Fields<'a> {
    entries: &'a [(Name, Node)],
    label: String,
    region: Region,
    said: &'a Diagnostics,
    known: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Of a mapping; anything else is reported. `label` is how it is called in a message.
    #[must_use]
    pub fn of(node: &'a Node, label: &str, said: &'a Diagnostics) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            let message = format!("{label} is written as `key: value` pairs, but this is {}", node.kind());
            said.push(
                said.error(node.region, message).help("write `{key: value, …}`, or the keys on lines of their own"),
            );
            return None;
        };
        Some(Self { entries, label: label.to_owned(), region: node.region, said, known: Vec::new() })
    }

    /// An entry, if it is there; a key without a value is reported.
    pub fn entry(&mut self, key: &'a str) -> Option<&'a (Name, Node)> {
        self.known.push(key);
        let found = self.entries.iter().find(|(name, _)| name.text == key)?;
        if found.1.is_null() {
            let error = self.said.error(found.0.region, format!("`{key}` has no value"));
            self.said.push(error.help("write one, or take the key out"));
            return None;
        }
        Some(found)
    }

    /// The value of a key, if it is there.
    pub fn get(&mut self, key: &'a str) -> Option<&'a Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &'a str, example: &str) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() && !self.entries.iter().any(|(name, _)| name.text == key) {
            let error = self.said.error(self.region, format!("{} needs `{key}`", self.label));
            self.said.push(error.help(format!("add `{example}`")));
        }
        found
    }

    /// The items of a list.
    pub fn list(&mut self, key: &'a str) -> &'a [Node] {
        match self.get(key) {
            None => &[],
            Some(Node { value: Value::Sequence(items), .. }) => items,
            Some(other) => {
                let error = self.said.error(other.region, format!("`{key}` is a list, but this is {}", other.kind()));
                self.said.push(error.help(format!("write the entries of `{key}` as lines that begin with `- `")));
                &[]
            }
        }
    }

    /// The entries of a mapping from names to values.
    pub fn map(&mut self, key: &'a str) -> &'a [(Name, Node)] {
        match self.get(key) {
            None => &[],
            Some(Node { value: Value::Mapping(entries), .. }) => entries,
            Some(other) => {
                let message = format!("`{key}` is a mapping from names, but this is {}", other.kind());
                self.said.push(self.said.error(other.region, message).help(format!("write `{key}: {{NAME: …}}`")));
                &[]
            }
        }
    }

    /// The text of a single value.
    pub fn text(&mut self, key: &'a str) -> Option<Name> {
        let node = self.get(key)?;
        text_of(node, key, self.said)
    }

    /// Keys that are known though nobody asked for them here.
    pub fn allow(&mut self, keys: &[&'a str]) {
        self.known.extend(keys);
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (name, _) in self.entries.iter().filter(|(name, _)| !self.known.contains(&name.text.as_str())) {
            let error = self.said.error(name.region, format!("{} has no key `{}`", self.label, name.text));
            self.said.push(error.help(suggest::help(&name.text, &self.known, "keys")));
        }
    }
}

/// The text of a single value; anything else is reported.
pub fn text_of(node: &Node, key: &str, said: &Diagnostics) -> Option<Name> {
    if let Some(text) = node.text() {
        return Some(Name { text: text.to_owned(), region: node.region });
    }
    said.push(said.error(node.region, format!("`{key}` is a single text, but this is {}", node.kind())));
    None
}
