//! `blackstart run`: from playbooks to an exit code. Lowers them, hands each plan to `exec`, shows what happens, has
//! the record analysed and rendered, and says what it all amounts to.

use super::answers::Person;
use super::ci::{Ci, Fit};
use super::evidence::{self, Judged};
use super::playbooks::{self, Given, Scheduled};
use super::progress::Progress;
use super::terminal::Look;
use super::{
    Complaint, Exit, Output, Terminal, analyze, files, formats, gate, host_seal, inside, leaks, past, repeat, sealing,
    upload,
};
use crate::adapters::World;
use crate::adapters::host::{self, Durability};
use crate::analysis::stats::Sample;
use crate::clock::Clock;
use crate::config::{Also, Config};
use crate::event::{AbortCause, OpenAction};
use crate::evidence::actions;
use crate::exec::inside::Seat;
use crate::exec::{
    self, AnswerFile, Answers, Finished, Guarding, KillSwitch, Nobody, RunError, RunOptions, StopSignal,
};
use crate::model::{RunId, RunState};
use crate::playbook::{AfterFailure, Window};
use crate::staging::Embedded;
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Which drills, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Playbooks or game days, in order
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", env = "BLACKSTART_REPORTS")]
    reports: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
    #[command(flatten)]
    again: repeat::Again,
    /// Also write these reports; the configuration's `evidence: {formats: […]}` always
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', value_parser = formats::also_parser())]
    also: Vec<Also>,
    #[command(flatten)]
    sealing: sealing::Asked,
    #[command(flatten)]
    to: upload::To,
    /// A run whose archive could not be uploaded is no pass (exit code 2)
    #[arg(long)]
    upload_required: bool,
    /// Name the run; made from the time if not given
    #[arg(long, value_name = "ID", value_parser = run_id)]
    run_id: Option<RunId>,
    /// Answers to `ask` steps, a line of JSON each, instead of the terminal
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Hold the run's figures against those of a run, or of the runs in a folder; decides nothing
    #[arg(long, value_name = "RUN|DIR")]
    baseline: Option<PathBuf>,
    /// Accept a state directory in memory: open faults are then forgotten at a reboot
    #[arg(long)]
    volatile_state: bool,
    /// Do not ask before an irreversible fault
    #[arg(long)]
    yes: bool,
    /// Run the drill inside a cluster, as a Job with a guardian of its own, and bring its folder here
    #[arg(long, value_enum, value_name = "WHERE")]
    on: Option<On>,
    #[command(flatten)]
    inside: inside::Asked,
    /// The Lease by which a guardian in another pod watches over this run
    #[arg(long, hide = true, value_name = "NAMESPACE/NAME")]
    lease: Option<String>,
}

/// Where a drill runs, if not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum On {
    /// In a Kubernetes cluster
    Kubernetes,
}

fn run_id(text: &str) -> Result<RunId, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 64 || text.starts_with('.') || !text.chars().all(fine) {
        return Err("a run's name has at most 64 letters, digits, `-`, `_` and `.`".to_owned());
    }
    Ok(RunId(text.to_owned()))
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let found = files::find(&args.files)?;
    let loaded = playbooks::load(&found.playbooks, &args.given)?;
    terminal.warn_all(&loaded.drawn(terminal.drawing()));
    if loaded.errors() > 0 {
        return Err(loaded.refusal());
    }
    let windows: Vec<Window> = loaded.files.iter().filter_map(|file| file.window.clone()).collect();
    let drills: Vec<Scheduled> = loaded.files.into_iter().flat_map(|file| file.plans).collect();
    let runs = drills.len() * args.again.times();
    if args.run_id.is_some() && runs > 1 {
        return Err(Complaint::new(Exit::Usage, format!("--run-id names one run, and these are {runs}")));
    }
    confirmed(args, &drills, terminal)?;
    match (args.on, drills.as_slice()) {
        (Some(On::Kubernetes), drills) => return elsewhere(args, drills, terminal),
        (None, _) if args.inside.anything() => {
            let what = "these options are for a run inside a cluster";
            return Err(Complaint::new(Exit::Usage, what).mend("--on kubernetes"));
        }
        (None, _) => {}
    }
    let named = || args.run_id.clone().or_else(|| args.lease.as_ref().map(|_| new_run_id()));
    let (world, stop) = (World::system(), StopSignal::new());
    let runner = Runner { args, run: named(), windows, runtime: runtime()?, world, stop, ci: Ci::here() };
    let exit = runner.all(&drills, terminal);
    // A thread may still be waiting for a person's answer.
    runner.runtime.shutdown_background();
    exit
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Complaint> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 4))
        .enable_all()
        .build()
        .map_err(|e| Complaint::new(Exit::Preflight, format!("cannot start the runtime: {e}")))
}

/// A person at a terminal is asked before something that cannot be undone.
fn confirmed(args: &Args, drills: &[Scheduled], terminal: &mut Terminal) -> Result<(), Complaint> {
    let irreversible: Vec<&str> = drills
        .iter()
        .flat_map(|drill| drill.plan.outage.iter())
        .filter(|step| matches!(&step.verb, crate::plan::Verb::Inject(inject) if inject.fault.irreversible()))
        .map(|step| step.name.as_str())
        .collect();
    if irreversible.is_empty() || args.yes || terminal.look() == Look::Plain || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    terminal.warn(&format!("this cannot be undone: {}\ntype `yes` to go on", irreversible.join(", ")));
    let mut line = String::new();
    drop(std::io::stdin().read_line(&mut line));
    if line.trim() == "yes" {
        return Ok(());
    }
    Err(Complaint::new(Exit::NotRun, "not confirmed; nothing was touched"))
}

/// Orders the drill in a cluster.
fn elsewhere(args: &Args, drills: &[Scheduled], terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let [drill] = drills else {
        let what = format!("these are {} drills; in a cluster one is run at a time", drills.len());
        return Err(Complaint::new(Exit::Usage, what).mend("one playbook without `matrix:`"));
    };
    if args.again.times() > 1 || args.answers.is_some() {
        let what = "a run inside a cluster is one run, and nobody answers its `ask` steps";
        return Err(Complaint::new(Exit::Usage, what).mend("without --repeat and --answers"));
    }
    let reports = args.reports.clone().or_else(|| beside(&drill.config, drill.config.reports.as_ref()));
    let output = if args.output == Output::Json { "json" } else { "plain" };
    let order = inside::Order {
        drill,
        gathered: &inside::gather(drill, &args.inside.files)?,
        asked: &args.inside,
        given: &args.given,
        run: args.run_id.clone().unwrap_or_else(new_run_id),
        reports: reports.unwrap_or_else(|| "reports".into()),
        output: args.output,
        arguments: vec!["--output".to_owned(), output.to_owned()],
    };
    inside::order(&order, terminal)
}

fn new_run_id() -> RunId {
    exec::new_run_id(Clock::System.stamp().wall)
}

struct Runner<'a> {
    args: &'a Args,
    /// The run's name, if it is known before the run.
    run: Option<RunId>,
    windows: Vec<Window>,
    runtime: tokio::runtime::Runtime,
    world: World,
    stop: StopSignal,
    ci: Ci,
}

/// What one drill came to.
struct Outcome {
    drill: String,
    exit: Exit,
    dir: Option<PathBuf>,
    sample: Option<Sample>,
}

impl Runner<'_> {
    fn all(&self, drills: &[Scheduled], terminal: &mut Terminal) -> Result<Exit, Complaint> {
        self.runtime
            .block_on(async { self.stop.listen() })
            .map_err(|e| Complaint::new(Exit::Preflight, format!("cannot listen to signals: {e}")))?;
        let held = self.held(terminal)?;
        let mut outcomes: Vec<Outcome> = Vec::new();
        let runs: Vec<&Scheduled> = repeat::rounds(drills, &self.args.again);
        let series = repeat::is_series(&runs);
        for (n, drill) in runs.iter().enumerate() {
            if let Some(why) = self.closed() {
                let drill = drill.plan.name.to_string();
                outcomes.push(Outcome { drill, exit: terminal.complain(&why), dir: None, sample: None });
                break;
            }
            let outcome = self.one(drill, terminal);
            let exit = outcome.exit;
            let ends = exit == Exit::NotHealed
                || (exit != Exit::Pass && drill.on_fail == AfterFailure::Stop)
                || (series && repeat::ends_series(exit));
            outcomes.push(outcome);
            if series && self.args.output != Output::Json {
                terminal.say(&repeat::one_of(n + 1, runs.len(), exit));
            }
            if ends || self.stop.requested().is_some() {
                break;
            }
            if n + 1 < runs.len() {
                self.pause(drill.pause.max(self.args.again.pause()));
            }
        }
        let exit = Exit::all(outcomes.iter().map(|outcome| outcome.exit));
        if runs.len() > 1 && self.args.output != Output::Json {
            terminal.say(&summary(&outcomes, runs.len(), exit));
        }
        self.ci.end(exit, terminal);
        if let Some(held) = held {
            let dir = outcomes.last().and_then(|outcome| outcome.dir.as_deref());
            held.conclude(dir, exit, &self.runtime, terminal);
        }
        if series {
            let samples = outcomes.into_iter().filter_map(|outcome| outcome.sample).collect();
            repeat::together(samples, self.args.output, exit, terminal);
        }
        Ok(exit)
    }

    /// The Lease of a run inside a cluster, with a guardian that watches.
    fn held(&self, terminal: &mut Terminal) -> Result<Option<inside::Held>, Complaint> {
        let (Some(lease), Some(run)) = (&self.args.lease, &self.run) else { return Ok(None) };
        let what = (lease.as_str(), run, self.args.inside.hold());
        inside::hold(what, (&self.world, &self.runtime, &self.stop), terminal).map(Some)
    }

    /// A game day's window is over, or has not begun.
    fn closed(&self) -> Option<Complaint> {
        let now = Clock::System.stamp().wall;
        let window = self.windows.iter().find(|window| now < window.from.0 || now > window.until.0)?;
        let what = format!("the window is from {} until {}; nothing was touched", window.from.0, window.until.0);
        Some(Complaint::new(Exit::NotRun, what))
    }

    fn pause(&self, pause: Duration) {
        self.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.wait() => {}
            }
        });
    }

    fn one(&self, drill: &Scheduled, terminal: &mut Terminal) -> Outcome {
        let name = drill.plan.name.to_string();
        let memory = if self.args.volatile_state { Memory::Accepted } else { Memory::Refused };
        let state_dir = match state_dir(&drill.config, memory) {
            Ok(dir) => dir,
            Err(why) => return Outcome { drill: name, exit: terminal.complain(&why), dir: None, sample: None },
        };
        let progress = Arc::new(Progress::new(self.args.output, terminal.look(), Clock::System));
        let mut options = self.options(drill, state_dir, &progress);
        let begun = sealing::begin(&self.args.sealing, drill, &mut options, &self.world);
        let begun = match self.runtime.block_on(begun) {
            Ok(begun) => begun,
            Err(why) => return Outcome { drill: name, exit: terminal.complain(&why), dir: None, sample: None },
        };
        begun.notes.iter().for_each(|note| terminal.warn(&format!("warning: {note}")));
        let observer = begun.watching(progress.clone());
        let finished = self.runtime.block_on(async {
            let again = tokio::spawn(told_again(self.stop.clone(), progress.clone()));
            let switch = tokio::spawn(engaged_by_signal(self.stop.clone(), options.state_dir.clone()));
            let finished = exec::run(&drill.plan, &self.world, &options, observer, self.stop.clone()).await;
            again.abort();
            if self.stop.requested().is_some() {
                drop(switch.await);
            } else {
                switch.abort();
            }
            finished
        });
        progress.end();
        let also = [self.args.also.as_slice(), drill.config.evidence.formats.as_slice()].concat();
        let (exit, sample) = self.conclude(&finished, (&also, &begun), terminal);
        finished.dir.iter().for_each(|dir| {
            past::note(&drill.config, dir, terminal);
            self.held_against(dir, terminal);
        });
        let exit = exit.merge(self.uploaded(&drill.config, &finished, terminal));
        Outcome { drill: name, exit, dir: finished.dir, sample }
    }

    /// Says whether the run was worse than a baseline, if one was named. The run's result stays what it is.
    fn held_against(&self, dir: &Path, terminal: &mut Terminal) {
        let Some(baseline) = &self.args.baseline else { return };
        match gate::against(dir, baseline) {
            Ok((layer, _)) if self.args.output == Output::Json => {
                terminal.say(&json!({ "baseline": layer }).to_string())
            }
            Ok((_, text)) => terminal.say(&format!("Against {}\n{text}", baseline.display())),
            Err(why) => drop(terminal.complain(&why)),
        }
    }

    fn options(&self, drill: &Scheduled, state_dir: PathBuf, progress: &Arc<Progress>) -> RunOptions {
        let reports = self.args.reports.clone().or_else(|| beside(&drill.config, drill.config.reports.as_ref()));
        let run = self.run.clone().unwrap_or_else(new_run_id);
        let host = host_seal::seal();
        let answers: Arc<dyn Answers> = match &self.args.answers {
            Some(file) => Arc::new(AnswerFile::new(file.clone())),
            None if std::io::stdin().is_terminal() => {
                Arc::new(Person { progress: progress.clone(), name: host.trigger.clone() })
            }
            None => Arc::new(Nobody),
        };
        let mut options = RunOptions::new(reports.unwrap_or_else(|| "reports".into()), state_dir, run, host);
        options.answers = answers;
        options.home = self.args.lease.as_ref().and_then(|lease| Seat::parse(lease)).map(|seat| seat.home());
        options.image = std::env::var("BLACKSTART_IMAGE").ok().filter(|image| !image.is_empty());
        options.lineage.actions = self.open_actions(drill, &options.reports_dir, progress);
        options.kill_switch = kill_switch(&drill.config, options.kill_switch);
        options.guardian = Guarding::Process(vec![me(), "guardian".to_owned()]);
        let (earlier, note) = past::earlier(&drill.plan, &drill.config, &options.reports_dir);
        options.lineage.earlier = earlier;
        note.iter().for_each(|note| progress.remark(note));
        options.embedded = Arc::new(|staging, dir| {
            let mut words = vec![me()];
            words.extend(Embedded::from(staging).arguments(dir));
            words
        });
        options
    }

    /// What reviews of earlier runs asked for and nobody has done.
    fn open_actions(&self, drill: &Scheduled, reports: &Path, progress: &Progress) -> Vec<OpenAction> {
        let found = actions::earlier(&reports.join(drill.plan.name.as_str()), &drill.plan.environment);
        for why in &found.unread {
            progress.remark(&format!(
                "what a review of an earlier run asks for is not known: {}",
                crate::report::words::clean(why)
            ));
        }
        found.actions
    }

    /// Puts the run's archive where the user or the configuration says.
    fn uploaded(&self, config: &Config, finished: &Finished, terminal: &mut Terminal) -> Exit {
        let (Some(dir), Some(mut upload)) = (&finished.dir, self.args.to.or(config.evidence.upload.as_ref())) else {
            return Exit::Pass;
        };
        upload.required |= self.args.upload_required;
        upload::after_run(&short(dir), &upload, &self.runtime, terminal)
    }

    /// Reads the record back, writes the reports, seals it all, prints the table.
    fn conclude(
        &self,
        finished: &Finished,
        (also, begun): (&[Also], &sealing::Begun),
        terminal: &mut Terminal,
    ) -> (Exit, Option<Sample>) {
        let ended = exit_of(finished);
        if let Some(error) = &finished.error {
            terminal.complain(&complaint(error, ended));
        }
        let Some(dir) = &finished.dir else {
            self.runtime.block_on(begun.release(&self.world));
            return (ended, None);
        };
        let shown = short(dir);
        let judged = match evidence::judge(dir) {
            Ok(judged) => judged.with(also),
            Err(why) => return (terminal.complain(&why).merge(ended), None),
        };
        // A record that has its end says it all, so that `analyze` says the same later; but what an earlier run has left in a
        // cluster is open now, and is not of this run's record.
        let earlier = finished.error.as_ref().is_some_and(RunError::is_of_an_earlier_run);
        let whole = judged.analysis.journal_cut.is_none() && !earlier;
        let mut exit = if whole { judged.exit } else { judged.exit.merge(ended) };
        if let Err(why) = evidence::write(dir, &judged) {
            // What is not whole is not sealed.
            exit = exit.merge(terminal.complain(&why));
            self.show((&shown, None), &judged, exit, terminal);
            return (exit, Some(judged.sample));
        }
        let (sealed, fit) = match leaks::search(dir, &finished.secrets) {
            Ok(()) => (self.runtime.block_on(begun.conclude(dir, &judged, &self.world)), Fit::ToShow),
            Err(why) => (sealing::Concluded::refused(why), Fit::ToKeep),
        };
        sealed.notes.iter().for_each(|note| terminal.warn(&format!("warning: {note}")));
        if let Some(why) = &sealed.problem {
            exit = exit.merge(terminal.complain(why));
        }
        self.show((&shown, Some(&sealed)), &judged, exit, terminal);
        self.ci.drill((&shown, fit), &judged.analysis, exit, self.args.output, terminal);
        (exit, Some(judged.sample))
    }

    fn show(
        &self,
        (dir, sealed): (&Path, Option<&sealing::Concluded>),
        judged: &Judged,
        exit: Exit,
        terminal: &mut Terminal,
    ) {
        if self.args.output == Output::Json {
            let run = &judged.analysis.run;
            let result = json!({"run": run.run, "drill": run.drill, "dir": dir, "exit_code": exit.code(),
                "word": exit.word(), "verdict": judged.analysis.verdict,
                "seal": sealed.map(|sealed| &sealed.json)});
            return terminal.say(&json!({ "result": result }).to_string());
        }
        terminal.say(&analyze::table(dir, judged, terminal));
        sealed.iter().for_each(|sealed| terminal.say(&sealed.text));
    }
}

/// A kill switch that came as a signal holds for every other run, too, until somebody releases it.
async fn engaged_by_signal(stop: StopSignal, state_dir: PathBuf) {
    stop.wait().await;
    if let Some(AbortCause::KillSwitch(why)) = stop.requested() {
        // The run that was told stops in any case.
        drop(exec::engage(&state_dir, &why));
    }
}

/// This program.
fn me() -> String {
    std::env::current_exe().unwrap_or_else(|_| "blackstart".into()).to_string_lossy().into_owned()
}

/// A second Ctrl-C does not skip healing; it is told how to force the end, and what that means.
async fn told_again(stop: StopSignal, progress: Arc<Progress>) {
    let mut told = 1;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if stop.wishes() > told {
            told = stop.wishes();
            let pid = std::process::id();
            progress.remark(&format!(
                "already stopping: what is broken is being healed first. `kill -KILL {pid}` ends it at once and leaves \
                 open faults open; `blackstart recover` then heals them"
            ));
        }
    }
}

fn exit_of(finished: &Finished) -> Exit {
    match (&finished.error, finished.state) {
        (Some(error), _) if error.is_of_an_earlier_run() => Exit::NotHealed,
        (_, RunState::Dirty) => Exit::NotHealed,
        (Some(RunError::Internal(_)), _) => Exit::Internal,
        (Some(RunError::Held(_)), _) | (None, RunState::Held) => Exit::NotRun,
        (Some(RunError::Preflight(_)), _) | (None, RunState::NotRun) => Exit::Preflight,
        (None, RunState::Aborted) => Exit::Aborted,
        (None, RunState::Ended) => Exit::Pass,
        (Some(_), _) => Exit::NotHealed,
    }
}

fn complaint(error: &RunError, exit: Exit) -> Complaint {
    let complaint = Complaint::new(exit, error.to_string());
    match error {
        RunError::NotHealed(_) => complaint.mend("blackstart recover"),
        RunError::Preflight(_) => {
            complaint.mend("blackstart doctor, to see what this machine lacks; nothing was touched")
        }
        _ => complaint,
    }
}

/// With what the configuration adds to the file in the state directory.
fn kill_switch(config: &Config, mut switch: KillSwitch) -> KillSwitch {
    let Some(given) = &config.kill_switch else { return switch };
    if let Some(file) = beside(config, given.file.as_ref()) {
        switch = switch.or_file(file);
    }
    if let Some(url) = &given.url {
        let every = given.every.map_or(Duration::from_secs(2), |every| every.0);
        switch = switch.or_url(url.clone(), every, given.tolerate.unwrap_or(2));
    }
    switch
}

/// May the state directory be in memory?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It would forget open faults at a reboot.
    Refused,
    /// The user said so, or it is only read.
    Accepted,
}

/// The state directory: the environment's, then the configuration's, then the usual one.
///
/// # Errors
/// When there is none, or it would not survive a reboot.
pub fn state_dir(config: &Config, memory: Memory) -> Result<PathBuf, Complaint> {
    let stated = std::env::var_os("BLACKSTART_STATE_DIR").is_some_and(|value| !value.is_empty());
    let configured = if stated { None } else { beside(config, config.state_dir.as_ref()) };
    let mend = "BLACKSTART_STATE_DIR=/a/folder/on/a/disk";
    let dir = configured.or_else(super::state_dir).ok_or_else(|| {
        Complaint::new(Exit::Preflight, "there is no state directory: neither a home nor a setting").mend(mend)
    })?;
    let volatile = host::ground(&dir).is_ok_and(|ground| ground.durable == Durability::Volatile);
    if volatile && memory == Memory::Refused {
        let what = format!("the state directory {} is in memory: open faults would be forgotten", dir.display());
        return Err(Complaint::new(Exit::Preflight, what).mend(format!("{mend}, or --volatile-state")));
    }
    Ok(dir)
}

/// A path of the configuration is relative to the configuration.
fn beside(config: &Config, path: Option<&PathBuf>) -> Option<PathBuf> {
    let folder = config.path.as_ref().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    path.map(|path| folder.join(path))
}

/// The folder as a person would type it from here.
fn short(dir: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    dir.strip_prefix(&here).map_or_else(|_| dir.to_owned(), Path::to_owned)
}

fn summary(outcomes: &[Outcome], drills: usize, exit: Exit) -> String {
    let widest = outcomes.iter().map(|outcome| outcome.drill.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for outcome in outcomes {
        let dir = outcome.dir.as_deref().map_or_else(String::new, |dir| short(dir).display().to_string());
        text.push_str(&format!("{:widest$}  {:12}  {dir}\n", outcome.drill, outcome.exit.word()));
    }
    if outcomes.len() < drills {
        text.push_str(&format!("{} were not begun\n", drills - outcomes.len()));
    }
    text + &format!("together: {} ({})\n", exit.word(), exit.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_safe_as_a_folder() {
        assert!(run_id("20261121T000000Z-abcde").is_ok());
        for bad in ["", "..", ".x", "a/b", "a b", &"x".repeat(65)] {
            assert!(run_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_run_could_not_do_has_its_exit_code() {
        let finished = |state, error| Finished { dir: None, state, error, secrets: Default::default() };
        let open = RunError::OpenFault { run: "r".into(), fault: "f".into(), by_hand: String::new() };
        assert_eq!(exit_of(&finished(RunState::Dirty, Some(open))), Exit::NotHealed);
        assert_eq!(exit_of(&finished(RunState::NotRun, Some(RunError::Preflight(Vec::new())))), Exit::Preflight);
        assert_eq!(exit_of(&finished(RunState::Aborted, Some(RunError::Internal(String::new())))), Exit::Internal);
        assert_eq!(exit_of(&finished(RunState::Aborted, None)), Exit::Aborted);
        assert_eq!(exit_of(&finished(RunState::Ended, None)), Exit::Pass);
    }

    #[test]
    fn the_summary_names_every_drill_and_what_was_not_begun() {
        let outcome = |drill: &str, exit| Outcome { drill: drill.to_owned(), exit, dir: None, sample: None };
        let text = summary(&[outcome("a", Exit::Pass), outcome("bb", Exit::Fail)], 3, Exit::Fail);
        assert!(text.contains("bb  fail") && text.contains("1 were not begun") && text.contains("together: fail (1)"));
    }
}
