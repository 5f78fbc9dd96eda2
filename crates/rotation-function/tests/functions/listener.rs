//! Something that listens where a PostgreSQL should, and keeps all that it hears before TLS hides it.

use crate::server::certificates;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it answers to the first packet.
#[derive(Clone)]
pub enum Answers {
    /// Closes the connection.
    Nothing,
    /// Keeps it open.
    Silence,
    /// These bytes; then it listens on.
    Bytes(&'static [u8]),
    /// `S`, and TLS.
    Tls(Arc<ServerConfig>),
}

pub struct Listener {
    pub port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// The packet with which a client asks for TLS: length 8, code 80877103
/// (postgresql.org/docs/current/protocol-message-formats.html, SSLRequest).
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Listener {
    pub fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = heard.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                all.lock().unwrap().push(Vec::new());
                let (all, answers) = (all.clone(), answers.clone());
                std::thread::spawn(move || {
                    converse(stream.unwrap(), &answers, |bytes| {
                        all.lock().unwrap()[number].extend_from_slice(bytes);
                    })
                });
            }
        });
        Self { port, heard }
    }

    /// What each connection sent, as it went over the wire.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

/// A TLS server whose certificate holds `names` until `end`, and the PEM of who signed it.
pub fn tls(names: &[&str], end: i32) -> (Arc<ServerConfig>, String) {
    let (ca, certificate, key) = certificates(names, end);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    (Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()), ca)
}

fn converse(mut stream: TcpStream, answers: &Answers, hear: impl Fn(&[u8])) {
    let mut bytes = [0; 4096];
    let Ok(read) = stream.read(&mut bytes) else { return };
    hear(&bytes[..read]);
    let mut tls = match answers {
        Answers::Nothing => return,
        Answers::Silence => None,
        Answers::Bytes(answer) => stream.write_all(answer).ok().and(None),
        Answers::Tls(config) => {
            stream.write_all(b"S").unwrap();
            Some(ServerConnection::new(config.clone()).unwrap())
        }
    };
    // Until the client hangs up.
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        hear(&bytes[..read]);
        let Some(tls) = &mut tls else { continue };
        let mut rest = &bytes[..read];
        while !rest.is_empty() {
            tls.read_tls(&mut rest).unwrap();
            // A client that does not like the certificate says so by an alert, which is an error here.
            let liked = tls.process_new_packets().is_ok();
            while tls.wants_write() && tls.write_tls(&mut stream).is_ok() {}
            if !liked {
                return;
            }
        }
    }
}
