//! What the probes of data systems share: where the system is, one look, and what is told of it.

use super::{ProbeError, Sample, judged};
use crate::adapters::ServerPlace;
use crate::adapters::systems::Question;
use crate::faults::{Cx, quote};
use crate::model::{Comparison, Dur, TargetRef, TargetSpec};
use std::time::Duration;

/// Of one look, if the playbook says nothing.
const LIMIT: Duration = Duration::from_secs(5);

/// How long one look may take.
pub(super) fn limit(timeout: Option<Dur>) -> Duration {
    timeout.map_or(LIMIT, |d| d.0)
}

/// Where a target that is a data system is.
pub(super) fn place(target: &TargetRef, cx: &Cx<'_>) -> Result<ServerPlace, ProbeError> {
    let url = cx.scope.url(target).map_err(ProbeError::Undecided)?;
    let (connect, response) = match cx.scope.spec(target).map_err(ProbeError::Undecided)? {
        TargetSpec::Redis(target) => (target.connect_timeout, target.response_timeout),
        TargetSpec::Mysql(target) => (target.connect_timeout, target.response_timeout),
        TargetSpec::Etcd(target) => (target.connect_timeout, target.response_timeout),
        TargetSpec::Couchdb(target) => (target.connect_timeout, target.response_timeout),
        TargetSpec::Mongodb(target) => (target.connect_timeout, target.response_timeout),
        TargetSpec::Rabbitmq(target) => (target.connect_timeout, target.response_timeout),
        other => {
            let text = format!("target `{}` is of kind {}, which cannot be asked", target.name(), other.kind());
            return Err(ProbeError::Undecided(text));
        }
    };
    Ok(ServerPlace { url, connect_timeout: connect.map(|d| d.0), response_timeout: response.map(|d| d.0) })
}

/// One look, and whether the answer is as wanted.
pub(super) async fn sample(
    question: &Question,
    timeout: Option<Dur>,
    wanted: &Comparison,
    what: &str,
    cx: &Cx<'_>,
) -> Result<Sample, ProbeError> {
    let seen = cx.world.systems.look(question, limit(timeout)).await?;
    let mut sample = Sample { holds: true, ..Sample::default() };
    sample.judge(judged(wanted, &seen.value, what, cx)?);
    for (name, value) in seen.fields.iter().filter(|(_, value)| !value.is_empty()) {
        sample.detail.push_str(&format!("; {name}: {}", quote(value, 120)));
    }
    sample.answer = seen.value.clone();
    sample.fields = seen.fields;
    sample.fields.insert("value".to_owned(), seen.value);
    Ok(sample)
}
