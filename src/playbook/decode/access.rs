//! How lists, mappings and kinds hand their parts to serde: what is marked as wrong is left out.

use super::value::{De, View};
use super::{Cx, Trouble, address};
use crate::playbook::source::Region;
use crate::playbook::suggest;
use crate::playbook::tree::{Node, Value};
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// A key that is there but wrong, or misspelt, is not missing besides.
pub(super) fn meant(key: &str, field: &str) -> bool {
    key == field || suggest::nearest(key, [field]).is_some()
}

pub(super) struct Items<'a> {
    pub(super) items: std::slice::Iter<'a, Node>,
    pub(super) label: &'a str,
    pub(super) cx: &'a Cx<'a>,
}

impl<'de, 'a: 'de> SeqAccess<'de> for Items<'a> {
    type Error = Trouble;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Trouble> {
        let Some(node) = self.items.by_ref().find(|n| !self.cx.is_wrong(n)) else { return Ok(None) };
        let value = seed.deserialize(De::new(node, self.label, self.cx));
        value.map(Some).map_err(|e| self.cx.mark(e, node, self.label))
    }
}

pub(super) struct Entries<'e, 'a> {
    pub(super) entries: std::slice::Iter<'e, (&'a str, Region, &'a Node)>,
    pub(super) value: Option<(&'a str, &'a Node)>,
    pub(super) label: &'a str,
    pub(super) cx: &'a Cx<'a>,
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
pub(super) struct Kind<'a> {
    pub(super) name: &'a str,
    pub(super) at: Region,
    pub(super) content: Option<De<'a>>,
    pub(super) known: &'static [&'static str],
    pub(super) of: De<'a>,
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
