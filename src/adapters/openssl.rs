//! `openssl ts -verify`: whether an authority signed a timestamp (RFC 3161). The program is asked because it is what an
//! auditor asks; what its answer means for a run is not known here.

use super::{AdapterError, Command, Commands};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Nothing but files of this machine is read.
const LIMIT: Duration = Duration::from_secs(20);

/// Is the timestamp in a file one of these bytes, signed by an authority below this certificate? `Err` in the inner
/// result says why not, in the program's words.
///
/// # Errors
/// `Missing` if there is no `openssl`, `TimedOut`, `Refused` if the certificate's file cannot be read.
pub async fn verify_stamp(
    commands: &dyn Commands,
    (data, stamp, authority): (&Path, &Path, &Path),
) -> Result<Result<(), String>, AdapterError> {
    // Openssl says the same of a file that is not there and of a stamp that does not verify.
    std::fs::File::open(authority)
        .map_err(|error| AdapterError::Refused(format!("cannot read {}: {error}", authority.display())))?;
    let mut argv: Vec<String> = ["openssl", "ts", "-verify"].map(str::to_owned).into();
    for (option, path) in [("-data", data), ("-in", stamp), ("-CAfile", authority)] {
        // A path that begins with a dash would be taken for an option.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        argv.extend([option.to_owned(), path.to_string_lossy().into_owned()]);
    }
    let env = BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())]);
    let done = commands.run(&Command { argv, env, stdin: None, cwd: None, timeout: LIMIT }).await?;
    if done.status == Some(0) {
        return Ok(Ok(()));
    }
    let said = done.stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
    Ok(Err(format!("openssl ts -verify says no: {said}")))
}
