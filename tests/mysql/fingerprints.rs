//! Fingerprints of a real server's tables, and queries for probes.

use crate::server::Maria;
use crate::suite::{Ground, Thing};
use blackstart::adapters::data::{Store, Tables, Taken};
use blackstart::adapters::{AdapterError, World};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

impl Maria {
    async fn take(&self, tables: &[&str], exclude: &[(&str, &str)]) -> Taken {
        World::system().data.fingerprint(&self.asked(tables, exclude), LIMIT).await.unwrap()
    }

    fn asked(&self, tables: &[&str], exclude: &[(&str, &str)]) -> Store {
        let mut left_out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (table, column) in exclude {
            left_out.entry((*table).to_owned()).or_default().push((*column).to_owned());
        }
        let tables = tables.iter().map(|t| (*t).to_owned()).collect();
        Store::Mysql(Tables { url: self.url("shop"), tables, exclude: left_out, own: Vec::new() })
    }
}

const SHOP: &str = "create database shop; create database other; create user app@'127.0.0.1' identified by 's3cret';
    grant select on shop.* to app@'127.0.0.1'; grant select on other.* to app@'127.0.0.1'; use shop;
    create table items (id int primary key, name varchar(50) character set latin1, price decimal(10,2), made timestamp(3),
        ratio float, raw varbinary(10), flags bit(8), note json);
    insert into items select seq, case seq % 3 when 0 then null when 1 then '' else 'ä,\"b' end, seq * 1.5,
        '2026-01-01 00:00:00' + interval seq hour, seq / 3, unhex('00ff'), seq % 256, json_object('k', seq)
        from seq_1_to_2000;
    create table `odd ``name``` (`odd col` int); insert into `odd ``name``` values (1), (1), (null);
    create view shown as select id from items; create table other.things (x text); insert into other.things values ('a');";

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_real_server() {
    let maria = Maria::up(14800, &[]);
    maria.sql(SHOP);
    let all = maria.take(&[], &[]).await;
    let counts: Vec<(&str, u64)> = all.print.parts.iter().map(|(name, part)| (name.as_str(), part.count)).collect();
    assert_eq!(counts, [("other.things", 1), ("shop.items", 2000), ("shop.odd `name`", 3)], "no views");
    assert_eq!(maria.take(&["items"], &[]).await.print.parts["shop.items"], all.print.parts["shop.items"]);

    // The same in another order, layout and engine; and read by a session with other habits.
    maria.sql(
        "use shop; create table copy (note json, raw varbinary(10), id int, flags bit(8), price decimal(10,2),
            ratio float, made timestamp(3), name varchar(50) character set latin1) engine = aria;
         insert into copy (id, name, price, made, ratio, raw, flags, note) select * from items order by rand();
         drop view shown; drop table items; rename table copy to items; set global time_zone = '+09:00';
         set global sql_mode = 'ansi_quotes'",
    );
    assert_eq!(maria.take(&[], &[]).await, all);

    let before = maria.take(&["items"], &[]).await.print;
    for (change, back) in [
        ("price = price + 0.01 where id = 7", "price = price - 0.01 where id = 7"),
        ("name = '' where id = 3", "name = null where id = 3"),
        ("name = null where id = 1", "name = '' where id = 1"),
        ("raw = unhex('00fe') where id = 1", "raw = unhex('00ff') where id = 1"),
        ("ratio = 333.3334 where id = 1000", "ratio = 1000 / 3 where id = 1000"),
        (
            "made = made + interval 1000 microsecond where id = 2",
            "made = made - interval 1000 microsecond where id = 2",
        ),
        ("flags = 4 where id = 3", "flags = 3 where id = 3"),
    ] {
        maria.sql(&format!("update shop.items set {change}"));
        let differences = before.differences(&maria.take(&["items"], &[]).await.print);
        assert_eq!(differences, ["`shop.items`: 2000 rows before and after, and not the same ones"], "{change}");
        maria.sql(&format!("update shop.items set {back}"));
        assert_eq!(maria.take(&["items"], &[]).await.print, before, "{back}");
    }
    let left_out = [("items", "made"), ("shop.items", "price")];
    let before = maria.take(&["items", "other.*"], &left_out).await;
    maria.sql("update shop.items set made = now(), price = rand(); insert into other.things values ('b')");
    let after = maria.take(&["items", "other.*"], &left_out).await;
    let differences = before.print.differences(&after.print);
    assert_eq!(differences, ["`other.things`: 1 row before and 2 after: at least 1 added"]);
    assert_eq!(maria.take(&["nothing"], &[]).await.absent, ["the table `nothing`"]);
    assert_eq!(maria.take(&["items"], &[("items", "mad")]).await.absent, ["the column `mad` of `items`"]);
    wrong(&maria).await;
    probes(&maria).await;
    crate::suite::holds(&mut Things(&maria)).await;
}

/// A table that is made anew for each state. What is left out of a table are columns, not rows: those stay away.
struct Things<'a>(&'a Maria);

impl Ground for Things<'_> {
    async fn of(&mut self, things: &[Thing]) -> Taken {
        let kept = things.iter().filter(|(number, _)| *number < 90);
        let rows: Vec<String> = kept.map(|(number, content)| format!("({number}, '{content}', uuid())")).collect();
        self.0.sql(&format!(
            "use shop; drop table if exists things; create table things (id int, content text, seen text);
            insert into things values {}",
            rows.join(", ")
        ));
        self.0.take(&["things"], &[("things", "seen")]).await
    }

    async fn unreadable(&mut self) -> Result<Taken, AdapterError> {
        self.0.sql("use shop; drop table things; create table gone (id int); create view things as select * from gone; drop table gone");
        World::system().data.fingerprint(&self.0.asked(&["things"], &[]), LIMIT).await
    }
}

/// What cannot be hashed or read is an error, and no error tells a secret.
async fn wrong(maria: &Maria) {
    maria.sql(
        "create table shop.long_rows (a mediumtext, b mediumtext);
        insert into shop.long_rows values (repeat('x', 700000), repeat('y', 700000)), ('a', 'b')",
    );
    let world = World::system();
    let error = world.data.fingerprint(&maria.asked(&["long_rows"], &[]), LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("max_allowed_packet"), "{error}");
    maria.sql("drop table shop.long_rows; alter user app@'127.0.0.1' identified by 'other'");
    let error = world.data.fingerprint(&maria.asked(&[], &[]), LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("1045") && !error.contains("s3cret"), "{error}");
    maria.sql("alter user app@'127.0.0.1' identified by 's3cret'");
}

async fn probes(maria: &Maria) {
    let world = World::system();
    let ask = async |query: &str, args: &[&str]| {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        world.sql.scalar(&maria.url("shop"), query, &args, LIMIT).await
    };
    assert_eq!(ask("select count(*) from items", &[]).await, Ok(Some("2000".to_owned())));
    assert_eq!(ask("select id from items where id = ? and ? = 'a''b'", &["7", "a'b"]).await, Ok(Some("7".to_owned())));
    assert_eq!(ask("select null", &[]).await, Ok(None));
    let error = ask("select ? from nowhere", &["s3cret"]).await.unwrap_err().to_string();
    assert!(error.contains("1146") && !error.contains("s3cret"), "{error}");
}
