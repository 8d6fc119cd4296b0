//! Where an identity service is. What is typed is checked before anything is
//! sent there: a token never goes over a network in the clear.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;

/// Longest URL of a service, in bytes.
pub const AUTH_URL_BYTES_MAX: usize = 1024;

/// Where an identity service is, and by which roots it is recognized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthServer {
    /// Its URL, such as `https://auth.example`; what stands behind the host is
    /// put before the paths of the service.
    pub url: String,
    /// PEM certificates of private roots, which alone count then; `None`: those
    /// of the system.
    pub ca_file: Option<PathBuf>,
}

/// Why a URL is none of an identity service. The operator's to mend. It repeats
/// no part of the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthUrlError {
    /// It is no URL, or no HTTP.
    #[error("it is not a URL that begins with https://")]
    NotHttps,
    /// It is too long.
    #[error("it has {bytes} bytes and {AUTH_URL_BYTES_MAX} are allowed")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// It would send the token in the clear.
    #[error(
        "it begins with http://, which would send the token in the clear: write https://, or an address of this machine such as http://127.0.0.1:8080"
    )]
    InTheClear,
    /// It has more than a host and a path.
    #[error(
        "it has {what}, which does not belong there: write the host, and a path if there is one"
    )]
    TooMuch {
        /// What it has.
        what: &'static str,
    },
}

impl AuthServer {
    /// A service that the roots of the system vouch for.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
        }
    }

    /// Whether a service can be at `url`, by its form alone.
    ///
    /// # Errors
    /// [`AuthUrlError`].
    pub fn check_url(url: &str) -> Result<(), AuthUrlError> {
        parse_url(url).map(drop)
    }

    /// Host and port, to look whether anybody is there.
    ///
    /// # Errors
    /// [`AuthUrlError`].
    pub fn host_and_port(&self) -> Result<(String, u16), AuthUrlError> {
        let url = parse_url(&self.url)?;
        let host = url.host_str().ok_or(AuthUrlError::NotHttps)?;
        // The form of a URL puts an IPv6 address in brackets, and nobody else does.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().ok_or(AuthUrlError::NotHttps)?;
        Ok((host.to_owned(), port))
    }
}

impl fmt::Display for AuthServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.trim_end_matches('/'))
    }
}

/// The URL without a slash at its end.
pub(super) fn parse_url(text: &str) -> Result<Url, AuthUrlError> {
    let bytes = text.len();
    if bytes > AUTH_URL_BYTES_MAX {
        return Err(AuthUrlError::TooLong { bytes });
    }
    let url = Url::parse(text).map_err(|_| AuthUrlError::NotHttps)?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or(AuthUrlError::NotHttps)?;
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(host) => {}
        "http" => return Err(AuthUrlError::InTheClear),
        _ => return Err(AuthUrlError::NotHttps),
    }
    let extras = [
        (
            !url.username().is_empty() || url.password().is_some(),
            "a user name or password",
        ),
        (url.query().is_some(), "a query (?)"),
        (url.fragment().is_some(), "a fragment (#)"),
    ];
    match extras.iter().find(|(has, _)| *has) {
        Some((_, what)) => Err(AuthUrlError::TooMuch { what }),
        None => Ok(url),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<IpAddr, _> = address.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_in_the_clear_to_this_machine_alone() {
        for fine in [
            "https://auth.example",
            "https://auth.example:8443/tenant/",
            "http://127.0.0.1:8080",
            "http://127.8.9.1",
            "http://[::1]:8080",
            "http://localhost:8080",
        ] {
            assert_eq!(AuthServer::check_url(fine), Ok(()), "{fine}");
        }
        for clear in [
            "http://auth.example",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://[::2]",
        ] {
            let refused = Err(AuthUrlError::InTheClear);
            assert_eq!(AuthServer::check_url(clear), refused, "{clear}");
        }
        for other in [
            "",
            "auth.example",
            "ftp://auth.example",
            "https://",
            "wss://x",
        ] {
            let refused = Err(AuthUrlError::NotHttps);
            assert_eq!(AuthServer::check_url(other), refused, "{other}");
        }
    }

    #[test]
    fn nothing_but_host_and_path_is_taken() {
        for (url, what) in [
            ("https://user@auth.example", "a user name or password"),
            ("https://:secret@auth.example", "a user name or password"),
            ("https://auth.example?token=1", "a query (?)"),
            ("https://auth.example#top", "a fragment (#)"),
        ] {
            let refused = Err(AuthUrlError::TooMuch { what });
            assert_eq!(AuthServer::check_url(url), refused, "{url}");
        }
        let begin = "https://auth.example/";
        let padded = |bytes: usize| format!("{begin}{}", "a".repeat(bytes - begin.len()));
        assert_eq!(AuthServer::check_url(&padded(AUTH_URL_BYTES_MAX)), Ok(()));
        let bytes = AUTH_URL_BYTES_MAX + 1;
        let refused = Err(AuthUrlError::TooLong { bytes });
        assert_eq!(AuthServer::check_url(&padded(bytes)), refused);
    }

    #[test]
    fn the_host_is_told_without_brackets_and_with_its_port() {
        let at = |url: &str| AuthServer::new(url).host_and_port().unwrap();
        assert_eq!(at("https://auth.example"), ("auth.example".to_owned(), 443));
        assert_eq!(at("http://[::1]:8080"), ("::1".to_owned(), 8080));
    }
}
