//! `deploy`: takes a deploy signal on the node and makes the cluster run it.
