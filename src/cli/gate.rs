//! `blackstart gate`: may a release go out, as far as drills can say? Reads bundles only and starts nothing. What is asked is
//! put together here; what a bundle is worth is found in [`bundles`]; the answer is `history`'s.

mod bundles;
mod seal;
mod show;

use super::history::{Since, since};
use super::past::Where;
use super::playbooks::{self, Given};
use super::{Complaint, Exit, Output, Terminal, files};
use crate::analysis::stats::Claim;
use crate::clock::Clock;
use crate::history::coverage::frequency;
use crate::history::gate::{Asked, Grade, Judged, Layer, Need, Pinned, Regression, Rules, Runs, judge};
use crate::journal;
use crate::model::Percent;
use crate::report::Style;
use bundles::Bundles;
use chrono::TimeDelta;
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which drills, and what is required of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Playbooks, folders of playbooks, or names of drills; every drill that has runs if none is given
    #[arg(value_name = "PLAYBOOK|DRILL")]
    asked: Vec<String>,
    #[command(flatten)]
    given: Given,
    /// Where the runs' folders are; `reports` if the configuration does not say
    #[arg(long, value_name = "DIR", env = "BLACKSTART_REPORTS")]
    reports: Option<PathBuf>,
    /// Only runs in this environment; a playbook says its own
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The last run may be that old; `metadata: every:` of the playbook if not given
    #[arg(long, value_name = "AGE", value_parser = age)]
    max_age: Option<TimeDelta>,
    /// What must be so of the last run
    #[arg(long, value_enum, value_delimiter = ',', default_value = "passed")]
    require: Vec<Required>,
    /// What must have been under test: sha256:… or gitCommit:…
    #[arg(long, value_name = "DIGEST", value_parser = subject)]
    subject: Vec<String>,
    /// The runs that the last one is held against: a run, or a folder of runs; those before it if not given
    #[arg(long, value_name = "RUN|DIR")]
    baseline: Option<PathBuf>,
    /// Does a regression fail the gate?
    #[arg(long, value_enum, default_value = "advise")]
    regression: Decides,
    /// A figure may be that much above the median of the runs before
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = percent)]
    tolerance: f64,
    /// Who may sign: a file as ssh-keygen reads it
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// Certificate of the authority that signs timestamps (PEM); openssl checks them
    #[arg(long, value_name = "FILE")]
    tsa_ca: Option<PathBuf>,
    /// Compute the reports again from the record, too, and compare byte for byte
    #[arg(long)]
    recompute: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "human")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Required {
    /// It passed as a whole
    Passed,
    /// Somebody who may signed it
    Signed,
    /// It names the run before it, and that is here
    Chained,
    /// A time stamp authority vouches for when
    Stamped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decides {
    /// It is told, and decides nothing
    Advise,
    /// It fails
    Fail,
}

fn age(text: &str) -> Result<TimeDelta, String> {
    match since(text) {
        Ok(Since::Age(age)) if age > TimeDelta::zero() => Ok(age),
        _ => Err(format!("`{text}` is no age, like 90d or 12h")),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let Percent(share) = text.parse().map_err(|e| format!("{e}"))?;
    if share >= 0.0 { Ok(share) } else { Err(format!("`{text}` is less than nothing")) }
}

fn subject(text: &str) -> Result<String, String> {
    let hex = |digits: &str| digits.len() >= 40 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    match text.split_once(':') {
        Some(("sha256", digits)) if hex(digits) && digits.len() == 64 => Ok(text.to_ascii_lowercase()),
        Some(("gitCommit", digits)) if hex(digits) => Ok(format!("gitCommit:{}", digits.to_ascii_lowercase())),
        _ => Err(format!("`{text}` is neither sha256: and 64 digits nor gitCommit: and a whole commit id")),
    }
}

/// Ends with 0 if every drill is good, 1 if one is not, 2 if one cannot be verified.
pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let reports = args.reports()?;
    let bundles = Bundles::find(&reports)?;
    let baseline = args.baseline.as_deref().map(bundles::baseline).transpose()?;
    let asked = args.drills(&bundles, terminal)?;
    let rules = args.rules(baseline.as_ref().is_some_and(|(_, alone)| *alone));
    let checks = args.checks()?;
    let answer = |asked: &Asked| {
        let (evidence, unreadable) = bundles.of(asked, &rules.subjects, &checks);
        let earlier = baseline.as_ref().map(|(bundles, _)| bundles.of(asked, &[], &checks).0);
        let runs =
            crate::history::gate::Runs { evidence: &evidence, unreadable: &unreadable, baseline: earlier.as_deref() };
        judge(asked, runs, &rules)
    };
    let answers: Vec<Judged> = asked.iter().map(answer).collect();
    let exit = exit(&answers);
    match args.output {
        Output::Json => terminal.give(&show::json(&answers, exit, &rules)),
        Output::Human => terminal.say(&show::text(&answers, exit, terminal.style())),
        Output::Plain => terminal.say(&show::text(&answers, exit, Style::Plain)),
    }
    Ok(exit)
}

/// A run that just ended, held against a baseline: figure by figure, decides nothing.
pub fn against(dir: &Path, baseline: &Path) -> Result<(Layer, String), Complaint> {
    let (run, (before, alone)) = (Bundles::find(dir)?, bundles::baseline(baseline)?);
    let checks = seal::Checks::new(None, None, seal::Again::No)?;
    let (drill, environment) = run.drills().into_iter().next().unwrap_or_default();
    let asked = Asked { drill, environment: Some(environment), playbook: None, every: None };
    let (evidence, earlier) = (run.of(&asked, &[], &checks).0, before.of(&asked, &[], &checks).0);
    let runs = Runs { evidence: &evidence, unreadable: &[], baseline: Some(&earlier) };
    let layer = judge(&asked, runs, &plain_rules(alone)).regression;
    let text = show::regression(&layer, Style::Plain);
    Ok((layer, text))
}

/// What is asked if nothing is said.
fn plain_rules(alone: bool) -> Rules {
    Rules {
        now: Clock::System.stamp().wall,
        max_age: None,
        require: BTreeSet::from([Need::Passed]),
        subjects: Vec::new(),
        tolerance: 0.2,
        // A run that was named is enough; runs that were found must be several.
        least: if alone { 1 } else { 3 },
        regression: Regression::Advisory,
        allowed: |runs| Claim::new(0.95, 0.9)?.allowed(runs),
    }
}

fn exit(answers: &[Judged]) -> Exit {
    match answers.iter().map(|answer| answer.grade).max() {
        Some(Grade::Good) => Exit::Pass,
        Some(Grade::Unverified) => Exit::Inconclusive,
        Some(Grade::Bad) | None => Exit::Fail,
    }
}

impl Args {
    fn reports(&self) -> Result<PathBuf, Complaint> {
        let reports = self.reports.clone();
        Where { reports, index: None, config: self.given.config().cloned() }.reports()
    }

    /// Who may sign and stamp: as given, else as the configuration says.
    fn checks(&self) -> Result<seal::Checks, Complaint> {
        let config = Where { reports: None, index: None, config: self.given.config().cloned() }.config()?;
        let folder = config.path.as_ref().and_then(|file| file.parent()).unwrap_or(Path::new("")).to_owned();
        let beside = |path: &PathBuf| folder.join(path);
        let signers = self.allowed_signers.clone().or_else(|| config.evidence.allowed_signers.as_ref().map(beside));
        let authority = || config.evidence.timestamp.as_ref()?.ca.as_ref().map(beside);
        let again = if self.recompute { seal::Again::Yes } else { seal::Again::No };
        seal::Checks::new(signers, self.tsa_ca.clone().or_else(authority), again)
    }

    fn rules(&self, alone: bool) -> Rules {
        let need = |required: &Required| match required {
            Required::Passed => Need::Passed,
            Required::Signed => Need::Signed,
            Required::Chained => Need::Chained,
            Required::Stamped => Need::Stamped,
        };
        Rules {
            max_age: self.max_age,
            require: self.require.iter().map(need).collect::<BTreeSet<Need>>(),
            subjects: self.subject.clone(),
            tolerance: self.tolerance,
            regression: if self.regression == Decides::Fail { Regression::Decides } else { Regression::Advisory },
            ..plain_rules(alone)
        }
    }

    /// What is asked: playbooks by their files, drills by their names, or all that have runs.
    fn drills(&self, bundles: &Bundles, terminal: &mut Terminal) -> Result<Vec<Asked>, Complaint> {
        if self.asked.is_empty() {
            return self.all(bundles);
        }
        let mut asked: Vec<Asked> = Vec::new();
        for word in &self.asked {
            let found = if is_name(word) { vec![self.named(word)] } else { self.of_playbooks(word, terminal)? };
            for one in found {
                if !asked.contains(&one) {
                    asked.push(one);
                }
            }
        }
        Ok(asked)
    }

    fn all(&self, bundles: &Bundles) -> Result<Vec<Asked>, Complaint> {
        let fits = |environment: &str| self.environment.as_deref().is_none_or(|wanted| wanted == environment);
        let drills = bundles.drills().into_iter().filter(|(_, environment)| fits(environment));
        let asked: Vec<Asked> = drills
            .map(|(drill, environment)| Asked { drill, environment: Some(environment), playbook: None, every: None })
            .collect();
        if asked.is_empty() {
            let what = format!("there is no run in {}", bundles.reports().display());
            return Err(Complaint::new(Exit::Fail, what).mend("blackstart run PLAYBOOK, or --reports DIR"));
        }
        Ok(asked)
    }

    fn named(&self, drill: &str) -> Asked {
        Asked { drill: drill.to_owned(), environment: self.environment.clone(), playbook: None, every: None }
    }

    fn of_playbooks(&self, path: &str, terminal: &mut Terminal) -> Result<Vec<Asked>, Complaint> {
        let found = files::find(&[PathBuf::from(path)])?;
        let loaded = playbooks::load(&found.playbooks, &self.given)?;
        terminal.warn_all(&loaded.drawn(terminal.drawing()));
        if loaded.errors() > 0 {
            return Err(loaded.refusal());
        }
        let plans = loaded.files.into_iter().flat_map(|file| file.plans).map(|one| one.plan);
        let asked = plans.map(|plan| Asked {
            drill: plan.name.to_string(),
            environment: Some(plan.environment.clone()),
            every: frequency(&plan.metadata),
            playbook: Some(Pinned {
                path: plan.source.path.to_string_lossy().into_owned(),
                written: journal::digest(plan.source.text.as_bytes()),
                params: plan.params.clone(),
                resolved: journal::digest(plan.source.resolved.as_bytes()),
            }),
        });
        Ok(asked.collect())
    }
}

/// Is this the name of a drill, and no file?
fn is_name(word: &str) -> bool {
    let letters = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    letters && !word.is_empty() && !Path::new(word).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_whole_digest() {
        let (short, commit, image) = ("ab".repeat(10), "AB".repeat(20), "cd".repeat(32));
        assert!(subject(&format!("sha256:{short}")).is_err() && subject(&image).is_err());
        assert_eq!(subject(&format!("gitCommit:{commit}")), Ok(format!("gitCommit:{}", "ab".repeat(20))));
        assert_eq!(subject(&format!("sha256:{image}")), Ok(format!("sha256:{image}")));
    }

    #[test]
    fn without_an_answer_nothing_is_good() {
        assert_eq!(exit(&[]), Exit::Fail);
        assert_eq!((age("90d"), age("0s").is_err(), age("2026-01-01").is_err()), (Ok(TimeDelta::days(90)), true, true));
        assert!(percent("-5%").is_err() && (percent("20%").unwrap() - 0.2).abs() < 1e-12);
    }
}
