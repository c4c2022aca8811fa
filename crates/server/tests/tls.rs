//! TLS on both sides: two protocols by ALPN towards clients, verified names and chains towards providers.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sluice_types::{ErrorKind, Secret, StartOptions};
use support::h2_client;
use support::*;

/// A certification authority of this test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new([name.to_string()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn client_config(authority: &Authority, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

fn connect(gateway: &Gateway, config: &Arc<ClientConfig>) -> TlsStream {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), gateway.connect())
}

/// A gateway with a TLS listener first and a plain one second.
fn tls_gateway(identity: &Identity, plan: &Value) -> Gateway {
    let tls = json!({"certificate_pem": identity.certificate, "private_key_pem": identity.key});
    let listeners = json!([{"address": "127.0.0.1:0", "tls": tls}, {"address": "127.0.0.1:0"}]);
    Gateway::start_with(plan, json!({"listeners": listeners, "workers": 1, "max_connections": 1000}))
}

#[test]
fn clients_speak_either_protocol_as_alpn_says() {
    let authority = Authority::new();
    let upstream = Upstream::start(|stream, request| {
        let is_stream = String::from_utf8_lossy(request).contains("\"stream\":true");
        let events = stream_of(&[ROLE, &token("a"), FINISH, USAGE, DONE]);
        stream.write_all(&if is_stream { events } else { json_answer("200 OK", COMPLETION) }).unwrap();
        Keep::Open
    });
    let gateway = tls_gateway(&authority.issue("localhost", |_| {}), &snapshot(&[upstream.address]));
    let without_usage = [ROLE, &token("a"), FINISH, DONE].concat();
    for alpn in [&[&b"http/1.1"[..]][..], &[], &[b"h3", b"http/1.1"]] {
        let mut stream = connect(&gateway, &client_config(&authority, alpn));
        for _ in 0..3 {
            stream.write_all(&chat_request(CHAT)).unwrap();
            assert_eq!(read_answer(&mut stream).text(), COMPLETION);
            stream.write_all(&chat_request(STREAM)).unwrap();
            let answer = read_answer(&mut stream);
            assert_eq!((answer.text(), answer.whole), (without_usage.clone(), true));
        }
        // Two requests in one record: the second is served too, though the socket has nothing more to say.
        stream.write_all(&chat_request(CHAT).repeat(2)).unwrap();
        assert_eq!([read_answer(&mut stream).status, read_answer(&mut stream).status], [200, 200]);
    }
    h2_client::run(async {
        let config = client_config(&authority, &[b"h2", b"http/1.1"]);
        let tcp = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut client = h2_client::over(tls, &h2::client::Builder::new()).await;
        assert_eq!(h2_client::chat(&mut client, CHAT).await.status, 200);
        assert_eq!(h2_client::chat(&mut client, STREAM).await.body, without_usage.as_bytes());
    });
    gateway.is_at_rest();
}

#[test]
fn a_large_body_and_a_large_answer_pass_in_both_directions() {
    let authority = Authority::new();
    let large = format!(r#"{{"data":"{}"}}"#, "é".repeat(500_000));
    let upstream = Upstream::answering(json_answer("200 OK", &large));
    let gateway = tls_gateway(&authority.issue("localhost", |_| {}), &snapshot(&[upstream.address]));
    let mut stream = connect(&gateway, &client_config(&authority, &[b"http/1.1"]));
    let body = format!(r#"{{"model":"m","messages":["{}"]}}"#, "a".repeat(3 << 20));
    for _ in 0..2 {
        stream.write_all(&chat_request(&body)).unwrap();
        assert!(read_answer(&mut stream).text() == large);
        assert!(upstream.next_request().ends_with(body.as_bytes()));
    }
}

#[test]
fn a_client_that_leaves_is_noticed_through_tls() {
    let authority = Authority::new();
    let (upstream, closed) = Upstream::hanging_after([STREAM_HEAD, &chunk(ROLE)].concat());
    let gateway = tls_gateway(&authority.issue("localhost", |_| {}), &snapshot(&[upstream.address]));
    for politely in [true, false] {
        let mut stream = connect(&gateway, &client_config(&authority, &[]));
        stream.write_all(&chat_request(STREAM)).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        if politely {
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        let left = Instant::now();
        drop(stream);
        let at = closed.recv_timeout(Duration::from_secs(2)).expect("the provider was let go");
        assert!(at - left < Duration::from_secs(1));
        assert_eq!(gateway.record().error(), Some(ErrorKind::ClientGone));
    }
    gateway.is_at_rest();
}

#[test]
fn handshakes_that_stall_or_are_none_are_cut_off() {
    let authority = Authority::new();
    let plan = with(snapshot(&[]), &[("/settings/header_timeout_ms", json!(300))]);
    let gateway = tls_gateway(&authority.issue("localhost", |_| {}), &plan);
    for_each(
        [
            &b""[..],
            b"\x16\x03\x01",
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ],
        |bytes| {
            let mut stream = gateway.connect();
            stream.write_all(bytes).unwrap();
            let began = Instant::now();
            read_to_end(&mut stream);
            assert!(began.elapsed() < Duration::from_millis(900), "{bytes:?}: {:?}", began.elapsed());
        },
    );
    eventually("none is left", || gateway.plane.stats().workers[0].connections == 0);
    // The plain listener is not the TLS one.
    let mut plain = TcpStream::connect(gateway.plane.addresses()[1]).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut plain).status, 200);
}

#[test]
fn a_certificate_that_cannot_serve_is_refused_at_the_start() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("localhost", |_| {}), authority.issue("localhost", |_| {}));
    let cases = [
        ("", one.key.as_str()),
        ("not PEM", &one.key),
        (&one.certificate, ""),
        (&one.certificate, "not PEM"),
        (&one.certificate, &other.key),
    ];
    for (certificate_pem, key) in cases {
        let listener = sluice_types::Listener {
            address: "127.0.0.1:0".into(),
            tls: Some(sluice_types::TlsFiles {
                certificate_pem: certificate_pem.into(),
                private_key_pem: Secret::new(key.into()),
            }),
        };
        let options = StartOptions { listeners: vec![listener], workers: 1, max_connections: 10 };
        let error = sluice_server::DataPlane::start(&options, &parse(&snapshot(&[]))).unwrap_err();
        assert_eq!((error.path.as_str(), error.code), ("listeners[0].tls", "bad_tls"), "{error}");
        assert!(!error.to_string().contains("PRIVATE KEY-----"), "{error}");
    }
}

/// A provider behind TLS. Counts full handshakes by whether a session was resumed.
fn tls_upstream(identity: &Identity, answer: Vec<u8>) -> (SocketAddr, std::sync::mpsc::Receiver<bool>) {
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let (sender, resumed) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let (config, answer, sender) = (Arc::clone(&config), answer.clone(), sender.clone());
            thread::spawn(move || {
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
                while read_message(&mut stream).is_some() {
                    let kind = stream.conn.handshake_kind();
                    let _ = sender.send(kind == Some(rustls::HandshakeKind::Resumed));
                    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
                    let _ = stream.write_all(&answer);
                    if answer.starts_with(b"HTTP/1.1 200 OK\r\nconnection: close") {
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                        return;
                    }
                }
            });
        }
    });
    (address, resumed)
}

fn plan_for(address: SocketAddr, host: &str, extra_ca: Option<String>) -> Value {
    let url = format!("https://{host}:{}/v1", address.port());
    let changes = [("/providers/0/base_url", json!(url)), ("/providers/0/extra_ca_pem", json!(extra_ca))];
    with(snapshot(&[address]), &changes)
}

#[test]
fn a_provider_is_reached_through_tls_and_its_sessions_are_resumed() {
    let authority = Authority::new();
    let identity = authority.issue("localhost", |_| {});
    let (address, resumed) = tls_upstream(&identity, json_answer("200 OK", COMPLETION));
    let gateway = Gateway::start(&plan_for(address, "localhost", Some(authority.pem())));
    for _ in 0..5 {
        assert_eq!(gateway.chat(CHAT).text(), COMPLETION);
    }
    let pool = &gateway.is_at_rest().pools[0];
    assert_eq!((pool.connects_total, pool.reuses_total), (1, 4));
    drop(resumed);
    let closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_vec();
    let (address, resumed) = tls_upstream(&identity, closing);
    let gateway = Gateway::start(&plan_for(address, "localhost", Some(authority.pem())));
    for first in [true, false, false] {
        assert_eq!(gateway.chat(CHAT).status, 200);
        assert_eq!(resumed.recv_timeout(Duration::from_secs(5)).unwrap(), !first);
    }
}

/// Whoever cannot prove its name gets no request, and no credential with it.
#[test]
fn a_provider_that_cannot_prove_its_name_is_not_asked() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let long_ago = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    };
    let cases = [
        ("another name", authority.issue("example.com", |_| {}), Some(authority.pem())),
        ("an unknown authority", stranger.issue("localhost", |_| {}), Some(authority.pem())),
        ("no authority of ours", authority.issue("localhost", |_| {}), None),
        ("an expired certificate", authority.issue("localhost", long_ago), Some(authority.pem())),
    ];
    for (what, identity, extra_ca) in cases {
        let (address, asked) = tls_upstream(&identity, json_answer("200 OK", COMPLETION));
        let gateway = Gateway::start(&plan_for(address, "localhost", extra_ca));
        let answer = gateway.chat(CHAT);
        assert_eq!((answer.status, answer.error_code().as_str()), (502, "upstream_unreachable"), "{what}");
        assert!(asked.recv_timeout(Duration::from_millis(50)).is_err(), "{what}");
        assert_eq!(gateway.is_at_rest().pools[0].connect_errors_total, 1, "{what}");
    }
    // And one that does not speak TLS at all.
    let plain = Upstream::answering(json_answer("200 OK", COMPLETION));
    let changes = [("/providers/0/timeouts/connect_ms", json!(300))];
    let gateway =
        Gateway::start(&with(plan_for(plain.address, "localhost", Some(authority.pem())), &changes));
    assert!([502, 504].contains(&gateway.chat(CHAT).status));
    assert_eq!(plain.times_asked(), 0);
}
