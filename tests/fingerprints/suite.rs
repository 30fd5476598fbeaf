//! What every kind of fingerprint must see and must not see, whatever the store: the same suite for all.

use blackstart::adapters::AdapterError;
use blackstart::adapters::data::Taken;
use std::future::Future;

/// A thing of a store: its number (from 90 on it is left out by the fingerprint's `exclude`) and its content.
pub type Thing = (u64, &'static str);

/// A store that can be brought into any state.
pub trait Ground {
    /// The fingerprint of exactly these things, stored in this order; one that is named twice is stored twice, under
    /// another name where names are unique.
    fn of(&mut self, things: &[Thing]) -> impl Future<Output = Taken>;
    /// The fingerprint when the store cannot be read.
    fn unreadable(&mut self) -> impl Future<Output = Result<Taken, AdapterError>>;
}

const BASE: [Thing; 4] = [(1, "a"), (2, "b"), (3, ""), (90, "x")];

/// # Panics
/// When the store does not keep to it.
pub async fn holds(ground: &mut impl Ground) {
    let before = ground.of(&BASE).await;
    assert_eq!(before.absent, [""; 0]);
    assert_eq!(before.print.parts.values().map(|part| part.count).sum::<u64>(), 3, "{:?}", before.print);
    let same: [(&str, &[Thing]); 4] = [
        ("in another order", &[(90, "x"), (3, ""), (1, "a"), (2, "b")]),
        ("what is left out has changed", &[(1, "a"), (2, "b"), (3, ""), (90, "y")]),
        ("what is left out is gone", &[(1, "a"), (2, "b"), (3, "")]),
        ("more is left out", &[(1, "a"), (90, "x"), (2, "b"), (91, "z"), (3, "")]),
    ];
    for (what, things) in same {
        let after = ground.of(things).await;
        assert_eq!(before.print.differences(&after.print), [""; 0], "{what}");
        assert_eq!(after.print, before.print, "{what}");
    }
    let others: [(&str, &[Thing]); 8] = [
        ("one lost", &[(1, "a"), (3, "")]),
        ("the empty one lost", &[(1, "a"), (2, "b")]),
        ("one changed", &[(1, "a"), (2, "c"), (3, "")]),
        ("one emptied", &[(1, "a"), (2, ""), (3, "")]),
        ("two swapped", &[(1, "b"), (2, "a"), (3, "")]),
        ("one added", &[(1, "a"), (2, "b"), (3, ""), (4, "d")]),
        ("one twice", &[(1, "a"), (2, "b"), (2, "b"), (3, "")]),
        ("one lost, another twice", &[(1, "a"), (1, "a"), (3, "")]),
    ];
    for (what, things) in others {
        let after = ground.of(things).await;
        assert_eq!(before.print.differences(&after.print).len(), 1, "{what}: {:?}", after.print);
        if let (Some(before), Some(after)) = (&before.listing, &after.listing) {
            assert!(!before.compare(after).first.is_empty(), "{what}: not named");
        }
    }
    let unreadable = ground.unreadable().await;
    assert!(
        unreadable.is_err(),
        "what cannot be read is never a fingerprint: {:?}",
        unreadable.map(|taken| taken.print)
    );
}
