//! Where a signal goes instead of Helm, as deploy.toml names it.
//!
//! Pure. What leaves the machine is refused here unless it is encrypted; the
//! token that it needs is the plan's to read.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A controller and what opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The controller.
    pub target: ForwardTarget,
    /// What is sent as `Authorization: Bearer …`.
    pub token: Option<Token>,
}

/// A local controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardTarget {
    /// HTTP over a socket of this machine.
    Unix(PathBuf),
    /// HTTP over this machine's loopback, or HTTPS to anywhere.
    Http(Endpoint),
    /// A program that is started for each signal.
    Command {
        /// The program: an absolute path, or a name that is looked up in `PATH`.
        program: PathBuf,
        /// Its arguments.
        args: Vec<String>,
    },
}

/// The longest path of a socket (unix(7)).
const SOCKET_MAX: usize = 107;

impl FromStr for ForwardTarget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let plain = path.starts_with('/') && !path.chars().any(char::is_control);
            if !plain || path.len() > SOCKET_MAX {
                return Err("unix: and the absolute path of a socket, at most 107 bytes");
            }
            return Ok(Self::Unix(path.into()));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return text.parse().map(Self::Http);
        }
        Err(
            "\"unix:/path\", \"http://127.0.0.1:<port>\", { command = [\"…\"] } or \
             { url = \"https://…\", token_file = \"…\" }; \"helm\" forwards nothing",
        )
    }
}

impl fmt::Display for ForwardTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(endpoint) => endpoint.fmt(f),
            // Not its arguments: nobody needs them to know it.
            Self::Command { program, .. } => write!(f, "the command {}", program.display()),
        }
    }
}

/// A controller's address: scheme, host, port, and what stands before
/// `/v1/deploys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it is spoken to over TLS.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Empty, or a path that begins with `/` and does not end with one.
    pub prefix: String,
}

impl Endpoint {
    /// Whether this machine's loopback is named.
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Host and port, as they stand in a URL.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "http://127.0.0.1:<port> or https://<host>, at most a path behind it";
        let uri: hyper::Uri = text.parse().map_err(|_| SHAPE)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(SHAPE),
        };
        let authority = uri.authority().ok_or(SHAPE)?;
        if authority.as_str().contains('@') {
            return Err("a URL without user or password: they would be shown; use token_file");
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(SHAPE);
        }
        let endpoint = Self {
            secure,
            host: authority
                .host()
                .trim_matches(['[', ']'])
                .to_ascii_lowercase(),
            port: match (authority.port(), secure) {
                (Some(port), _) => port.as_u16(),
                // Something stands behind the host that is no port.
                (None, _) if authority.as_str() != authority.host() => return Err(SHAPE),
                (None, true) => 443,
                (None, false) => 80,
            },
            prefix: uri.path().trim_end_matches('/').to_owned(),
        };
        if endpoint.host.is_empty() || endpoint.port == 0 {
            return Err(SHAPE);
        }
        if !endpoint.secure && !endpoint.is_local() {
            return Err(
                "an address of this machine for http (127.0.0.1, [::1], localhost): a signal \
                 leaves the machine only as { url = \"https://…\", token_file = \"…\" }",
            );
        }
        Ok(endpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// A secret that opens a controller. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The value of the header that carries it.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl FromStr for Token {
    type Err = &'static str;

    /// One line, a line's end behind it or not.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let token = text.trim_end_matches(['\r', '\n']);
        if token.is_empty() || token.len() > 8192 || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("one line of visible ASCII characters without spaces");
        }
        Ok(Self(token.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{ForwardTarget, Token};

    #[test]
    fn targets_are_read_and_shown() {
        for (text, shown) in [
            (
                "unix:/run/deploy/deploy.sock",
                "unix:/run/deploy/deploy.sock",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.1.2.3:8080/", "http://127.1.2.3:8080"),
            ("http://[::1]:8080/deploy/", "http://[::1]:8080/deploy"),
            ("http://LocalHost", "http://localhost:80"),
            (
                "https://controller.acme.example/x",
                "https://controller.acme.example:443/x",
            ),
        ] {
            let target: ForwardTarget = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn what_leaves_the_machine_in_clear_is_refused() {
        for (text, why) in [
            ("http://10.0.0.5:8080", "leaves the machine only as"),
            ("http://controller:8080", "leaves the machine only as"),
            (
                "http://127.0.0.1.evil.example",
                "leaves the machine only as",
            ),
            (
                "http://localhost.evil.example",
                "leaves the machine only as",
            ),
            ("http://0.0.0.0:80", "leaves the machine only as"),
            ("http://2130706433:80", "leaves the machine only as"),
            ("http://me:secret@127.0.0.1", "without user or password"),
            ("https://127.0.0.1@evil.example", "without user or password"),
            ("http://127.0.0.1:99999", "http://127.0.0.1:<port>"),
            ("http://127.0.0.1:0", "http://127.0.0.1:<port>"),
            ("http://127.0.0.1:8080/?a", "http://127.0.0.1:<port>"),
            ("http://", "http://127.0.0.1:<port>"),
            ("ftp://127.0.0.1", "\"unix:/path\""),
            ("unix:run/x", "the absolute path"),
            ("unix:", "the absolute path"),
            ("/run/x", "\"unix:/path\""),
            ("", "\"unix:/path\""),
        ] {
            let said = text.parse::<ForwardTarget>().unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_token_is_one_line_and_never_shown() {
        let token: Token = "s3cret\n".parse().unwrap();
        assert_eq!(token.header(), "Bearer s3cret");
        assert_eq!(format!("{token:?}"), "Token(…)");
        for text in ["", "\n", "a b", "a\nb", "ü", "a\0"] {
            assert!(text.parse::<Token>().is_err(), "{text:?}");
        }
    }
}
