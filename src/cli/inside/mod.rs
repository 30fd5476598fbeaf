//! Drills inside a cluster: what the user asks for becomes a setting; `run` creates, follows, fetches and removes, `held` is
//! the runner's side. What the objects are is in [`crate::inside`].

mod asked;
mod fetch;
mod follow;
mod gather;
mod held;
mod order;
mod set;
mod watch;

pub use asked::Asked;
pub use fetch::part;
pub use gather::{Gathered, gather};
pub use held::{Held, hold};
pub use order::{Order, order};
pub use watch::watch;

use super::playbooks::{Given, Loaded, Scheduled};
use super::{Complaint, Exit};
use crate::adapters::World;
use crate::adapters::kubernetes::{self, Access};
use crate::exec::{self, Limits};
use crate::inside::{Names, Purpose, Setting, Times};
use crate::plan::{self, Plan};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The one drill that a file is: a cluster runs one at a time.
///
/// # Errors
/// When it is none, or several.
pub fn only(file: &Path, loaded: Loaded) -> Result<Scheduled, Complaint> {
    let mut plans: Vec<Scheduled> = loaded.files.into_iter().flat_map(|file| file.plans).collect();
    match (plans.pop(), plans.len()) {
        (Some(drill), 0) => Ok(drill),
        (_, more) => {
            let what = format!("{} is {} drills; in a cluster one is run at a time", file.display(), more + 1);
            Err(Complaint::new(Exit::Usage, what)
                .mend("a playbook without `matrix:`, or a `--param` for each combination"))
        }
    }
}

/// How a drill is set up, from what was asked for.
///
/// # Errors
/// When something that has no default is missing.
pub fn setting(
    (drill, gathered): (&Scheduled, &Gathered),
    (asked, given): (&Asked, &Given),
    (names, namespace, purpose): (Names, String, Purpose),
) -> Result<Setting, Complaint> {
    let arguments = given.params().iter().flat_map(|(name, value)| ["--param".to_owned(), format!("{name}={value}")]);
    let (image, mut variables) = (asked.image()?, gathered.variables.clone());
    // Vantages of the drill are pods of the same, if nothing else is said.
    let pods = drill.plan.workloads.iter().filter_map(|workload| workload.vantage.as_ref()?.pod.as_ref());
    if pods.into_iter().any(|pod| pod.image.is_none()) {
        variables.insert("BLACKSTART_IMAGE".to_owned(), image.clone());
    }
    Ok(Setting {
        drill: drill.plan.name.to_string(),
        purpose,
        names,
        namespace,
        image,
        program: asked.program(),
        account: asked.service_account.clone(),
        homes: Vec::new(),
        reaches_out: drill.plan.reaches_out(),
        secrets: asked.secrets(),
        apart: asked.apart(),
        claim: asked.claim.clone(),
        home: asked.home(),
        playbook: gathered.playbook.clone(),
        variables,
        arguments: arguments.collect(),
        times: Times::of(&drill.plan, Limits::default().heal_bound(), asked.hold()),
    })
}

/// What a drill needs of the cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Needs {
    /// Roles without bindings.
    pub roles: Vec<Value>,
    /// The namespaces in which its faults are recorded.
    pub homes: Vec<String>,
}

/// What the drill must be allowed to do, and where its faults are recorded. Targets that name another kubeconfig are asked
/// for in this cluster: in the pod only its own account, or a Secret, leads anywhere.
///
/// # Errors
/// When it is not known of a target what it is: no cluster answers, say.
pub async fn needs(plan: &Plan, access: Access) -> Result<Needs, Complaint> {
    let world = World { clusters: kubernetes::redirected(access), ..World::system() };
    let rights = exec::rights(plan, &world).await.map_err(|why| {
        let what = format!("what the drill needs is not known: {}", why.join("; "));
        Complaint::new(Exit::Preflight, what).mend("--kubeconfig FILE --context NAME, of the cluster that it is for")
    })?;
    let drill = plan.name.as_str();
    let homes: BTreeSet<String> = rights.iter().map(|rights| rights.home.clone()).collect();
    let roles = rights.iter().flat_map(|rights| plan::roles(drill, &rights.grants)).collect();
    Ok(Needs { roles, homes: homes.into_iter().collect() })
}
