//! `blackstart man`: the man page, made from the command line's own definition and the exit-code table.

use super::{Complaint, Exit, Terminal};

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let mut page = Vec::new();
    render(&mut page).map_err(|e| Complaint::new(Exit::Internal, format!("cannot render the man page: {e}")))?;
    terminal.give(&String::from_utf8_lossy(&page));
    Ok(Exit::Pass)
}

fn render(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = super::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let man = clap_mangen::Man::new(sub.clone());
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
    }
    Ok(())
}
