//! Lists of objects and of versions as S3 writes them in XML, read strictly: a list that does not say whether it was all
//! is none. Pure.

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use std::collections::BTreeMap;

/// Elements may be nested so deep.
const DEEPEST: usize = 16;

/// Parameters that ask for what comes after a page.
pub(super) type Next = Vec<(&'static str, String)>;

/// What one page has.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Page {
    pub entries: Vec<Entry>,
    /// How to go on; none at the end.
    pub next: Option<Next>,
}

/// An object, one of its versions, or a mark that it is deleted.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub kind: Kind,
    /// Only in a list of versions.
    pub version: Option<Version>,
    pub size: u64,
    pub etag: String,
    /// When it was written, as the server says it.
    pub modified: String,
}

/// Which of an object's versions it is.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Version {
    pub id: String,
    pub age: Age,
}

/// Is a version the one that is there?
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Age {
    Latest,
    Older,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Kind {
    Object,
    Deleted,
}

type Fields = BTreeMap<String, String>;

/// A page of a list, or why it is none.
pub(super) fn parse(text: &str) -> Result<Page, String> {
    let (mut found, mut top) = (Vec::new(), Fields::new());
    let mut take = |element: &str, text: &str, fields: Fields| match element {
        "Contents" | "Version" => found.push((Kind::Object, fields)),
        "DeleteMarker" => found.push((Kind::Deleted, fields)),
        other => drop(top.insert(other.to_owned(), text.to_owned())),
    };
    let root = elements(text, &mut take)?;
    if !["ListBucketResult", "ListVersionsResult"].contains(&root.as_str()) {
        return Err(format!("`{root}` is no list of objects"));
    }
    let encoded = top.get("EncodingType").is_some_and(|how| how == "url");
    let entries = found.into_iter().map(|(kind, fields)| entry(kind, &fields, encoded)).collect::<Result<_, _>>()?;
    Ok(Page { entries, next: next(&top, encoded)? })
}

/// The text of an element right below the root, `Status` of a bucket's versioning for one; none if it is not there.
pub(super) fn said(text: &str, name: &str) -> Result<Option<String>, String> {
    let mut said = None;
    elements(text, &mut |element: &str, text: &str, _: Fields| {
        if element == name && !text.is_empty() {
            said = Some(text.to_owned());
        }
    })?;
    Ok(said)
}

/// The code that an error's answer names.
pub(super) fn code(text: &str) -> Option<String> {
    let mut code = None;
    let mut take = |element: &str, text: &str, _: Fields| {
        if element == "Code" && !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            code = Some(text.to_owned());
        }
    };
    let root = elements(text, &mut take).ok()?;
    code.filter(|_| root == "Error")
}

fn entry(kind: Kind, fields: &Fields, encoded: bool) -> Result<Entry, String> {
    let field = |name: &str| fields.get(name).filter(|text| !text.is_empty());
    let key = plain(field("Key").ok_or("an object without a key")?, encoded)?;
    let size = match (kind, field("Size").and_then(|size| size.parse().ok())) {
        (_, Some(size)) => size,
        (Kind::Deleted, None) => 0,
        (Kind::Object, None) => return Err(format!("`{key}` has no size")),
    };
    let age = match field("IsLatest").map(String::as_str) {
        Some("true") => Some(Age::Latest),
        Some("false") => Some(Age::Older),
        _ => None,
    };
    let version = match (field("VersionId"), age) {
        (None, _) => None,
        (Some(id), Some(age)) => Some(Version { id: id.clone(), age }),
        (Some(_), None) => return Err(format!("`{key}` has a version that is neither the latest nor an older one")),
    };
    let text = |name: &str| field(name).cloned().unwrap_or_default();
    Ok(Entry { key, kind, version, size, etag: text("ETag"), modified: text("LastModified") })
}

fn next(top: &Fields, encoded: bool) -> Result<Option<Next>, String> {
    let said = |name: &str| top.get(name).filter(|text| !text.is_empty());
    match said("IsTruncated").map(String::as_str) {
        Some("false") => return Ok(None),
        Some("true") => {}
        _ => return Err("it does not say whether this is all".to_owned()),
    }
    if let Some(token) = said("NextContinuationToken") {
        return Ok(Some(vec![("continuation-token", token.clone())]));
    }
    let key = plain(said("NextKeyMarker").ok_or("it is not all, and does not say how to go on")?, encoded)?;
    let version = said("NextVersionIdMarker").map(|id| ("version-id-marker", id.clone()));
    Ok(Some([("key-marker", key)].into_iter().chain(version).collect()))
}

/// Encoded as in a form: a space is a `+`.
fn plain(text: &str, encoded: bool) -> Result<String, String> {
    if !encoded {
        return Ok(text.to_owned());
    }
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| format!("`{text}` is no text"))?;
    Ok(decoded.into_owned())
}

/// Hands over every element below the root with its text and those below it; returns the root's name.
fn elements(text: &str, take: &mut dyn FnMut(&str, &str, Fields)) -> Result<String, String> {
    let mut reader = Reader::from_str(text);
    let (mut path, mut said, mut fields, mut root): (Vec<String>, _, _, _) =
        (vec![], String::new(), Fields::new(), None);
    loop {
        let wrong = |at: u64, why: String| format!("no XML at byte {at}: {why}");
        match reader.read_event().map_err(|e| wrong(reader.error_position(), e.to_string()))? {
            Event::Start(start) => {
                path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                root.get_or_insert_with(|| path[0].clone());
                said.clear();
            }
            Event::Empty(empty) if path.is_empty() => {
                root.get_or_insert_with(|| String::from_utf8_lossy(empty.local_name().as_ref()).into_owned());
            }
            Event::Empty(empty) if path.len() == 1 => {
                take(&String::from_utf8_lossy(empty.local_name().as_ref()), "", Fields::new());
            }
            Event::Text(piece) => said.push_str(&piece.decode().map_err(|e| e.to_string())?),
            Event::CData(piece) => said.push_str(&piece.decode().map_err(|e| e.to_string())?),
            Event::GeneralRef(reference) => said.push_str(&referred(&reference)?),
            Event::End(_) => {
                let name = path.pop().unwrap_or_default();
                match path.len() {
                    2 => drop(fields.insert(name, std::mem::take(&mut said))),
                    1 => take(&name, &std::mem::take(&mut said), std::mem::take(&mut fields)),
                    _ => said.clear(),
                }
            }
            Event::Eof if path.is_empty() => return root.ok_or_else(|| "an empty answer".to_owned()),
            Event::Eof => return Err("cut off".to_owned()),
            _ => {}
        }
        if path.len() > DEEPEST {
            return Err("nested too deep".to_owned());
        }
    }
}

fn referred(reference: &BytesRef<'_>) -> Result<String, String> {
    let name = reference.decode().map_err(|e| e.to_string())?;
    match reference.resolve_char_ref().map_err(|e| e.to_string())? {
        Some(c) => Ok(c.to_string()),
        None => resolve_predefined_entity(&name).map(str::to_owned).ok_or_else(|| format!("`&{name};` is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, size: u64) -> Entry {
        let (key, etag) = (key.to_owned(), "\"e\"".to_owned());
        Entry { key, kind: Kind::Object, version: None, size, etag, modified: String::new() }
    }

    fn list(inner: &str) -> Result<Page, String> {
        parse(&format!(
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</ListBucketResult>"
        ))
    }

    #[test]
    fn a_page_of_objects() {
        let page = list(
            "<Contents><Key>a+b%2Bc%3Cd</Key><Size>3</Size><ETag>&quot;e&quot;</ETag><Owner><ID>7</ID></Owner></Contents>
             <EncodingType>url</EncodingType><Prefix/><IsTruncated>true</IsTruncated><NextContinuationToken>t+%41</NextContinuationToken>",
        );
        let next = Some(vec![("continuation-token", "t+%41".to_owned())]);
        assert_eq!(page, Ok(Page { entries: vec![object("a b+c<d", 3)], next }), "the token is not encoded");
        let page = list(
            "<IsTruncated>false</IsTruncated><Contents><ETag>\"e\"</ETag><Size>0</Size><Key>a+&amp;&#x1;%41</Key></Contents>",
        );
        assert_eq!(page, Ok(Page { entries: vec![object("a+&\u{1}%41", 0)], next: None }), "no key is encoded");
    }

    #[test]
    fn a_page_of_versions_keeps_their_order() {
        let page = parse(
            "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k+</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
             <Version><Key>k</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest><Size>1</Size><ETag>\"e\"</ETag></Version>
             <DeleteMarker><Key>k</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest></DeleteMarker>
             <Version><Key>k</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>2</Size><ETag>\"e\"</ETag></Version></ListVersionsResult>",
        )
        .unwrap();
        let version = |e: &Entry| e.version.clone().map(|v| (v.id, v.age, e.kind)).unwrap();
        let found: Vec<(String, Age, Kind)> = page.entries.iter().map(version).collect();
        let wanted =
            [("v3", Age::Latest, Kind::Object), ("v2", Age::Older, Kind::Deleted), ("v1", Age::Older, Kind::Object)];
        assert_eq!(found, wanted.map(|(id, age, kind)| (id.to_owned(), age, kind)));
        let next = vec![("key-marker", "k+".to_owned()), ("version-id-marker", "v1".to_owned())];
        assert_eq!(page.next, Some(next));
    }

    #[test]
    fn what_is_no_whole_list_is_an_error() {
        for (inner, why) in [
            ("", "does not say whether"),
            ("<IsTruncated>maybe</IsTruncated>", "does not say whether"),
            ("<IsTruncated>true</IsTruncated>", "how to go on"),
            ("<IsTruncated>true</IsTruncated><NextContinuationToken/>", "how to go on"),
            ("<IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>", "without a key"),
            ("<IsTruncated>false</IsTruncated><Contents><Key>k</Key></Contents>", "`k` has no size"),
            ("<IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>-1</Size></Contents>", "`k` has no size"),
            (
                "<IsTruncated>false</IsTruncated><Version><Key>k</Key><Size>1</Size><VersionId>v</VersionId></Version>",
                "neither",
            ),
            ("<IsTruncated>false</IsTruncated><Contents><Key>&what;</Key></Contents>", "`&what;` is unknown"),
            ("<IsTruncated>false</Truncated>", "no XML"),
        ] {
            let error = list(inner).unwrap_err();
            assert!(error.contains(why), "{inner}: {error}");
        }
        let whole = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert!((0..whole.len()).all(|cut| parse(&whole[..cut]).is_err()) && parse(whole).is_ok());
        assert_eq!(parse("<html><body>hello</body></html>"), Err("`html` is no list of objects".to_owned()));
        let deep = format!("{}{}", "<a>".repeat(1_000_000), "</a>".repeat(1_000_000));
        assert_eq!(parse(&deep), Err("nested too deep".to_owned()));
    }

    #[test]
    fn an_error_is_known_by_its_code_alone() {
        let error = |inner: &str| code(&format!("<Error>{inner}</Error>"));
        assert_eq!(error("<Code>SlowDown</Code><Message>secret</Message>").as_deref(), Some("SlowDown"));
        assert_eq!(
            [error("<Code>a b</Code>"), error("<Code/>"), code("<html><Code>x</Code></html>")],
            [None, None, None]
        );
    }
}
