//! Stops a service until it is healed; healing starts it again.

use super::service::{Service, ServiceState};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::model::{TargetRef, TargetSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stops a service until it is healed. One that something else starts again at once was not stopped: the fault did not
/// bite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceStop {
    /// A target of kind `service`.
    pub target: TargetRef,
}

/// The service, and how it was before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// How it is started (secrets by reference).
    pub service: Service,
    /// How it was.
    pub before: ServiceState,
}

impl Undo {
    /// Active, and not by a process that was asked to end and is about to.
    async fn look(&self, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let now = self.service.state(cx).await?;
        let (was, is) = (self.before.process.as_ref(), now.process.as_ref());
        let asked = self.service.unit().is_none() && is.is_some() && was == is;
        if let Some(who) = is.filter(|_| now.active && asked)
            && !self.service.survives(who, cx).await?
        {
            return Ok(Look { holds: false, detail: format!("{} (pid {}) has ended", who.name, who.pid) });
        }
        Ok(Look { holds: now.active, detail: now.words })
    }
}

impl Fault for ServiceStop {
    const KIND: &'static str = "service_stop";
    const SUMMARY: &'static str =
        "stop a service (systemd, or a pidfile with a start command) until it is started again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["service"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![
            "systemd: root, or the polkit action org.freedesktop.systemd1.manage-units; a unit of `manager: user` and a \
             pidfile: the same user"
                .to_owned(),
        ]
    }

    fn way_back(&self) -> String {
        "the service is started again: `systemctl start`, or its own `start`".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let TargetSpec::Service(target) = cx.scope.spec(&self.target).map_err(FaultError::Reference)? else {
            return Err(FaultError::Reference(format!("`{}` is no service", self.target.name())));
        };
        let service = Service::of(self.target.name(), &target, cx);
        let before = service.state(cx).await?;
        if !before.active {
            return Err(FaultError::NothingToBreak(before.words));
        }
        if let Some(process) = before.process.as_ref().filter(|_| service.unit().is_none()) {
            cx.world.processes.may_signal(process)?;
        }
        Ok(Undo { service, before })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        undo.service.stop(undo.before.process.as_ref(), cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let now = undo.service.state(cx).await?;
        let again = now.process.as_ref().filter(|p| Some(*p) != undo.before.process.as_ref());
        let detail = match again {
            Some(process) if now.active => format!("something else has started it again as pid {}", process.pid),
            _ => now.words,
        };
        // One that is being stopped has not stopped.
        Ok(Look { holds: !now.active && now.process.is_none(), detail })
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        if undo.look(cx).await?.holds {
            return Ok(());
        }
        match undo.service.start(cx).await {
            // Whoever started it meanwhile has healed it.
            Err(FaultError::World(AdapterError::Refused(_))) if undo.look(cx).await?.holds => Ok(()),
            other => other,
        }
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        undo.look(cx).await
    }

    fn by_hand(&self, undo: &Undo) -> String {
        undo.service.start_by_hand()
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        let pid = undo.before.process.as_ref().map(|p| format!(" (pid {})", p.pid)).unwrap_or_default();
        vec![format!("{}{pid}", undo.service.name)]
    }
}
