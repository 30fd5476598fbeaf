//! What bundles are worth as evidence, from what `blackstart verify` finds in them.

use crate::adapters::World;
use crate::cli::Complaint;
use crate::cli::verify::{allowed, ask_authority, recomputed};
use crate::evidence::verify::{Area, Checked, Finding, Kind, Level, Policy, verify};
use crate::history::gate::{Integrity, Seal, Standing};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is checked.
pub struct Checks {
    allowed_signers: Option<PathBuf>,
    tsa_ca: Option<PathBuf>,
    recompute: bool,
}

/// Are the reports computed again?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Yes, and compared byte for byte.
    Yes,
    /// That they follow from the record is only said.
    No,
}

impl Checks {
    /// With those who may sign and the authority that may stamp, if somebody says who.
    ///
    /// # Errors
    /// When the file of signers cannot be read.
    pub fn new(signers: Option<PathBuf>, tsa_ca: Option<PathBuf>, again: Again) -> Result<Self, Complaint> {
        signers.as_deref().map(allowed).transpose()?;
        Ok(Self { allowed_signers: signers, tsa_ca, recompute: again == Again::Yes })
    }

    /// What these bundles are worth, one by one; as a chain they are checked against one another.
    pub fn seals(&self, dirs: &[PathBuf]) -> Vec<Seal> {
        let (world, ca) = (World::system(), self.tsa_ca.as_deref());
        let ask = |data: &Path, stamp: &Path| ask_authority(world.commands.as_ref(), data, stamp, ca);
        let policy = Policy {
            signers: self.allowed_signers.as_deref().and_then(|path| allowed(path).ok()),
            require: BTreeSet::new(),
            authority: ca.is_some().then_some(&ask),
            recompute: self.recompute.then_some(&recomputed),
        };
        verify(dirs, &policy).runs.iter().map(of).collect()
    }
}

/// So many findings of a bundle are told.
const TOLD: usize = 3;

fn of(checked: &Checked) -> Seal {
    Seal {
        integrity: integrity(checked),
        signature: standing(checked, Area::Signature, &[Kind::Unsigned], "signed"),
        chain: chain(checked),
        stamp: standing(checked, Area::Timestamp, &[Kind::Unstamped], "stamped"),
    }
}

fn told(finding: &Finding) -> String {
    if finding.file.is_empty() { finding.what.clone() } else { format!("{}: {}", finding.file, finding.what) }
}

/// All but who signed, when, and after which run. A signature that was promised and is not there is doubt, too.
fn integrity(checked: &Checked) -> Integrity {
    let apart = [Area::Signature, Area::Timestamp, Area::Chain];
    let own = |finding: &&Finding| {
        !apart.contains(&finding.kind.area()) || [Kind::RunTwice, Kind::SignatureMissing].contains(&finding.kind)
    };
    let at = |level: Level| checked.findings.iter().filter(own).filter(move |finding| finding.level == level);
    let mut broken: Vec<String> = at(Level::Broken).take(TOLD).map(told).collect();
    let more = at(Level::Broken).count().saturating_sub(TOLD);
    if more > 0 {
        broken.push(format!("and {more} more"));
    }
    match (broken.is_empty(), at(Level::Unverifiable).next()) {
        (false, _) => Integrity::Broken(broken),
        (true, Some(finding)) => Integrity::Unknown(told(finding)),
        (true, None) => Integrity::Intact,
    }
}

fn standing(checked: &Checked, area: Area, none: &[Kind], word: &str) -> Standing {
    let of_area = || checked.findings.iter().filter(|finding| finding.kind.area() == area);
    if let Some(finding) = of_area().find(|finding| finding.level == Level::Broken) {
        return Standing::Bad(told(finding));
    }
    match of_area().next() {
        Some(finding) if none.contains(&finding.kind) => Standing::Missing(finding.what.clone()),
        Some(finding) => Standing::Unknown(told(finding)),
        None => {
            let good = checked.good.iter().find(|(of, _)| *of == area);
            Standing::Good(good.map_or(word.to_owned(), |(_, what)| what.clone()))
        }
    }
}

/// A fork or a gap speaks against the chain; only another run in the place of the one before it is a lie.
fn chain(checked: &Checked) -> Standing {
    let lies = [Kind::ChainPrevious, Kind::ChainCounter];
    let of_chain = || checked.findings.iter().filter(|finding| finding.kind.area() == Area::Chain);
    if let Some(lie) = of_chain().find(|f| f.level == Level::Broken && lies.contains(&f.kind)) {
        return Standing::Bad(told(lie));
    }
    let lacks = [Kind::Unchained, Kind::ChainBegins, Kind::ChainGap, Kind::ChainFork, Kind::ChainUntied];
    match of_chain().find(|finding| lacks.contains(&finding.kind)) {
        Some(finding) => Standing::Missing(told(finding)),
        None => Standing::Good("chained".to_owned()),
    }
}
