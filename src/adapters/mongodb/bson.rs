//! Documents as MongoDB stores and sends them (bsonspec.org, version 1.1): values into bytes, and bytes looked at where they
//! lie. Lengths are checked before anything is read, so that no answer can make it panic or allocate.

/// Documents in documents that are looked through when one is checked.
const DEPTH: usize = 100;

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// UTF-8.
    Text(String),
    /// A document.
    Doc(Fields),
    /// Several values.
    Array(Vec<Value>),
    /// Bytes of no particular kind.
    Bytes(Vec<u8>),
    /// Yes or no.
    Bool(bool),
    /// A number of 32 bits.
    Int(i32),
    /// A number of 64 bits.
    Long(i64),
    /// A value as it was read: its kind, and its bytes.
    Raw(u8, Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Doc(fields)
    }
}
impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Long(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// The elements of a document that is being written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more. Names hold no NUL: none comes from outside but collections', which are values.
    pub fn add(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.put(name, &value.into());
        self
    }

    fn put(&mut self, name: &str, value: &Value) {
        let bytes = &mut self.0;
        let kind = match value {
            Value::Text(_) => 0x02,
            Value::Doc(_) => 0x03,
            Value::Array(_) => 0x04,
            Value::Bytes(_) => 0x05,
            Value::Bool(_) => 0x08,
            Value::Int(_) => 0x10,
            Value::Long(_) => 0x12,
            Value::Raw(kind, _) => *kind,
        };
        bytes.push(kind);
        bytes.extend(name.bytes().filter(|byte| *byte != 0));
        bytes.push(0);
        match value {
            Value::Text(text) => {
                bytes.extend(length(text.len() + 1));
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
            }
            Value::Doc(fields) => fields.finish_into(bytes),
            Value::Array(values) => {
                let mut fields = Self::new();
                values.iter().enumerate().for_each(|(number, value)| fields.put(&number.to_string(), value));
                fields.finish_into(bytes);
            }
            Value::Bytes(data) => {
                bytes.extend(length(data.len()));
                bytes.push(0);
                bytes.extend_from_slice(data);
            }
            Value::Bool(flag) => bytes.push(u8::from(*flag)),
            Value::Int(number) => bytes.extend(number.to_le_bytes()),
            Value::Long(number) => bytes.extend(number.to_le_bytes()),
            Value::Raw(_, data) => bytes.extend_from_slice(data),
        }
    }

    /// Appends the whole document.
    pub fn finish_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend(length(self.0.len() + 5));
        bytes.extend_from_slice(&self.0);
        bytes.push(0);
    }
}

/// Nothing that is written here comes near what a length can say: records have at most 1 MiB.
fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).unwrap_or(u32::MAX).to_le_bytes()
}

/// A document as it was received: its own elements have been looked at and are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doc<'a>(&'a [u8]);

/// A value as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// What it is, as the specification numbers them.
    pub kind: u8,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Doc<'a> {
    /// A whole document and nothing else, in all its depth; none if it is not.
    pub fn whole(bytes: &'a [u8]) -> Option<Self> {
        Self::within(bytes, DEPTH)
    }

    /// One that was whole before.
    pub fn looked_at(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn within(bytes: &'a [u8], depth: usize) -> Option<Self> {
        let said = int(bytes)?;
        if usize::try_from(said).ok()? != bytes.len() || bytes.len() < 5 || *bytes.last()? != 0 {
            return None;
        }
        let mut rest = &bytes[4..bytes.len() - 1];
        while !rest.is_empty() {
            let (_, element, after) = next(rest)?;
            if element.kind == 0x03 || element.kind == 0x04 {
                Self::within(element.bytes, depth.checked_sub(1)?)?;
            }
            rest = after;
        }
        Some(Self(bytes))
    }

    /// All of it.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its elements, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Element<'a>)> {
        let mut rest = self.0.get(4..self.0.len().saturating_sub(1)).unwrap_or_default();
        std::iter::from_fn(move || {
            let (name, element, after) = next(rest)?;
            rest = after;
            Some((name, element))
        })
    }

    /// The first element of this name.
    pub fn get(self, name: &str) -> Option<Element<'a>> {
        self.iter().find(|(own, _)| *own == name).map(|(_, element)| element)
    }

    /// A text; empty if there is none.
    pub fn text(self, name: &str) -> &'a str {
        self.get(name).and_then(Element::text).unwrap_or_default()
    }

    /// A whole number, however it is stored.
    pub fn number(self, name: &str) -> Option<i64> {
        self.get(name).and_then(Element::number)
    }

    /// Is this there, and true?
    pub fn is(self, name: &str) -> bool {
        self.get(name).is_some_and(|element| element.kind == 0x08 && element.bytes == [1])
    }

    /// A document in it.
    pub fn doc(self, name: &str) -> Option<Self> {
        self.get(name).and_then(Element::doc)
    }

    /// The elements of an array in it; none if there is no such array.
    pub fn items(self, name: &str) -> impl Iterator<Item = Element<'a>> {
        let array = self.get(name).filter(|element| element.kind == 0x04).and_then(Element::doc);
        array.into_iter().flat_map(|array| array.iter().map(|(_, element)| element))
    }
}

impl<'a> Element<'a> {
    /// As text.
    pub fn text(self) -> Option<&'a str> {
        if self.kind != 0x02 {
            return None;
        }
        std::str::from_utf8(self.bytes.get(4..self.bytes.len().checked_sub(1)?)?).ok()
    }

    /// As a whole number: of 32 or 64 bits, or a double that is one.
    pub fn number(self) -> Option<i64> {
        match self.kind {
            0x10 => Some(i64::from(int(self.bytes)?)),
            0x12 => Some(i64::from_le_bytes(self.bytes.try_into().ok()?)),
            0x01 => {
                let double = f64::from_le_bytes(self.bytes.try_into().ok()?);
                // Beyond 2^53 a double is no exact number.
                (double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0).then_some(double as i64)
            }
            _ => None,
        }
    }

    /// A date: milliseconds since 1970.
    pub fn millis(self) -> Option<i64> {
        (self.kind == 0x09).then(|| self.bytes.try_into().ok().map(i64::from_le_bytes)).flatten()
    }

    /// A timestamp of the server: seconds above, a number within them below.
    pub fn timestamp(self) -> Option<u64> {
        (self.kind == 0x11).then(|| self.bytes.try_into().ok().map(u64::from_le_bytes)).flatten()
    }

    /// Bytes, whatever kind they say that they are.
    pub fn data(self) -> Option<&'a [u8]> {
        (self.kind == 0x05).then(|| self.bytes.get(5..)).flatten()
    }

    /// A document, or an array as one.
    pub fn doc(self) -> Option<Doc<'a>> {
        (self.kind == 0x03 || self.kind == 0x04).then_some(Doc(self.bytes))
    }

    /// To be written again.
    pub fn raw(self) -> Value {
        Value::Raw(self.kind, self.bytes.to_vec())
    }
}

fn int(bytes: &[u8]) -> Option<i32> {
    bytes.get(..4)?.try_into().ok().map(i32::from_le_bytes)
}

/// The first element, its name, and what comes after it.
fn next(bytes: &[u8]) -> Option<(&str, Element<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
    let (value, after) = rest.split_at_checked(size(*kind, rest)?)?;
    Some((name, Element { kind: *kind, bytes: value }, after))
}

/// How many bytes a value of this kind has.
fn size(kind: u8, rest: &[u8]) -> Option<usize> {
    let said = || usize::try_from(int(rest)?).ok();
    let text = || {
        let length = said()?;
        (length >= 1 && *rest.get(3 + length)? == 0).then_some(4 + length)
    };
    Some(match kind {
        // No value: undefined, null, the least and the greatest key.
        0x06 | 0x0A | 0x7F | 0xFF => 0,
        0x08 => 1,
        0x10 => 4,
        // Double, date, timestamp, 64 bits.
        0x01 | 0x09 | 0x11 | 0x12 => 8,
        0x07 => 12,
        0x13 => 16,
        // Text, code, symbol.
        0x02 | 0x0D | 0x0E => text()?,
        // Document, array, code with its scope: their length is all of them.
        0x03 | 0x04 | 0x0F => said()?.max(5),
        0x05 => said()?.checked_add(5)?,
        // A pointer: a text and an identifier.
        0x0C => text()? + 12,
        // A regular expression: two texts that end with NUL.
        0x0B => {
            let first = rest.iter().position(|byte| *byte == 0)? + 1;
            first + rest.get(first..)?.iter().position(|byte| *byte == 0)? + 1
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(fields: Fields) -> Vec<u8> {
        let mut bytes = Vec::new();
        fields.finish_into(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_is_as_the_specification_has_it() {
        let hello = bytes(Fields::new().add("hello", "world"));
        assert_eq!(hello, b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00");
        let array = bytes(Fields::new().add("BSON", Value::Array(vec!["awesome".into(), 1986_i32.into()])));
        assert_eq!(array[4..10], *b"\x04BSON\x00");
        let doc = Doc::whole(&array).unwrap();
        let items: Vec<Element<'_>> = doc.items("BSON").collect();
        assert_eq!((items[0].text(), items[1].number(), items.len()), (Some("awesome"), Some(1986), 2));
    }

    #[test]
    fn every_kind_is_stepped_over() {
        let kinds: [(u8, &[u8]); 17] = [
            (0x01, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F]),
            (0x05, b"\x02\x00\x00\x00\x80ab"),
            (0x06, b""),
            (0x07, &[7; 12]),
            (0x08, &[1]),
            (0x09, &[1, 0, 0, 0, 0, 0, 0, 0]),
            (0x0A, b""),
            (0x0B, b"a.*\x00i\x00"),
            (0x0C, b"\x02\x00\x00\x00a\x00123456789012"),
            (0x0D, b"\x02\x00\x00\x00a\x00"),
            (0x0E, b"\x02\x00\x00\x00a\x00"),
            (0x0F, b"\x0F\x00\x00\x00\x02\x00\x00\x00a\x00\x05\x00\x00\x00\x00"),
            (0x11, &[5, 0, 0, 0, 9, 0, 0, 0]),
            (0x12, &[0xFF; 8]),
            (0x13, &[0; 16]),
            (0x7F, b""),
            (0xFF, b""),
        ];
        let raw = |fields: Fields, (kind, value): &(u8, &[u8])| {
            fields.add(&format!("k{kind}"), Value::Raw(*kind, value.to_vec()))
        };
        let all = bytes(kinds.iter().fold(Fields::new(), raw).add("last", 7_i64));
        let doc = Doc::whole(&all).unwrap();
        assert_eq!((doc.number("last"), doc.iter().count()), (Some(7), 18));
        assert_eq!((doc.number("k1"), doc.number("k18"), doc.is("k8")), (Some(1), Some(-1), true));
        assert_eq!(doc.get("k5").unwrap().data(), Some(&b"ab"[..]));
        assert_eq!(doc.get("k9").unwrap().millis(), Some(1));
        assert_eq!(doc.get("k17").unwrap().timestamp(), Some(9 << 32 | 5));
    }

    #[test]
    fn what_is_cut_off_or_lies_about_its_length_is_none() {
        let inner = Fields::new().add("b", "text").add("c", Value::Bytes(vec![1, 2, 3]));
        let whole = bytes(Fields::new().add("a", inner).add("d", true));
        assert!(Doc::whole(&whole).is_some());
        for end in 0..whole.len() {
            assert!(Doc::whole(&whole[..end]).is_none(), "{end}");
        }
        // Whatever single byte is wrong, it is read or refused, and nothing panics.
        for at in 0..whole.len() {
            for wrong in [0, 1, 4, 0x0C, 0x7F, 0x80, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = wrong;
                if let Some(doc) = Doc::whole(&bytes) {
                    for (_, element) in doc.iter() {
                        let _read = (element.text(), element.data(), element.number());
                    }
                    doc.doc("a").into_iter().flat_map(Doc::iter).for_each(drop);
                }
            }
        }
        let deep = (0..200).fold(Fields::new(), |fields, _| Fields::new().add("a", fields));
        assert!(Doc::whole(&bytes(deep)).is_none());
    }
}
