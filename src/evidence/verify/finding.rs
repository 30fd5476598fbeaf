//! What a check of runs found, as data: which file, what kind, how bad, in words. Finding it is the neighbours' business.

use crate::model::{DrillName, RunId};
use serde::Serialize;
use std::path::PathBuf;

/// How bad it is. The worst of all findings decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing; nothing is wrong.
    Remark,
    /// It could not be checked, or what was asked for is not there.
    Unverifiable,
    /// It is not what was sealed.
    Broken,
}

/// A part of the evidence that is checked: a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Every file against the manifest and the list of digests.
    Files,
    /// The manifest against the record.
    Manifest,
    /// The chain of lines.
    Journal,
    /// Logs of operations and read-backs against the record.
    Operations,
    /// Playbooks against the start record.
    Playbook,
    /// Who signed.
    Signature,
    /// When, by somebody else's clock.
    Timestamp,
    /// What people added.
    Addenda,
    /// The chain of runs.
    Chain,
    /// Verdict and reports, computed again.
    Reports,
}

impl Area {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Files,
        Self::Manifest,
        Self::Journal,
        Self::Operations,
        Self::Playbook,
        Self::Signature,
        Self::Timestamp,
        Self::Addenda,
        Self::Chain,
        Self::Reports,
    ];

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Manifest => "manifest",
            Self::Journal => "journal",
            Self::Operations => "operations",
            Self::Playbook => "playbook",
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Addenda => "addenda",
            Self::Chain => "chain of runs",
            Self::Reports => "verdict",
        }
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident: $area:ident, $level:ident;)+) => {
        /// What was found. Other programs rely on these words; more may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// The part of the evidence that it is about.
            #[must_use]
            pub fn area(self) -> Area {
                match self { $(Self::$kind => Area::$area,)+ }
            }

            /// How bad it is unless the finding says otherwise.
            #[must_use]
            pub fn level(self) -> Level {
                match self { $(Self::$kind => Level::$level,)+ }
            }
        }
    };
}

kinds! {
    /// The folder has no manifest or no list of digests.
    Unsealed: Files, Unverifiable;
    /// Something cannot be read.
    Unreadable: Files, Unverifiable;
    /// Something is in a format that a later version writes.
    NewerFormat: Files, Unverifiable;
    /// A sealed file is not there.
    Missing: Files, Broken;
    /// A file holds something else than was sealed.
    Changed: Files, Broken;
    /// A file was not there when the run was sealed.
    Added: Files, Broken;
    /// A link instead of a file: what it leads to is not part of the evidence.
    Link: Files, Broken;
    /// Neither a file nor a folder.
    Special: Files, Broken;
    /// The list of digests names a file that the manifest does not.
    NotInManifest: Files, Broken;
    /// The manifest names a file that the list of digests does not.
    NotInSums: Files, Broken;
    /// The list of digests and the manifest give a file different digests.
    SumsDisagree: Files, Broken;
    /// A line of the list of digests is none, or is there twice.
    SumsMalformed: Files, Broken;
    /// A path that leads out of the run's folder, or has no plain form.
    BadPath: Files, Broken;
    /// The attestation is not about this manifest.
    AttestationSubject: Files, Broken;
    /// What stands in the place of a removed run is not what its manifest says.
    Tombstone: Files, Broken;
    /// The run's files were removed on purpose; its manifest and signature stand for it.
    Pruned: Files, Remark;
    /// The manifest is none.
    ManifestMalformed: Manifest, Broken;
    /// It names another run.
    ManifestRun: Manifest, Broken;
    /// It names another drill.
    ManifestDrill: Manifest, Broken;
    /// It names another environment.
    ManifestEnvironment: Manifest, Broken;
    /// It has another exit code than follows from the record.
    ManifestExitCode: Manifest, Broken;
    /// It has another digest of the journal's last line.
    ManifestHead: Manifest, Broken;
    /// It counts another number of lines.
    ManifestLines: Manifest, Broken;
    /// It has another Merkle root over the journal's lines.
    ManifestRoot: Manifest, Broken;
    /// It has another place in the chain of runs than the start record.
    ManifestChain: Manifest, Broken;
    /// A line does not continue the one before it, or is no event.
    JournalBroken: Journal, Broken;
    /// The last line is half a line.
    JournalTorn: Journal, Broken;
    /// An event stands where it may not.
    JournalOrder: Journal, Broken;
    /// There is no start record.
    NoStart: Journal, Broken;
    /// The run never ended.
    NeverEnded: Journal, Broken;
    /// A log of operations is damaged, or is not what the journal vouches for.
    Operations: Operations, Broken;
    /// A read-back is not what the journal vouches for.
    ReadBack: Operations, Broken;
    /// A playbook is not the one that was sealed before the fault.
    PlaybookDigest: Playbook, Broken;
    /// Nobody signed.
    Unsigned: Signature, Remark;
    /// The record says who will sign, and there is no signature: it was removed, or the key could not be had.
    SignatureMissing: Signature, Unverifiable;
    /// The signature is not one of these bytes, or no signature at all.
    SignatureBad: Signature, Broken;
    /// It was made for another purpose.
    SignatureNamespace: Signature, Broken;
    /// The signature is good, and nobody was given who may sign.
    SignerUnchecked: Signature, Remark;
    /// The key is not among those that may sign.
    SignerUnknown: Signature, Broken;
    /// The key might sign, but not then.
    SignerExpired: Signature, Broken;
    /// Another key signed than the start record says.
    SignerOther: Signature, Broken;
    /// The signature is of a kind that this program cannot check.
    SignatureUnsupported: Signature, Unverifiable;
    /// No timestamp was asked for, or none came.
    Unstamped: Timestamp, Remark;
    /// The timestamp is not one of these bytes.
    StampMismatch: Timestamp, Broken;
    /// The authority's signature was not checked.
    StampUnchecked: Timestamp, Remark;
    /// The authority's signature does not verify.
    StampRefused: Timestamp, Broken;
    /// The check of the authority's signature could not be made.
    StampUndecided: Timestamp, Unverifiable;
    /// An addendum is none.
    AddendumMalformed: Addenda, Broken;
    /// An addendum does not have the number of its file, or a number is missing.
    AddendumNumber: Addenda, Broken;
    /// An addendum is about another run or another manifest.
    AddendumRun: Addenda, Broken;
    /// An addendum is about a manifest of the run that was replaced when its record was continued.
    AddendumBefore: Addenda, Remark;
    /// An addendum does not continue the one before it.
    AddendumChain: Addenda, Broken;
    /// An addendum is not signed.
    AddendumUnsigned: Addenda, Remark;
    /// An addendum's signature is not one of its bytes, or not one that counts.
    AddendumSignature: Addenda, Broken;
    /// An addendum's signature is good, and nobody was given who may sign.
    AddendumSigner: Addenda, Remark;
    /// An addendum is signed with the key that sealed the run: nobody else has looked.
    AddendumSameKey: Addenda, Remark;
    /// The run has no place in a chain.
    Unchained: Chain, Remark;
    /// Runs before this one are not here; nothing says that they were dropped.
    ChainBegins: Chain, Remark;
    /// A chain begins more than once: what came before a later beginning may be missing.
    ChainRestarted: Chain, Remark;
    /// A run between those that are here is missing.
    ChainGap: Chain, Broken;
    /// The run that this one names as the one before it has another manifest.
    ChainPrevious: Chain, Broken;
    /// The run that this one follows was sealed anew since, after its record was continued.
    ChainReplaced: Chain, Remark;
    /// The counter is not one more than that of the run before.
    ChainCounter: Chain, Broken;
    /// Two runs follow the same one.
    ChainFork: Chain, Broken;
    /// The run before had no manifest when this one began, and has one now: nothing ties it to this place.
    ChainUntied: Chain, Remark;
    /// The same run is here twice.
    RunTwice: Chain, Broken;
    /// A report is not what the record says.
    ReportDiffers: Reports, Broken;
    /// A report that every run has is not there.
    ReportMissing: Reports, Broken;
    /// Another version wrote the reports: their bytes may differ.
    OtherVersion: Reports, Remark;
    /// The reports could not be computed again.
    NotRecomputed: Reports, Unverifiable;
    /// It was asked not to compute the verdict again.
    RecomputeSkipped: Reports, Remark;
}

/// Something that was found in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub kind: Kind,
    /// The file, relative to the run's folder; empty if it is about the folder or the chain.
    pub file: String,
    /// In words.
    pub what: String,
}

impl Finding {
    /// As bad as its kind.
    pub fn new(kind: Kind, file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: kind.level(), kind, file: file.into(), what: what.into() }
    }

    /// As bad as stated.
    #[must_use]
    pub fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

/// A run that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its folder, as given or found.
    pub folder: PathBuf,
    /// The run, if anything says which.
    pub run: Option<RunId>,
    /// Its drill.
    pub drill: Option<DrillName>,
    /// Its environment.
    pub environment: Option<String>,
    /// What it came to, as the record says; none if that was not computed.
    pub exit_code: Option<u8>,
    /// SHA-256 of its manifest, hex.
    pub manifest: Option<String>,
    /// Who signed it: principals and fingerprint, as far as that is good.
    pub signer: Option<String>,
    /// Fingerprint of the key that signed it, as far as the signature belongs to these bytes.
    pub fingerprint: Option<String>,
    /// What was checked, in words, by area, where nothing was found against it.
    pub good: Vec<(Area, String)>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// The worst of what was found; none if there is nothing.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }

    pub(super) fn good(&mut self, area: Area, what: impl Into<String>) {
        self.good.push((area, what.into()));
    }

    pub(super) fn find(&mut self, kind: Kind, file: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding::new(kind, file, what));
    }

    /// Was something found in this area that is worse than a remark?
    pub(super) fn doubts(&self, area: Area) -> bool {
        self.findings.iter().any(|finding| finding.kind.area() == area && finding.level > Level::Remark)
    }
}
