//! Dumps of `pg_dump` in its own formats: what `pg_restore --list` says of one, and loading one into a database. A password
//! goes by the environment, never as an argument.

use super::Via;
use crate::adapters::{AdapterError, Command, CommandOutput, Commands};
use chrono::NaiveDateTime;
use std::time::Duration;

/// A folder holds no more dumps than this, as far as we look.
const MOST: usize = 200;

/// A dump in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// When it was begun, in seconds since 1970: what it holds was there then.
    pub began: i64,
    /// When it was complete: its file was last written then.
    pub complete: i64,
    /// The file.
    pub path: String,
}

/// What the list of a dump says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// When it was begun, in seconds since 1970.
    pub began: Option<i64>,
    /// Tables with their rows.
    pub tables: u64,
}

/// The programs of PostgreSQL that know dumps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dumps {
    /// How they are reached.
    pub via: Via,
    /// The folder they lie in; searched if none.
    pub bin: Option<String>,
}

impl Dumps {
    fn program(&self, name: &str) -> String {
        self.bin.as_ref().map_or_else(|| name.to_owned(), |bin| format!("{}/{name}", bin.trim_end_matches('/')))
    }

    /// What a dump says that it holds.
    ///
    /// # Errors
    /// `Refused` if it is none, or cannot be read.
    pub async fn listed(&self, commands: &dyn Commands, path: &str, limit: Duration) -> Result<Listed, AdapterError> {
        let program = self.program("pg_restore");
        Ok(listed(&self.via.output(commands, &[&program, "--list", "--", path], limit).await?))
    }

    /// The dumps beside this one whose names end alike, in no order. What is no dump is left out.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds too many.
    pub async fn beside(
        &self,
        commands: &dyn Commands,
        path: &str,
        limit: Duration,
    ) -> Result<Vec<Dump>, AdapterError> {
        let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
        let pattern = file.rsplit_once('.').map_or_else(|| "*".to_owned(), |(_, end)| format!("*.{end}"));
        let argv = ["find", folder, "-maxdepth", "1", "-type", "f", "-name", &pattern, "-printf", "%T@ %p\\n"];
        let said = self.via.output(commands, &argv, limit).await?;
        let files: Vec<(&str, &str)> = said.lines().filter_map(|line| line.split_once(' ')).collect();
        if files.len() > MOST {
            return Err(AdapterError::Other(format!("{folder} holds {} dumps, more than {MOST}", files.len())));
        }
        let mut dumps = Vec::new();
        for (changed, path) in files {
            let complete = changed.split('.').next().and_then(|seconds| seconds.parse().ok());
            // A file that is being written, or is something else, is no recovery point.
            let began = self.listed(commands, path, limit).await.ok().and_then(|listed| listed.began);
            if let (Some(began), Some(complete)) = (began, complete) {
                dumps.push(Dump { began, complete, path: path.to_owned() });
            }
        }
        Ok(dumps)
    }

    /// Loads a dump into a database, all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time.
    pub async fn load(
        &self,
        commands: &dyn Commands,
        path: &str,
        database: &[(String, String)],
        limit: Duration,
    ) -> Result<CommandOutput, AdapterError> {
        let name = database.iter().find(|(key, _)| key == "PGDATABASE").map_or("", |(_, value)| value.as_str());
        let program = self.program("pg_restore");
        let argv = [&program, "--exit-on-error", "--single-transaction", "--no-owner", "--dbname", name, "--", path];
        let mut command: Command = self.via.command(&argv, limit);
        command.env.extend(database.iter().cloned());
        commands.run(&command).await
    }
}

/// Reads what `pg_restore --list` prints in UTC.
fn listed(text: &str) -> Listed {
    let began = text.lines().find_map(|line| line.strip_prefix("; Archive created at ")).and_then(|when| {
        let when = when.trim().strip_suffix(" UTC")?;
        NaiveDateTime::parse_from_str(when, "%Y-%m-%d %H:%M:%S").ok().map(|when| when.and_utc().timestamp())
    });
    let data = |line: &&str| {
        let mut words = line.split_once("; ").map(|(_, rest)| rest).unwrap_or_default().split(' ');
        !line.starts_with(';') && words.nth(2) == Some("TABLE") && words.next() == Some("DATA")
    };
    Listed { began, tables: text.lines().filter(data).count() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_what_is_no_table_is_not_counted() {
        let text = ";\n; Archive created at 2026-11-21 12:03:24 UTC\n;     dbname: TABLE DATA\n;\n\
                    214; 1259 16397 TABLE public customers app\n\
                    3361; 0 16397 TABLE DATA public customers app\n\
                    3362; 0 16398 TABLE DATA public entries app\n\
                    3370; 0 0 SEQUENCE SET public visits app\n";
        assert_eq!(listed(text), Listed { began: Some(1_795_262_604), tables: 2 });
        assert_eq!(listed("; Archive created at yesterday\n"), Listed { began: None, tables: 0 });
    }
}
