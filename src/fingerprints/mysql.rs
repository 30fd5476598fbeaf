//! Tables of a MySQL or MariaDB database: rows counted, and a sum of their digests taken by the server.

use super::Print;
use crate::adapters::data::{Store, Tables};
use crate::faults::{Cx, FaultError};
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tables of a database, at one snapshot of InnoDB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlPrint {
    /// A target of kind `mysql`.
    pub target: TargetRef,
    /// Tables as `orders`, `app.items` or with `*` in them; all of the user's if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Columns that are left out, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exclude: BTreeMap<String, Vec<String>>,
}

impl Print for MysqlPrint {
    const KIND: &'static str = "mysql";
    const SUMMARY: &'static str =
        "tables of a MySQL or MariaDB database: rows, and the sum of their digests, by the server";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    fn store(&self, cx: &Cx<'_>, own: &[String]) -> Result<Store, FaultError> {
        let url = cx.scope.url(&self.target).map_err(FaultError::Reference)?;
        let (tables, exclude) = (self.tables.clone(), self.exclude.clone());
        Ok(Store::Mysql(Tables { url, tables, exclude, own: own.to_vec() }))
    }

    fn words(&self) -> String {
        match self.tables.as_slice() {
            [] => format!("all tables of {}", self.target.name()),
            some => format!("{} of {}", some.join(", "), self.target.name()),
        }
    }
}
