//! What needs three members, on one staging: it takes a while to come up. The double is driven by pymongo alone first: were it
//! no true double, that would show it.

use crate::adapter::three_members_one_primary_and_what_a_majority_has;
use crate::common::output;
use crate::conformance::a_majority_that_was_promised_and_not_kept_is_a_loss;
use crate::server::{Three, python};

#[tokio::test(flavor = "multi_thread")]
async fn three_members() {
    let three = tokio::task::spawn_blocking(|| Three::up(19560)).await.unwrap();
    let said = output(python("vendor.py").args([&three.url(""), &three.member("root", 1)]));
    assert!(said.ends_with("all of it"), "{said}");
    three_members_one_primary_and_what_a_majority_has(&three).await;
    a_majority_that_was_promised_and_not_kept_is_a_loss(&three).await;
}
