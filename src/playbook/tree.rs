//! From YAML text to a tree whose every key and value knows its place. What the keys mean is not known here.
//!
//! The YAML crate is named only here, and where manifests are read, which need no places. Its event stream is used, not its
//! typed front: a typed front stops at the first mistake and loses places inside enums, and a playbook shows all of its
//! mistakes at once.
//! Invariant: time and memory are bounded by the limits below, whatever the text says.

use super::diagnostic::Diagnostics;
use super::source::Region;
use serde_yaml::granit_parser::{self as yaml, ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle};
use std::collections::{HashMap, HashSet};

/// A file may be so long.
const MOST_BYTES: usize = 16 << 20;
/// A tree may have so many values, aliases expanded.
const MOST_NODES: usize = 1_000_000;
/// All texts together may be so long, aliases expanded.
const MOST_TEXT: usize = 32 << 20;
/// Values may be nested so deep.
const DEEPEST: usize = 64;

/// A key of a mapping, or any text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub region: Region,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands.
    pub region: Region,
    /// What it is.
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, and whether it was written without quotes.
    Scalar {
        /// The text, escapes resolved.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in the order written; keys are distinct.
    Mapping(Vec<(Name, Node)>),
}

impl Node {
    /// What it is, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(items) if items.is_empty() => "an empty list",
            Value::Sequence(_) => "a list",
            Value::Mapping(entries) if entries.is_empty() => "an empty mapping",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// Nothing stands there, or `null`, or `~`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a single value.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Name, Self)] {
        if let Value::Mapping(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Value::Sequence(items) = &self.value { items } else { &[] }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }

    /// The first single value in it with this text: where a name that turned out wrong was written.
    #[must_use]
    pub fn find_text(&self, wanted: &str) -> Option<Region> {
        match &self.value {
            Value::Scalar { text, .. } => (text == wanted).then_some(self.region),
            Value::Sequence(items) => items.iter().find_map(|n| n.find_text(wanted)),
            Value::Mapping(entries) => entries.iter().find_map(|(_, n)| n.find_text(wanted)),
        }
    }

    /// The number of values in it, and the bytes of their texts.
    fn weight(&self) -> (usize, usize) {
        let sum = |(a, b): (usize, usize), (c, d): (usize, usize)| (a + c, b + d);
        match &self.value {
            Value::Scalar { text, .. } => (1, text.len()),
            Value::Sequence(items) => items.iter().map(Self::weight).fold((1, 0), sum),
            Value::Mapping(entries) => {
                entries.iter().map(|(k, v)| sum((0, k.text.len()), v.weight())).fold((1, 0), sum)
            }
        }
    }
}

/// Parses one file of the sources; what is wrong goes to `diagnostics`. `None` if there is no tree at all.
#[must_use]
pub fn parse(file: u16, diagnostics: &Diagnostics) -> Option<Node> {
    let whole = Region { file, start: 0, end: 0 };
    let source = diagnostics.sources.of(whole).clone();
    if let Some(at) = source.invalid {
        let place = Region { file, start: at, end: at + 1 };
        diagnostics.push(diagnostics.error(place, "the file is not UTF-8 text").help("save it as UTF-8"));
        return None;
    }
    if source.text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; a playbook may have {MOST_BYTES}", source.text.len());
        diagnostics.push(diagnostics.error(whole, message).help("split it into several drills"));
        return None;
    }
    let options = yaml::options! { emit_comments: false, emit_anchor_events: false };
    let parser = Parser::new_from_str_with_options(&source.text, options);
    let builder =
        Builder { file, diagnostics, open: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0, bytes: 0 };
    builder.run(parser, &source.text)
}

/// A list or mapping that is not closed yet.
struct Open {
    flow: bool,
    node: Node,
    anchor: usize,
    key: Option<Name>,
    keys: HashSet<String>,
}

struct Builder<'a> {
    file: u16,
    diagnostics: &'a Diagnostics,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, (usize, usize))>,
    nodes: usize,
    bytes: usize,
}

/// The tree cannot be finished; what is wrong has been said.
struct Stop;

impl Builder<'_> {
    fn run<'t>(
        mut self,
        parser: impl Iterator<Item = Result<(Event<'t>, yaml::Span), ScanError>>,
        text: &str,
    ) -> Option<Node> {
        for event in parser {
            let step = match event {
                Ok((event, span)) => self.event(event, &span),
                Err(error) => {
                    self.syntax_error(&error, text);
                    Err(Stop)
                }
            };
            if step.is_err() {
                return None;
            }
        }
        if self.root.is_none() {
            let message = "the file is empty";
            self.wrong(self.at(0, 0), message, "a playbook begins with `drill: NAME`; `blackstart init` writes one");
        }
        self.root
    }

    fn at(&self, start: usize, end: usize) -> Region {
        Region { file: self.file, start, end: end.max(start) }
    }

    fn region(&self, span: &yaml::Span) -> Region {
        let byte = |m: &yaml::Marker| m.byte_offset().unwrap_or_default();
        self.at(byte(&span.start), byte(&span.end))
    }

    fn wrong(&self, region: Region, message: impl Into<String>, help: &str) {
        self.diagnostics.push(self.diagnostics.error(region, message).help(help));
    }

    fn event(&mut self, event: Event<'_>, span: &yaml::Span) -> Result<(), Stop> {
        let region = self.region(span);
        if let Some(tag) = event.tag() {
            let _ = tag;
            let at = span.tag_span().map_or(region, |s| self.region(&s));
            self.wrong(at, "tags are not part of the playbook language", "take it out; types follow from the key");
            return Err(Stop);
        }
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let region = self.at(region.start, region.start + 3);
                self.wrong(
                    region,
                    "one file is one drill, but a second document begins here",
                    "put it into a file of its own",
                );
                Err(Stop)
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                if text.contains(super::substitute::UNKNOWN) {
                    self.wrong(region, "the character U+FFFC stands for an object that is not there", "take it out");
                    return Err(Stop);
                }
                let node = Node { region, value: Value::Scalar { text: text.into_owned(), plain } };
                self.keep_anchor(anchor, &node);
                let bytes = node.weight().1;
                self.add(node, 1, bytes)
            }
            Event::SequenceStart(style, anchor, _) => self.begin(region, Value::Sequence(Vec::new()), style, anchor),
            Event::MappingStart(style, anchor, _) => self.begin(region, Value::Mapping(Vec::new()), style, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(region),
            Event::Alias(id) => self.alias(id, region),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, region: Region, value: Value, style: StructureStyle, anchor: usize) -> Result<(), Stop> {
        if self.open.len() >= DEEPEST {
            self.wrong(
                region,
                format!("nested deeper than {DEEPEST} levels"),
                "no part of a playbook is nested that deep",
            );
            return Err(Stop);
        }
        let flow = style == StructureStyle::Flow;
        self.open.push(Open { flow, node: Node { region, value }, anchor, key: None, keys: HashSet::new() });
        Ok(())
    }

    fn end(&mut self, region: Region) -> Result<(), Stop> {
        let Some(mut done) = self.open.pop() else { return Ok(()) };
        // A block's end is where the next thing begins; its last value says better where it ended.
        let last = match &done.node.value {
            Value::Sequence(items) => items.last().map(|n| n.region.end),
            Value::Mapping(entries) => entries.last().map(|(_, n)| n.region.end),
            Value::Scalar { .. } => None,
        };
        done.node.region.end =
            if done.flow { region.end } else { last.unwrap_or(region.end) }.max(done.node.region.start);
        self.keep_anchor(done.anchor, &done.node);
        self.add(done.node, 1, 0)
    }

    fn keep_anchor(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), node.weight()));
        }
    }

    fn alias(&mut self, id: usize, region: Region) -> Result<(), Stop> {
        let Some((node, (nodes, bytes))) = self.anchors.get(&id) else {
            self.wrong(region, "this alias stands inside what it refers to", "write the value out");
            return Err(Stop);
        };
        let (nodes, bytes) = (*nodes, *bytes);
        if self.nodes + nodes > MOST_NODES || self.bytes + bytes > MOST_TEXT {
            let message = format!("with its aliases written out the file is larger than {MOST_NODES} values");
            self.wrong(region, message, "use fewer aliases; `params:` and `include:` share values too");
            return Err(Stop);
        }
        let node = node.clone();
        self.add(node, nodes, bytes)
    }

    fn add(&mut self, node: Node, nodes: usize, bytes: usize) -> Result<(), Stop> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MOST_NODES || self.bytes > MOST_TEXT {
            self.wrong(
                node.region,
                format!("the file has more than {MOST_NODES} values"),
                "split it into several drills",
            );
            return Err(Stop);
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match open.key.take() {
                Some(key) => {
                    // A second value for the same key was reported with the key; the first one stays.
                    if open.keys.insert(key.text.clone()) {
                        entries.push((key, node));
                    }
                }
                None => return self.key(node),
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }

    fn key(&mut self, node: Node) -> Result<(), Stop> {
        let Value::Scalar { text, .. } = node.value else {
            self.wrong(node.region, "a key must be a single word", "quote a value that holds `{`, `[` or `: `");
            return Err(Stop);
        };
        if text == "<<" {
            self.wrong(
                node.region,
                "merge keys are not part of the playbook language",
                "use `include:` or `params:` to share values",
            );
            return Err(Stop);
        }
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        let key = Name { text, region: node.region };
        if open.keys.contains(&key.text) {
            let first = open.node.entries().iter().find(|(k, _)| k.text == key.text).map(|(k, _)| k.region);
            let line = first.map_or(0, |r| self.diagnostics.sources.of(r).position(r.start).0);
            let message = format!("`{}` stands here twice", key.text);
            let error = self.diagnostics.error(key.region, message).label(format!("it stands in line {line} already"));
            self.diagnostics.push(error.help("keep one of them"));
        }
        open.key = Some(key);
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError, text: &str) {
        let at = error.marker().byte_offset().unwrap_or_default().min(text.len());
        if let Some(found) = bare_reference(text, at) {
            let region = self.at(found.start, found.end);
            let raw = &text[found];
            let error = self.diagnostics.error(region, "a `${…}` inside `{ }` or `[ ]` needs quotes");
            let error = error.label("YAML reads this brace as the begin of a mapping");
            return self.diagnostics.push(error.help(format!("write `\"{raw}\"`")));
        }
        if let Some(open) = self.unclosed(at, text) {
            let bracket = &text[open.start..=open.start];
            let line = self.diagnostics.sources.of(open).position(at).0;
            let region = self.at(open.start, open.start + 1);
            let error = self.diagnostics.error(region, format!("this `{bracket}` is not closed"));
            let error = error.label(format!("line {line} does not belong into it any more"));
            let close = if bracket == "[" { "]" } else { "}" };
            return self.diagnostics.push(error.help(format!("add the closing `{close}`")));
        }
        let (reason, help) = explain(error.kind());
        let region = self.at(at, at + 1);
        let error = self.diagnostics.error(region, "this is not YAML").label(reason.unwrap_or_else(|| error.info()));
        self.diagnostics.push(error.help(help));
    }
}

impl Builder<'_> {
    /// The innermost `{` or `[` that was opened in an earlier line than the error stands in. A pair without braces
    /// (`[a: 1]`) opens a mapping that no bracket closes: that is not one.
    fn unclosed(&self, at: usize, text: &str) -> Option<Region> {
        let bracket = |start: usize| matches!(text.as_bytes().get(start), Some(b'[' | b'{'));
        let open = self.open.iter().rev().take_while(|o| o.flow).map(|o| o.node.region).find(|r| bracket(r.start))?;
        let source = self.diagnostics.sources.of(open);
        (source.position(open.start).0 < source.position(at).0).then_some(open)
    }
}

/// The last unquoted `${…}` at or shortly before a syntax error, in the same line.
fn bare_reference(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let floor = |mut i: usize| {
        while !text.is_char_boundary(i) {
            i -= 1;
        }
        i
    };
    let at = floor(at);
    let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let stop = text[at..].find('\n').map_or(text.len(), |i| at + i);
    let mut quote = None;
    let mut depth = 0_u32;
    let mut found = None;
    for (i, c) in text[line..stop].char_indices().map(|(i, c)| (line + i, c)) {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '$') if text[i..].starts_with("${") && i <= at => {
                let end = text[i..stop].find('}').map_or(stop, |n| i + n + 1);
                found = (depth > 0).then_some(i..end);
                if found.is_some() {
                    break;
                }
            }
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// The commonest syntax errors in plain words; the others in the parser's.
fn explain(kind: &ErrorKind) -> (Option<String>, &'static str) {
    let (reason, help) = match kind {
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            ("a tab cannot indent", "indent with spaces")
        }
        ErrorKind::UnclosedQuotedScalar => ("this quote is never closed", "add the closing quote"),
        ErrorKind::InvalidQuotedScalarIndent | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("a quote before this is never closed", "add the closing quote")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence => ("a `{` or `[` is never closed", "add the closing `}` or `]`"),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            "a `,` or the closing bracket is missing before this",
            "separate entries with `, `; quote texts that hold `{ } [ ] ,`",
        ),
        ErrorKind::UnknownAnchor => ("there is no such anchor", "anchors are written `&name` before the value"),
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => {
            ("this is not indented like its neighbours", "align it with the other keys of the same mapping or list")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            ("a `:` cannot stand here", "quote a text that holds `: `")
        }
        ErrorKind::SimpleKeyExpected => ("a key without its `:`", "write `key: value`"),
        ErrorKind::RecursionLimitExceeded => ("nested too deep", "no part of a playbook is nested that deep"),
        _ => return (None, "look at the quotes, brackets and indentation here and just before"),
    };
    (Some(reason.to_owned()), help)
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::RenderStyle;
    use super::super::source::{SourceText, Sources};
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn tree(text: &str) -> (Option<Node>, String) {
        let diagnostics = Diagnostics::new(Sources(vec![Arc::new(SourceText::new("a.yaml", text))]));
        let node = parse(0, &diagnostics);
        let said = diagnostics.finish().iter().map(|d| d.render(RenderStyle::Plain)).collect();
        (node, said)
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "a: {b: \"x y\", c: [1, 'zwei']}\nd:\n  - e: 30s\n  - |\n    lines\n    more\n";
        let (node, said) = tree(text);
        assert_eq!(said, "");
        let node = node.unwrap();
        let raw = |n: &Node| text[n.region.start..n.region.end].to_owned();
        let a = node.get("a").unwrap();
        assert_eq!(raw(a), "{b: \"x y\", c: [1, 'zwei']}");
        assert_eq!(raw(a.get("b").unwrap()), "\"x y\"");
        assert_eq!(raw(&a.get("c").unwrap().items()[1]), "'zwei'");
        let d = node.get("d").unwrap();
        assert_eq!(raw(&d.items()[0]), "e: 30s");
        assert_eq!(d.items()[1].text(), Some("lines\nmore\n"));
        assert_eq!(&text[node.entries()[1].0.region.start..][..1], "d");
    }

    #[test]
    fn an_unquoted_reference_in_flow_style_is_explained() {
        for text in
            ["a: {rate: ${params.rate}, b: 1}\n", "a: [x, ${env.HOME}]\n", "a: {x: \"q\", u: http://${params.h}/}\n"]
        {
            let (_, said) = tree(text);
            assert!(said.contains("needs quotes"), "{text}: {said}");
        }
        assert!(tree("a: ${params.rate}\nb: \"${x}\"\n").1.is_empty(), "block style needs none");
    }

    #[test]
    fn an_alias_bomb_is_refused_early() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let many = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &format!("a{i}: &a{i} [{many}]\n");
        }
        assert!(tree(&text).1.contains("aliases"), "{}", tree(&text).1);
    }

    #[test]
    fn twenty_thousand_steps_are_fine() {
        let step = "  - {id: a, name: some text, run: {command: [./a, b, c]}, within: 10s}\n";
        let (node, said) = tree(&format!("restore:\n{}", step.repeat(20_000)));
        assert_eq!((node.unwrap().get("restore").unwrap().items().len(), said.as_str()), (20_000, ""));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"[\[\]{}:,$&*\-'\x22a-c0-9 \n\t|>!%#?é]{0,60}") {
            tree(&text);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let source = Arc::new(SourceText::from_bytes("a.yaml", &bytes));
            let diagnostics = Diagnostics::new(Sources(vec![source]));
            let _ = parse(0, &diagnostics);
            for d in diagnostics.finish() {
                prop_assert!(d.render(RenderStyle::Plain).contains("a.yaml"));
            }
        }
    }
}
