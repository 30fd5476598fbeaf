//! A guardian as a process of its own: started by a runner with a pipe in each direction, out of the runner's session.
//! What the two say to each other is `exec`'s business.

use super::AdapterError;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;

/// The two ends of pipes to the other side.
pub struct Ends {
    /// What the other side says.
    pub from: Box<dyn AsyncRead + Send + Unpin>,
    /// What it is told.
    pub to: Box<dyn AsyncWrite + Send + Unpin>,
}

/// Starts a guardian. It lives on when this process dies: it is never killed from here. What it has to say to people
/// goes where this process's own messages go.
///
/// # Errors
/// When it cannot be started.
pub fn start(argv: &[String]) -> Result<Ends, AdapterError> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| AdapterError::Other("a guardian without a program".to_owned()))?;
    let failed = |e: io::Error| AdapterError::Other(format!("cannot start the guardian `{program}`: {e}"));
    let mut builder = tokio::process::Command::new(program);
    // Not in a process group of its own yet: a group's leader could not begin a session.
    builder.args(arguments).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = builder.spawn().map_err(failed)?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(AdapterError::Other("the guardian has no pipes".to_owned()));
    };
    // Somebody must take note of its end, or it stays a zombie.
    tokio::spawn(async move { child.wait().await });
    Ok(Ends { from: Box::new(from), to: Box::new(to) })
}

/// The guardian's side: leaves the runner's session, so that nothing that ends the runner's terminal or process group
/// reaches it, and asks the system to kill others first when memory runs out.
///
/// # Errors
/// When a new session cannot be begun.
pub fn detach() -> io::Result<()> {
    nix::unistd::setsid()?;
    // Only root may ask to be spared; anybody else is as likely a victim as before.
    drop(std::fs::write("/proc/self/oom_score_adj", "-900"));
    Ok(())
}

/// The guardian's ends of the pipes.
///
/// # Errors
/// When they are no pipes.
pub fn ends(input: OwnedFd, output: OwnedFd) -> io::Result<Ends> {
    let (from, to) = (pipe::Receiver::from_owned_fd(input)?, pipe::Sender::from_owned_fd(output)?);
    Ok(Ends { from: Box::new(from), to: Box::new(to) })
}
