//! TLS on both sides, by rustls with the `ring` provider.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sluice_types::TlsFiles;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a TLS client may speak, in our order of preference.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Makes the acceptor of a TLS listener.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, String> {
    let certificates = certificates(&files.certificate_pem)?;
    if certificates.is_empty() {
        return Err("the certificate file holds no certificate".into());
    }
    let key = PrivateKeyDer::from_pem_slice(files.private_key_pem.expose().as_bytes())
        .map_err(|_| "the private key file holds no PEM private key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| format!("certificate and key do not serve: {error}"))?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes the connector towards one provider. It trusts the public roots and `extra_ca_pem`; sessions are resumed, since
/// a full handshake costs two hundred requests' worth of CPU.
pub(crate) fn connector(extra_ca_pem: Option<&str>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_ca_pem {
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(|error| format!("extra CA: {error}"))?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not PEM certificates: {error}"))
}
