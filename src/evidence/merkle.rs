//! The tree head of a list of records, as RFC 9162 §2.1.1 has it: leaves and inner nodes are hashed with different first
//! bytes, so that neither can be taken for the other. Pure; which records, is decided elsewhere.

use sha2::{Digest, Sha256};

/// A digest of the tree.
pub type Hash = [u8; 32];

/// A tree that grows by one record at a time and keeps only what its head needs: one digest for each power of two.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Heads of whole subtrees with their sizes, which shrink from left to right.
    whole: Vec<(u64, Hash)>,
}

impl Tree {
    /// Adds a record behind the others.
    pub fn push(&mut self, record: &[u8]) {
        let (mut size, mut head) = (1, leaf(record));
        while let Some((left_size, left)) = self.whole.pop() {
            if left_size != size {
                self.whole.push((left_size, left));
                break;
            }
            (size, head) = (size * 2, node(&left, &head));
        }
        self.whole.push((size, head));
    }

    /// The head of all records so far; that of none is the digest of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.whole.iter().rev().map(|(_, head)| *head);
        match from_right.next() {
            None => Sha256::digest([]).into(),
            Some(last) => from_right.fold(last, |right, left| node(&left, &right)),
        }
    }
}

/// The tree head of the lines of a text, each with its line break, hex.
#[must_use]
pub fn root_of_lines(bytes: &[u8]) -> String {
    let mut tree = Tree::default();
    bytes.split_inclusive(|byte| *byte == b'\n').for_each(|line| tree.push(line));
    hex(&tree.root())
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(records: &[&[u8]]) -> String {
        let mut tree = Tree::default();
        records.iter().for_each(|record| tree.push(record));
        hex(&tree.root())
    }

    /// The definition word for word: split at the largest power of two below the length.
    fn defined(records: &[Vec<u8>]) -> Hash {
        match records {
            [] => Sha256::digest([]).into(),
            [one] => leaf(one),
            more => {
                let mut at = 1;
                while at * 2 < more.len() {
                    at *= 2;
                }
                node(&defined(&more[..at]), &defined(&more[at..]))
            }
        }
    }

    /// The inputs and heads that Certificate Transparency's implementations are tested against.
    #[test]
    fn the_heads_are_those_of_certificate_transparency() {
        let records: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        for (length, head) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(of(&records[..length]), head, "{length}");
        }
    }

    #[test]
    fn a_leaf_is_no_node_and_a_line_has_its_break() {
        let pair = [leaf(b"a"), leaf(b"b")].concat();
        assert_ne!(of(&[b"a", b"b"]), of(&[&pair]));
        assert_eq!(root_of_lines(b"a\nb\n"), of(&[b"a\n", b"b\n"]));
        assert_ne!(root_of_lines(b"a\nb\n"), root_of_lines(b"a\nb"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn growing_comes_to_what_is_defined(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..70)) {
            let mut tree = Tree::default();
            for record in &records {
                tree.push(record);
            }
            prop_assert_eq!(tree.root(), defined(&records));
        }
    }
}
