//! Counts of a node's own copy, by the node: `GET /ledger/{run}/tally`.

use super::{Kv, get};
use crate::adapters::AdapterError;
use crate::adapters::connection::{Connection, Failure};
use crate::adapters::tally::{Frontier, Tally};
use std::collections::BTreeMap;

impl Kv {
    /// One line a writer, then how many lines there were.
    pub(super) async fn counts(&self, upto: Option<&Frontier>) -> Result<BTreeMap<u16, Tally>, AdapterError> {
        let words = |upto: &Frontier| upto.iter().map(|(w, s)| format!("{w}.{s}")).collect::<Vec<_>>().join(",");
        let upto = upto.map_or_else(String::new, |upto| format!("&upto={}", words(upto)));
        let path = format!("{}/tally?any=1{upto}", self.path);
        let exchange = async {
            let mut connection = Connection::open(&self.site, self.settings.timeout).await?;
            connection.exchange(&path, get()).await
        };
        let failed = |why: String| AdapterError::Unreachable(format!("count the records of a site: {why}"));
        let reply = match tokio::time::timeout(self.settings.timeout, exchange).await {
            Err(_) => return Err(AdapterError::TimedOut("count the records of a site: no answer".to_owned())),
            Ok(Err(Failure::NotSent(why) | Failure::Resources(why) | Failure::Undecided(why))) => {
                return Err(failed(why.to_string()));
            }
            Ok(Ok(reply)) => reply,
        };
        if reply.status != 200 {
            return Err(AdapterError::Refused(format!("count the records of a site: status {}", reply.status)));
        }
        parse(&String::from_utf8_lossy(&reply.body)).ok_or_else(|| failed("an answer that is cut off".to_owned()))
    }
}

fn parse(text: &str) -> Option<BTreeMap<u16, Tally>> {
    let (mut all, mut said) = (BTreeMap::new(), None);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["end", count] => said = count.parse().ok(),
            [writer, count, highest, sum] => {
                let (count, highest) = (count.parse().ok()?, highest.parse().ok()?);
                all.insert(writer.parse().ok()?, Tally { count, highest, sum: sum.parse().ok()? });
            }
            _ => return None,
        }
    }
    (said == Some(all.len())).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_off_counts_nothing() {
        let whole = BTreeMap::from([(3, Tally { count: 2, highest: 7, sum: 9 })]);
        assert_eq!(parse("3 2 7 9\nend 1\n"), Some(whole));
        assert_eq!(parse("end 0\n"), Some(BTreeMap::new()));
        for wrong in ["", "3 2 7 9\n", "3 2 7 9\nend 2\n", "3 2 7\nend 1\n", "not primary"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
