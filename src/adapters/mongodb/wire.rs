//! The protocol of MongoDB (mongodb.com/docs/manual/reference/mongodb-wire-protocol): one command and its answer as `OP_MSG`.
//! Every length is bounded. What an answer means is not decided here.

use super::bson::{Doc, Fields};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a message is.
const OP_MSG: i32 = 2013;
/// Servers send at most this (`maxMessageSizeBytes`), and so does nobody else.
const MESSAGE: usize = 48_000_000;
const HEADER: usize = 16;
/// A checksum follows the sections.
const CHECKSUM: u32 = 1;
/// Another answer follows that nobody asked for.
const MORE: u32 = 2;

/// An answer: one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply(Vec<u8>);

impl Reply {
    /// It was looked at when it was read.
    pub fn doc(&self) -> Doc<'_> {
        Doc::looked_at(&self.0)
    }
}

/// Appends a command.
pub(super) fn command(number: i32, fields: &Fields, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend([0; 4]);
    into.extend(number.to_le_bytes());
    into.extend([0; 4]);
    into.extend(OP_MSG.to_le_bytes());
    into.extend([0; 4]);
    into.push(0);
    fields.finish_into(into);
    let length = u32::try_from(into.len() - start).unwrap_or(u32::MAX);
    into[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the answer to the command of this number.
///
/// # Errors
/// When the connection ends, or what came is no such answer.
pub(super) async fn reply(number: i32, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Reply> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header).await {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(io::Error::new(e.kind(), "the connection was closed"));
        }
        other => other.map(|_| ())?,
    }
    let at =
        |place: usize| i32::from_le_bytes([header[place], header[place + 1], header[place + 2], header[place + 3]]);
    let (length, answers, kind) = (at(0), at(8), at(12));
    let length = usize::try_from(length).ok().filter(|length| (HEADER + 10..=MESSAGE).contains(length));
    let length = length.ok_or_else(|| wrong("a message of impossible length"))?;
    if kind != OP_MSG || answers != number {
        return Err(wrong("a message that answers nothing"));
    }
    let mut bytes = vec![0; length - HEADER];
    from.read_exact(&mut bytes).await?;
    body(&bytes).map(Reply).ok_or_else(|| wrong("a message that is not whole"))
}

/// The document of the only section of kind 0; others are looked over.
fn body(bytes: &[u8]) -> Option<Vec<u8>> {
    let flags = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let end = bytes.len() - if flags & CHECKSUM == 0 { 0 } else { 4 };
    // Every other flag below 16 must be understood to read the message.
    if flags & 0xFFFF & !CHECKSUM != 0 || flags & MORE != 0 {
        return None;
    }
    let mut rest = bytes.get(4..end)?;
    let mut found = None;
    while let Some((kind, after)) = rest.split_first() {
        let length = u32::from_le_bytes(after.get(..4)?.try_into().ok()?);
        let (section, next) = after.split_at_checked(usize::try_from(length).ok().filter(|length| *length >= 4)?)?;
        match (kind, &found) {
            (0, None) => found = Some(Doc::whole(section)?.bytes().to_vec()),
            (1, _) => {}
            _ => return None,
        }
        rest = next;
    }
    found
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is not MongoDB, or one before 3.6: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        command(7, &Fields::new().add("ok", 1_i32), &mut bytes);
        bytes[8..12].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    async fn read(number: i32, bytes: &[u8]) -> io::Result<Reply> {
        let mut from = bytes;
        reply(number, &mut from).await
    }

    #[tokio::test]
    async fn a_command_is_a_message_and_its_answer_names_it() {
        let bytes = answer(7);
        assert_eq!(bytes.len(), 16 + 4 + 1 + 5 + 1 + 3 + 4);
        assert_eq!(read(7, &bytes).await.unwrap().doc().number("ok"), Some(1));
        assert!(read(8, &bytes).await.is_err(), "the answer to something else");
        // With a checksum after it, and a section of another kind before it.
        let mut long = bytes.clone();
        long.splice(20..20, [1, 7, 0, 0, 0, b'x', 0, 0]);
        long.extend([1, 2, 3, 4]);
        long[0] += 12;
        long[16] = 1;
        assert_eq!(read(7, &long).await.unwrap().doc().number("ok"), Some(1));
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_answer_is_an_error() {
        let whole = answer(7);
        for end in 0..whole.len() {
            assert!(read(7, &whole[..end]).await.is_err(), "{end}");
        }
        for (at, wrong) in [(0, 0xFF), (1, 0xFF), (3, 0x7F), (12, 1), (16, 2), (16, 4), (20, 2), (21, 3), (24, 0x7F)] {
            let mut bytes = whole.clone();
            bytes[at] = wrong;
            assert!(read(7, &bytes).await.is_err(), "{at}");
        }
        assert!(read(7, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.is_err());
    }
}
