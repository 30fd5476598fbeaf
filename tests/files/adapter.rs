//! The adapter on real file systems: every outcome by the cause that makes it, the read-back, questions, and bad input.

use crate::common::{output, until};
use crate::volume::{Volume, lines};
use blackstart::adapters::data::directory::take;
use blackstart::adapters::data::{Counts, Directory, Store};
use blackstart::adapters::directory::{open_copy, open_ledger, open_probe};
use blackstart::adapters::systems::{DirectoryAsk, Question};
use blackstart::adapters::{
    Act, AdapterError, Client, ClientSettings, DirectoryPlace, LedgerStore, Operation, Row, World,
};
use blackstart::clock::Clock;
use blackstart::model::{ClientBehaviour, FileLayout, Found, Fsync, Key, Outcome, RunId};
use blackstart::workloads::payload;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const LIMIT: Duration = Duration::from_millis(1500);

/// A test is not blackstart.
pub fn program() -> Option<&'static Path> {
    Some(Path::new(env!("CARGO_BIN_EXE_blackstart")))
}

pub fn settings(run: &str, behaviour: ClientBehaviour) -> ClientSettings {
    ClientSettings { run: RunId::from(run), behaviour, timeout: LIMIT, writers: 4, payload: 100, rate: 20.0 }
}

pub fn place(path: &Path, fsync: Fsync, layout: FileLayout) -> DirectoryPlace {
    DirectoryPlace { path: path.to_path_buf(), name: "blackstart_ledger".to_owned(), fsync, layout, need: None }
}

/// Every way to keep records that holds what it acknowledged.
pub const WAYS: [(Fsync, FileLayout, ClientBehaviour); 4] = [
    (Fsync::Each, FileLayout::Segments, ClientBehaviour::Pooled),
    (Fsync::Each, FileLayout::Segments, ClientBehaviour::Fresh),
    (Fsync::Group, FileLayout::Segments, ClientBehaviour::Pooled),
    (Fsync::Each, FileLayout::Files, ClientBehaviour::Fresh),
];

pub struct Ledger {
    pub client: Arc<dyn Client>,
    pub store: Arc<dyn LedgerStore>,
}

impl Ledger {
    pub fn open(place: &DirectoryPlace, settings: &ClientSettings) -> Self {
        let opened = open_ledger(&Clock::System, program(), place, settings);
        Self { client: opened.client, store: opened.store.unwrap() }
    }

    async fn act(&self, act: Act) -> (Outcome, Option<Found>) {
        let due = Clock::System.mono();
        let done = self.client.operate(Operation { due, act }).await;
        assert!(due <= done.sent && done.sent <= done.done, "{done:?}");
        (done.outcome, done.found)
    }

    pub async fn write(&self, writer: u16, seq: u64) -> Outcome {
        self.act(Act::Write(Key { writer, seq })).await.0
    }

    async fn read(&self, writer: u16, seq: u64) -> (Outcome, Option<Found>) {
        self.act(Act::Read(Key { writer, seq })).await
    }

    pub async fn rows(&self) -> Vec<Row> {
        rows(&*self.store).await
    }
}

async fn rows(store: &dyn LedgerStore) -> Vec<Row> {
    let mut rows = Vec::new();
    store.read_back(&mut |row| rows.push(row)).await.unwrap();
    rows
}

fn run_folder(path: &Path) -> PathBuf {
    path.join("blackstart_ledger/run-1")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_back_in_order_whatever_the_way() {
    let volume = Volume::ext4();
    for (number, (fsync, layout, behaviour)) in WAYS.into_iter().enumerate() {
        let path = volume.path().join(number.to_string());
        std::fs::create_dir(&path).unwrap();
        let (place, settings) = (place(&path, fsync, layout), settings("run-1", behaviour));
        let ledger = Ledger::open(&place, &settings);
        ledger.store.prepare().await.unwrap();
        let four = async |seq| {
            tokio::join!(ledger.write(0, seq), ledger.write(1, seq), ledger.write(2, seq), ledger.write(3, seq))
        };
        for seq in 0..40 {
            let ok = Outcome::Ok;
            assert_eq!(four(seq).await, (ok, ok, ok, ok), "{place:?}");
        }
        let rows = ledger.rows().await;
        assert_eq!(rows.len(), 160, "{place:?}");
        for writer in 0..4 {
            let own = rows.iter().filter_map(|r| r.key.clone().ok()).filter(|k| k.writer == writer).map(|k| k.seq);
            assert_eq!(own.collect::<Vec<_>>(), (0..40).collect::<Vec<_>>(), "{place:?}");
        }
        for row in &rows {
            assert_eq!(payload::check(&settings.run, row.key.clone().unwrap(), 100, &row.payload), Found::Intact);
        }
        assert_eq!(ledger.read(1, 39).await, (Outcome::Ok, Some(Found::Intact)), "{place:?}");
        assert_eq!(ledger.read(1, 99).await, (Outcome::Ok, Some(Found::Absent)), "{place:?}");
        // One that does not know where its records stand searches for them.
        let other = Ledger::open(&place, &settings);
        assert_eq!(other.read(2, 17).await, (Outcome::Ok, Some(Found::Intact)), "{place:?}");
        // Another place holds the same if it was copied there.
        let copy = volume.path().join(format!("{number}-copy"));
        output(Command::new("cp").arg("-a").arg(&path).arg(&copy));
        let copied = DirectoryPlace { path: copy, ..place.clone() };
        assert_eq!(self::rows(&*open_copy(program(), &copied, &settings)).await, rows);
        let count = lines(&path, "cat blackstart_ledger/run-1/[wgr]* | awk 'NF == 5 && length($5) == 16' | wc -l");
        assert_eq!(count, ["160"], "anybody can count");
        // What stands behind the last line break was never finished.
        let first = lines(&run_folder(&path), "ls | grep '^[wgr]' | head -n 1").remove(0);
        let file = run_folder(&path).join(first);
        let text = std::fs::read_to_string(&file).unwrap();
        if layout == FileLayout::Segments {
            std::fs::write(&file, format!("{text}{}", &text[..40])).unwrap();
            assert_eq!(ledger.rows().await, rows, "{place:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_clears_what_is_ours_and_nothing_else() {
    let volume = Volume::memory("8m");
    let place = place(&volume.path(), Fsync::Each, FileLayout::Segments);
    let of = |run: &str| Ledger::open(&place, &settings(run, ClientBehaviour::Pooled));
    for run in ["run-1", "run-2"] {
        let ledger = of(run);
        ledger.store.prepare().await.unwrap();
        assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
        std::fs::create_dir_all(volume.path().join("blackstart_ledger/mine")).unwrap();
        std::fs::write(volume.path().join("blackstart_ledger/mine/w00000.0001-0001"), "precious").unwrap();
    }
    // Between our own lies somebody else's; and a folder that only looks like a run's.
    std::fs::write(volume.path().join("blackstart_ledger/run-2/notes.txt"), "precious").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("blackstart-run"), "run-x").unwrap();
    std::fs::write(elsewhere.path().join("w00000.0001-0001"), "precious").unwrap();
    symlink(elsewhere.path(), volume.path().join("blackstart_ledger/run-x")).unwrap();
    let ledger = of("run-3");
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.rows().await.len(), 1, "its own are kept");
    let all = lines(&volume.path(), "find . -not -name 'probe.*' -type f | sort");
    let expected = [
        "./blackstart_ledger/mine/w00000.0001-0001",
        "./blackstart_ledger/run-2/blackstart-run",
        "./blackstart_ledger/run-2/notes.txt",
        "./blackstart_ledger/run-3/blackstart-run",
        "./blackstart_ledger/run-3/w00000.0002-0001",
    ];
    assert_eq!(all, expected);
    assert_eq!(lines(elsewhere.path(), "ls"), ["blackstart-run", "w00000.0001-0001"]);
    // What is no record at all is not hidden.
    std::fs::write(volume.path().join("blackstart_ledger/run-3/notes.txt"), "x").unwrap();
    assert_eq!(ledger.rows().await.iter().filter(|row| row.key.is_err()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_refuses_and_goes_on_when_there_is_room() {
    let volume = Volume::memory("256k");
    let place = place(&volume.path(), Fsync::Each, FileLayout::Segments);
    let settings = ClientSettings { payload: 3_000, ..settings("run-1", ClientBehaviour::Pooled) };
    let asking = DirectoryPlace { need: Some(1 << 20), ..place.clone() };
    let refused = Ledger::open(&asking, &settings).store.prepare().await.unwrap_err();
    assert!(matches!(&refused, AdapterError::Refused(why) if why.contains("max_duration")), "{refused}");
    let ledger = Ledger::open(&place, &settings);
    ledger.store.prepare().await.unwrap();
    let mut outcomes = Vec::new();
    for seq in 0..80 {
        outcomes.push(ledger.write(0, seq).await);
    }
    let kept = outcomes.iter().filter(|outcome| **outcome == Outcome::Ok).count();
    assert!(kept > 30 && kept < 70, "{outcomes:?}");
    assert!(!outcomes.contains(&Outcome::Unknown), "this very write was refused: {outcomes:?}");
    assert_eq!(ledger.rows().await.len(), kept, "what was begun and refused is no record");
    volume.remount("size=1m");
    assert_eq!(ledger.write(0, 80).await, Outcome::Ok);
    assert_eq!(ledger.rows().await.len(), kept + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_doubt_and_the_file_is_left_alone() {
    for (fsync, layout, behaviour) in WAYS {
        let volume = Volume::btrfs();
        let place = place(&volume.path(), fsync, layout);
        let ledger = Ledger::open(&place, &settings("run-1", behaviour.clone()));
        ledger.store.prepare().await.unwrap();
        assert_eq!((ledger.write(0, 0).await, ledger.write(0, 1).await), (Outcome::Ok, Outcome::Ok));
        volume.lose();
        let mut outcomes = Vec::new();
        for seq in 2..8 {
            outcomes.push(ledger.write(0, seq).await);
        }
        assert_eq!(outcomes[0], Outcome::Unknown, "{place:?} {outcomes:?}");
        assert!(!outcomes.contains(&Outcome::Ok), "{place:?} {outcomes:?}");
        assert_eq!(outcomes[5], Outcome::Fail, "btrfs has made itself read-only: {place:?} {outcomes:?}");
    }
}

/// The kernel lets nobody go who waits for a frozen file system: the runner must not be among them.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_hangs_hangs_nobody_and_what_comes_late_is_in_nobodys_way() {
    let volume = Volume::ext4();
    let place = place(&volume.path(), Fsync::Each, FileLayout::Segments);
    let settings = ClientSettings { timeout: Duration::from_millis(700), ..settings("run-1", ClientBehaviour::Pooled) };
    let ledger = Ledger::open(&place, &settings);
    let probe = open_probe(&Clock::System, program(), &place, &settings).await.unwrap();
    let visit = async |number| {
        probe.client.operate(Operation { due: Clock::System.mono(), act: Act::Visit(number) }).await.outcome
    };
    ledger.store.prepare().await.unwrap();
    assert_eq!((ledger.write(0, 0).await, visit(0).await), (Outcome::Ok, Outcome::Ok));
    volume.freeze();
    let began = Instant::now();
    // Twice by the same writer: the second goes by another process, and gets no further.
    assert_eq!((ledger.write(0, 1).await, ledger.write(0, 2).await), (Outcome::Unknown, Outcome::Unknown));
    assert_eq!((visit(1).await, visit(2).await), (Outcome::Unknown, Outcome::Unknown));
    assert!(began.elapsed() < 4 * settings.timeout * 5, "{:?}", began.elapsed());
    let asked = ask(&volume.path(), DirectoryAsk::ReadOnly).await;
    assert_eq!(asked.unwrap(), "no", "a frozen file system can still be looked at");
    volume.thaw();
    // With whatever was due meanwhile behind it.
    let end = Instant::now() + Duration::from_secs(30);
    let mut seq = 3;
    while ledger.write(0, seq).await != Outcome::Ok {
        assert!(Instant::now() < end);
        seq += 1;
    }
    assert_eq!(visit(3).await, Outcome::Ok);
    let names = lines(&run_folder(&volume.path()), "ls | grep '^w'");
    assert!(names.len() >= 2, "whoever took over began a file of its own: {names:?}");
    let rows = ledger.rows().await;
    let seqs: Vec<u64> = rows.iter().map(|row| row.key.clone().unwrap().seq).collect();
    assert!(seqs.contains(&0) && seqs.contains(&seq), "{seqs:?}");
    assert!(seqs.is_sorted() && seqs.windows(2).all(|two| two[0] != two[1]), "{seqs:?}");
}

/// Files that are kept open lead to what was there when they were opened; a path leads to what is there now.
#[tokio::test(flavor = "multi_thread")]
async fn another_volume_in_its_place_gets_the_records_of_who_looks_again() {
    let (old, new) = (Volume::memory("4m"), Volume::memory("4m"));
    let top = tempfile::tempdir().unwrap();
    let way = top.path().join("way");
    symlink(old.path(), &way).unwrap();
    let place = place(&way, Fsync::Each, FileLayout::Segments);
    let pooled = Ledger::open(&place, &settings("run-1", ClientBehaviour::Pooled));
    pooled.store.prepare().await.unwrap();
    let fresh = Ledger::open(&place, &settings("run-1", ClientBehaviour::Fresh));
    assert_eq!((pooled.write(0, 0).await, fresh.write(1, 0).await), (Outcome::Ok, Outcome::Ok));
    let switch = |to: &Volume| {
        let next = top.path().join("next");
        symlink(to.path(), &next).unwrap();
        std::fs::rename(next, &way).unwrap();
    };
    // An empty mount point is no volume: nothing is written to what is beneath.
    switch(&new);
    assert_eq!(fresh.write(1, 1).await, Outcome::Fail);
    assert_eq!(lines(&new.path(), "ls"), [""; 0]);
    output(Command::new("cp").arg("-a").arg(old.path().join("blackstart_ledger")).arg(new.path()));
    // A copy that is behind: what is there is not what was left there.
    let copied = run_folder(&new.path());
    let own = lines(&copied, "ls | grep '^w00001'").remove(0);
    std::fs::write(copied.join(&own), "").unwrap();
    assert_eq!((pooled.write(0, 1).await, fresh.write(1, 2).await), (Outcome::Ok, Outcome::Ok));
    let seqs = |rows: Vec<Row>, writer: u16| {
        let own = rows.into_iter().filter_map(|row| row.key.ok()).filter(|key| key.writer == writer);
        own.map(|key| key.seq).collect::<Vec<_>>()
    };
    let rows = fresh.rows().await;
    assert_eq!(seqs(rows.clone(), 1), [2]);
    assert_eq!(
        seqs(rows, 0),
        [0],
        "who kept its file open still writes to the old volume, and is told that all is well"
    );
    switch(&old);
    assert_eq!(seqs(fresh.rows().await, 0), [0, 1]);
}

async fn ask(path: &Path, ask: DirectoryAsk) -> Result<String, AdapterError> {
    let world = World::system_with(program().map(Path::to_path_buf));
    let question = Question::Directory(path.to_path_buf(), ask);
    world.systems.look(&question, Duration::from_secs(20)).await.map(|seen| seen.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_says_what_it_is_on() {
    let volume = Volume::btrfs();
    let (path, said) = (volume.path(), async |question| ask(&volume.path(), question).await.unwrap());
    assert_eq!((said(DirectoryAsk::Kind).await.as_str(), said(DirectoryAsk::Mounted).await.as_str()), ("btrfs", "yes"));
    assert_eq!(said(DirectoryAsk::Source).await, volume.device());
    assert!(said(DirectoryAsk::Free).await.parse::<u64>().unwrap() > 10 << 20);
    let btrfs = |words: &[&str]| output(Command::new("btrfs").args(words).current_dir(&path));
    btrfs(&["subvolume", "create", "live"]);
    btrfs(&["filesystem", "sync", "."]);
    let live = path.join("live");
    assert_eq!(ask(&live, DirectoryAsk::Mounted).await.unwrap(), "no");
    let before: u64 = ask(&live, DirectoryAsk::Generation).await.unwrap().parse().unwrap();
    std::fs::write(live.join("x"), "x").unwrap();
    btrfs(&["filesystem", "sync", "."]);
    assert!(ask(&live, DirectoryAsk::Generation).await.unwrap().parse::<u64>().unwrap() > before);
    let none = ask(&path, DirectoryAsk::SnapshotAge).await.unwrap_err();
    assert!(matches!(&none, AdapterError::Missing(why) if why.contains("no read-only snapshot")), "{none}");
    btrfs(&["subvolume", "snapshot", "-r", "live", "one"]);
    assert!(said(DirectoryAsk::SnapshotAge).await.parse::<u64>().unwrap() < 20);
    volume.remount("ro");
    assert_eq!(said(DirectoryAsk::ReadOnly).await, "yes");
    let nowhere = ask(&path.join("nowhere"), DirectoryAsk::Free).await.unwrap_err();
    assert!(matches!(&nowhere, AdapterError::Missing(why) if why.contains("nowhere")), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_before_anything_is_broken() {
    let volume = Volume::ext4();
    let said = async |path: &Path| {
        let place = place(path, Fsync::Each, FileLayout::Segments);
        let why = Ledger::open(&place, &settings("run-1", ClientBehaviour::Pooled)).store.prepare().await.unwrap_err();
        assert!(why.to_string().contains(path.to_str().unwrap()), "{why}");
        why
    };
    let at = |name: &str| volume.path().join(name);
    assert!(
        matches!(said(&at("nowhere")).await, AdapterError::Missing(why) if why.contains("mount what belongs there"))
    );
    std::fs::write(at("file"), "").unwrap();
    assert!(matches!(said(&at("file")).await, AdapterError::Refused(why) if why.contains("is no directory")));
    std::fs::create_dir(at("taken")).unwrap();
    symlink("/", at("taken/blackstart_ledger")).unwrap();
    assert!(
        matches!(said(&at("taken")).await, AdapterError::Refused(why) if why.contains("name another with `table`"))
    );
    // Not even root may write there.
    std::fs::create_dir(at("locked")).unwrap();
    output(Command::new("chattr").arg("+i").arg(at("locked")));
    let locked = said(&at("locked")).await;
    output(Command::new("chattr").arg("-i").arg(at("locked")));
    assert!(matches!(locked, AdapterError::Refused(why) if why.contains("let the user of this run write there")));
    volume.remount("ro");
    assert!(matches!(said(&volume.path()).await, AdapterError::Refused(why) if why.contains("mount it writable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_end_with_their_ledger() {
    let volume = Volume::memory("4m");
    let place = place(&volume.path(), Fsync::Each, FileLayout::Segments);
    let users = || {
        let script = format!("find /proc/[0-9]*/fd -lname '{}/*' 2>/dev/null || true", volume.path().display());
        lines(Path::new("/"), &script)
    };
    let ledger = Ledger::open(&place, &settings("run-1", ClientBehaviour::Pooled));
    ledger.store.prepare().await.unwrap();
    assert_eq!(ledger.write(0, 0).await, Outcome::Ok);
    let open = users();
    assert_eq!(open.len(), 1, "one file, by one process: {open:?}");
    // Killed with nothing in it: the next record goes by another.
    let pid: i32 = open[0].split('/').nth(2).unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    until("it is gone", || users().is_empty());
    let mut outcomes = vec![ledger.write(0, 1).await];
    while outcomes.last() != Some(&Outcome::Ok) {
        assert!(outcomes.len() < 20, "{outcomes:?}");
        outcomes.push(ledger.write(0, 1 + outcomes.len() as u64).await);
    }
    drop(ledger);
    until("no process has a file there", || users().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_taken_by_a_process_and_given_up_in_time() {
    let volume = Volume::memory("4m");
    for number in 0..300 {
        std::fs::write(volume.path().join(format!("file {number}")), number.to_string()).unwrap();
    }
    let world = World::system_with(program().map(Path::to_path_buf));
    let (name, path, exclude) = ("data".to_owned(), volume.path(), vec!["*9".to_owned()]);
    let asked = Directory { name, path, exclude, times: Counts::No, owners: Counts::No };
    let store = Store::Directory(asked.clone());
    let taken = world.data.fingerprint(&store, Duration::from_secs(30)).await.unwrap();
    assert_eq!(taken, take(&asked).unwrap());
    assert_eq!((taken.print.parts["data"].count, taken.listing.unwrap().0.len()), (270, 270));
    // One that has had no time at all.
    let late = world.data.fingerprint(&store, Duration::ZERO).await.unwrap_err();
    assert!(matches!(late, AdapterError::TimedOut(_)), "{late}");
}

/// A runner that is killed closes the pipe, and does nothing more.
#[test]
fn a_process_ends_when_its_runner_is_gone() {
    let volume = Volume::memory("1m");
    let mut command = Command::new(program().unwrap());
    command.args(["helper", "--owner", "ledger", "directory", "files"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let place = serde_json::json!({
        "path": volume.path(), "name": "blackstart_ledger", "run": "run-1", "fsync": "each", "layout": "segments",
        "keep": "Open", "process": 1,
    });
    let mut to = child.stdin.take().unwrap();
    writeln!(to, "{place}").unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n");
    drop(to);
    until("it has ended", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
}
