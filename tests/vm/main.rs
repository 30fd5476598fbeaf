//! A real reboot: a small virtual machine with systemd runs a drill, is reset while three faults are open, and heals by
//! itself when it has booted again. What happens inside is in `guest.sh`; here are the machine and what must be true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod machine;

use machine::Machine;
use std::time::Duration;

/// Without hardware virtualisation every instruction is translated; with it this takes a fraction.
const BOOT: Duration = Duration::from_secs(240);

#[test]
fn what_outlives_a_reset_is_healed_at_the_next_boot() {
    let machine = Machine::start();
    let said = machine.until("vm: open", BOOT);
    for line in [
        "vm: before service active",
        "vm: before queue noqueue",
        "vm: broken service inactive",
        "vm: broken queue netem",
    ] {
        assert!(said.contains(line), "`{line}` is missing in\n{said}");
    }
    assert!(word(&said, "vm: before disk", "files") == "0" && word(&said, "vm: broken disk", "files") == "1", "{said}");
    assert!(percent(&said, "vm: broken disk") >= 85, "{said}");

    machine.reset();
    let said = machine.until("vm: done", BOOT);
    assert_eq!(said.matches("vm: open").count(), 1, "{said}");
    for line in [
        "vm: booted again",
        "vm: after service active",
        "vm: after queue noqueue",
        "vm: status 0",
        "vm: recover 0",
        "vm: unit success",
    ] {
        assert!(said.contains(line), "`{line}` is missing in\n{said}");
    }
    assert_eq!(word(&said, "vm: after disk", "files"), "0", "{said}");
    assert_eq!(percent(&said, "vm: after disk"), percent(&said, "vm: before disk"), "{said}");
}

/// The rest of a line that begins so.
#[track_caller]
fn rest<'a>(said: &'a str, start: &str) -> &'a str {
    let line = said.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no line `{start} …` in\n{said}")).trim()
}

/// The word after this one.
#[track_caller]
fn word<'a>(said: &'a str, start: &str, name: &str) -> &'a str {
    rest(said, start).split_whitespace().skip_while(|word| *word != name).nth(1).unwrap_or_default()
}

#[track_caller]
fn percent(said: &str, start: &str) -> u32 {
    rest(said, start).split('%').next().unwrap().parse().unwrap()
}
