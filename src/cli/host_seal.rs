//! What the start record says about the machine, the tool, and who started it.

use crate::adapters::host;
use crate::event::HostSeal;

/// This machine, this tool, this user or CI job.
#[must_use]
pub fn seal() -> HostSeal {
    let name = host::name().unwrap_or_else(|| "unknown".to_owned());
    let kernel = host::kernel().map_or_else(|| "unknown".to_owned(), |(release, _)| release);
    HostSeal {
        tool: format!("blackstart {}", env!("CARGO_PKG_VERSION")),
        system: format!("{} {kernel} {}", std::env::consts::OS, std::env::consts::ARCH),
        boot: host::line("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        trigger: trigger(|variable| std::env::var(variable).ok(), &name),
        host: name,
    }
}

/// A CI job by its own name, else the user.
fn trigger(variable: impl Fn(&str) -> Option<String>, host: &str) -> String {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let (Some(repository), Some(run)) = (set("GITHUB_REPOSITORY"), set("GITHUB_RUN_ID")) {
        return format!("GitHub Actions: {repository}, run {run}");
    }
    if let (Some(project), Some(job)) = (set("CI_PROJECT_PATH"), set("CI_JOB_ID")) {
        return format!("GitLab: {project}, job {job}");
    }
    if let Some(build) = set("BUILD_URL") {
        return format!("CI: {build}");
    }
    let user = set("SUDO_USER").or_else(|| set("USER")).or_else(|| set("LOGNAME"));
    let who = format!("{}@{host}", user.unwrap_or_else(|| if host::is_root() { "root" } else { "unknown" }.to_owned()));
    if set("CI").is_some() { format!("CI: {who}") } else { who }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ci_job_is_named_before_the_user() {
        let github = |name: &str| match name {
            "GITHUB_REPOSITORY" => Some("a/b".to_owned()),
            "GITHUB_RUN_ID" => Some("7".to_owned()),
            "USER" => Some("runner".to_owned()),
            _ => None,
        };
        assert_eq!(trigger(github, "h"), "GitHub Actions: a/b, run 7");
        assert_eq!(trigger(|name| (name == "USER").then(|| "ann".to_owned()), "h"), "ann@h");
    }
}
