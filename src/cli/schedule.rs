//! `blackstart schedule`: a drill at fixed times. Prints the objects that make a cluster run it; touches nothing.

use super::inside::{self, Asked};
use super::playbooks::{self, Given};
use super::{Complaint, Exit, Terminal};
use crate::adapters::World;
use crate::clock::Clock;
use crate::inside::{
    Cron, Names, Purpose, TIME_ZONES_SINCE, account, bindings, config_map, cron_jobs, documents, lease,
    limits_in_words, minimal_role, next, zone,
};
use chrono_tz::Tz;
use clap::ValueEnum;
use std::path::PathBuf;

/// The version from which CronJobs are `batch/v1`.
const CRON_JOBS_SINCE: (u32, u32) = (1, 21);
/// The version from which time zones work unless somebody switched them off.
const TIME_ZONES_BETA: (u32, u32) = (1, 25);

/// Which drill, when, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The playbook
    file: PathBuf,
    #[command(flatten)]
    given: Given,
    /// When: minute, hour, day of the month, month, day of the week
    #[arg(long, value_name = "CRON")]
    cron: String,
    /// The time zone of it, as in Europe/Berlin; the cluster's own if not given
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What is printed
    #[arg(long, value_enum)]
    emit: Emit,
    /// The version of the cluster; a cluster that is named by --kubeconfig or --context is asked if not given
    #[arg(long, value_name = "1.N", value_parser = version)]
    kube_version: Option<(u32, u32)>,
    #[command(flatten)]
    asked: Asked,
}

/// Who starts the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// A Kubernetes CronJob, and one of its guardian
    K8s,
    /// A systemd timer
    #[value(hide = true)]
    Systemd,
    /// A crontab
    #[value(hide = true)]
    Cron,
}

fn version(text: &str) -> Result<(u32, u32), String> {
    let parts = text.trim_start_matches('v').split_once('.');
    let minor = |text: &str| text.split('.').next().and_then(|minor| minor.trim_end_matches('+').parse().ok());
    parts
        .and_then(|(major, rest)| Some((major.parse().ok()?, minor(rest)?)))
        .ok_or_else(|| format!("`{text}` is no version, as in 1.33"))
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    if args.emit != Emit::K8s {
        return Err(Complaint::new(Exit::Usage, "only Kubernetes schedules are written yet").mend("--emit k8s"));
    }
    let cron: Cron = args.cron.parse().map_err(|e: crate::inside::CronError| {
        Complaint::new(Exit::Usage, e.to_string()).mend("--cron '0 3 * * 1': Mondays at three")
    })?;
    let zone = args.time_zone.as_deref().map(zone).transpose();
    let zone = zone.map_err(|e| Complaint::new(Exit::Usage, e.to_string()).mend(e.mend()))?;
    let shown = zone.unwrap_or(Tz::UTC);
    let times =
        next(&cron, shown, Clock::System.stamp().wall, 3).map_err(|e| Complaint::new(Exit::Usage, e.to_string()))?;
    let loaded = playbooks::load(std::slice::from_ref(&args.file), &args.given)?;
    terminal.warn_all(&loaded.drawn(terminal.drawing()));
    if loaded.errors() > 0 {
        return Err(loaded.refusal());
    }
    let drill = inside::only(&args.file, loaded)?;
    server_can(args, zone)?.iter().for_each(|note| terminal.warn(note));
    let gathered = inside::gather(&drill, &args.asked.files)?;
    let names = Names::of_schedule(drill.plan.name.as_str());
    let namespace = args.asked.namespace.clone().unwrap_or_else(|| "blackstart".to_owned());
    let mut setting =
        inside::setting((&drill, &gathered), (&args.asked, &args.given), (names, namespace, Purpose::Schedule))?;
    setting.arguments.extend(["--output", "plain"].map(str::to_owned));
    let mut objects = Vec::new();
    if setting.account.is_none() {
        objects.push(account(&setting));
    }
    let mut roles = vec![minimal_role(&setting)];
    let needs = super::run::runtime()?.block_on(inside::needs(&drill.plan, args.asked.access()))?;
    setting.homes = needs.homes;
    if setting.account.is_none() {
        roles.extend(needs.roles);
    }
    objects.extend(bindings(&setting, roles));
    objects.push(config_map(&setting, &gathered.files));
    objects.push(lease(&setting, &setting.names.set, "runner"));
    objects.push(lease(&setting, &setting.names.guardian, "guardian"));
    objects.extend(cron_jobs(&setting, &gathered.files, (&cron, zone)));
    gathered.left.iter().for_each(|left| terminal.warn(&format!("note: {left}")));
    let at = times.iter().map(|at| at.format("%a %Y-%m-%d %H:%M %Z").to_string()).collect::<Vec<_>>().join(", ");
    terminal.warn(&format!("next: {at}\n{}", limits_in_words(&setting.times)));
    terminal.say(&documents(&objects));
    Ok(Exit::Pass)
}

/// Can the cluster do it? A note if it probably can.
fn server_can(args: &Args, zone: Option<Tz>) -> Result<Option<String>, Complaint> {
    let named = args.asked.kubeconfig.is_some() || args.asked.context.is_some();
    let version = match args.kube_version {
        Some(version) => version,
        None if named => asked(args)?,
        None => return Ok(None),
    };
    // Not every server says which it is.
    if version == (0, 0) {
        return Ok(Some(
            "note: the cluster does not say its version; `--kube-version 1.N` checks what it can".to_owned(),
        ));
    }
    let words = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let refused = |what: &str, since| {
        Complaint::new(
            Exit::Preflight,
            format!("Kubernetes {} has no {what}: that came with {}", words(version), words(since)),
        )
    };
    if version < CRON_JOBS_SINCE {
        return Err(refused("CronJobs of batch/v1", CRON_JOBS_SINCE)
            .mend("a cluster that is newer, or a schedule outside of it"));
    }
    match zone {
        Some(_) if version < TIME_ZONES_BETA => {
            let why = refused("CronJobs with a time zone, and would drop it without a word", TIME_ZONES_SINCE);
            Err(why.mend("leave out --time-zone: the hours are then those of the cluster, UTC as a rule"))
        }
        Some(_) if version < TIME_ZONES_SINCE => Ok(Some(format!(
            "note: in Kubernetes {} time zones of CronJobs are a beta that can be switched off (`CronJobTimeZone`); always there \
             from {}",
            words(version),
            words(TIME_ZONES_SINCE)
        ))),
        _ => Ok(None),
    }
}

fn asked(args: &Args) -> Result<(u32, u32), Complaint> {
    let runtime = super::run::runtime()?;
    let world = World::system();
    let access = args.asked.access();
    let opened = runtime.block_on(world.clusters.open(&access));
    let cluster = opened.map_err(|e| {
        Complaint::new(Exit::Preflight, format!("the cluster's version is not known: {e}")).mend("--kube-version 1.N")
    })?;
    Ok(cluster.facts().version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_servers_write_them() {
        assert_eq!(version("1.33"), Ok((1, 33)));
        assert_eq!(version("v1.27.4-gke.100"), Ok((1, 27)));
        assert_eq!(version("1.20+"), Ok((1, 20)));
        assert!(version("latest").is_err());
    }
}
