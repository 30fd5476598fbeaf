//! `blackstart install-recovery`: a systemd unit that heals, when the machine has booted, what a run left open.

use super::run::{Memory, state_dir};
use super::{Complaint, Exit, Terminal};
use crate::adapters::host::{self, Tried};
use crate::clock::Clock;
use crate::config::Config;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "blackstart-recover.service";
const FOLDER: &str = "/etc/systemd/system";
const LIMIT: Duration = Duration::from_secs(60);

/// Where it goes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only print the unit
    #[arg(long)]
    print: bool,
    /// Install it below this folder instead of /, without enabling it by systemctl (an image that is being built)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Take it out again
    #[arg(long, conflicts_with = "print")]
    remove: bool,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let state = std::path::absolute(state_dir(&Config::default(), Memory::Refused)?).unwrap_or_default();
    let program = std::env::current_exe().map_err(|e| failed("cannot find this program", &e.to_string()))?;
    let unit = unit(&program, &state)?;
    if args.print {
        terminal.say(&unit);
        return Ok(Exit::Pass);
    }
    let root = args.root.as_deref().unwrap_or(Path::new("/"));
    let folder = root.join(FOLDER.trim_start_matches('/'));
    let (file, wants) = (folder.join(NAME), folder.join("multi-user.target.wants"));
    let link = wants.join(NAME);
    if args.remove {
        for path in [&link, &file] {
            if let Err(error) = fs::remove_file(path).or_else(absent) {
                return Err(failed(&format!("cannot remove {}", path.display()), &error.to_string()));
            }
        }
        terminal.say(&format!("removed {}", file.display()));
    } else {
        let made = fs::create_dir_all(&wants).and_then(|()| fs::write(&file, &unit));
        let linked = made.and_then(|()| fs::remove_file(&link).or_else(absent)).and_then(|()| {
            // What `systemctl enable` does, also where no systemd runs yet.
            std::os::unix::fs::symlink(Path::new(FOLDER).join(NAME), &link)
        });
        linked.map_err(|e| failed(&format!("cannot write {}", file.display()), &e.to_string()))?;
        terminal.say(&format!("installed {}; at every boot it runs `{} recover`", file.display(), program.display()));
    }
    if args.root.is_none()
        && Path::new("/run/systemd/system").is_dir()
        && let Tried::Fails(why) = host::attempt(&["systemctl", "daemon-reload"], &Clock::System, LIMIT)
    {
        terminal.warn(&format!("systemd was not told ({why}): systemctl daemon-reload"));
    }
    Ok(Exit::Pass)
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn failed(what: &str, why: &str) -> Complaint {
    Complaint::new(Exit::Internal, format!("{what}: {why}"))
        .mend("run it as root, or `blackstart install-recovery --print`")
}

/// The unit. It starts when file systems, the network's configuration and its own services are up, for a heal may need
/// any of them, and again when it failed: a service that a heal starts may not be ready yet.
fn unit(program: &Path, state: &Path) -> Result<String, Complaint> {
    let (program, state) = (word(program)?, word(state)?);
    let mut unit = String::new();
    // Writing to a string cannot fail.
    let _written = write!(
        unit,
        "# Heals, after a boot, what a drill had broken when the machine went down.\n\
         [Unit]\n\
         Description=Blackstart: heal what a drill left broken\n\
         Documentation=man:blackstart(1)\n\
         After=local-fs.target network.target multi-user.target\n\
         ConditionDirectoryNotEmpty={state}/open\n\
         StartLimitIntervalSec=10min\n\
         StartLimitBurst=5\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         Environment=BLACKSTART_STATE_DIR={state}\n\
         ExecStart={program} recover --output plain\n\
         Restart=on-failure\n\
         RestartSec=15s\n\
         TimeoutStartSec=10min\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    );
    Ok(unit)
}

/// A path as a unit file takes it.
fn word(path: &Path) -> Result<String, Complaint> {
    let text = path.to_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@".contains(c);
    if !text.starts_with('/') || !text.chars().all(plain) {
        let what = format!("{} cannot stand in a unit file", path.display());
        return Err(Complaint::new(Exit::Usage, what).mend("use a path of letters, digits and `-_./+:@`"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_says_what_it_runs_and_where_it_looks() {
        let unit = unit(Path::new("/usr/bin/blackstart"), Path::new("/var/lib/blackstart")).unwrap();
        assert!(unit.contains("ExecStart=/usr/bin/blackstart recover --output plain\n"), "{unit}");
        assert!(unit.contains("Environment=BLACKSTART_STATE_DIR=/var/lib/blackstart\n"), "{unit}");
        assert!(word(Path::new("/a b")).is_err() && word(Path::new("relative")).is_err());
    }
}
