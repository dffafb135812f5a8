//! The node's address, and how to dial it: plain on this machine, mutual TLS elsewhere.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Uri};

const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// POST.md section 7.
const KEEP_ALIVE: Duration = Duration::from_secs(600);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);

/// Files of mutual TLS, all PEM.
pub(crate) struct Tls {
    /// Who vouches for the node.
    pub(crate) ca_cert: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// The name in the node's certificate, if it is not the address's.
    pub(crate) domain: Option<String>,
}

/// Where the node is and how it is reached.
pub(crate) fn endpoint(address: &str, tls: Option<&Tls>) -> Result<Endpoint> {
    let cure = "write http://HOST:PORT, or https://HOST:PORT with --ca-cert, --cert and --key";
    let uri: Uri = address.parse().with_context(|| format!("--address `{address}` is no URL; {cure}"))?;
    if uri.host().is_none_or(str::is_empty) {
        bail!("--address `{address}` names no host; {cure}");
    }
    let endpoint = Endpoint::from(uri.clone())
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER)
        .keep_alive_while_idle(true);
    match (uri.scheme_str(), tls) {
        (Some("http"), None) => Ok(endpoint),
        (Some("http"), Some(_)) => {
            bail!("--address {address} is not encrypted, yet certificates are given; write https:// or leave them out")
        }
        (Some("https"), Some(tls)) => {
            let config = tls_config(tls)?;
            endpoint.tls_config(config).context("the certificates can't be used; check --ca-cert, --cert and --key")
        }
        (Some("https"), None) => {
            bail!("--address {address} needs --ca-cert, --cert and --key: both sides show who they are")
        }
        _ => bail!("--address `{address}` is neither http:// nor https://; {cure}"),
    }
}

fn tls_config(tls: &Tls) -> Result<ClientTlsConfig> {
    let config = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(&tls.ca_cert, "CERTIFICATE")?))
        .identity(Identity::from_pem(read(&tls.cert, "CERTIFICATE")?, read(&tls.key, "PRIVATE KEY")?));
    Ok(match &tls.domain {
        Some(domain) => config.domain_name(domain),
        None => config,
    })
}

/// A PEM file, which must hold a section of this kind.
fn read(path: &Path, kind: &str) -> Result<Vec<u8>> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}; check the path", path.display()))?;
    // The parser would pass over what it does not know, and nothing at all would be trusted or shown.
    if !String::from_utf8_lossy(&pem).contains(&format!("{kind}-----")) {
        bail!("{} holds no {kind} in PEM form; name another file", path.display());
    }
    Ok(pem)
}

/// Whether what is said to the node could be heard on the way.
pub(crate) fn is_exposed(endpoint: &Endpoint) -> bool {
    let uri = endpoint.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    uri.scheme_str() == Some("http") && !is_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, exposed) in [
            ("http://127.0.0.1:9094", false),
            ("http://localhost:9094", false),
            ("http://[::1]:9094", false),
            ("http://10.0.0.7:9094", true),
            ("http://node:9094", true),
        ] {
            assert_eq!(is_exposed(&endpoint(address, None).unwrap()), exposed, "{address}");
        }
        for address in
            ["", "127.0.0.1:9094", "node", "ftp://node", "https://node:1", "http://", "http:///x", "http://a b"]
        {
            assert!(endpoint(address, None).is_err(), "{address}");
        }
    }
}
