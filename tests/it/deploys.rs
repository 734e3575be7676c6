//! Good deploys: what was asked for is what runs.

use crate::harness::on_both_helms;

on_both_helms! {
    /// A first install, then an upgrade by tag, then one by digest.
    fn first_install_and_upgrades(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("revision 1");
        assert_eq!(node.running(), [api.by_tag(), web.by_tag()]);

        let next = node.image("api", "t2");
        node.signal("0.1.0").image("api", next.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("revision 2");
        assert_eq!(node.running(), [next.by_tag(), web.by_tag()]);

        node.signal("0.1.0").image("api", next.by_digest()).image("web", web.by_digest()).run()
            .exits(0).says("revision 3");
        assert_eq!(node.running(), [next.by_digest(), web.by_digest()]);
    }
}
