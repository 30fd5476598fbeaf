//! What vouches for the record, and commands to check it that are on an auditor's machine already.

use super::markup::{Markup, el, prose};
use super::parts;
use crate::analysis::Analysis;
use crate::event::ChainSeal;
use crate::report::words;

pub(super) fn section(a: &Analysis) -> Markup {
    let lineage = a.run.lineage.as_deref();
    let signer = lineage.and_then(|l| l.signer.clone());
    let mut out = Markup::from(el("p").text(
        "Every figure here follows from the run's journal and operations logs. Each line of the journal holds the digest of \
         the line before it, so its last line vouches for all; MANIFEST.json holds the digest of every file of the run, and \
         SHA256SUMS is what is signed.",
    ));
    let text = |name: &str, value: String| (name.to_owned(), value);
    out.push(parts::pairs([
        text("Journal's last line, SHA-256", a.journal_head.clone()),
        text("Lines of the journal", words::count(a.journal_lines)),
        text("Cut", a.journal_cut.clone().unwrap_or_default()),
        text("Playbook, SHA-256", a.run.playbook_digest.clone()),
        text("Signing key", signer.clone().unwrap_or_else(|| "none: UNSIGNED".to_owned())),
        text("Chain of runs", chain(lineage.and_then(|l| l.chain.as_ref()))),
        text("Manifest of the run before it, SHA-256", previous(lineage.and_then(|l| l.chain.as_ref()))),
    ]));
    out.push(el("p").child(prose("In the run's folder, with tools that are there already (`VERIFY.md` says more):")));
    out.push(parts::commands(&stock(signer.is_some())));
    out.push(el("p").text("With this tool: the same, the chain of runs, and every figure computed again."));
    out.push(parts::commands(&["blackstart verify FOLDER".to_owned(), "blackstart analyze FOLDER".to_owned()]));
    out.push(parts::faint(
        "A signature shows that nothing was changed since it was made. It cannot show that whoever ran the drill was honest; \
         that is what the chain of runs, a time stamp and a second person's review are for.",
    ));
    out
}

fn stock(signed: bool) -> Vec<String> {
    let verify = "ssh-keygen -Y verify -f allowed_signers -I SIGNER -n drill-evidence -s SHA256SUMS.sig < SHA256SUMS";
    let stamp =
        "openssl ts -verify -data SHA256SUMS.sig -in SHA256SUMS.tsr -CAfile tsa-ca.pem   # where there is a .tsr";
    let signed: &[&str] = if signed { &[verify, stamp] } else { &[] };
    ["sha256sum -c SHA256SUMS"].iter().chain(signed).map(|line| (*line).to_owned()).collect()
}

/// A run's place among those of its drill.
pub(super) fn chain(seal: Option<&ChainSeal>) -> String {
    match seal {
        None => "not chained: that no run was left out cannot be shown".to_owned(),
        Some(ChainSeal { counter, previous: None }) => format!("no. {}; the chain starts here", words::count(*counter)),
        Some(ChainSeal { counter, previous: Some(before) }) => {
            format!("no. {}, after run {}", words::count(*counter), before.run)
        }
    }
}

fn previous(seal: Option<&ChainSeal>) -> String {
    match seal.and_then(|seal| seal.previous.as_ref()) {
        None => String::new(),
        Some(before) => before.manifest.clone().unwrap_or_else(|| "it was not sealed when this run began".to_owned()),
    }
}
