//! The names of a drill's objects in a cluster, and the labels and annotations by which runner, guardian and whoever
//! follows the run know of each other. They stand on the run's Lease: it is the one object that all three read.

use sha2::{Digest, Sha256};

/// All objects of one run, or of one schedule.
pub const SET_LABEL: &str = "blackstart.dev/set";
/// Whom they are for: `run`, which removes them, or `schedule`.
pub const PURPOSE_LABEL: &str = "blackstart.dev/for";
/// Which of them it is: `runner`, `guardian`, `files`, `account`.
pub const PART_LABEL: &str = "blackstart.dev/part";
/// The run that holds the Lease.
pub const ANNOTATION_RUN: &str = "blackstart.dev/run";
/// Who held it, also when it is let go.
pub const ANNOTATION_HOLDER: &str = "blackstart.dev/holder";
/// The runner's pod.
pub const ANNOTATION_POD: &str = "blackstart.dev/pod";
/// Its uid.
pub const ANNOTATION_POD_UID: &str = "blackstart.dev/pod-uid";
/// On the guardian's Lease: whom it watches over.
pub const ANNOTATION_WATCHES: &str = "blackstart.dev/watches";
/// The run is over and its folder packed: the archive's SHA-256.
pub const ANNOTATION_ARCHIVE: &str = "blackstart.dev/archive";
/// The archive's size in bytes.
pub const ANNOTATION_SIZE: &str = "blackstart.dev/archive-size";
/// The exit code of the run.
pub const ANNOTATION_EXIT: &str = "blackstart.dev/exit";
/// Written by whoever has fetched the archive: its SHA-256.
pub const ANNOTATION_COLLECTED: &str = "blackstart.dev/collected";
/// The run that let the Lease go: nothing of it is open.
pub const ANNOTATION_ENDED: &str = "blackstart.dev/ended";
/// What the guardian came to after it took over, in words.
pub const ANNOTATION_HEALED: &str = "blackstart.dev/healed";

/// A holder that is not heard of for so long is taken for dead, in seconds.
pub const LEASE_SECONDS: u32 = 15;

/// The names of all objects of a run or a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The set; also the name of the runner's Job, of its Lease, and of the account.
    pub set: String,
    /// The guardian's Job and Lease.
    pub guardian: String,
    /// The ConfigMap with the files.
    pub files: String,
}

impl Names {
    /// Of one run.
    #[must_use]
    pub fn of_run(run: &str) -> Self {
        Self::of(&format!("blackstart-{}", dns(run)))
    }

    /// Of a schedule of a drill.
    #[must_use]
    pub fn of_schedule(drill: &str) -> Self {
        Self::of(&format!("blackstart-{}", dns(drill)))
    }

    /// By the name of the set. A CronJob's name has at most 52 letters, and a guardian's is longer by nine.
    fn of(set: &str) -> Self {
        let set = short(set, 43);
        Self { guardian: format!("{set}-guardian"), files: format!("{set}-files"), set }
    }
}

/// Lower-case letters, digits and `-`.
fn dns(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    text.chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}

/// At most so many letters; one that is cut ends with a part of its digest, so that two do not become one.
fn short(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let digest = hex(&Sha256::digest(text.as_bytes())[..4]);
    let kept: String = text.chars().take(most - digest.len() - 1).collect();
    format!("{}-{digest}", kept.trim_end_matches('-'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As a label may have it: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
#[must_use]
pub fn label_value(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let text: String = text.chars().map(plain).collect();
    short(&text, 63).trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}
