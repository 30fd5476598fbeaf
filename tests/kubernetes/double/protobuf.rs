//! As much of the binary form as newer `kubectl auth can-i` writes: a SelfSubjectAccessReview within the envelope of
//! `application/vnd.kubernetes.protobuf`. Everything else in that form is refused (415).

use serde_json::{Value, json};

/// The fields of a message that are bytes, by number; other fields are passed over.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (field, rest) = bytes.split_at_checked(length)?;
        if tag & 7 == 2 {
            found.push((tag >> 3, field));
        }
        bytes = rest;
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn field<'a>(message: &[(u64, &'a [u8])], number: u64) -> Option<&'a [u8]> {
    message.iter().find(|(n, _)| *n == number).map(|(_, bytes)| *bytes)
}

fn text(message: &[(u64, &[u8])], number: u64) -> String {
    field(message, number).map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
}

/// A SelfSubjectAccessReview as JSON; none if it is anything else.
pub fn review(body: &[u8]) -> Option<Value> {
    let envelope = fields(body.strip_prefix(b"k8s\0")?)?;
    let kind = fields(field(&envelope, 1)?)?;
    let (api, kind) = (text(&kind, 1), text(&kind, 2));
    if kind != "SelfSubjectAccessReview" {
        return None;
    }
    let object = fields(field(&envelope, 2)?)?;
    let spec = fields(field(&object, 2)?)?;
    let mut review = json!({"apiVersion": api, "kind": kind, "spec": {}});
    if let Some(wanted) = field(&spec, 1) {
        let wanted = fields(wanted)?;
        let names = ["namespace", "verb", "group", "version", "resource", "subresource", "name"];
        for (number, name) in (1..).zip(names) {
            review["spec"]["resourceAttributes"][name] = json!(text(&wanted, number));
        }
    }
    Some(review)
}
