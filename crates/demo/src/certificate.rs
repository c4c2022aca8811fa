use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::options::DemoTls;

/// A TLS server's identity.
pub(crate) struct Certificate {
    pub(crate) chain_pem: String,
    key_pem: String,
}

impl Certificate {
    /// Takes the given certificate, or makes one.
    pub(crate) fn of(tls: &DemoTls) -> io::Result<Self> {
        match tls {
            DemoTls::SelfSigned => Self::self_signed().map_err(io::Error::other),
            DemoTls::Files(files) => Ok(Self {
                chain_pem: files.certificate_pem.clone(),
                key_pem: files.private_key_pem.expose().to_owned(),
            }),
        }
    }

    fn self_signed() -> Result<Self, rcgen::Error> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names)?;
        Ok(Self { chain_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() })
    }

    /// What accepts TLS connections with this identity.
    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let invalid =
            |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
        let chain = CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| invalid(&error))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|error| invalid(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| invalid(&error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
