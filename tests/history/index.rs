//! The index: the same suite against SQLite and a real PostgreSQL, several writers at once, and files that are not ours.

use crate::server::Server;
use crate::support::{Made, Place, day, entry};
use blackstart::adapters::index::folders::{self, Way};
use blackstart::adapters::index::{self, Changes, Index, IndexError, Row};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn open(place: &index::Place) -> Index {
    Index::open(place, PATIENCE).unwrap_or_else(|e| panic!("{}: {e}", place.label()))
}

/// The ids of runs, or reasons, in the order of the index.
fn ids(index: &mut Index, drill: Option<&str>) -> Vec<String> {
    let rows = index.rows(drill, None).unwrap();
    rows.iter().map(|row| row.content.as_ref().map_or_else(Clone::clone, |e| e.run.to_string())).collect()
}

/// What any index must do.
fn suite(place: &index::Place) {
    let at = Place::new();
    let reports = at.reports();
    for (n, drill) in ["alpha", "alpha", "beta"].iter().enumerate() {
        Made::new(drill, &format!("run-{n}"), day(n as i64)).write(&reports);
    }
    std::fs::create_dir_all(reports.join("beta/half")).unwrap();
    std::fs::write(reports.join("beta/half/journal.jsonl"), "{}\n").unwrap();
    std::fs::create_dir_all(reports.join(".hidden/run")).unwrap();
    std::fs::write(reports.join(".hidden/run/report.json"), "{}").unwrap();

    let mut index = open(place);
    let updated = folders::update(&mut index, "here", &reports, Way::Mirror).unwrap();
    assert_eq!((updated.folders, updated.read, updated.gone), (4, 4, 0));
    let alpha = ids(&mut index, Some("alpha"));
    assert_eq!(alpha.iter().filter(|id| id.starts_with("run-")).collect::<Vec<_>>(), ["run-0", "run-1"]);
    assert!(alpha.iter().any(|why| why.contains("no report.json")), "nothing is lost silently: {alpha:?}");

    // What is read back is what was put in, to the last digit.
    let rows = index.rows(Some("beta"), Some("embedded")).unwrap();
    let stored = rows.iter().find_map(|row| row.content.as_ref().ok()).unwrap();
    assert_eq!(**stored, entry("beta", "run-2", day(2)));

    // Nothing changed: nothing is read again. One changed and one gone: that is all that is done.
    let idle = folders::update(&mut index, "here", &reports, Way::Mirror).unwrap();
    assert_eq!((idle.read, idle.gone), (0, 0));
    Made::new("alpha", "run-1", day(1)).verdict("fail", 1).write(&reports);
    std::fs::remove_dir_all(reports.join("alpha/run-0")).unwrap();
    let other = folders::update(&mut index, "here", &reports, Way::Mirror).unwrap();
    assert_eq!((other.read, other.gone), (1, 1));
    assert_eq!(ids(&mut index, Some("alpha")).iter().filter(|id| id.starts_with("run-")).count(), 1);

    // An addendum is part of what an entry follows from.
    let addenda = reports.join("alpha/run-1/addenda");
    std::fs::create_dir_all(&addenda).unwrap();
    let review = json!({"review": {"actions": [{"number": 1, "text": "mend it", "owner": "ops"}]}});
    std::fs::write(addenda.join("0001-review.json"), review.to_string()).unwrap();
    assert_eq!(folders::update(&mut index, "here", &reports, Way::Mirror).unwrap().read, 1);

    // Another source's runs stand beside these, and adding takes nothing away.
    index.change("there", &Changes { put: vec![row("alpha/far", "far")], ..Changes::default() }).unwrap();
    std::fs::remove_dir_all(reports.join("beta/run-2")).unwrap();
    assert_eq!(folders::update(&mut index, "here", &reports, Way::Add).unwrap().gone, 0);
    assert!(ids(&mut index, None).contains(&"run-2".to_owned()));
    let again = folders::update(&mut index, "here", &reports, Way::Rebuild).unwrap();
    assert_eq!((again.folders, again.read), (2, 2));
    let all = ids(&mut index, None);
    assert!(!all.contains(&"run-2".to_owned()) && all.contains(&"far".to_owned()), "{all:?}");
    drop(index);
    assert_eq!(ids(&mut open(place), None), all, "it is the same when it is opened again");
    together(place);
}

fn row(folder: &str, run: &str) -> Row {
    Row { folder: folder.to_owned(), mark: "m".to_owned(), content: Ok(Box::new(entry("alpha", run, day(9)))) }
}

/// Several that open it and write at once: each row is there once.
fn together(place: &index::Place) {
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                let mut index = open(place);
                for n in 0..10 {
                    let put = vec![row(&format!("w/{n}"), &format!("w-{n}")), row(&format!("x/{writer}-{n}"), "x")];
                    index.change("writers", &Changes { put, ..Changes::default() }).unwrap();
                }
            });
        }
    });
    let marks = open(place).marks("writers").unwrap();
    assert_eq!(marks.len(), 10 + 40);
}

#[test]
fn sqlite_holds_what_an_index_must() {
    let at = Place::new();
    let path = at.path().join("some/where/history.sqlite");
    suite(&index::Place::File(path.clone()));
    // Opened for the first time by several at once.
    let fresh = at.path().join("fresh.sqlite");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(open(&index::Place::File(fresh.clone())).marks("x").unwrap().is_empty()));
        }
    });
}

#[test]
fn postgresql_holds_what_an_index_must_and_no_password_is_shown() {
    let server = Server::start();
    server.ask("postgres", "create database runs").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| drop(open(&index::Place::of(&server.whole_url("runs")))));
        }
    });
    suite(&index::Place::of(&server.whole_url("runs")));
    let fields = "select string_agg(column_name, ' ' order by ordinal_position) from information_schema.columns \
        where table_name = 'blackstart_runs'";
    let expected = "source folder mark drill environment started entry skipped";
    assert_eq!(server.ask("runs", fields).as_deref(), Some(expected));

    // A later version is left alone.
    server.ask("postgres", "create database later").unwrap();
    let later = index::Place::of(&server.whole_url("later"));
    drop(open(&later));
    server.ask("later", "update blackstart_version set version = 99").unwrap();
    let error = Index::open(&later, PATIENCE).err().unwrap();
    assert!(matches!(&error, IndexError::Newer { found: 99, .. }), "{error}");
    assert!(!error.to_string().contains("p@ss") && !error.to_string().contains("p%40ss"), "{error}");

    // By the command: a password on the command line is refused, one in the environment is used, none is told.
    let at = Place::new();
    Made::new("alpha", "run-1", day(1)).write(&at.reports());
    let refused = at.run(&["history", "--index", &server.whole_url("runs")]);
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.err.contains("BLACKSTART_HISTORY_URL") && !refused.err.contains("p%40ss"), "{refused:?}");
    let mut command = at.blackstart();
    let command = command.args(["history", "--output", "json"]);
    let ended = command.env("BLACKSTART_HISTORY_URL", server.whole_url("runs")).output().unwrap();
    let ended = crate::support::Ended::new(ended);
    assert_eq!(ended.code, 0, "{ended:?}");
    let runs = ended.json()["runs"].as_array().unwrap().len();
    assert!(runs > 1, "a team's index knows of other machines' runs: {runs}");
    // By the configuration: the password from a file; one in the configuration itself is refused.
    at.file("password", &format!("{}\n", crate::server::PASSWORD));
    let configured = |url: &str| {
        at.file("blackstart.yaml", &format!("evidence: {{history: \"{url}\", history_password: password}}\n"));
        at.run(&["history", "--output", "json"])
    };
    let ended = configured(&server.url("runs"));
    assert_eq!((ended.code, ended.json()["runs"].as_array().unwrap().len()), (0, runs), "{ended:?}");
    let refused = configured(&server.whole_url("runs"));
    assert!(refused.code == 64 && !refused.err.contains("p%40ss"), "{refused:?}");
    std::fs::remove_file(at.path().join("blackstart.yaml")).unwrap();
    let wrong = at.run(&["history", "--index", &server.url("runs").replace("me@", "somebody@")]);
    assert!(wrong.code == 64 && wrong.err.contains("127.0.0.1:16300"), "{wrong:?}");
    drop(server);
    let gone = at
        .blackstart()
        .args(["history"])
        .env("BLACKSTART_HISTORY_URL", "postgresql://me:s3cr3t@127.0.0.1:16300/runs?sslmode=disable")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(!gone.status.success() && !said.contains("s3cr3t"), "{said}");
}

#[test]
fn what_is_not_ours_or_is_damaged_is_left_as_it_is() {
    let at = Place::new();
    Made::new("alpha", "run-1", day(1)).write(&at.reports());
    let path = at.path().join("index");
    let place = index::Place::File(path.clone());
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Index::open(&place, PATIENCE).err().expect("it is refused");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{error}: it was written to");
        error
    };
    assert!(matches!(refused(b"my notes\n"), IndexError::Foreign(_)));

    // A database of something else.
    let other = rusqlite::Connection::open(at.path().join("other.sqlite")).unwrap();
    other.execute_batch("create table mine (a text); insert into mine values ('b')").unwrap();
    drop(other);
    assert!(matches!(refused(&std::fs::read(at.path().join("other.sqlite")).unwrap()), IndexError::Foreign(_)));

    // Ours, with a page that was written over; and a later version.
    let ours = at.path().join("ours.sqlite");
    let mut index = open(&index::Place::File(ours.clone()));
    let put = (0..50).map(|n| row(&format!("d/{n}"), &format!("r-{n}"))).collect();
    index.change("s", &Changes { put, ..Changes::default() }).unwrap();
    drop(index);
    let sound = std::fs::read(&ours).unwrap();
    let mut damaged = sound.clone();
    let from = damaged.len() / 2 / 4096 * 4096;
    damaged[from..from + 4096].fill(0x5a);
    assert!(matches!(refused(&damaged), IndexError::Damaged(_)));
    std::fs::write(&path, &sound).unwrap();
    let later = rusqlite::Connection::open(&path).unwrap();
    later.execute("update blackstart_version set version = 2", []).unwrap();
    drop(later);
    assert!(matches!(Index::open(&place, PATIENCE).err(), Some(IndexError::Newer { found: 2, .. })));

    // The command says what to do.
    std::fs::write(&path, &damaged).unwrap();
    let ended = at.run(&["history", "--index", "index"]);
    assert_eq!(ended.code, 70, "{ended:?}");
    assert!(ended.err.contains("mv index index.damaged"), "{ended:?}");
    std::fs::write(&path, "my notes").unwrap();
    let ended = at.run(&["history", "--index", "index", "--rebuild"]);
    assert_eq!(ended.code, 64, "{ended:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"my notes");
}

#[test]
fn the_commands_list_trends_coverage_and_differences() {
    let at = Place::new();
    let reports = at.reports();
    for (n, rto) in [0.3, 0.31, 0.29, 0.9].into_iter().enumerate() {
        let run = Made::new("alpha", &format!("run-{n}"), day(n as i64)).rto(rto);
        let verdict = if n == 3 { run.verdict("fail", 1) } else { run };
        verdict
            .metadata(json!({"every": ["30d"], "controls": ["nist-800-53/CP-4"], "systems": ["store"]}))
            .write(&reports);
    }
    let listed = at.run(&["history", "--output", "json"]);
    assert_eq!(listed.json()["runs"].as_array().unwrap().len(), 4, "{listed:?}");
    assert!(Path::new(&reports.join(".blackstart/history.sqlite")).exists());
    let plain = at.run(&["history", "--verdict", "fail", "--output", "plain"]);
    assert!(plain.out.contains("run-3") && !plain.out.contains("run-2") && !plain.out.contains('\u{1b}'), "{plain:?}");
    assert!(at.run(&["history", "--since", "2026-11-03"]).out.contains("run-2"));
    assert_eq!(at.run(&["history", "--reports", "nowhere"]).code, 64);

    let trend = at.run(&["trend", "alpha", "--output", "json"]).json();
    let series = trend["series"].as_array().unwrap();
    let of_orders = series.iter().find(|s| s["objective"] == "rto" && s["workload"] == "orders").unwrap();
    assert_eq!(of_orders["points"].as_array().unwrap().len(), 4);
    assert!((of_orders["points"][3]["change"].as_f64().unwrap() - 2.0).abs() < 1e-9, "{of_orders}");
    let drawn = at.run(&["trend", "alpha"]);
    assert!(drawn.out.contains('█') && drawn.out.contains("+200 %"), "{drawn:?}");
    assert_eq!(at.run(&["trend", "omega"]).code, 64);

    let covered = at.run(&["coverage", "--output", "json"]);
    let rows = covered.json();
    assert_eq!(rows["controls"][0]["name"], "nist-800-53/CP-4");
    assert_eq!(rows["systems"][0]["passed"]["run"], "run-2");

    let compared = at.run(&["compare", "run-0", "run-3", "--output", "json"]);
    assert_eq!(compared.json()["comparable"], true, "{compared:?}");
    assert_eq!(compared.json()["objectives"][0]["differ"], "higher");
    let drawn = at.run(&["compare", "reports/alpha/run-0", "reports/alpha/run-1"]);
    assert!(drawn.out.contains("the same, within errors"), "{drawn:?}");
    assert_eq!(at.run(&["compare", "run-0", "run-9"]).code, 64);

    // Where nothing can be written, folders are read.
    std::fs::remove_dir_all(reports.join(".blackstart")).unwrap();
    std::fs::write(reports.join(".blackstart"), "in the way").unwrap();
    let scanned = at.run(&["history", "--output", "json"]);
    assert_eq!(scanned.json()["runs"].as_array().unwrap().len(), 4, "{scanned:?}");
    assert!(scanned.err.contains("all folders are read"), "{scanned:?}");
}
