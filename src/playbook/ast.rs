//! The shape of a playbook: its sections and steps, each part still a tree with places.
//! What the parts mean, and whether they fit together, is decided when the playbook is lowered.

use super::source::{Region, Sources};
use super::tree::{Name, Node};

/// A parsed file with its includes.
#[derive(Debug, Clone)]
pub struct Ast {
    /// The file, then its includes.
    pub sources: Sources,
    /// The tree, includes merged in.
    pub root: Node,
    /// What the file describes.
    pub kind: FileKind,
    /// Parsing found errors: it can be looked at for more of them, but not run.
    pub broken: bool,
}

/// What a file describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// One drill.
    Drill,
    /// A list of drills with order, pauses, participants and a window.
    GameDay,
    /// The configuration file, which lies beside playbooks: nothing of a playbook is in it.
    Configuration,
}

/// The sections of a drill.
#[derive(Debug, Default)]
pub struct DrillAst<'a> {
    /// `drill:`
    pub name: Option<Name>,
    /// `title:`
    pub title: Option<Name>,
    /// `environment:`
    pub environment: Option<Name>,
    /// `metadata:`
    pub metadata: &'a [(Name, Node)],
    /// `objectives:`
    pub objectives: &'a [(Name, Node)],
    /// `params:`
    pub params: &'a [(Name, Node)],
    /// `matrix:`
    pub matrix: &'a [(Name, Node)],
    /// `secrets:`
    pub secrets: &'a [(Name, Node)],
    /// `targets:`
    pub targets: &'a [(Name, Node)],
    /// `staging:`
    pub staging: Option<&'a Node>,
    /// `workload:`
    pub workloads: &'a [(Name, Node)],
    /// `vantages:`
    pub vantages: &'a [(Name, Node)],
    /// `fingerprints:`
    pub fingerprints: &'a [(Name, Node)],
    /// `guards:`
    pub guards: &'a [Node],
    /// `waive:`
    pub waive: &'a [Node],
    /// `baseline:`
    pub baseline: Option<&'a Node>,
    /// `steady:`, `outage:`, `failover:`, `restore:`, `verify:`
    pub phases: [Vec<StepAst<'a>>; 5],
}

/// The phases that a playbook writes, in their order.
pub const PHASES: [&str; 5] = ["steady", "outage", "failover", "restore", "verify"];

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Inject a fault.
    Inject,
    /// Heal a fault.
    Heal,
    /// Wait until a condition holds.
    Expect,
    /// A condition must hold now.
    Check,
    /// Restore and verify.
    Restore,
    /// A command or a request.
    Run,
    /// Wait.
    Wait,
    /// A person says it is done.
    Ask,
    /// Steps at the same time.
    Parallel,
}

impl Word {
    /// All of them, as they are written.
    pub const ALL: [(&'static str, Self); 9] = [
        ("inject", Self::Inject),
        ("heal", Self::Heal),
        ("expect", Self::Expect),
        ("check", Self::Check),
        ("restore", Self::Restore),
        ("run", Self::Run),
        ("wait", Self::Wait),
        ("ask", Self::Ask),
        ("parallel", Self::Parallel),
    ];

    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        Self::ALL.iter().find(|(_, w)| *w == self).map_or("", |(text, _)| text)
    }

    /// The modifiers that have a meaning for it, besides those that every step takes.
    #[must_use]
    pub fn modifiers(self) -> &'static [&'static str] {
        match self {
            Self::Inject => {
                &["deadline", "at_most", "acknowledge", "way_back", "pick", "order", "seed", "stagger", "output"]
            }
            Self::Expect => &["within", "for", "since", "output", "closes"],
            Self::Check => &["output"],
            Self::Restore | Self::Run => &["within", "since", "output", "closes"],
            Self::Ask => &["within", "since", "closes"],
            Self::Heal => &["within"],
            Self::Wait | Self::Parallel => &[],
        }
    }
}

/// Modifiers that every step takes.
pub const COMMON: [&str; 7] = ["id", "name", "after", "milestone", "when", "repeat", "on_fail"];

/// Modifiers that some steps take.
pub const SPECIAL: [&str; 13] = [
    "within",
    "for",
    "since",
    "closes",
    "output",
    "deadline",
    "at_most",
    "acknowledge",
    "way_back",
    "pick",
    "order",
    "seed",
    "stagger",
];

/// A step.
#[derive(Debug)]
pub struct StepAst<'a> {
    /// The whole step.
    pub node: &'a Node,
    /// What it does.
    pub word: Word,
    /// Where the verb stands.
    pub at: Region,
    /// What stands under the verb.
    pub value: &'a Node,
    /// The steps under `parallel`.
    pub parallel: Vec<StepAst<'a>>,
    /// Its modifiers.
    modifiers: Vec<&'a (Name, Node)>,
}

impl<'a> StepAst<'a> {
    pub(super) fn new(node: &'a Node, word: Word, verb: &'a (Name, Node), modifiers: Vec<&'a (Name, Node)>) -> Self {
        Self { node, word, at: verb.0.region, value: &verb.1, parallel: Vec::new(), modifiers }
    }

    /// A modifier's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.modifiers.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }
}
