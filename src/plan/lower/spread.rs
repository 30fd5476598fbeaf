//! An injection on several targets: the list under `target`, and how much of it is broken, in which order, how far apart.

use super::Cx;
use crate::faults::FaultSpec;
use crate::model::{Dur, Percent};
use crate::plan::{AtMost, Order, Spread};
use crate::playbook::ast::StepAst;
use crate::playbook::suggest;
use crate::playbook::tree::{Node, Value};

/// In a fault on a list of targets it stands for each of them: `${targets.each.name}`.
const EACH: &str = "${targets.each.";
/// Its name in the playbook.
const NAME: &str = "${targets.each.target}";
/// So many targets in one list.
const MOST: usize = 1000;
const ORDERS: [&str; 3] = ["listed", "by_name", "random"];

/// What stands under `inject`, once for each target of its list; itself if there is no list.
pub(super) fn members(cx: &Cx<'_>, value: &Node) -> Vec<Node> {
    let Some((kind, parameters)) = value.entries().first().filter(|_| value.entries().len() == 1) else {
        return vec![value.clone()];
    };
    let Some(list) = parameters.get("target").filter(|node| matches!(node.value, Value::Sequence(_))) else {
        return vec![value.clone()];
    };
    if list.items().is_empty() || list.items().len() > MOST {
        let help = format!("name 1 to {MOST} targets, like `target: [web1, web2]`");
        cx.wrong(list.region, format!("a fault on {} targets", list.items().len()), help);
    }
    let one = |target: &Node| {
        let name = target.text().or_else(|| target.get("now").and_then(Node::text)).unwrap_or_default();
        let entries = parameters.entries().iter().map(|(key, node)| {
            let node = if key.text == "target" { target.clone() } else { named(node, name) };
            (key.clone(), node)
        });
        let parameters = Node { region: parameters.region, value: Value::Mapping(entries.collect()) };
        Node { region: value.region, value: Value::Mapping(vec![(kind.clone(), parameters)]) }
    };
    list.items().iter().take(MOST).map(one).collect()
}

/// The same with `each` replaced by a target's name.
fn named(node: &Node, name: &str) -> Node {
    let value = match &node.value {
        Value::Scalar { text, plain } => Value::Scalar {
            text: text.replace(NAME, name).replace(EACH, &format!("${{targets.{name}.")),
            plain: *plain,
        },
        Value::Sequence(items) => Value::Sequence(items.iter().map(|n| named(n, name)).collect()),
        Value::Mapping(entries) => Value::Mapping(entries.iter().map(|(k, n)| (k.clone(), named(n, name))).collect()),
    };
    Node { region: node.region, value }
}

/// How much of the targets, in which order, how far apart.
pub(super) fn spread(cx: &Cx<'_>, ast: &StepAst<'_>, faults: &[FaultSpec]) -> Spread {
    let order = ast.get("order").map_or(Order::Listed, |node| match node.text() {
        Some("listed") => Order::Listed,
        Some("by_name") => Order::ByName,
        Some("random") => Order::Random,
        other => {
            let text = other.unwrap_or_default();
            cx.wrong(node.region, format!("`order` knows no `{text}`"), suggest::help(text, &ORDERS, "here"));
            Order::Listed
        }
    });
    let seed = ast.get("seed").and_then(|node| cx.decode::<u64>(node, "seed"));
    if let Some(node) = ast.get("seed").filter(|_| order != Order::Random) {
        cx.wrong(node.region, "only a random order has a seed", "write `order: random`, or take `seed` out");
    }
    let stagger = ast.get("stagger").and_then(|node| cx.decode::<Dur>(node, "stagger")).map(|d| d.0);
    let pick = ast.get("pick").and_then(|node| amount(cx, node, "pick"));
    let written = ["pick", "order", "stagger"].into_iter().find_map(|key| ast.get(key));
    if let (Some(node), [one]) = (written, faults) {
        if !one.splits() {
            let message = format!("`{}` takes its target as a whole: there is nothing to choose from", one.kind());
            cx.wrong(node.region, message, "name several targets: `target: [A, B]`, or take it out");
        } else if one.targets().iter().any(|t| matches!(t, crate::model::TargetRef::Now(_))) {
            let help = "write the target's name without `now`";
            cx.wrong(node.region, "a part of a target can only be chosen once it is pinned", help);
        }
    }
    Spread { pick, order, seed, stagger: stagger.unwrap_or_default() }
}

/// A number, or a share in percent; not nothing.
pub(super) fn amount(cx: &Cx<'_>, node: &Node, label: &str) -> Option<AtMost> {
    let text = node.text().unwrap_or_default();
    let limit = if text.ends_with('%') {
        cx.decode::<Percent>(node, label).map(|p| AtMost::Share(p.0))
    } else {
        cx.decode::<u32>(node, label).map(AtMost::Count)
    };
    if matches!(limit, Some(AtMost::Count(0))) || matches!(limit, Some(AtMost::Share(share)) if share <= 0.0) {
        let message = if label == "pick" { "nothing picked leaves" } else { "at most nothing leaves" };
        let help = format!("write `{label}: 1` or `{label}: 33%`");
        cx.wrong(node.region, format!("{message} nothing to break"), help);
    }
    limit
}
