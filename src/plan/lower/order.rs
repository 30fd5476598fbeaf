//! All steps of a drill by their ids: which there are, which comes before which, and whether the order can be kept.

use super::Cx;
use crate::playbook::Region;
use crate::playbook::ast::{DrillAst, PHASES, StepAst, Word};
use crate::playbook::is_snake;
use crate::playbook::tree::Node;
use std::collections::HashMap;

/// What is known about a step before any is lowered.
#[derive(Debug)]
pub(super) struct Info {
    pub id: String,
    pub at: Region,
    pub word: Word,
    /// The `parallel` that holds it, as an index.
    pub parent: Option<usize>,
    pub phase: usize,
    pub outputs: Vec<String>,
    pub after: Vec<(String, Region)>,
}

/// All steps in the order in which they are written; a `parallel` comes before what it holds.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub steps: Vec<Info>,
    by_id: HashMap<String, usize>,
    /// A step's node, as an address: the tree does not move while it is lowered.
    by_node: HashMap<usize, usize>,
}

impl Index {
    pub fn of(cx: &Cx<'_>, sections: &DrillAst<'_>) -> Self {
        let mut index = Self::default();
        for (phase, (steps, name)) in sections.phases.iter().zip(PHASES).enumerate() {
            for (i, step) in steps.iter().enumerate() {
                index.collect(cx, step, phase, None, &format!("{name}_{}", i + 1));
            }
        }
        index.check_order(cx);
        index
    }

    fn collect(&mut self, cx: &Cx<'_>, step: &StepAst<'_>, phase: usize, parent: Option<usize>, default: &str) {
        let written = step.get("id").and_then(|node| Some((node, node.text()?)));
        if let Some((node, text)) = written
            && !is_snake(text)
        {
            let fixed = text.to_lowercase().replace(['-', '.', ' '], "_");
            cx.wrong(
                node.region,
                format!("`{text}` cannot be an id: lower-case letters, digits and `_` can"),
                format!("write `id: {fixed}`"),
            );
        }
        let id = written.map_or_else(|| default.to_owned(), |(_, text)| text.to_owned());
        let at = written.map_or(step.at, |(node, _)| node.region);
        let here = self.steps.len();
        if let Some(first) = self.by_id.get(&id) {
            let line = cx.place(self.steps[*first].at).line;
            let error = cx.said.error(at, format!("the id `{id}` stands here twice"));
            cx.said
                .push(error.label(format!("it stands in line {line} already")).help("give each step an id of its own"));
        } else {
            self.by_id.insert(id.clone(), here);
        }
        self.by_node.insert(std::ptr::from_ref(step.node) as usize, here);
        self.steps.push(Info {
            id,
            at,
            word: step.word,
            parent,
            phase,
            outputs: step
                .get("output")
                .map(Node::entries)
                .unwrap_or_default()
                .iter()
                .map(|(k, _)| k.text.clone())
                .collect(),
            after: after(cx, step),
        });
        for (i, inner) in step.parallel.iter().enumerate() {
            self.collect(cx, inner, phase, Some(here), &format!("{default}_{}", i + 1));
        }
    }

    pub fn find(&self, id: &str) -> Option<(usize, &Info)> {
        self.by_id.get(id).map(|i| (*i, &self.steps[*i]))
    }

    /// The place of a step.
    pub fn of_node(&self, node: &Node) -> usize {
        self.by_node.get(&(std::ptr::from_ref(node) as usize)).copied().unwrap_or_default()
    }

    pub fn ids(&self) -> Vec<&str> {
        self.steps.iter().map(|s| s.id.as_str()).collect()
    }

    pub fn faults(&self) -> Vec<&str> {
        self.steps.iter().filter(|s| s.word == Word::Inject).map(|s| s.id.as_str()).collect()
    }

    fn holds(&self, outer: usize, inner: usize) -> bool {
        let mut at = self.steps[inner].parent;
        while let Some(parent) = at {
            if parent == outer {
                return true;
            }
            at = self.steps[parent].parent;
        }
        false
    }

    /// Has `first` certainly ended when `second` begins?
    pub fn before(&self, first: usize, second: usize) -> bool {
        if self.holds(first, second) || first == second {
            return false;
        }
        let siblings = self.steps[first].parent.is_some() && self.steps[first].parent == self.steps[second].parent;
        if siblings {
            return self.waits_for(second, first);
        }
        // The branches of a parallel above both of them run at the same time.
        let outer = |step: usize, parent: usize| {
            let mut at = step;
            while self.steps[at].parent != Some(parent) {
                at = self.steps[at].parent?;
            }
            Some(at)
        };
        let mut common = self.steps[second].parent;
        while let Some(parent) = common {
            if let (Some(a), Some(b)) = (outer(first, parent), outer(second, parent)) {
                return a != b && self.waits_for(b, a);
            }
            common = self.steps[parent].parent;
        }
        first < second
    }

    /// Does `step` wait for its sibling, directly or through others?
    fn waits_for(&self, step: usize, wanted: usize) -> bool {
        let (mut open, mut seen) = (vec![step], vec![step]);
        while let Some(at) = open.pop() {
            for (id, _) in &self.steps[at].after {
                let Some((next, _)) = self.find(id) else { continue };
                if next == wanted {
                    return true;
                }
                if !seen.contains(&next) && self.steps[next].parent == self.steps[step].parent {
                    seen.push(next);
                    open.push(next);
                }
            }
        }
        false
    }

    fn check_order(&self, cx: &Cx<'_>) {
        for (here, step) in self.steps.iter().enumerate() {
            for (id, at) in &step.after {
                let Some((other, info)) = self.find(id) else {
                    cx.unknown(*at, "step", id, &self.ids());
                    continue;
                };
                if other == here {
                    cx.wrong(*at, "a step cannot wait for itself", "name a step that comes earlier");
                } else if self.holds(other, here) || self.holds(here, other) {
                    cx.wrong(*at, format!("`{id}` and this step hold each other"), "name a step outside of it");
                } else if step.parent.is_some() && info.parent == step.parent {
                    if self.waits_for(other, here) {
                        let message = format!("`{}` waits for `{id}`, and `{id}` waits for `{}`", step.id, step.id);
                        cx.wrong(*at, message, "take one of the two `after` out");
                    }
                } else if !self.before(other, here) {
                    let message = format!("`{id}` comes later than this step");
                    cx.wrong(*at, message, "steps run in the order in which they are written; move one of them");
                }
            }
        }
    }
}

fn after(cx: &Cx<'_>, step: &StepAst<'_>) -> Vec<(String, Region)> {
    let Some(node) = step.get("after") else { return Vec::new() };
    let items = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
    items.iter().filter_map(|n| Some((cx.decode::<String>(n, "after")?, n.region))).collect()
}
