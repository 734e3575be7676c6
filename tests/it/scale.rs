//! A namespace full of other releases' pods costs no more requests than an
//! empty one. `cargo testbed bench scale` measures the memory.

use crate::harness::{bed, deploy_binary};

#[test]
fn a_crowd_costs_no_more_lists() {
    let crowds = testbed::crowd::crowds(&bed().info, deploy_binary(), &[10, 600]).unwrap();
    let [few, many] = crowds.as_slice() else {
        panic!("{crowds:?}")
    };
    assert!(few.lists > 0 && few.watches > 0, "{few:?}");
    assert_eq!(few.lists, many.lists, "{crowds:?}");
}
