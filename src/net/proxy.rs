//! Which proxy leads to a host, by the rules of Go's programs, helm among
//! them: the two must come to the same cluster by the same way.
//!
//! Pure. Rules: `golang.org/x/net/http/httpproxy`. The environment is the
//! plan's; that of this process is the workflow's and has no say.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;

/// The proxy for HTTPS to `host` and `port`, as a URL with a scheme.
pub(crate) fn for_https(
    environment: &BTreeMap<OsString, OsString>,
    host: &str,
    port: u16,
) -> Option<String> {
    let proxy = either(environment, "HTTPS_PROXY", "https_proxy")?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return None;
    }
    let excepted = either(environment, "NO_PROXY", "no_proxy").unwrap_or_default();
    if excepted
        .split(',')
        .any(|rule| matches(rule.trim(), &host, address, port))
    {
        return None;
    }
    Some(if proxy.contains("://") {
        proxy
    } else {
        format!("http://{proxy}")
    })
}

/// The value of one of two spellings of a variable, where it is not empty.
pub(crate) fn either(
    environment: &BTreeMap<OsString, OsString>,
    upper: &str,
    lower: &str,
) -> Option<String> {
    [upper, lower]
        .into_iter()
        .filter_map(|name| environment.get(OsStr::new(name)))
        .map(|value| value.to_string_lossy().trim().to_owned())
        .find(|value| !value.is_empty())
}

fn matches(rule: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    let rule = rule.to_ascii_lowercase();
    if rule.is_empty() || rule == "*" {
        return rule == "*";
    }
    if let Some((network, bits)) = rule.split_once('/') {
        return match (network.parse::<IpAddr>(), bits.parse::<u32>(), address) {
            (Ok(network), Ok(bits), Some(address)) => within(network, bits, address),
            _ => false,
        };
    }
    if let Ok(named) = rule.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(named);
    }
    let (name, wanted) = match rule.rsplit_once(':') {
        Some((name, digits)) => (name, digits.parse::<u16>().ok()),
        None => (rule.as_str(), None),
    };
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let (Ok(named), Some(address)) = (name.trim_matches(['[', ']']).parse::<IpAddr>(), address) {
        return named == address;
    }
    match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
        Some(domain) => host
            .strip_suffix(domain)
            .is_some_and(|front| front.ends_with('.')),
        None => {
            host == name
                || host
                    .strip_suffix(name)
                    .is_some_and(|front| front.ends_with('.'))
        }
    }
}

fn within(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (
            u128::from(network.to_bits()),
            u128::from(address.to_bits()),
            32,
        ),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    // A shift by the whole width is none at all: everything matches /0.
    bits <= width && (network ^ address).checked_shr(width - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::for_https;

    #[test]
    fn the_way_of_go_programs() {
        let proxy = ("HTTPS_PROXY", "http://proxy:3128");
        for (variables, host, expected) in [
            (vec![], "a.example", None),
            (vec![("HTTPS_PROXY", "")], "a.example", None),
            (vec![proxy], "a.example", Some("http://proxy:3128")),
            (
                vec![("https_proxy", "proxy:3128")],
                "a.example",
                Some("http://proxy:3128"),
            ),
            (vec![proxy], "localhost", None),
            (vec![proxy], "127.0.0.1", None),
            (vec![proxy], "[::1]", None),
            (vec![proxy, ("NO_PROXY", "*")], "a.example", None),
            (vec![proxy, ("NO_PROXY", "example")], "a.example", None),
            (
                vec![proxy, ("no_proxy", "b.c, A.Example")],
                "a.example",
                None,
            ),
            (vec![proxy, ("NO_PROXY", ".example")], "a.example", None),
            (vec![proxy, ("NO_PROXY", "*.example")], "a.example", None),
            (
                vec![proxy, ("NO_PROXY", ".a.example")],
                "a.example",
                Some("http://proxy:3128"),
            ),
            (
                vec![proxy, ("NO_PROXY", "ample")],
                "a.example",
                Some("http://proxy:3128"),
            ),
            (
                vec![proxy, ("NO_PROXY", "a.example:6443")],
                "a.example",
                None,
            ),
            (
                vec![proxy, ("NO_PROXY", "a.example:443")],
                "a.example",
                Some("http://proxy:3128"),
            ),
            (vec![proxy, ("NO_PROXY", "10.0.0.0/8")], "10.1.2.3", None),
            (
                vec![proxy, ("NO_PROXY", "10.0.0.0/8")],
                "11.1.2.3",
                Some("http://proxy:3128"),
            ),
            (vec![proxy, ("NO_PROXY", "0.0.0.0/0")], "11.1.2.3", None),
            (vec![proxy, ("NO_PROXY", "10.1.2.3")], "10.1.2.3", None),
            (vec![proxy, ("NO_PROXY", "fd00::/8")], "[fd00::5]", None),
            (
                vec![proxy, ("NO_PROXY", "10.0.0.0/99,nonsense/8")],
                "10.1.2.3",
                Some("http://proxy:3128"),
            ),
        ] {
            let environment: BTreeMap<_, _> = variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            let found = for_https(&environment, host, 6443);
            assert_eq!(found.as_deref(), expected, "{variables:?} {host}");
        }
    }
}
