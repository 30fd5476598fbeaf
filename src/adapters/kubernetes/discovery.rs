//! Which kinds of objects a cluster has, and which of them a name means. Asked once, and again when a name is unknown: it may
//! be of a kind that was installed since.

use super::call::{Ask, Caller, JSON};
use super::wire::{Group, Groups, Named, Resource, Resources, Told, ToldResource, ToldVersion};
use super::{ClusterError, Kind, Scope};
use futures_util::{StreamExt, stream};
use std::sync::{Arc, Mutex, PoisonError};

/// So many groups are asked for at once.
const AT_ONCE: usize = 8;
/// Newer servers tell all at once (aggregated discovery, 1.26 on); others pass over what they do not know.
const ALL_AT_ONCE: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// Of what there is, so many are named.
const NAMED: usize = 8;

/// A kind, and what it may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    singular: String,
    short: Vec<String>,
    /// Is this the version that the server prefers in its group?
    preferred: bool,
}

/// All kinds of a cluster.
#[derive(Debug, Default)]
struct Catalog {
    entries: Vec<Entry>,
    /// Group and version by which pods are evicted.
    eviction: Option<String>,
    /// Groups that did not answer.
    silent: Vec<String>,
}

/// The kinds of one cluster, asked for when needed.
#[derive(Default)]
pub(super) struct Discovery {
    known: Mutex<Option<Arc<Catalog>>>,
}

impl Discovery {
    /// The kind that a name means.
    pub(super) async fn kind(&self, caller: &Caller, name: &str) -> Result<Kind, ClusterError> {
        let kept = self.kept();
        let fresh = kept.is_none();
        let catalog = match kept {
            Some(catalog) => catalog,
            None => self.ask(caller).await?,
        };
        match catalog.find(name, &caller.server) {
            Err(ClusterError::Missing(_)) if !fresh => self.ask(caller).await?.find(name, &caller.server),
            found => found,
        }
    }

    /// Group and version of evictions: `policy/v1` where there is one.
    pub(super) async fn eviction(&self, caller: &Caller) -> Result<String, ClusterError> {
        let catalog = match self.kept() {
            Some(catalog) => catalog,
            None => self.ask(caller).await?,
        };
        let none = || ClusterError::Missing(format!("{} has no evictions (`pods/eviction`)", caller.server));
        catalog.eviction.clone().ok_or_else(none)
    }

    fn kept(&self) -> Option<Arc<Catalog>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, caller: &Caller) -> Result<Arc<Catalog>, ClusterError> {
        let catalog = Arc::new(Catalog::ask(caller).await?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&catalog));
        Ok(catalog)
    }
}

async fn read<T: serde::de::DeserializeOwned>(
    caller: &Caller,
    path: &str,
    accept: &'static str,
) -> Result<T, ClusterError> {
    let mut ask = Ask::get(path.to_owned(), "list the kinds of the cluster".to_owned());
    ask.accept = accept;
    let value = caller.json(&ask).await?;
    serde_json::from_value(value).map_err(|_| ClusterError::Other(format!("{}: not as expected", ask.doing)))
}

impl Catalog {
    async fn ask(caller: &Caller) -> Result<Self, ClusterError> {
        let mut catalog = Self::default();
        let all: Groups = read(caller, "/apis", ALL_AT_ONCE).await?;
        if all.kind == "APIGroupDiscoveryList" {
            let core: Groups = read(caller, "/api", ALL_AT_ONCE).await?;
            catalog.told(core);
            catalog.told(all);
            return Ok(catalog);
        }
        let core: Resources = read(caller, "/api/v1", JSON).await?;
        catalog.add("v1", true, core.resources);
        catalog.ask_each(caller, all.groups).await;
        Ok(catalog)
    }

    fn told(&mut self, groups: Groups) {
        for Told { metadata: Named { name }, versions } in groups.items {
            for (n, ToldVersion { version, freshness, resources }) in versions.into_iter().enumerate() {
                let api = if name.is_empty() { version } else { format!("{name}/{version}") };
                if freshness == "Stale" {
                    self.silent.push(api.clone());
                }
                self.add(&api, n == 0, resources.into_iter().flat_map(ToldResource::flat).collect());
            }
        }
    }

    async fn ask_each(&mut self, caller: &Caller, groups: Vec<Group>) {
        let mut wanted: Vec<(String, bool)> = Vec::new();
        for group in groups {
            let preferred = group.preferred_version;
            let mut versions = group.versions;
            // Stable: the server's order is kept among the others.
            versions.sort_by_key(|version| *version != preferred);
            wanted.extend(versions.into_iter().map(|version| (version.group_version.clone(), version == preferred)));
        }
        let answers = wanted.into_iter().map(|(api, preferred)| async move {
            let found = read::<Resources>(caller, &format!("/apis/{api}"), JSON).await;
            (api, preferred, found)
        });
        let mut answers = stream::iter(answers).buffered(AT_ONCE);
        while let Some((api, preferred, found)) = answers.next().await {
            match found {
                Ok(found) => self.add(&api, preferred, found.resources),
                // An extension whose server is away must not hide the rest.
                Err(_) => self.silent.push(api),
            }
        }
    }

    fn add(&mut self, api: &str, preferred: bool, found: Vec<Resource>) {
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        for one in found {
            if group.is_empty() && one.name == "pods/eviction" {
                self.eviction = Some(format!("{}/{}", one.group, one.version)).filter(|api| api.len() > 1);
            }
            if one.name.contains('/') || one.name.is_empty() {
                continue;
            }
            let scope = if one.namespaced { Scope::Namespaced } else { Scope::Cluster };
            let kind = Kind::of(group, version, &one.kind, &one.name, scope);
            self.entries.push(Entry { kind, singular: one.singular_name, short: one.short_names, preferred });
        }
    }

    /// What `name` means: of the core first, then of Kubernetes' own groups in the server's order, then of the one group that
    /// has it.
    fn find(&self, name: &str, server: &str) -> Result<Kind, ClusterError> {
        let (word, rest) = name.split_once('.').map_or((name, None), |(word, rest)| (word, Some(rest)));
        let word = word.to_lowercase();
        let mut found: Vec<&Entry> =
            self.entries.iter().filter(|one| one.is_called(&word) && rest.is_none_or(|rest| one.is_of(rest))).collect();
        found.sort_by_key(|one| (one.rank(), !one.preferred));
        let Some(best) = found.first() else { return Err(self.unknown(name, server)) };
        let mut groups: Vec<&str> = found.iter().map(|one| one.kind.group.as_str()).collect();
        groups.dedup();
        if best.rank() == 2 && groups.len() > 1 {
            let of = |group: &&str| format!("`{}.{group}`", best.kind.plural);
            let names: Vec<String> = groups.iter().take(NAMED).map(of).collect();
            return Err(ClusterError::Invalid(format!("kind `{name}` means several; write {}", names.join(" or "))));
        }
        Ok(best.kind.clone())
    }

    fn unknown(&self, name: &str, server: &str) -> ClusterError {
        let word = name.split('.').next().unwrap_or_default().to_lowercase();
        let mut near: Vec<(usize, &str)> = self
            .entries
            .iter()
            .flat_map(|one| [one.kind.plural.as_str(), one.singular.as_str()])
            .map(|plural| (distance(&word, plural), plural))
            .filter(|(far, plural)| *far <= 1 + plural.len() / 5)
            .collect();
        near.sort_unstable();
        let mut text = format!("{server} has no kind `{name}`");
        if let Some((_, plural)) = near.first() {
            text += &format!("; did you mean `{plural}`?");
        }
        if !self.silent.is_empty() {
            let silent: Vec<&str> = self.silent.iter().take(NAMED).map(String::as_str).collect();
            text += &format!(" (these groups did not answer: {})", silent.join(", "));
        }
        ClusterError::Missing(text)
    }
}

impl Entry {
    fn is_called(&self, word: &str) -> bool {
        let kind = &self.kind;
        kind.plural == word
            || self.singular == word
            || kind.kind.to_lowercase() == word
            || self.short.iter().any(|s| s == word)
    }

    /// `apps`, `v1.apps`; `v1` or `v1.` for the core.
    fn is_of(&self, rest: &str) -> bool {
        let Kind { group, version, .. } = &self.kind;
        if group.is_empty() {
            return rest.trim_end_matches('.') == version;
        }
        rest == group || rest.split_once('.').is_some_and(|(v, g)| v == version && g == group)
    }

    fn rank(&self) -> u8 {
        let group = &self.kind.group;
        match group {
            _ if group.is_empty() => 0,
            _ if !group.contains('.') || group.ends_with(".k8s.io") => 1,
            _ => 2,
        }
    }
}

/// How many letters are to be changed.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        let mut add = |api: &str, preferred, text: &str| {
            catalog.add(api, preferred, serde_json::from_str(text).unwrap());
        };
        add(
            "v1",
            true,
            r#"[{"name":"pods","singularName":"","namespaced":true,"kind":"Pod","shortNames":["po"]},
                {"name":"events","kind":"Event","namespaced":true},
                {"name":"pods/eviction","kind":"Eviction","group":"policy","version":"v1beta1","namespaced":true}]"#,
        );
        add("events.k8s.io/v1", true, r#"[{"name":"events","kind":"Event","namespaced":true}]"#);
        add("batch/v1", true, r#"[{"name":"jobs","kind":"Job","namespaced":true}]"#);
        add("batch/v1beta1", false, r#"[{"name":"cronjobs","kind":"CronJob","namespaced":true,"shortNames":["cj"]}]"#);
        add("velero.io/v1", true, r#"[{"name":"backups","kind":"Backup","namespaced":true}]"#);
        add("pg.example/v1", true, r#"[{"name":"backups","kind":"Backup","namespaced":true}]"#);
        catalog
    }

    fn named(name: &str) -> Result<String, ClusterError> {
        catalog().find(name, "https://x").map(|kind| format!("{} {}", kind.api(), kind.plural))
    }

    #[test]
    fn names_mean_what_kubectl_takes_them_for() {
        for (name, means) in [
            ("po", "v1 pods"),
            ("Pod", "v1 pods"),
            ("pods.v1", "v1 pods"),
            ("events", "v1 events"),
            ("events.events.k8s.io", "events.k8s.io/v1 events"),
            ("cj", "batch/v1beta1 cronjobs"),
            ("cronjobs.batch", "batch/v1beta1 cronjobs"),
            ("CronJob.v1beta1.batch", "batch/v1beta1 cronjobs"),
            ("backup.velero.io", "velero.io/v1 backups"),
        ] {
            assert_eq!(named(name).as_deref(), Ok(means), "{name}");
        }
    }

    #[test]
    fn what_is_ambiguous_or_unknown_is_said_with_what_to_write() {
        let several = named("backups").unwrap_err();
        assert_eq!(
            several,
            ClusterError::Invalid(
                "kind `backups` means several; write `backups.velero.io` or `backups.pg.example`".into()
            )
        );
        let Err(ClusterError::Missing(text)) = named("cronjbos") else { panic!() };
        assert!(text.ends_with("did you mean `cronjobs`?"), "{text}");
        assert!(matches!(named("zzz.apps"), Err(ClusterError::Missing(_))));
        assert_eq!(catalog().eviction.as_deref(), Some("policy/v1beta1"));
    }
}
