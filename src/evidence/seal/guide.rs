//! `VERIFY.md`: how to check a run's folder with tools that every system has. Computed from the record and the signer's key.

use super::super::signature::{NAMESPACE, Signer};
use super::super::stamp;
use super::{ATTESTATION, Manifest, RunStarted, addendum, manifest, sums};
use crate::journal;

/// The guide.
pub(super) fn text(start: &RunStarted, manifest: &Manifest, signer: Option<&Signer>) -> String {
    let about = format!(
        "# How to check this run without Blackstart\n\n\
         Run `{}` of the drill `{}` in `{}`. All commands are for this folder, on Linux, with coreutils, OpenSSH 8.2 or later\n\
         and OpenSSL; nothing is fetched from anywhere. Five minutes are enough.\n",
        plain(&start.run.0),
        plain(&start.drill.0),
        plain(&start.environment),
    );
    [about, integrity(), signature(signer), stamps(), record(manifest), chain(manifest), limits()].join("\n")
}

/// Names of the playbook stand between backticks, on one line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '`' || c.is_control() { '?' } else { c }).collect()
}

fn integrity() -> String {
    format!(
        "## 1. Is every file as it was sealed?\n\n```sh\nsha256sum --quiet --strict -c {sums}\n\
         find . -type f | wc -l; wc -l < {sums}\n```\n\n\
         The first prints nothing when all is well. The second prints two numbers; the first is larger by one for each\n\
         of `{sums}`, `{sig}`, `{tsr}` that is there, and for each file in `{addenda}/`, where people add\n\
         what came later. Anything else that is not listed was put there afterwards, and is no evidence.\n",
        sums = sums::FILE,
        sig = sums::SIGNATURE,
        tsr = sums::STAMP,
        addenda = addendum::FOLDER,
    )
}

fn signature(signer: Option<&Signer>) -> String {
    let Some(signer) = signer else {
        return format!(
            "## 2. Who sealed it?\n\n**Nobody signed this run.** There is no `{}`: whoever can write this folder can change a file and\n\
             its digest together. Rely on it only as far as you rely on where you got it from.\n",
            sums::SIGNATURE
        );
    };
    format!(
        "## 2. Who sealed it?\n\n\
         Get the list of those who may sign, `allowed_signers`, **from the organization and not from this folder**. A line of it\n\
         looks like this:\n\n```text\nteam@example.org namespaces=\"{NAMESPACE}\" {key}\n```\n\n```sh\n\
         ssh-keygen -Y verify -f allowed_signers -I team@example.org -n {NAMESPACE} -s {sig} < {sums}\n```\n\n\
         It prints `Good \"{NAMESPACE}\" signature for team@example.org` and ends with status 0. The key that was to sign, announced\n\
         in the start record before anything was broken, is `{fingerprint}`. Without a list,\n\n```sh\n\
         ssh-keygen -Y check-novalidate -n {NAMESPACE} -s {sig} < {sums}\n```\n\n\
         prints whose signature it is, and that is for you to believe or not. If there is no `{sig}`, the key could not be\n\
         had when the run was sealed: then nobody signed it.\n",
        key = signer.public_line(),
        fingerprint = signer.fingerprint(),
        sig = sums::SIGNATURE,
        sums = sums::FILE,
    )
}

fn stamps() -> String {
    format!(
        "## 3. When?\n\n\
         Where there is a `{tsr}`, an authority says that the signature existed at a time; where there is a `{start}`, that\n\
         the objectives were fixed by then. Get the authority's certificate from the authority, as `tsa-ca.pem`.\n\n```sh\n\
         openssl ts -verify -data {sig} -in {tsr} -CAfile tsa-ca.pem      # -data {sums} if the run is unsigned\n\
         openssl ts -reply -in {tsr} -text | grep 'Time stamp'\n\
         head -n 1 {journal} > /tmp/start; openssl ts -verify -data /tmp/start -in {start} -CAfile tsa-ca.pem\n```\n\n\
         Where there is none, the times are those of the machine that ran the drill.\n",
        tsr = sums::STAMP,
        start = stamp::START,
        sig = sums::SIGNATURE,
        sums = sums::FILE,
        journal = journal::FILE,
    )
}

fn record(manifest: &Manifest) -> String {
    format!(
        "## 4. Does the record hold together?\n\n\
         `{journal}` has one event a line; `prev` is SHA-256 of the line before. The last line's digest must be what\n\
         `{file}` calls `journal_head`:\n\n```sh\n\
         head -n {lines} {journal} | tail -n 1 | sha256sum      # {head}\n\
         while IFS= read -r line; do [ -z \"$before\" ] || printf '%s' \"$line\" | grep -q \"\\\"prev\\\":\\\"$before\\\"\" || echo \"broken at: $line\"\n\
           before=$(printf '%s\\n' \"$line\" | sha256sum | cut -c1-64); done < {journal}\n```\n\n\
         The first line is the start record: objectives, digest of the playbook, place in the chain of runs. It was written\n\
         before anything was broken, and its text was printed to the log of whoever ran the drill. `{attestation}`, where there\n\
         is one, says the result in the form that other programs read.\n",
        journal = journal::FILE,
        file = manifest::FILE,
        lines = manifest.journal_lines,
        head = manifest.journal_head,
        attestation = ATTESTATION,
    )
}

fn chain(manifest: &Manifest) -> String {
    let here = match &manifest.chain {
        None => "This run is **not chained**: whether other runs were left out cannot be seen from it.".to_owned(),
        Some(seal) => match &seal.previous {
            None => format!("This is run {}: **the chain starts here**.", seal.counter),
            Some(before) => match &before.manifest {
                Some(digest) => format!(
                    "This is run {}. Before it came `{}`, and `sha256sum {}` in that run's folder must print\n`{digest}`.",
                    seal.counter,
                    plain(&before.run.0),
                    manifest::FILE
                ),
                None => format!(
                    "This is run {}. Before it came `{}`, which was not sealed yet when this one began: both went on at\n\
                     the same time, or its runner died.",
                    seal.counter,
                    plain(&before.run.0)
                ),
            },
        },
    };
    format!(
        "## 5. Were runs left out?\n\n{here}\n\nAsk for all runs of the chain: each number once, and each naming the manifest of the one before.\n\
         Runs that failed or were stopped are part of it.\n"
    )
}

fn limits() -> String {
    "## What this does not prove\n\n\
     - A signature says that the files have not changed since they were signed, and by which key. It does not say that\n  \
     whoever held the key told the truth, or that the machine's clock was right.\n\
     - The runner's machine could have shown the drill something else than what its clients depend on. What was tested\n  \
     stands in `playbook.resolved.yaml`; whether that is your system is for you to judge.\n\
     - That the figures follow from the record is checked by computing them again: `blackstart verify`, or by hand from\n  \
     the journal and the operations logs, whose formats are public.\n\
     - A chain shows gaps among runs of one runner. A runner that never reported to the chain is not in it.\n"
        .to_owned()
}
