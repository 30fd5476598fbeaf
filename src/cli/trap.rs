//! The last net: a panic anywhere becomes one short message and exit code 70, never 101 and never a backtrace that
//! a user has to read.

use super::Exit;
use std::io::Write;
use std::panic::{AssertUnwindSafe, PanicHookInfo};

/// Runs the program; a panic ends it as an internal error.
pub fn panics(program: impl FnOnce() -> Exit) -> Exit {
    std::panic::set_hook(Box::new(report));
    caught(program)
}

fn caught(program: impl FnOnce() -> Exit) -> Exit {
    std::panic::catch_unwind(AssertUnwindSafe(program)).unwrap_or(Exit::Internal)
}

fn report(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
    let what = info.payload_as_str().unwrap_or("no message");
    let text = format!(
        "internal error: {what}{place}\n  this is a bug in blackstart {}; please report these two lines\n",
        env!("CARGO_PKG_VERSION")
    );
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_internal_error() {
        assert_eq!(caught(|| Exit::Fail), Exit::Fail);
        assert_eq!(caught(|| panic!("on purpose")), Exit::Internal);
    }
}
