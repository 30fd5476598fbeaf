//! Which tables of a database are meant by names and patterns, and which of their columns are left out. Pure.

use super::Tables;
use crate::adapters::AdapterError;
use crate::model::glob;

/// More tables than this are no set that anybody meant.
pub(in crate::adapters) const MOST: usize = 10_000;

/// A table of a database, or something that can be read like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapters) struct Relation {
    /// How the database finds it besides its name.
    pub id: String,
    /// Its schema; in MySQL, its database.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Can it be named without its schema?
    pub visible: bool,
    /// Does a pattern mean it? What only shows or mirrors other data is taken by its own name alone.
    pub plain: bool,
}

impl Relation {
    pub fn full(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Is it what this name or pattern says?
    pub fn is(&self, wanted: &str) -> bool {
        let full = self.full();
        if wanted == full || (wanted == self.name && self.visible) {
            return true;
        }
        let fits = || if wanted.contains('.') { glob(wanted, &full) } else { self.visible && glob(wanted, &self.name) };
        self.plain && wanted.contains(['*', '?']) && fits()
    }
}

/// The tables that are meant, and in words the names that mean none.
pub(in crate::adapters) fn choose<'a>(relations: &'a [Relation], asked: &Tables) -> (Vec<&'a Relation>, Vec<String>) {
    let all = ["*.*".to_owned()];
    let wanted = if asked.tables.is_empty() { &all[..] } else { &asked.tables };
    let ours = |relation: &Relation| asked.own.iter().any(|own| relation.is(own));
    let theirs = || relations.iter().filter(|relation| !ours(relation));
    let chosen: Vec<&Relation> = theirs().filter(|relation| wanted.iter().any(|name| relation.is(name))).collect();
    let unmet = wanted.iter().filter(|name| !chosen.iter().any(|relation| relation.is(name)));
    let words = |name: &String| if name == "*.*" { "any table".to_owned() } else { format!("the table `{name}`") };
    let absent = unmet.map(words).collect();
    (chosen, absent)
}

/// The columns that shall be left out, until each was found.
pub(in crate::adapters) struct Excluded<'a> {
    asked: &'a Tables,
    unused: Vec<(String, String)>,
}

impl<'a> Excluded<'a> {
    pub fn of(asked: &'a Tables) -> Self {
        let pairs = |(table, columns): (&String, &Vec<String>)| {
            columns.iter().map(|column| (table.clone(), column.clone())).collect::<Vec<_>>()
        };
        Self { asked, unused: asked.exclude.iter().flat_map(pairs).collect() }
    }

    pub fn has(&mut self, relation: &Relation, column: &str) -> bool {
        let mut out = false;
        for (table, columns) in self.asked.exclude.iter().filter(|(table, _)| relation.is(table)) {
            if columns.iter().any(|name| name == column) {
                self.unused.retain(|(t, c)| (t, c.as_str()) != (table, column));
                out = true;
            }
        }
        out
    }

    /// In words, those that no table has.
    pub fn absent(self) -> impl Iterator<Item = String> {
        self.unused.into_iter().map(|(table, column)| format!("the column `{column}` of `{table}`"))
    }
}

/// Count and sum as a server says them. Its sum is exact; what is kept of it is the sum modulo 2^64. What is no number is
/// an error: two tables that could not be read would otherwise be the same.
///
/// # Errors
/// Names what was said.
pub(in crate::adapters) fn figures(count: &str, sum: &str) -> Result<(u64, u64), AdapterError> {
    let wrong = || AdapterError::Other(format!("the server says `{count}` rows with the sum `{sum}`: no numbers"));
    let exact: i128 = sum.parse().map_err(|_| wrong())?;
    let wrapped = u64::try_from(exact.rem_euclid(1 << 64)).map_err(|_| wrong())?;
    Ok((count.parse().map_err(|_| wrong())?, wrapped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn relation(schema: &str, name: &str, plain: bool) -> Relation {
        let (visible, id) = (schema == "public", String::new());
        Relation { id, schema: schema.into(), name: name.into(), visible, plain }
    }

    fn chosen(tables: &[&str], own: &[&str]) -> (Vec<String>, Vec<String>) {
        let relations = [
            relation("public", "orders", true),
            relation("public", "events", true),
            relation("public", "events_1", false),
            relation("public", "shown", false),
            relation("public", "blackstart_ledger", true),
            relation("app", "orders", true),
        ];
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        let asked = Tables { url: String::new(), tables: texts(tables), exclude: BTreeMap::new(), own: texts(own) };
        let (chosen, absent) = choose(&relations, &asked);
        (chosen.iter().map(|r| r.full()).collect(), absent)
    }

    #[test]
    fn names_and_patterns_mean_tables() {
        let all = ["public.orders", "public.events", "app.orders"].map(str::to_owned).to_vec();
        assert_eq!(chosen(&[], &["blackstart_ledger"]), (all, vec![]));
        assert_eq!(chosen(&["orders", "app.orders"], &[]).0, ["public.orders", "app.orders"]);
        assert_eq!(chosen(&["app.*"], &[]).0, ["app.orders"]);
        assert_eq!(chosen(&["events_1", "shown"], &[]).0, ["public.events_1", "public.shown"], "by name");
        let none = (vec![], vec!["the table `items`".to_owned()]);
        assert_eq!(chosen(&["items"], &[]), none);
        let own = chosen(&["blackstart_ledger"], &["blackstart_ledger"]);
        assert_eq!(own, (vec![], vec!["the table `blackstart_ledger`".to_owned()]), "never its own");
    }

    #[test]
    fn sums_wrap() {
        let sums = ["-1", "18446744073709551617", "0"].map(|sum| figures("3", sum));
        assert_eq!(sums, [Ok((3, u64::MAX)), Ok((3, 1)), Ok((3, 0))]);
        for (count, sum) in [("", ""), ("3", ""), ("", "3"), ("-1", "0"), ("1", "1e9")] {
            assert!(figures(count, sum).is_err(), "`{count}` `{sum}`");
        }
    }
}
