//! The deserializer over a value of the tree.

use super::access::{Entries, Items, Kind, meant};
use super::{Cx, Trouble};
use crate::model::Template;
use crate::playbook::source::Region;
use crate::playbook::substitute::UNKNOWN;
use crate::playbook::suggest;
use crate::playbook::tree::{Name, Node, Value};
use serde::de::{Deserializer, Visitor};

/// What is decoded: a value, or a list of entries that stands for a mapping (a command and what is written beside it).
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Node(&'a Node),
    /// `command: [argv…]` with its siblings.
    Command(&'a Node, &'a [(Name, Node)]),
}

#[derive(Clone, Copy)]
pub(super) struct De<'a> {
    pub(super) node: View<'a>,
    pub(super) region: Region,
    /// The key under which it stands.
    pub(super) label: &'a str,
    pub(super) cx: &'a Cx<'a>,
    /// References may stay in this text.
    pub(super) raw: bool,
}

impl<'a> De<'a> {
    pub(super) fn new(node: &'a Node, label: &'a str, cx: &'a Cx<'a>) -> Self {
        Self { node: View::Node(node), region: node.region, label, cx, raw: false }
    }

    fn wanted<T>(&self, wanted: &str) -> Result<T, Trouble> {
        let found = match self.node {
            View::Node(node) if node.is_null() => {
                return Err(Trouble::Plain("it has no value; write one, or take the key out".to_owned()));
            }
            View::Node(node) => match node.text() {
                Some(text) => format!("`{text}`"),
                None => node.kind().to_owned(),
            },
            View::Command(..) => "a mapping".to_owned(),
        };
        let help = match wanted {
            "a mapping" => "write `{key: value, …}`, or the keys on lines of their own",
            "a list" => "write `[A, B]`, or the items on lines that begin with `- `",
            "a single value" => "write one value, without brackets",
            "a number" | "a whole number" => "write digits alone, like 8",
            _ => "",
        };
        let help = if help.is_empty() { format!("write {wanted}") } else { help.to_owned() };
        Err(Trouble::Plain(format!("expected {wanted}, found {found}; {help}")))
    }

    /// The text of a single value; references that are still in it are refused unless the field takes them.
    fn text(&self) -> Result<String, Trouble> {
        let View::Node(node) = self.node else { return self.wanted("a single value") };
        let Some(text) = node.text() else { return self.wanted("a single value") };
        if text.contains(UNKNOWN) {
            return Err(Trouble::Said);
        }
        if self.raw || !text.contains("${") {
            return Ok(text.to_owned());
        }
        match Template::parse(text) {
            Ok(template) => match (template.as_literal(), template.references().next()) {
                (Some(literal), _) => Ok(literal),
                (None, Some(_)) if self.label == "query" => Err(Trouble::Plain(
                    "values do not belong into the text of a query; \
                     write `$1` in it, and the value under `args: [\"${…}\"]`"
                        .to_owned(),
                )),
                (None, Some(reference)) => Err(Trouble::Plain(format!(
                    "`${{{reference}}}` is known only when the drill runs, this must be known when it is planned; \
                     use a value, or a `${{params.…}}`"
                ))),
                (None, None) => Ok(String::new()),
            },
            Err(e) => Err(Trouble::Plain(e.to_string())),
        }
    }

    fn number<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, Trouble> {
        let text = self.text()?;
        text.trim().parse().or_else(|_| self.wanted(wanted))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $ty:ty, $wanted:literal;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
            visitor.$visit(self.number::<$ty>($wanted)?)
        }
    )+};
}

impl<'de, 'a: 'de> Deserializer<'de> for De<'a> {
    type Error = Trouble;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        match self.node {
            View::Node(Node { value: Value::Scalar { .. }, .. }) => visitor.visit_string(self.text()?),
            View::Node(Node { value: Value::Sequence(_), .. }) => self.deserialize_seq(visitor),
            View::Node(_) | View::Command(..) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        match self.text()?.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Trouble::Plain(format!("`{other}` is neither true nor false; write `true` or `false`"))),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number, not negative";
        deserialize_u64 visit_u64 u64, "a whole number, not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Trouble> {
        self.wanted("a text")
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Trouble> {
        self.wanted("a text")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        // An empty value is a slip, not a way to say "none": the key would have been left out.
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Trouble> {
        self.wanted("nothing")
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Trouble> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, v: V) -> Result<V::Value, Trouble> {
        v.visit_newtype_struct(Self { raw: self.raw || name == Template::NAME, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        let View::Node(node @ Node { value: Value::Sequence(items), .. }) = self.node else {
            return self.wanted("a list");
        };
        let result = visitor.visit_seq(Items { items: items.iter(), label: self.label, cx: self.cx });
        match result {
            Err(Trouble::Plain(_)) if node.items().iter().any(|n| self.cx.is_wrong(n)) => Err(Trouble::Said),
            other => other,
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Trouble> {
        if let View::Node(Node { value: Value::Sequence(items), .. }) = self.node
            && items.len() != length
        {
            return Err(Trouble::Plain(format!(
                "expected a list of {length}, found a list of {}; write as many values",
                items.len()
            )));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, n: usize, v: V) -> Result<V::Value, Trouble> {
        self.deserialize_tuple(n, v)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        let entries: Vec<(&'a str, Region, &'a Node)> = match self.node {
            View::Node(Node { value: Value::Mapping(entries), .. }) => entries.iter().map(entry).collect(),
            View::Node(_) => return self.wanted("a mapping"),
            View::Command(node, beside) => {
                let own: Vec<_> = match &node.value {
                    Value::Mapping(entries) => entries.iter().map(entry).collect(),
                    _ => vec![("argv", node.region, node)],
                };
                own.into_iter().chain(beside.iter().filter(|(k, _)| k.text != "command").map(entry)).collect()
            }
        };
        let access = Entries { entries: entries.iter(), value: None, label: self.label, cx: self.cx };
        let hidden = |field: &str| entries.iter().any(|(key, _, n)| self.cx.is_wrong(n) && meant(key, field));
        match visitor.visit_map(access) {
            Err(Trouble::Missing(field)) if hidden(field) => Err(Trouble::Said),
            Err(Trouble::UnknownField(field, known)) => {
                let at = entries.iter().find(|(key, ..)| *key == field).map_or(self.region, |(_, at, _)| *at);
                self.cx.say(Trouble::UnknownField(field, known), at, self.label);
                Err(Trouble::Said)
            }
            Err(missing @ Trouble::Missing(_)) => {
                self.cx.say(missing, self.region, self.label);
                Err(Trouble::Said)
            }
            other => other,
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Trouble> {
        // A command's short form is the list of its words.
        if let View::Node(node @ Node { value: Value::Sequence(_), .. }) = self.node
            && fields.contains(&"argv")
        {
            return Self { node: View::Command(node, &[]), ..self }.deserialize_map(visitor);
        }
        let content = match self.node {
            View::Node(node) => node,
            View::Command(node, _) if fields.contains(&"argv") => node,
            // Not the kind of command that has words: all of its keys stand under it.
            View::Command(node, _) => {
                return De::new(node, self.label, self.cx).deserialize_struct("", fields, visitor);
            }
        };
        let is_words = matches!((self.node, &content.value), (View::Command(..), Value::Sequence(_)));
        if !matches!(content.value, Value::Mapping(_)) && !is_words && !content.is_null() {
            let found = content.text().map_or_else(|| content.kind().to_owned(), |t| format!("`{t}`"));
            if let (Some(text), true) = (content.text(), fields.contains(&"argv")) {
                let words = text.split_whitespace().collect::<Vec<_>>().join(", ");
                let reason = "a command is a list of words: there is no shell that splits a text";
                return Err(Trouble::Plain(format!("{reason}; write `{}: [{words}]`", self.label)));
            }
            let keys = suggest::list(fields.iter().copied());
            return Err(Trouble::Plain(format!("expected a mapping, found {found}; its keys are {keys}")));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Trouble> {
        let View::Node(node) = self.node else { return self.wanted("a kind") };
        let of =
            |name: &'a str, at: Region, content: Option<De<'a>>| Kind { name, at, content, known: variants, of: self };
        match &node.value {
            Value::Scalar { text, .. } if !node.is_null() => visitor.visit_enum(of(text, node.region, None)),
            Value::Mapping(entries) => match entries.as_slice() {
                [(key, value)] => {
                    let content = De::new(value, &key.text, self.cx);
                    visitor.visit_enum(of(&key.text, key.region, Some(content)))
                }
                _ if variants.contains(&"command") && node.get("command").is_some() => {
                    let found = entries.iter().find(|(k, _)| k.text == "command");
                    let Some((key, value)) = found else { return self.wanted("a kind") };
                    let content = De { node: View::Command(value, entries), ..De::new(value, &key.text, self.cx) };
                    visitor.visit_enum(of(&key.text, key.region, Some(content)))
                }
                [] => self.wanted(&format!("one of {}", suggest::list(variants.iter().copied()))),
                [.., (extra, _)] => {
                    let error =
                        self.cx.diagnostics.error(extra.region, format!("`{}` takes exactly one kind", self.label));
                    let known = suggest::list(variants.iter().copied());
                    self.cx.diagnostics.push(error.label("a second key").help(format!("write one of {known}")));
                    Err(Trouble::Said)
                }
            },
            Value::Sequence(_) if variants.contains(&"command") => {
                Err(Trouble::Plain(format!("a list of words needs its key; write `{}: {{command: […]}}`", self.label)))
            }
            _ => self.wanted(&format!("one of {}", suggest::list(variants.iter().copied()))),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Trouble> {
        visitor.visit_unit()
    }
}

fn entry((name, node): &(Name, Node)) -> (&str, Region, &Node) {
    (&name.text, name.region, node)
}
