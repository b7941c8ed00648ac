//! A listener that asks clients for certificates, and a client that has one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result};
use legation_tests::DEADLINE;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A certificate and its key.
pub(crate) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    /// Its thumbprint, as `cnf.x5t#S256` has it (RFC 8705, section 3.1).
    pub(crate) fn thumbprint(&self) -> String {
        legation_tests::jwt::base64url(Sha256::digest(self.certificate.der()))
    }
}

/// An authority, and a server that it knows.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    server: Identity,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let server = identity(&issuer, "localhost")?;
        Ok(Self {
            issuer,
            certificate,
            server,
        })
    }

    /// A client that it vouches for.
    pub(crate) fn client(&self, name: &str) -> Result<Identity> {
        identity(&self.issuer, name)
    }

    /// The `transport_socket` of a listener. Clients may come without a certificate.
    pub(crate) fn listener(&self) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": false,
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": self.server.certificate.pem()},
                        "private_key": {"inline_string": self.server.key.serialize_pem()},
                    }],
                    "validation_context": {"trusted_ca": {"inline_string": self.certificate.pem()}},
                },
            },
        })
    }

    /// Sends a GET as this client, or as none, and gives the status and the whole answer.
    pub(crate) fn get(
        &self,
        address: SocketAddr,
        client: Option<&Identity>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, String)> {
        let mut stream = self.connect(address, client)?;
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("connection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        // Envoy may close without TLS's own farewell.
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8(answer)?;
        let status = answer.split(' ').nth(1).context("no status line")?;
        Ok((status.parse()?, answer))
    }

    fn connect(
        &self,
        address: SocketAddr,
        client: Option<&Identity>,
    ) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match client {
            Some(client) => {
                let chain = vec![CertificateDer::clone(client.certificate.der())];
                let key = PrivatePkcs8KeyDer::from(client.key.serialize_der());
                builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key))?
            }
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("localhost")?;
        let connection = ClientConnection::new(Arc::new(config), name)?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(StreamOwned::new(connection, stream))
    }
}

fn identity(issuer: &Issuer<'static, KeyPair>, name: &str) -> Result<Identity> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Identity { certificate, key })
}
