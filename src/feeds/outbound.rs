//! How what is outside is reached: by which proxy, and whose certificates are trusted on the way. The same for streams and HTTP APIs.
//!
//! The proxy is the one that the HTTP client finds: the first of the environment's `VARIABLES` that names one, but for hosts that
//! `NO_PROXY` names. What it holds is never shown but for host and port.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::Path;
use std::sync::Arc;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::{Proxy, ProxyProtocol};

/// Where the environment may name a proxy, in the order of the HTTP client.
const VARIABLES: [&str; 6] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
/// The largest file of certificates: all that a system trusts have 200 kB.
const CA_BYTES_MAX: u64 = 4 << 20;

/// What is wrong with the configuration or the environment.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutboundError(String);

/// See above.
#[derive(Clone, Debug)]
pub struct Outbound {
    proxy: Option<Proxy>,
    /// Of the HTTP client; none where those that are built in are all.
    roots: Option<RootCerts>,
    tls: Arc<rustls::ClientConfig>,
}

impl Outbound {
    /// By the proxy of the environment, trusting the roots that are built in and those of the file that a setting names, as in
    /// `collect.ca_file`.
    ///
    /// # Errors
    /// When the environment names a proxy that is none, or the file has no certificates.
    pub fn new(setting: &str, ca_file: Option<&Path>) -> Result<Self, OutboundError> {
        let proxy = proxy()?;
        if let Some(proxy) = &proxy {
            tracing::info!("goes by the proxy {}:{}, but for what NO_PROXY names", proxy.host(), proxy.port());
        }
        let told = |what: &str| {
            let path = ca_file.unwrap_or_else(|| Path::new("")).display();
            OutboundError(format!("{setting} = {path}: {what}"))
        };
        let own = ca_file.map(read_certificates).transpose().map_err(|what| told(&what))?.unwrap_or_default();
        let mut store = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in &own {
            let added = store.add(certificate.clone());
            added.map_err(|error| told(&format!("a certificate in it is no root: {error}")))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| OutboundError(format!("TLS: {error}")))?;
        let tls = Arc::new(tls.with_root_certificates(store).with_no_client_auth());
        let roots = (!own.is_empty()).then(|| {
            let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().chain(&own);
            RootCerts::from(all.map(|certificate| Certificate::from_der(certificate).to_owned()))
        });
        Ok(Self { proxy, roots, tls })
    }

    /// An HTTP client's settings with these.
    #[must_use]
    pub fn apply(&self, builder: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
        let builder = builder.proxy(self.proxy.clone());
        match &self.roots {
            Some(roots) => builder.tls_config(TlsConfig::builder().root_certs(roots.clone()).build()),
            None => builder,
        }
    }

    /// The proxy on the way to an address.
    #[must_use]
    pub fn proxy_to(&self, uri: &Uri) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| !proxy.is_no_proxy(uri))
    }

    /// For TLS connections.
    #[must_use]
    pub fn tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::clone(&self.tls)
    }
}

/// What the environment names. The HTTP client passes over what it cannot read, and would go without: here it is an error.
fn proxy() -> Result<Option<Proxy>, OutboundError> {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let Some(name) = VARIABLES.into_iter().find(set) else { return Ok(None) };
    let value = std::env::var(name).unwrap_or_default();
    if Proxy::new(&value).is_err() {
        let what =
            format!("{name} is no address of a proxy: write it as http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT");
        return Err(OutboundError(what));
    }
    let proxy = Proxy::try_from_env();
    match &proxy {
        Some(proxy) if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) => {
            let protocol = proxy.protocol();
            let what =
                format!("{name} is a proxy of {protocol}: only proxies of HTTP are used, as in http://HOST:PORT");
            Err(OutboundError(what))
        }
        _ => Ok(proxy),
    }
}

/// Whether a proxy has refused: then haste may lock people out.
#[must_use]
pub fn is_refused(error: &ureq::Error) -> bool {
    // As the HTTP client words it: `proxy server responded 407/407`.
    let status = |what: &str| what.rsplit_once("responded ")?.1.get(..3)?.parse::<u16>().ok();
    matches!(error, ureq::Error::ConnectProxyFailed(what) if status(what).is_some_and(|status| status < 500))
}

/// What a file of roots holds.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unread = |error: std::io::Error| format!("cannot be read: {error}");
    if std::fs::metadata(path).map_err(unread)?.len() > CA_BYTES_MAX {
        return Err(format!("has more than {CA_BYTES_MAX} bytes: name a file of certificates"));
    }
    let text = std::fs::read(path).map_err(unread)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| format!("is no PEM: {error}"))?;
    if found.is_empty() {
        return Err("holds no certificate: it is a PEM file, with -----BEGIN CERTIFICATE----- in it".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_refuses_is_known() {
        let failed = |what: &str| ureq::Error::ConnectProxyFailed(what.to_owned());
        for (what, expected) in [
            ("proxy server responded 407/407", true),
            ("proxy server responded 403/403", true),
            ("proxy server responded 502/502", false),
            ("proxy server did not respond", false),
            ("", false),
        ] {
            assert_eq!(is_refused(&failed(what)), expected, "{what}");
        }
        assert!(!is_refused(&ureq::Error::HostNotFound));
    }

    #[test]
    fn files_without_a_root_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let read = || Outbound::new("collect.ca_file", Some(&path)).unwrap_err().to_string();
        let name = format!("collect.ca_file = {}: ", path.display());
        assert!(read().starts_with(&format!("{name}cannot be read: No such file")), "{}", read());
        let of = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        for (text, why) in [
            (String::new(), "holds no certificate: it is a PEM file"),
            ("0\u{82}".to_owned(), "holds no certificate"),
            (of("PRIVATE KEY", "AAAA"), "holds no certificate"),
            (of("CERTIFICATE", "AAAA"), "a certificate in it is no root: "),
            (of("CERTIFICATE", "?"), "is no PEM: "),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(), "is no PEM: "),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert!(read().starts_with(&format!("{name}{why}")), "{text:?}: {}", read());
        }
        assert!(Outbound::new("history.ca_file", Some(dir.path())).unwrap_err().to_string().contains("cannot be read"));
    }
}
