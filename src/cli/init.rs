//! `blackstart init`: writes a commented playbook for a chosen system, and a configuration beside it if there is none.
//! Never writes over a file.

use super::files::{CONFIG_NAME, plain};
use super::playbooks::nearest;
use super::{Complaint, Exit, Terminal};
use clap::ValueEnum;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// For what, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which system
    #[arg(long = "for", value_enum, default_value = "kv")]
    system: System,
    /// The file to write; `-` prints it
    #[arg(default_value = "drill.yaml")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// The embedded store: runs anywhere
    Kv,
    /// PostgreSQL with a standby
    Postgres,
    /// A web service
    Http,
}

impl System {
    fn template(self) -> &'static str {
        match self {
            Self::Kv => include_str!("init/kv.yaml"),
            Self::Postgres => include_str!("init/postgres.yaml"),
            Self::Http => include_str!("init/http.yaml"),
        }
    }
}

const CONFIG: &str = "\
# Where drills may run at all. A playbook names one of these environments; any other is refused.
environments:
  embedded: {}                # the store that a drill brings along, on this machine's loopback
  staging: {}                 # targets on this machine; for others: {hosts: [\"*.staging.example.com\"]}
  production: {protected: true}
";

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let text = args.system.template().replace("THIS_FILE", &args.file.to_string_lossy());
    if args.file == Path::new("-") {
        terminal.give(args.system.template());
        return Ok(Exit::Pass);
    }
    create(&args.file, &text)?;
    terminal.say(&format!("wrote {}", args.file.display()));
    if args.system != System::Kv && nearest(&args.file).is_none() {
        let config = args.file.parent().unwrap_or(Path::new("")).join(CONFIG_NAME);
        create(&config, CONFIG)?;
        terminal.say(&format!("wrote {}", config.display()));
    }
    let changes = text.matches("CHANGE").count().saturating_sub(1);
    if changes > 0 {
        terminal.say(&format!("{changes} lines are about your system and say CHANGE"));
    }
    terminal.say(&format!("next: blackstart validate {0}, blackstart plan {0}", args.file.display()));
    Ok(Exit::Pass)
}

fn create(path: &Path, text: &str) -> Result<(), Complaint> {
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let complaint = Complaint::new(Exit::Usage, format!("cannot write {}: {}", path.display(), plain(&error)));
        match error.kind() {
            ErrorKind::AlreadyExists => complaint.mend("another name; nothing is ever written over"),
            ErrorKind::NotFound => complaint.mend("a folder that exists"),
            _ => complaint,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_to_change_are_counted_without_the_one_that_explains_them() {
        for system in [System::Postgres, System::Http] {
            assert!(system.template().matches("CHANGE").count() > 2);
        }
        assert!(!System::Kv.template().contains("CHANGE"));
    }
}
