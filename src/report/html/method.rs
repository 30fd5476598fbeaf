//! Where it was measured and how, how finely, and when the runner itself could not see.

use super::markup::{Markup, el};
use super::parts;
use crate::analysis::{Analysis, Percentiles};
use crate::report::tables::{self, Align, Table};
use crate::report::words;

pub(super) fn section(a: &Analysis) -> Markup {
    let mut out = parts::pairs(environment(a));
    for sentence in [
        "Clients send operations on a fixed schedule, whether or not earlier ones have been answered. An operation is \
         served if it is acknowledged within its deadline, counted from when it was due; one without any answer is \
         unknown, never counted as failed. An outage lasts from the first operation that was not served to the last. \
         Every figure is an interval that holds the true value; its width comes from the schedule's period and from \
         the width of the fault.",
        "Service is sustained from the first served operation after which no window falls below what the workload \
         calls service, for as long as “stable” says. A write is lost if it was acknowledged and the final read-back \
         does not find it.",
        "What a drill cannot show: other faults than the ones that were injected, clients other than these, and load \
         that was not sent. Nothing shorter than the time between two operations can be seen.",
    ] {
        out.push(el("p").text(sentence));
    }
    out.push(parts::table(&limits(a)));
    out.push(parts::table(&punctuality(a)));
    out.push(parts::table(&tables::stalls(a)));
    if a.stalls.is_empty() && !a.workloads.is_empty() {
        out.push(el("p").text("The runner could see all the time: no stall, no suspend, no step of the clock."));
    }
    out
}

fn environment(a: &Analysis) -> Vec<(String, String)> {
    let host = &a.run.host;
    let subjects = a.run.lineage.iter().flat_map(|lineage| &lineage.subjects);
    let under_test = subjects.map(|s| ("Under test".to_owned(), format!("{} {}", s.name, s.digest).trim().to_owned()));
    let expected = if a.run.expects_failover {
        "save itself before the fault is removed"
    } else {
        "come back when the fault is removed"
    };
    let fixed = [
        ("Environment", a.run.environment.clone()),
        ("The system is expected to", expected.to_owned()),
        ("Runner", format!("{}, {}, {}", host.host, host.system, words::plural(host.cores.into(), "core"))),
        ("Boot", host.boot.clone()),
        ("Tool", host.tool.clone()),
    ];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(under_test).collect()
}

/// What each workload can resolve.
fn limits(a: &Analysis) -> Table {
    let (l, r) = (Align::Left, Align::Right);
    let columns = [
        ("workload", l),
        ("client", l),
        ("one operation every", r),
        ("deadline", r),
        ("given up after", r),
        ("stable for", r),
    ];
    let nanos = |d: std::time::Duration| words::duration(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    let rows = a.run.workloads.iter().map(|s| {
        vec![
            s.name.as_str().into(),
            words::client(&s.client).into(),
            words::duration((1e9 / s.rate.max(1e-9)) as i64).into(),
            nanos(s.service.deadline).into(),
            nanos(s.timeout).into(),
            nanos(s.service.stable).into(),
        ]
    });
    Table::new("What each workload can resolve", &columns, rows.collect())
}

/// How late the schedule was; what it adds to the error.
fn punctuality(a: &Analysis) -> Table {
    let (l, r) = (Align::Left, Align::Right);
    let late = |p: &Percentiles| [p.p50, p.p95, p.p99, p.max].map(|n| words::duration(n).into());
    let rows = a.workloads.iter().filter_map(|w| {
        let late = late(w.lateness.as_ref()?);
        Some([w.name.as_str().into()].into_iter().chain(late).collect())
    });
    let columns = [("workload", l), ("p50", r), ("p95", r), ("p99", r), ("at most", r)];
    Table::new("How late operations were sent", &columns, rows.collect())
}
