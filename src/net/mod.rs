//! Reaching other hosts: the plan's proxy and its roots of trust.
//!
//! Only what the plan's environment says counts; libraries would look into the
//! environment of this process, which inside Actions is the workflow's.

pub(crate) mod client;
pub(crate) mod client_key;
pub(crate) mod proxy;
pub(crate) mod tls;
