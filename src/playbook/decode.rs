//! Decodes a tree into the structs of the kinds, by plain serde derives, with every mistake at its exact place.
//!
//! A derived `Deserialize` stops at its first error. So a wrong entry is reported, marked, and the whole value decoded
//! again without it, until nothing new is found: a handful of passes over a small tree, and all mistakes are known.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::source::Region;
use super::substitute::UNKNOWN;
use super::suggest;
use super::tree::{Name, Node, Value};
use crate::model::Template;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// So many mistakes in one value are reported.
const MOST_PASSES: usize = 40;

/// Kinds that the language has and this version does not: they are said to come, not taken for slips of the finger.
const LATER: &[&str] = &[
    "amqp",
    "cassandra",
    "certificate",
    "cloudfoundry",
    "container_kill",
    "container_pause",
    "container_stop",
    "couchdb",
    "cpu",
    "cut",
    "delay",
    "disk_fill",
    "dns",
    "docker",
    "etcd",
    "exec",
    "functions",
    "fingerprint",
    "kafka",
    "kube",
    "kubernetes",
    "load_balancer",
    "memory",
    "mongodb",
    "mysql",
    "network",
    "network_cut",
    "network_delay",
    "network_loss",
    "network_partition",
    "nats",
    "node_drain",
    "partition",
    "pgbackrest",
    "pod_delete",
    "pod_kill",
    "proxy",
    "redis",
    "s3",
    "s3_delete",
    "scale",
    "service_stop",
    "snapshot",
    "ssh",
    "systemd",
    "systemd_stop",
    "zone_loss",
];

/// Decodes a value. `None` after at least one diagnostic.
#[must_use]
pub fn decode<T: DeserializeOwned>(node: &Node, label: &str, diagnostics: &Diagnostics) -> Option<T> {
    let cx = Cx { diagnostics, wrong: RefCell::default() };
    let de = De { node: View::Node(node), region: node.region, label, cx: &cx, raw: false };
    for _ in 0..MOST_PASSES {
        let marked = cx.wrong.borrow().len();
        match T::deserialize(de) {
            Ok(value) => return (marked == 0).then_some(value),
            Err(Trouble::Again) if cx.wrong.borrow().len() > marked => {}
            Err(Trouble::Again | Trouble::Said) => return None,
            Err(open) => {
                cx.say(open, node.region, label);
                return None;
            }
        }
    }
    None
}

/// Why decoding stopped.
#[derive(Debug)]
enum Trouble {
    /// Said, and the wrong entry is marked: decode again without it.
    Again,
    /// Said, and what holds it cannot be made.
    Said,
    /// Not said yet.
    Plain(String),
    UnknownField(String, &'static [&'static str]),
    UnknownVariant(String, &'static [&'static str]),
    Missing(&'static str),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Trouble {}

impl de::Error for Trouble {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Plain(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Map => "a mapping".to_owned(),
            de::Unexpected::Str(s) => format!("`{s}`"),
            other => other.to_string(),
        };
        Self::Plain(format!("expected {wanted}, found {found}"))
    }

    fn invalid_length(length: usize, wanted: &dyn de::Expected) -> Self {
        Self::Plain(format!("expected {wanted}, found {length}"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownField(field.to_owned(), known)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownVariant(variant.to_owned(), known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

struct Cx<'a> {
    diagnostics: &'a Diagnostics,
    /// Addresses of values that are wrong; the tree does not move while it is decoded.
    wrong: RefCell<HashSet<usize>>,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

impl Cx<'_> {
    fn is_wrong(&self, node: &Node) -> bool {
        self.wrong.borrow().contains(&address(node))
    }

    fn say(&self, trouble: Trouble, region: Region, label: &str) {
        let error = |message: String| self.diagnostics.error(region, message);
        let diagnostic = match trouble {
            Trouble::Again | Trouble::Said => return,
            Trouble::Plain(message) => plain(error, &message, label),
            Trouble::UnknownField(field, known) => {
                error(format!("`{label}` has no key `{field}`")).help(suggest::help(&field, known, "keys"))
            }
            Trouble::UnknownVariant(found, known) => unknown_kind(error, &found, known, label),
            Trouble::Missing(field) => {
                error(format!("`{label}` needs `{field}`")).help(format!("add `{field}:` to `{label}`"))
            }
        };
        self.diagnostics.push(diagnostic);
    }

    /// Says what is not said yet, marks the entry, and asks for another pass.
    fn mark(&self, trouble: Trouble, node: &Node, label: &str) -> Trouble {
        if !matches!(trouble, Trouble::Again) {
            self.say(trouble, node.region, label);
            self.wrong.borrow_mut().insert(address(node));
        }
        Trouble::Again
    }
}

/// A message of a type's own: what is before `; ` is the reason, what follows says what to write.
fn plain(error: impl Fn(String) -> Diagnostic, message: &str, label: &str) -> Diagnostic {
    match message.split_once("; ") {
        Some((reason, help)) => error(format!("`{label}`: {reason}")).help(help),
        None => error(format!("`{label}`: {message}")),
    }
}

fn unknown_kind(error: impl Fn(String) -> Diagnostic, found: &str, known: &[&str], label: &str) -> Diagnostic {
    if known.contains(&"equals") {
        return match suggest::nearest(found, known.iter().copied()) {
            Some(meant) => {
                error(format!("`{label}` knows no comparison `{found}`")).help(format!("did you mean `{meant}`?"))
            }
            None => error(format!("`{label}` names no comparison"))
                .help(format!("write `{{equals: {found}}}`; there are {}", suggest::list(known.iter().copied()))),
        };
    }
    if LATER.contains(&found) {
        return error(format!("this version has no `{found}` under `{label}` yet"))
            .help(format!("known here: {}", suggest::list(known.iter().copied())));
    }
    let diagnostic = error(format!("`{label}` knows no `{found}`"));
    match suggest::nearest(found, known.iter().copied()) {
        None if known.contains(&"command") && found.contains(['/', ' ', '.']) => {
            let words = found.split_whitespace().collect::<Vec<_>>().join(", ");
            diagnostic.help(format!("write `{label}: {{command: [{words}]}}`"))
        }
        _ => diagnostic.help(suggest::help(found, known, "here")),
    }
}

/// What is decoded: a value, or a list of entries that stands for a mapping (a command and what is written beside it).
#[derive(Clone, Copy)]
enum View<'a> {
    Node(&'a Node),
    /// `command: [argv…]` with its siblings.
    Command(&'a Node, &'a [(Name, Node)]),
}

#[derive(Clone, Copy)]
struct De<'a> {
    node: View<'a>,
    region: Region,
    /// The key under which it stands.
    label: &'a str,
    cx: &'a Cx<'a>,
    /// References may stay in this text.
    raw: bool,
}

impl<'a> De<'a> {
    fn new(node: &'a Node, label: &'a str, cx: &'a Cx<'a>) -> Self {
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

/// A key that is there but wrong, or misspelt, is not missing besides.
fn meant(key: &str, field: &str) -> bool {
    key == field || suggest::nearest(key, [field]).is_some()
}

fn entry((name, node): &(Name, Node)) -> (&str, Region, &Node) {
    (&name.text, name.region, node)
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    label: &'a str,
    cx: &'a Cx<'a>,
}

impl<'de, 'a: 'de> SeqAccess<'de> for Items<'a> {
    type Error = Trouble;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Trouble> {
        let Some(node) = self.items.by_ref().find(|n| !self.cx.is_wrong(n)) else { return Ok(None) };
        let value = seed.deserialize(De::new(node, self.label, self.cx));
        value.map(Some).map_err(|e| self.cx.mark(e, node, self.label))
    }
}

struct Entries<'e, 'a> {
    entries: std::slice::Iter<'e, (&'a str, Region, &'a Node)>,
    value: Option<(&'a str, &'a Node)>,
    label: &'a str,
    cx: &'a Cx<'a>,
}

impl<'de, 'a: 'de> MapAccess<'de> for Entries<'_, 'a> {
    type Error = Trouble;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Trouble> {
        let Some((key, at, node)) = self.entries.by_ref().find(|(_, _, n)| !self.cx.is_wrong(n)) else {
            return Ok(None);
        };
        self.value = Some((key, node));
        let name: de::value::StrDeserializer<'_, Trouble> = de::IntoDeserializer::into_deserializer(*key);
        seed.deserialize(name).map(Some).map_err(|e| {
            self.cx.say(e, *at, self.label);
            self.cx.wrong.borrow_mut().insert(address(node));
            Trouble::Again
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Trouble> {
        let Some((key, node)) = self.value.take() else { return Err(Trouble::Said) };
        seed.deserialize(De::new(node, key, self.cx)).map_err(|e| self.cx.mark(e, node, key))
    }
}

/// What stands under a kind that is written alone.
static NOTHING: Node = Node { region: Region { file: 0, start: 0, end: 0 }, value: Value::Mapping(Vec::new()) };

/// The kind of something, and what stands under it.
struct Kind<'a> {
    name: &'a str,
    at: Region,
    content: Option<De<'a>>,
    known: &'static [&'static str],
    of: De<'a>,
}

impl<'de, 'a: 'de> EnumAccess<'de> for Kind<'a> {
    type Error = Trouble;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Trouble> {
        if !self.known.contains(&self.name) {
            let unknown = Trouble::UnknownVariant(self.name.to_owned(), self.known);
            self.of.cx.say(unknown, self.at, self.of.label);
            return Err(Trouble::Said);
        }
        let name: de::value::StrDeserializer<'_, Trouble> = de::IntoDeserializer::into_deserializer(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de, 'a: 'de> Kind<'a> {
    /// Says what the content did not say itself.
    fn inside<T>(&self, result: Result<T, Trouble>) -> Result<T, Trouble> {
        match (result, &self.content) {
            (Err(Trouble::Again), _) => Err(Trouble::Again),
            (Err(e), Some(content)) => {
                content.cx.say(e, content.region, self.name);
                Err(Trouble::Said)
            }
            (other, _) => other,
        }
    }

    fn content(&self) -> Result<De<'a>, Trouble> {
        self.content.ok_or_else(|| {
            let name = self.name;
            Trouble::Plain(format!("`{name}` says nothing alone; write `{name}: …` with its parameters"))
        })
    }

    /// A kind alone, whose parameters all have defaults.
    fn alone<T: DeserializeSeed<'de>>(&self, seed: T) -> Result<T::Value, Trouble> {
        let content = De { node: View::Node(&NOTHING), region: self.at, label: self.name, cx: self.of.cx, raw: false };
        match seed.deserialize(content) {
            Err(Trouble::Plain(_)) => {
                Err(Trouble::Plain(format!("`{0}` says nothing alone; write `{0}: …` with its parameters", self.name)))
            }
            other => other,
        }
    }
}

impl<'de, 'a: 'de> VariantAccess<'de> for Kind<'a> {
    type Error = Trouble;

    fn unit_variant(self) -> Result<(), Trouble> {
        match &self.content {
            Some(content) if !matches!(content.node, View::Node(n) if n.is_null()) => {
                Err(Trouble::Plain(format!("`{0}` takes no parameters; write it alone: `{0}`", self.name)))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Trouble> {
        let Some(content) = self.content else { return self.alone(seed) };
        self.inside(seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Trouble> {
        let content = self.content()?;
        self.inside(content.deserialize_tuple(length, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Trouble> {
        let content = self.content()?;
        self.inside(content.deserialize_map(visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::RenderStyle;
    use super::super::source::{SourceText, Sources};
    use super::super::tree;
    use super::*;
    use crate::faults::FaultSpec;
    use crate::model::{Comparison, RunSpec};
    use crate::probes::ProbeSpec;
    use std::sync::Arc;

    fn read<T: DeserializeOwned>(text: &str) -> (Option<T>, String) {
        let diagnostics = Diagnostics::new(Sources(vec![Arc::new(SourceText::new("a.yaml", text))]));
        let node = tree::parse(0, &diagnostics).unwrap();
        let value = decode(&node, "thing", &diagnostics);
        let said = diagnostics.finish().iter().map(|d| d.render(RenderStyle::Plain)).collect();
        (value, said)
    }

    #[test]
    fn short_and_long_commands_are_the_same() {
        let (short, said) = read::<ProbeSpec>("{command: [a, b], stdout: {equals: 1}, timeout: 3s}\n");
        assert_eq!(said, "");
        let (long, said) = read::<ProbeSpec>("command: {argv: [a, b], stdout: {equals: 1}, timeout: 3s}\n");
        assert_eq!(said, "");
        assert!(short.is_some() && short == long);
        assert!(read::<RunSpec>("command: [a]\n").0.is_some());
    }

    #[test]
    fn all_mistakes_of_a_value_are_found_in_one_go() {
        let (value, said) = read::<ProbeSpec>(
            "http:\n  url: http://x/\n  metod: GET\n  timeout: 5\n  expect: {status: two, bdy: 1}\n  value: {at_leest: 2}\n",
        );
        assert!(value.is_none());
        for wanted in [
            "did you mean `method`",
            "`5` is not a duration",
            "`two`",
            "did you mean `body`",
            "did you mean `at_least`",
        ] {
            assert!(said.contains(wanted), "{wanted} in\n{said}");
        }
    }

    #[test]
    fn a_missing_key_is_not_reported_when_it_is_only_wrong() {
        let (_, said) = read::<FaultSpec>("process_kill: {target: [x], back: supervised}\n");
        assert!(!said.contains("needs"), "{said}");
        let (_, said) = read::<FaultSpec>("process_kill: {back: supervised}\n");
        assert!(said.contains("`process_kill` needs `target`"), "{said}");
    }

    #[test]
    fn references_stay_only_where_they_may() {
        let (value, said) = read::<ProbeSpec>("tcp: {address: \"${targets.a.host}:1\", timeout: \"${secrets.t}\"}\n");
        assert!(value.is_none() && said.contains("known only when the drill runs"), "{said}");
        let (value, _) = read::<Comparison>("equals: \"$${x}\"\n");
        assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"equals":"$${x}"}"#);
    }

    #[test]
    fn a_kind_that_comes_later_is_no_slip() {
        let (_, said) = read::<FaultSpec>("network_delay: {by: 10ms}\n");
        assert!(said.contains("this version has no `network_delay`"), "{said}");
    }

    #[test]
    fn a_range_has_two_ends() {
        assert!(read::<Comparison>("between: [1, 2]\n").0.is_some());
        assert!(read::<Comparison>("between: [1]\n").1.contains("a list of 2"));
        assert!(read::<Comparison>("between: 3\n").1.contains("a list"));
    }
}
