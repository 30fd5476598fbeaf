//! The `restore` verb: the restore itself, its verification, and the record of its parts. What a kind does is in
//! `restores`.

use super::drill::Drill;
use super::verb::{EXPECT_LIMIT, VerbEnd, Wait, not_done};
use crate::adapters::AdapterError;
use crate::event::{StepOutcome, What};
use crate::faults::Done;
use crate::model::{Dur, Mono, RestorePart, Restored, Span};
use crate::plan::StepPlan;
use crate::restores::{Course, RestoreSpec};
use std::time::Duration;

/// Of a restore whose playbook gives no limit.
const RESTORE_LIMIT: Duration = Duration::from_secs(600);

impl Drill<'_> {
    /// Restores, and looks whether what must be there is there. All parts that ended are noted, also of one that failed.
    pub(super) async fn restore(
        &self,
        (step, round): (&StepPlan, u32),
        restore: &RestoreSpec,
        began: Mono,
        until: Option<Mono>,
    ) -> VerbEnd {
        let course = Course::default();
        let end = self.restored(restore, began, until, &course).await;
        if !matches!(restore, RestoreSpec::Command(_)) {
            let (parts, claim) = course.so_far();
            let error = match &end.outcome {
                StepOutcome::Failed { detail } => Some(detail.clone()),
                StepOutcome::Errored { error } => Some(error.clone()),
                _ => None,
            };
            let (step, kind) = (step.id.clone(), restore.kind().to_owned());
            self.note(What::Restored(Box::new(Restored { step, round, kind, parts, claim, error })));
        }
        end
    }

    async fn restored(&self, restore: &RestoreSpec, began: Mono, until: Option<Mono>, course: &Course) -> VerbEnd {
        let cx = self.scene.cx();
        let limit = until.unwrap_or_else(|| began.after(RESTORE_LIMIT));
        let late = || AdapterError::TimedOut(format!("it was not over within {}", Dur(limit.since(began)))).into();
        // A restore keeps the limit itself and says what it waited for; this is for one that does not.
        let patience = limit.since(self.now()) + Duration::from_secs(1);
        let done = tokio::time::timeout(patience, restore.restore(&cx, limit, course)).await;
        let now = self.now();
        let span = Span::new(began, now);
        let answer = match done.unwrap_or_else(|_| Err(late())) {
            Ok(Done { ok: true, answer, .. }) => answer,
            Ok(Done { detail, .. }) => return VerbEnd::new(StepOutcome::Failed { detail }, span),
            Err(error) => return VerbEnd::new(not_done(error), span),
        };
        let until = until.unwrap_or_else(|| now.after(EXPECT_LIMIT));
        let wait = Wait { earliest: now, until, hold: Duration::ZERO };
        let verified = self.expect(restore.verify(), &wait).await;
        course.part(RestorePart::Verify, Span::new(now, verified.span.hi.max(now)), None);
        VerbEnd { span: Span::new(began, verified.span.hi), answer, ..verified }
    }
}
