//! What a member says about itself before anything else (the command `hello`), and whether that is whom a client looks for.
//! Pure.

use super::bson::{Doc, Fields};
use super::place::Whom;
use crate::adapters::places::{Address, addresses};
use std::cmp::Ordering;

/// MongoDB 4.4: the first that knows `hello`, hints for resuming and errors as they are read here.
const OLDEST: i64 = 9;
const PORT: u16 = 27017;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hello {
    pub writable: bool,
    pub secondary: bool,
    /// A router of a sharded cluster.
    pub router: bool,
    /// The set it is of.
    pub set: Option<String>,
    /// It could be a member of a set, and nobody has made it one.
    pub ghost: bool,
    /// All members that hold data.
    pub hosts: Vec<Address>,
    /// The primary as far as it knows.
    pub primary: Option<Address>,
    /// The term it was elected in, as bytes that compare, and the version of the set's configuration.
    pub elected: Option<([u8; 12], i64)>,
    /// The newest protocol it speaks.
    pub wire: i64,
    /// Its last write: when (milliseconds), and as a position that compares.
    pub last: Option<Moment>,
    /// The last write that a majority has.
    pub majority: Option<Moment>,
}

/// A point in the order of all writes of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub term: i64,
    pub stamp: u64,
    pub millis: i64,
}

impl Hello {
    /// The command; it says who asks, for the server's log.
    pub fn command() -> Fields {
        let driver = Fields::new().add("name", "blackstart").add("version", env!("CARGO_PKG_VERSION"));
        let client = Fields::new().add("driver", driver).add("os", Fields::new().add("type", "Linux"));
        Fields::new().add("hello", 1_i32).add("client", client)
    }

    pub fn read(doc: Doc<'_>) -> Self {
        let address = |text: &str| addresses(text, PORT).and_then(|mut list| list.pop());
        let text = |name: &str| Some(doc.text(name)).filter(|text| !text.is_empty());
        let list = |name: &str| doc.items(name).filter_map(|item| address(item.text()?)).collect::<Vec<_>>();
        let moment = |at: &str, date: &str| {
            let last = doc.doc("lastWrite")?;
            let (at, date) = (last.doc(at)?, last.get(date)?.millis()?);
            Some(Moment { term: at.number("t")?, stamp: at.get("ts")?.timestamp()?, millis: date })
        };
        let oid = doc.get("electionId").filter(|id| id.kind == 0x07).and_then(|id| id.bytes.try_into().ok());
        Self {
            writable: doc.is("isWritablePrimary") || doc.is("ismaster"),
            secondary: doc.is("secondary"),
            router: doc.text("msg") == "isdbgrid",
            set: text("setName").map(str::to_owned),
            ghost: doc.is("isreplicaset"),
            hosts: [list("hosts"), list("passives")].concat(),
            primary: text("primary").and_then(address),
            elected: oid.zip(doc.number("setVersion")),
            wire: doc.number("maxWireVersion").unwrap_or_default(),
            last: moment("opTime", "lastWriteDate"),
            majority: moment("majorityOpTime", "majorityWriteDate"),
        }
    }

    /// In a word.
    pub fn role(&self) -> &'static str {
        match self {
            Self { router: true, .. } => "router",
            Self { set: None, ghost: true, .. } => "uninitiated",
            Self { set: None, .. } => "standalone",
            Self { writable: true, .. } => "primary",
            Self { secondary: true, .. } => "secondary",
            _ => "other",
        }
    }

    /// Why this server can never be what a client looks for, if so: it is too old, or of no set or of another one.
    pub fn unfit(&self, at: &Address, whom: &Whom) -> Option<String> {
        if self.wire < OLDEST {
            return Some(format!(
                "{at} speaks version {} of the protocol at most; {OLDEST} (MongoDB 4.4) is the first that will do",
                self.wire
            ));
        }
        let Whom::Primary(wanted) = whom else { return None };
        match (&self.set, wanted) {
            _ if self.router => None,
            (None, _) if self.ghost => {
                Some(format!("the replica set at {at} is not initiated: run rs.initiate() there once"))
            }
            (None, Some(name)) => Some(format!(
                "{at} is no member of a replica set, so nothing is replicated: start it with --replSet {name} and run \
                 rs.initiate(), or take replicaSet out of the URL"
            )),
            (None, None) => Some(format!(
                "{at} is no member of a replica set, so of several servers none is the primary: start them with \
                 --replSet NAME and run rs.initiate()"
            )),
            (Some(own), Some(name)) if own != name => {
                Some(format!("{at} is a member of the replica set `{own}`, and not of `{name}`"))
            }
            _ => None,
        }
    }

    /// Of two that say that they are the primary: which was elected later?
    pub fn later(&self, other: &Self) -> Ordering {
        self.elected.cmp(&other.elected)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bson::Value;
    use super::*;

    fn read(fields: Fields) -> Hello {
        let mut bytes = Vec::new();
        fields.finish_into(&mut bytes);
        Hello::read(Doc::whole(&bytes).unwrap())
    }

    fn primary(term: u8) -> Fields {
        let stamp = |seconds: u32| {
            let at = Fields::new().add("ts", Value::Raw(0x11, [[1, 0, 0, 0], seconds.to_le_bytes()].concat()));
            at.add("t", i64::from(term))
        };
        let date = |millis: i64| Value::Raw(0x09, millis.to_le_bytes().to_vec());
        let last = Fields::new().add("opTime", stamp(9)).add("lastWriteDate", date(9_500));
        let last = last.add("majorityOpTime", stamp(8)).add("majorityWriteDate", date(8_250));
        let mut id = vec![0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0];
        id.push(term);
        Fields::new()
            .add("isWritablePrimary", true)
            .add("setName", "rs0")
            .add("setVersion", 1_i32)
            .add("hosts", Value::Array(vec!["a:1".into(), "b:2".into()]))
            .add("primary", "a:1")
            .add("electionId", Value::Raw(0x07, id))
            .add("lastWrite", last)
            .add("maxWireVersion", 21_i32)
    }

    #[test]
    fn a_primary_is_read_and_the_later_one_counts() {
        let hello = read(primary(3));
        assert_eq!((hello.role(), hello.hosts.len(), hello.primary.clone().unwrap().port), ("primary", 2, 1));
        let (last, majority) = (hello.last.unwrap(), hello.majority.unwrap());
        assert!(last > majority && last.millis - majority.millis == 1_250);
        assert_eq!(read(primary(4)).later(&hello), Ordering::Greater);
        assert_eq!(hello.later(&Hello::default()), Ordering::Greater);
    }

    #[test]
    fn whoever_can_never_do_is_told_why() {
        let at = Address { host: "h".to_owned(), port: 1 };
        let set = Whom::Primary(Some("rs0".to_owned()));
        let say = |hello: &Hello, whom: &Whom| hello.unfit(&at, whom).unwrap_or_default();
        let of = |fields: Fields| read(fields.add("maxWireVersion", 21_i32));
        assert_eq!(say(&read(primary(1)), &set), "");
        assert!(say(&read(primary(1)), &Whom::Primary(Some("rs1".to_owned()))).contains("`rs0`, and not of `rs1`"));
        assert!(say(&read(Fields::new().add("maxWireVersion", 8_i32)), &Whom::Member).contains("MongoDB 4.4"));
        let alone = of(Fields::new().add("isWritablePrimary", true));
        assert!(say(&alone, &set).contains("--replSet rs0") && say(&alone, &Whom::Primary(None)).contains("--replSet"));
        assert_eq!((say(&alone, &Whom::Member).as_str(), alone.role()), ("", "standalone"));
        let ghost = of(Fields::new().add("isreplicaset", true));
        assert!(say(&ghost, &set).contains("rs.initiate()") && ghost.role() == "uninitiated");
        assert_eq!(say(&of(Fields::new().add("msg", "isdbgrid")), &set), "");
    }
}
