//! What a server says of its kinds, as it is on the wire: newer servers tell all groups at once (`apidiscovery.k8s.io`), older
//! ones each group and version alone (`meta/v1`).

use serde::Deserialize;

/// All groups, or only their names.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Groups {
    pub(super) kind: String,
    pub(super) groups: Vec<Group>,
    pub(super) items: Vec<Told>,
}

/// A group with its kinds (`APIGroupDiscovery`).
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Told {
    pub(super) metadata: Named,
    pub(super) versions: Vec<ToldVersion>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ToldVersion {
    pub(super) version: String,
    pub(super) freshness: String,
    pub(super) resources: Vec<ToldResource>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ToldResource {
    pub(super) resource: String,
    pub(super) response_kind: ToldKind,
    pub(super) scope: String,
    pub(super) singular_resource: String,
    pub(super) short_names: Vec<String>,
    pub(super) subresources: Vec<ToldPart>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ToldPart {
    pub(super) subresource: String,
    pub(super) response_kind: ToldKind,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ToldKind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
}

impl ToldResource {
    /// The resource and its parts, as they are told one group at a time.
    pub(super) fn flat(self) -> Vec<Resource> {
        let parts = self.subresources.into_iter().map(|part| Resource {
            name: format!("{}/{}", self.resource, part.subresource),
            kind: part.response_kind.kind,
            group: part.response_kind.group,
            version: part.response_kind.version,
            ..Resource::default()
        });
        let mut all: Vec<Resource> = parts.collect();
        all.push(Resource {
            name: self.resource,
            singular_name: self.singular_resource,
            namespaced: self.scope == "Namespaced",
            kind: self.response_kind.kind,
            short_names: self.short_names,
            ..Resource::default()
        });
        all
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    #[serde(default)]
    pub(super) preferred_version: Version,
    pub(super) versions: Vec<Version>,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) group_version: String,
}

#[derive(Deserialize)]
pub(super) struct Resources {
    pub(super) resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) singular_name: String,
    pub(super) namespaced: bool,
    pub(super) kind: String,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) short_names: Vec<String>,
}
