//! A root that nobody knows, and servers whose certificates it has signed.

use super::listen;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The root as a file has it, behind a word of somebody's.
    pub fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.0.der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("Our root\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// Stands in front of a server, as `localhost`, and speaks TLS; its threads end with the process.
    pub fn serve(&self, target: SocketAddr) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let chain = vec![CertificateDer::from(own.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        listen(move |stream| drop(forward(stream, target, &config)))
    }
}

fn forward(stream: TcpStream, target: SocketAddr, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    const TURN: Duration = Duration::from_millis(2);
    let mut plain = TcpStream::connect(target)?;
    plain.set_nodelay(true)?;
    plain.set_read_timeout(Some(TURN))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TURN))?;
    let tls = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(tls, stream);
    let mut bytes = vec![0; 1 << 16];
    let some = |read: std::io::Result<usize>| match read {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
        read => read,
    };
    loop {
        let count = some(tls.read(&mut bytes))?;
        plain.write_all(&bytes[..count])?;
        match some(plain.read(&mut bytes)) {
            Ok(0) => {}
            Ok(count) => {
                tls.write_all(&bytes[..count])?;
                tls.flush()?;
            }
            Err(error) => {
                // Who ends well says so.
                tls.conn.send_close_notify();
                let _ = tls.flush();
                return Err(error);
            }
        }
    }
}
