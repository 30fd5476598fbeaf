//! `recover --from-cluster` and `status --from-cluster`: what a cluster knows of open faults, healed or only shown. No state
//! directory is read.

use super::progress::Progress;
use super::{Complaint, Exit, Output, Terminal, recover};
use crate::adapters::World;
use crate::adapters::kubernetes::{self, Access};
use crate::clock::Clock;
use crate::exec::{self, InCluster, LeftInCluster, Limits, Runner};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Which cluster.
#[derive(Debug, clap::Args)]
pub struct FromCluster {
    /// From what a Kubernetes cluster knows, without any state directory
    #[arg(long)]
    from_cluster: bool,
    /// The kubeconfig; KUBECONFIG, ~/.kube/config or the pod's own account if not given
    #[arg(long, value_name = "FILE", requires = "from_cluster")]
    kubeconfig: Option<PathBuf>,
    /// The context in it; the current one if not given
    #[arg(long, value_name = "NAME", requires = "from_cluster")]
    context: Option<String>,
    /// Only this namespace; all that may be read if not given
    #[arg(long, value_name = "NAME", requires = "from_cluster")]
    namespace: Option<String>,
    /// A run that seems to be alive is waited for until its Lease has expired; refused if it renews it meanwhile
    #[arg(long, requires = "from_cluster")]
    wait: bool,
}

impl FromCluster {
    /// Is it asked for?
    pub fn is_asked(&self) -> bool {
        self.from_cluster
    }

    /// Every way leads to the cluster that is named.
    fn world(&self) -> World {
        let kubeconfig =
            self.kubeconfig.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let access = Access { kubeconfig, context: self.context.clone() };
        World { clusters: kubernetes::redirected(access), ..World::system() }
    }

    fn what(&self) -> InCluster {
        InCluster {
            namespace: self.namespace.clone(),
            run: None,
            runner: if self.wait { Runner::Awaited } else { Runner::Unknown },
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Complaint> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|e| Complaint::new(Exit::Internal, format!("cannot start the runtime: {e}")))
}

fn unknown(why: &str) -> Complaint {
    let what = format!("nobody can say what is open: {why}");
    Complaint::new(Exit::NotHealed, what).mend("name the cluster by --kubeconfig FILE and --context NAME")
}

/// Heals what is open there.
pub fn recover(from: &FromCluster, output: Output, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let progress = Arc::new(Progress::new(output, terminal.look(), Clock::System));
    let (world, limits) = (from.world(), Limits::default());
    let what = from.what();
    let work = exec::recover_from_cluster(&what, &world, &limits, progress.clone());
    let left = runtime()?.block_on(work);
    progress.end();
    let left = left.map_err(|why| unknown(&why))?;
    match output {
        Output::Json => terminal.say(&as_json("recovered", &left)),
        Output::Human | Output::Plain => terminal.say(&format!("{}{}", recover::in_words(&left.runs), besides(&left))),
    }
    Ok(exit(&left))
}

/// Shows what is open there.
pub fn status(from: &FromCluster, output: Output, terminal: &mut Terminal) -> Result<Exit, Complaint> {
    let world = from.world();
    let left = runtime()?.block_on(exec::look_at_cluster(&from.what(), &world)).map_err(|why| unknown(&why))?;
    match output {
        Output::Json => terminal.say(&as_json("runs", &left)),
        Output::Human | Output::Plain => terminal.say(&(seen(&left) + &besides(&left))),
    }
    let nobodys = left.runs.iter().any(|run| run.error.is_none() && !run.open.is_empty()) || !left.residue.is_empty();
    Ok(if nobodys { Exit::NotHealed } else { Exit::Pass })
}

fn seen(left: &LeftInCluster) -> String {
    if left.runs.is_empty() {
        return format!("no run is known in the cluster {}", left.server);
    }
    let mut text = String::new();
    for run in &left.runs {
        let state = run.error.as_deref().unwrap_or("its runner is gone; blackstart recover --from-cluster heals it");
        text.push_str(&format!("{} ({}): {state}\n", run.run, run.dir.display()));
        for open in &run.open {
            text.push_str(&format!("  open: {}: {}\n        by hand: {}\n", open.fault, open.why, open.by_hand));
        }
    }
    text
}

fn besides(left: &LeftInCluster) -> String {
    let removed =
        left.removed.iter().map(|what| format!("\nremoved: {what}, which was made by a drill and is nobody's"));
    let residue = left.residue.iter().map(|(what, by_hand)| format!("\nresidue: {what}\n         by hand: {by_hand}"));
    let unseen = left.unseen.iter().map(|what| format!("\nnot looked at: {what}"));
    removed.chain(residue).chain(unseen).collect()
}

fn exit(left: &LeftInCluster) -> Exit {
    let open = left.runs.iter().any(|run| !run.open.is_empty() || run.error.is_some());
    if open || !left.residue.is_empty() { Exit::NotHealed } else { Exit::Pass }
}

fn as_json(key: &str, left: &LeftInCluster) -> String {
    let residue: Vec<_> =
        left.residue.iter().map(|(what, by_hand)| json!({"what": what, "by_hand": by_hand})).collect();
    json!({
        "server": left.server, key: recover::runs(&left.runs), "removed": left.removed, "residue": residue,
        "not_looked_at": left.unseen,
    })
    .to_string()
}
