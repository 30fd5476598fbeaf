//! Fingerprints of tables on real servers: what changes one, what must not, and that rows are hashed by the server.

use crate::pair::Pair;
use crate::suite::{Ground, Thing, holds};
use blackstart::adapters::data::{Store, Tables, Taken};
use blackstart::adapters::{AdapterError, World};
use blackstart::model::Fingerprint;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn asked(url: &str, tables: &[&str], exclude: &[(&str, &str)]) -> Store {
    let mut left_out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in exclude {
        left_out.entry((*table).to_owned()).or_default().push((*column).to_owned());
    }
    let tables = tables.iter().map(|t| (*t).to_owned()).collect();
    let own = vec!["blackstart_ledger".to_owned()];
    Store::Postgres(Tables { url: url.to_owned(), tables, exclude: left_out, own })
}

async fn take(url: &str, tables: &[&str], exclude: &[(&str, &str)]) -> Taken {
    World::system().data.fingerprint(&asked(url, tables, exclude), LIMIT).await.unwrap()
}

async fn print(url: &str, tables: &[&str]) -> Fingerprint {
    take(url, tables, &[]).await.print
}

const SHOP: &str = "create schema shop; grant usage on schema shop to app;
    create table shop.items (id int, name text, price numeric, made timestamptz, ratio float8, tags jsonb, raw bytea);
    insert into shop.items select g, case g % 3 when 0 then null when 1 then '' else 'a,\"b' end, g * 1.50,
        '2026-01-01'::timestamptz + g * interval '1 hour', g / 3.0, jsonb_build_object('k', g), decode('00ff', 'hex')
        from generate_series(1, 2000) g;
    create table shop.events (day date, n int) partition by range (day);
    create table shop.events_1 partition of shop.events for values from ('2026-01-01') to ('2026-02-01');
    create table shop.events_2 partition of shop.events for values from ('2026-02-01') to ('2026-03-01');
    insert into shop.events select '2026-01-01'::date + g % 50, g from generate_series(1, 500) g;
    create table \"Odd \"\"name\"\"\" (\"Odd col\" int); insert into \"Odd \"\"name\"\"\" values (1), (1), (null);
    create table blackstart_ledger (x int);
    grant select on all tables in schema public, shop to app";

#[tokio::test(flavor = "multi_thread")]
async fn order_layout_and_server_do_not_matter() {
    let pair = Pair::up(15420, &[]);
    pair.psql(1, "app", SHOP);
    let url = pair.url(1);
    let all = print(&url, &[]).await;
    let counts: Vec<(&str, u64)> = all.parts.iter().map(|(name, part)| (name.as_str(), part.count)).collect();
    assert_eq!(
        counts,
        [("public.Odd \"name\"", 3), ("public.entries", 2), ("shop.events", 500), ("shop.items", 2000)],
        "no ledger, no partitions"
    );

    // The same rows in another order, in another layout, and with columns that came and went.
    pair.psql(
        1,
        "app",
        "create table copy (raw bytea, gone int, tags jsonb, ratio float8, made timestamptz, price numeric, id int, name text);
         insert into copy (id, name, price, made, ratio, tags, raw) select * from shop.items order by random();
         alter table copy drop column gone; drop table shop.items cascade; alter table copy set schema shop;
         alter table shop.copy rename to items; grant select on shop.items to app",
    );
    assert_eq!(print(&url, &[]).await, all);
    // The standby says the same as the primary, whatever its settings; a session's settings do not matter.
    pair.psql(
        1,
        "app",
        "alter role app set timezone = 'Asia/Tokyo'; alter role app set datestyle = 'German';
        alter role app set extra_float_digits = 0; alter role app set bytea_output = 'escape'",
    );
    let caught_up =
        || pair.psql(1, "app", "select count(*) from pg_stat_replication where replay_lsn = pg_current_wal_lsn()");
    let deadline = std::time::Instant::now() + LIMIT;
    while caught_up() != "1" {
        assert!(std::time::Instant::now() < deadline, "the standby does not catch up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(print(&pair.url(2), &[]).await, all);
    assert_eq!(print(&url, &["shop.*"]).await.parts.len(), 2);
    assert_eq!(print(&url, &["shop.events_2"]).await.parts["shop.events_2"].count, 190, "a partition by its own name");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_seen_and_excluded_columns_are_not() {
    let pair = Pair::up(15420, &[]);
    pair.psql(1, "app", SHOP);
    let url = pair.url(1);
    let before = print(&url, &["shop.items"]).await;
    for (change, back) in [
        (
            "update shop.items set price = price + 0.01 where id = 7",
            "update shop.items set price = price - 0.01 where id = 7",
        ),
        ("update shop.items set name = '' where id = 3", "update shop.items set name = null where id = 3"),
        ("update shop.items set name = null where id = 1", "update shop.items set name = '' where id = 1"),
        ("update shop.items set raw = '\\x00fe' where id = 1", "update shop.items set raw = '\\x00ff' where id = 1"),
    ] {
        pair.psql(1, "app", change);
        let differences = before.differences(&print(&url, &["shop.items"]).await);
        assert_eq!(differences, ["`shop.items`: 2000 rows before and after, and not the same ones"], "{change}");
        pair.psql(1, "app", back);
        assert_eq!(print(&url, &["shop.items"]).await, before, "{back}");
    }
    // A pair of the same row twice is seen: sums, not exclusive ors.
    pair.psql(1, "app", "insert into shop.items select * from shop.items where id in (5, 6) union all select * from shop.items where id in (5, 6)");
    let differences = before.differences(&print(&url, &["shop.items"]).await);
    assert_eq!(differences, ["`shop.items`: 2000 rows before and 2004 after: at least 4 added"]);

    let left_out = [("shop.items", "made"), ("shop.items", "ratio")];
    let before = take(&url, &["shop.items", "shop.events"], &left_out).await;
    pair.psql(1, "app", "update shop.items set made = now(), ratio = random()");
    assert_eq!(take(&url, &["shop.items", "shop.events"], &left_out).await, before);
    pair.psql(1, "app", "alter table shop.items add column more int; drop table shop.events");
    let after = take(&url, &["shop.items", "shop.events"], &left_out).await;
    assert_eq!(
        before.print.differences(&after.print),
        ["`shop.events` is gone; it had 500 rows", "the columns of `shop.items` are not the same any more"]
    );
    assert_eq!(after.absent, ["the table `shop.events`"]);
    let typo = take(&url, &["shop.items"], &[("shop.items", "mad")]).await;
    assert_eq!(typo.absent, ["the column `mad` of `shop.items`"]);
}

/// A table that is made anew for each state. What is left out of a table are columns, not rows: those stay away.
struct Things<'a>(&'a Pair);

impl Ground for Things<'_> {
    async fn of(&mut self, things: &[Thing]) -> Taken {
        let kept = things.iter().filter(|(number, _)| *number < 90);
        let rows: Vec<String> = kept.map(|(number, content)| format!("({number}, '{content}', random())")).collect();
        let make = "drop table if exists things; create table things (id int, content text, seen float8);
            grant select on things to app; insert into things values";
        self.0.psql(1, "app", &format!("{make} {}", rows.join(", ")));
        take(&self.0.url(1), &["things"], &[("things", "seen")]).await
    }

    async fn unreadable(&mut self) -> Result<Taken, AdapterError> {
        self.0.psql(1, "app", "revoke select on things from app");
        World::system().data.fingerprint(&asked(&self.0.url(1), &["things"], &[]), LIMIT).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_may_not_be_seen_are_an_error_and_no_secret_is_told() {
    let pair = Pair::up(15420, &[]);
    pair.psql(
        1,
        "app",
        "create table hidden (id int); insert into hidden values (1); grant select on hidden to app;
        alter table hidden enable row level security; create table secret (id int)",
    );
    let failed = async |table: &str| {
        let error = World::system().data.fingerprint(&asked(&pair.url(1), &[table], &[]), LIMIT).await.unwrap_err();
        error.to_string()
    };
    assert!(failed("hidden").await.contains("row-level security"), "{}", failed("hidden").await);
    assert!(failed("secret").await.contains("permission denied"), "{}", failed("secret").await);
    holds(&mut Things(&pair)).await;
    let wrong = pair.url(1).replace("/app", "/nowhere");
    let error = World::system().data.fingerprint(&asked(&wrong, &[], &[]), LIMIT).await.unwrap_err().to_string();
    let password = wrong.split([':', '@']).nth(2).unwrap();
    assert!(error.contains("nowhere") && !error.contains(password), "{error}");
}
