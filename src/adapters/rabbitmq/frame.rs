//! AMQP 0-9-1 on the wire, as far as a ledger needs it (rabbitmq.com/resources/specs/amqp0-9-1.pdf): frames, the arguments of
//! methods, the properties of messages. Pure; what a method means is not decided here.

use std::collections::BTreeMap;

/// What a client says first.
pub(super) const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";
/// No frame is longer than this, whatever was agreed upon.
pub(super) const LONGEST: usize = 1 << 20;
/// Before a frame's payload.
const HEAD: usize = 7;
const END: u8 = 0xce;

/// A method's class and number.
pub(super) type Name = (u16, u16);

/// The methods that are used here.
pub(super) mod name {
    use super::Name;
    pub const START: Name = (10, 10);
    pub const START_OK: Name = (10, 11);
    pub const SECURE: Name = (10, 20);
    pub const TUNE: Name = (10, 30);
    pub const TUNE_OK: Name = (10, 31);
    pub const OPEN: Name = (10, 40);
    pub const OPEN_OK: Name = (10, 41);
    pub const CLOSE: Name = (10, 50);
    pub const BLOCKED: Name = (10, 60);
    pub const UNBLOCKED: Name = (10, 61);
    pub const CHANNEL_OPEN: Name = (20, 10);
    pub const CHANNEL_OPEN_OK: Name = (20, 11);
    pub const CHANNEL_CLOSE: Name = (20, 40);
    pub const DECLARE: Name = (50, 10);
    pub const DECLARE_OK: Name = (50, 11);
    pub const DELETE: Name = (50, 40);
    pub const DELETE_OK: Name = (50, 41);
    pub const QOS: Name = (60, 10);
    pub const QOS_OK: Name = (60, 11);
    pub const CONSUME: Name = (60, 20);
    pub const CONSUME_OK: Name = (60, 21);
    pub const CANCEL: Name = (60, 30);
    pub const CANCEL_OK: Name = (60, 31);
    pub const PUBLISH: Name = (60, 40);
    pub const RETURN: Name = (60, 50);
    pub const DELIVER: Name = (60, 60);
    pub const GET: Name = (60, 70);
    pub const GET_OK: Name = (60, 71);
    pub const GET_EMPTY: Name = (60, 72);
    pub const ACK: Name = (60, 80);
    pub const NACK: Name = (60, 120);
    pub const CONFIRM: Name = (85, 10);
    pub const CONFIRM_OK: Name = (85, 11);
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A method and its arguments.
    Method(Name, Vec<u8>),
    /// What a content begins with: how long it is, and its properties.
    Header(u64, Vec<u8>),
    /// A piece of a content.
    Body(Vec<u8>),
    /// The other side lives.
    Heartbeat,
}

/// Takes the first frame out of what has come, if it is whole.
///
/// # Errors
/// When it is no frame.
pub(super) fn take(inbox: &mut Vec<u8>) -> Result<Option<Frame>, &'static str> {
    if inbox.first() == Some(&b'A') {
        return Err("it speaks another version of AMQP");
    }
    let Some(head) = inbox.get(..HEAD) else { return Ok(None) };
    let kind = head[0];
    let size = usize::try_from(u32::from_be_bytes([head[3], head[4], head[5], head[6]])).unwrap_or(usize::MAX);
    if !matches!(kind, 1 | 2 | 3 | 8) || size > LONGEST {
        return Err("what it says is no AMQP");
    }
    let Some(payload) = inbox.get(HEAD..HEAD + size + 1) else { return Ok(None) };
    let Some((&END, payload)) = payload.split_last() else { return Err("a frame does not end where it should") };
    let frame = frame(kind, payload).ok_or("a frame is too short")?;
    inbox.drain(..=HEAD + size);
    Ok(Some(frame))
}

fn frame(kind: u8, payload: &[u8]) -> Option<Frame> {
    let mut read = Args(payload);
    Some(match kind {
        1 => Frame::Method((read.u16()?, read.u16()?), read.0.to_vec()),
        2 => {
            let (_class, _weight) = (read.u16()?, read.u16()?);
            Frame::Header(read.u64()?, read.0.to_vec())
        }
        3 => Frame::Body(payload.to_vec()),
        _ => Frame::Heartbeat,
    })
}

fn put(kind: u8, channel: u16, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(END);
}

/// Reads arguments one after another; none when there are no more.
pub(super) struct Args<'a>(pub &'a [u8]);

impl<'a> Args<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }
    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|b| b[0])
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.bytes(2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes)
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.bytes(4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes)
    }
    pub fn u64(&mut self) -> Option<u64> {
        self.bytes(8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes)
    }
    pub fn short(&mut self) -> Option<String> {
        let size = self.u8()?;
        self.bytes(size.into()).map(|b| String::from_utf8_lossy(b).into_owned())
    }
    pub fn long(&mut self) -> Option<&'a [u8]> {
        let size = self.u32()?;
        self.bytes(usize::try_from(size).ok()?)
    }
    /// The texts of a table, by name; other values are left out.
    pub fn texts(&mut self) -> Option<BTreeMap<String, String>> {
        let mut table = Args(self.long()?);
        let mut texts = BTreeMap::new();
        while !table.0.is_empty() {
            let name = table.short()?;
            match table.u8()? {
                b'S' => drop(texts.insert(name, String::from_utf8_lossy(table.long()?).into_owned())),
                b'F' | b'A' | b'x' => drop(table.long()?),
                kind => drop(table.bytes(width(kind)?)?),
            }
        }
        Some(texts)
    }
}

/// Of a value of a table.
fn width(kind: u8) -> Option<usize> {
    match kind {
        b'V' => Some(0),
        b't' | b'b' | b'B' => Some(1),
        b's' | b'u' | b'U' => Some(2),
        b'I' | b'i' | b'f' => Some(4),
        b'D' => Some(5),
        b'l' | b'L' | b'd' | b'T' => Some(8),
        _ => None,
    }
}

/// A value of a table that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Flag(u8),
    Table(Vec<(String, Value)>),
}

/// A method that is sent: its arguments one after another.
pub(super) struct Method(Vec<u8>);

impl Method {
    pub fn new(name: Name) -> Self {
        Self([name.0.to_be_bytes(), name.1.to_be_bytes()].concat())
    }
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }
    pub fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }
    pub fn short(mut self, text: &str) -> Self {
        short(text, &mut self.0);
        self
    }
    pub fn long(mut self, bytes: &[u8]) -> Self {
        long(bytes, &mut self.0);
        self
    }
    pub fn table(mut self, values: &[(String, Value)]) -> Self {
        table(values, &mut self.0);
        self
    }
    /// As a frame of a channel.
    pub fn on(self, channel: u16, out: &mut Vec<u8>) {
        put(1, channel, &self.0, out);
    }
}

/// No name here is longer than 255 bytes: what would be is cut.
fn short(text: &str, out: &mut Vec<u8>) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

fn long(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn table(values: &[(String, Value)], out: &mut Vec<u8>) {
    let mut inside = Vec::new();
    for (name, value) in values {
        short(name, &mut inside);
        match value {
            Value::Text(text) => {
                inside.push(b'S');
                long(text.as_bytes(), &mut inside);
            }
            Value::Number(number) => {
                inside.push(b'l');
                inside.extend(number.to_be_bytes());
            }
            Value::Flag(flag) => inside.extend([b't', *flag]),
            Value::Table(values) => {
                inside.push(b'F');
                table(values, &mut inside);
            }
        }
    }
    long(&inside, out);
}

/// What a message says of itself besides its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// 2 is persistent, 1 is not.
    pub delivery: u8,
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub app: String,
}

const DELIVERY: u16 = 1 << 12;
const ID: u16 = 1 << 7;
const APP: u16 = 1 << 3;

/// A message as frames of a channel, in pieces of at most `longest` bytes.
pub(super) fn content(properties: &Properties, body: &[u8], channel: u16, longest: usize, out: &mut Vec<u8>) {
    let mut header = Method::new((60, 0)).u64(body.len() as u64).u16(DELIVERY | ID | APP).u8(properties.delivery);
    header = header.short(&properties.id).short(&properties.app);
    put(2, channel, &header.0, out);
    // Eight bytes of each frame are its own.
    for piece in body.chunks(longest.saturating_sub(HEAD + 1).max(1)) {
        put(3, channel, piece, out);
    }
}

/// The properties of a header frame; none if they cannot be read.
pub(super) fn properties(bytes: &[u8]) -> Option<Properties> {
    let mut read = Args(bytes);
    let flags = read.u16()?;
    let mut found = Properties::default();
    // In the order of the bits; a set bit means that the property is there.
    for bit in (2..16).rev().map(|bit| 1_u16 << bit).filter(|bit| flags & bit != 0) {
        match bit {
            // headers
            0x2000 => drop(read.long()?),
            DELIVERY => found.delivery = read.u8()?,
            // priority
            0x0800 => drop(read.u8()?),
            // timestamp
            0x0040 => drop(read.u64()?),
            ID => found.id = read.short()?,
            APP => found.app = read.short()?,
            _ => drop(read.short()?),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written_in_any_pieces() {
        let said = Properties { delivery: 2, id: "1/2/3".to_owned(), app: "run-1".to_owned() };
        let body = vec![7; 100];
        let mut sent = Vec::new();
        Method::new(name::PUBLISH).u16(0).short("").short("queue").u8(1).on(1, &mut sent);
        content(&said, &body, 1, 48, &mut sent);
        let (mut inbox, mut frames) = (Vec::new(), Vec::new());
        for byte in sent {
            inbox.push(byte);
            frames.extend(take(&mut inbox).unwrap());
        }
        assert!(inbox.is_empty());
        assert_eq!(frames.len(), 5, "a method, a header, three pieces of at most 40 bytes: {frames:?}");
        assert!(matches!(&frames[0], Frame::Method(name::PUBLISH, args) if args.ends_with(b"queue\x01")));
        let Frame::Header(100, bytes) = &frames[1] else { panic!("{:?}", frames[1]) };
        assert_eq!(properties(bytes), Some(said));
        let pieces = frames[2..].iter().map(|frame| match frame {
            Frame::Body(piece) => piece.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(pieces.collect::<Vec<_>>(), [40, 40, 20]);
    }

    #[test]
    fn properties_of_others_are_passed_over() {
        // content-type, headers, delivery-mode, priority, message-id, timestamp, app-id
        let flags: u16 = 0x8000 | 0x2000 | DELIVERY | 0x0800 | ID | 0x0040 | APP;
        let headers = [("x".to_owned(), Value::Number(3)), ("y".to_owned(), Value::Table(Vec::new()))];
        let bytes = Method(flags.to_be_bytes().to_vec()).short("text/plain").table(&headers);
        let bytes = bytes.u8(2).u8(9).short("id").u64(1).short("app");
        assert_eq!(properties(&bytes.0), Some(Properties { delivery: 2, id: "id".to_owned(), app: "app".to_owned() }));
        assert_eq!(properties(&bytes.0[..12]), None);
    }

    #[test]
    fn what_is_no_amqp_is_refused_and_never_waited_for() {
        for wrong in [&b"HTTP/1.1 400 Bad Request"[..], b"AMQP\x00\x01\x00\x00", b"\x01\x00\x01\xff\xff\xff\xff\x00"] {
            assert!(take(&mut wrong.to_vec()).is_err(), "{wrong:?}");
        }
        assert!(take(&mut b"\x08\x00\x00\x00\x00\x00\x00\x01".to_vec()).is_err(), "a wrong end");
        assert_eq!(take(&mut b"\x08\x00\x00\x00\x00\x00\x00\xce".to_vec()), Ok(Some(Frame::Heartbeat)));
        assert_eq!(take(&mut b"\x08\x00\x00\x00".to_vec()), Ok(None));
        assert!(take(&mut b"\x01\x00\x00\x00\x00\x00\x01\x05\xce".to_vec()).is_err(), "a method without a name");
    }

    #[test]
    fn texts_of_a_table_are_found_among_other_values() {
        let values = [
            ("product".to_owned(), Value::Text("RabbitMQ".to_owned())),
            ("capabilities".to_owned(), Value::Table(vec![("basic.nack".to_owned(), Value::Flag(1))])),
            ("n".to_owned(), Value::Number(-1)),
            ("version".to_owned(), Value::Text("3.10.8".to_owned())),
        ];
        let bytes = Method(Vec::new()).table(&values).0;
        let texts = Args(&bytes).texts().unwrap();
        assert_eq!((texts.len(), texts["version"].as_str()), (2, "3.10.8"));
        assert_eq!(Args(&bytes[..bytes.len() - 1]).texts(), None);
    }
}
