//! Global transaction identifiers, as MariaDB and MySQL write them, and how many transactions lie between two places. Pure.
//! MariaDB: `DOMAIN-SERVER-NUMBER,…`, the last transaction of each domain. MySQL: `UUID:FROM-TO:NUMBER,…`, a set.

use std::collections::BTreeMap;

/// The last number of each domain; none if the text is no position of MariaDB's.
pub(super) fn position(text: &str) -> Option<BTreeMap<u32, u64>> {
    let mut domains: BTreeMap<u32, u64> = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let mut words = part.split('-');
        let (domain, _server, number) = (words.next()?, words.next()?, words.next()?);
        let (domain, number): (u32, u64) = (domain.parse().ok()?, number.parse().ok()?);
        let last = domains.entry(domain).or_default();
        *last = number.max(*last);
        words.next().is_none().then_some(())?;
    }
    Some(domains)
}

/// How many transactions the one has that the other has not, by their numbers.
pub(super) fn ahead(of: &BTreeMap<u32, u64>, other: &BTreeMap<u32, u64>) -> u64 {
    of.iter().map(|(domain, last)| last.saturating_sub(other.get(domain).copied().unwrap_or_default())).sum()
}

/// How many transactions a set of MySQL's holds; none if the text is no set. Tags (8.3 and later) may stand in it.
pub(super) fn size(set: &str) -> Option<u64> {
    let mut all = 0_u64;
    for part in set.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let mut words = part.split(':');
        (words.next()?.len() == 36).then_some(())?;
        for word in words.map(str::trim).filter(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            let (from, to) = (from.parse::<u64>().ok()?, to.parse::<u64>().ok()?);
            all += to.checked_sub(from)? + 1;
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_between_positions_are_counted_by_domain() {
        let (here, there) = (position("0-1-120,1-2-5").unwrap(), position("0-2-100").unwrap());
        assert_eq!((ahead(&here, &there), ahead(&there, &here)), (25, 0));
        assert_eq!(ahead(&position("").unwrap(), &here), 0);
        for wrong in ["0-1", "a-1-2", "0-1-2-3", "0-1-x"] {
            assert_eq!(position(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sets_are_counted() {
        let one = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        assert_eq!(size(&format!("{one}:1-5:7,\n{one}:tag:1-3")), Some(9));
        assert_eq!((size(""), size("0-1-2"), size(&format!("{one}:5-1"))), (Some(0), None, None));
    }
}
