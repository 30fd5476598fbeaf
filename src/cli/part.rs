//! `blackstart part FILE OFFSET LENGTH`: a part of a run's archive as text, for whoever fetches it from its pod (hidden).

use super::inside::part;
use super::{Complaint, Exit, Terminal, files};
use std::path::PathBuf;

/// Which part.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The archive
    file: PathBuf,
    /// From here, in bytes
    offset: u64,
    /// So many bytes
    length: u64,
}

pub fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let text = part(&args.file, args.offset, args.length)
        .map_err(|e| Complaint::new(Exit::Usage, format!("{}: {}", args.file.display(), files::plain(&e))))?;
    terminal.say(&text);
    Ok(Exit::Pass)
}
