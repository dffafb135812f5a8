//! Mutual TLS with certificates made for the test.

use node::env::provers::{Config, Provers, ProversError, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::mock::{METADATA, Mock, Node, config, register};

/// An authority and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![name.into()]).unwrap().signed_by(&key, &self.0).unwrap();
        (cert.pem(), key.serialize_pem())
    }
}

fn served(authority: &Authority) -> Config {
    let (cert, key) = authority.sign("localhost");
    Config { tls: Some(Tls { ca: authority.pem().into(), cert: cert.into(), key: key.into() }), ..config() }
}

/// Registers with a certificate, or without, trusting `ca`; the reason why it does not work, or ends.
async fn try_dial(node: &Node, ca: &Authority, identity: Option<(String, String)>) -> Result<Status, String> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.pem())).domain_name("localhost");
    if let Some((cert, key)) = identity {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    let endpoint = Channel::from_shared(format!("https://{}", node.address)).unwrap().tls_config(tls).unwrap();
    let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
    let mock = Mock::new(0);
    Ok(register(channel, vec![], |asked| Some(mock.lock().unwrap().answer(asked))).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_certificates_work_and_no_others() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut node = Node::start(served(&authority)).await;
    // None, one of somebody else, and a server that the prover does not trust.
    for (trusted, identity) in
        [(&authority, None), (&authority, Some(other.sign("prover"))), (&other, Some(authority.sign("prover")))]
    {
        // A client may learn that it is refused only when it speaks.
        match try_dial(&node, trusted, identity).await {
            Err(_) => {}
            Ok(status) => assert_ne!(status.code(), tonic::Code::Ok, "{status}"),
        }
        node.nothing_more();
    }
    // Nor without TLS.
    assert!(match crate::mock::channel(node.address).await {
        Err(_) => true,
        Ok(channel) => register(channel, vec![], |_| None).await.code() != tonic::Code::Ok,
    });
    node.nothing_more();

    let right = try_dial(&node, &authority, Some(authority.sign("prover")));
    tokio::select! {
        metadata = node_registered(&node.provers) => assert_eq!(metadata, METADATA),
        ended = right => panic!("{ended:?}"),
    }
    assert_eq!(node.registered().await, METADATA);
    assert!(node.provers.list()[0].prover.is_none_or(|(_, peer)| peer.is_some()));
}

/// The prover, as soon as the server lists one.
async fn node_registered(provers: &Provers) -> node::smeshing::ProverMetadata {
    loop {
        if let Some((metadata, _)) = provers.list()[0].prover {
            return metadata;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn without_certificates_only_loopback_is_served() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = Provers::start(Config { listen: listen.parse().unwrap(), ..config() }).await;
        assert!(matches!(refused, Err(ProversError::NotLoopback { .. })), "{listen}");
    }
    // With them, anywhere.
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), ..served(&Authority::new()) };
    Node::start(config).await;
}

#[tokio::test]
async fn unusable_certificates_are_said_to_be() {
    let authority = Authority::new();
    let (cert, key) = authority.sign("localhost");
    let good = Tls { ca: authority.pem().into(), cert: cert.into(), key: key.into() };
    let cases = [
        Tls { ca: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(), ..good.clone() },
        Tls { cert: b"?".to_vec(), ..good.clone() },
        Tls { key: b"?".to_vec(), ..good.clone() },
        Tls { key: Authority::new().sign("localhost").1.into(), ..good },
    ];
    for tls in cases {
        let refused = Provers::start(Config { tls: Some(tls), ..config() }).await;
        assert!(matches!(refused, Err(ProversError::Tls(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_taken_address_is_said_to_be() {
    let node = Node::start(config()).await;
    let refused = Provers::start(Config { listen: node.address, ..config() }).await;
    assert!(matches!(refused, Err(ProversError::Listen { .. })), "{refused:?}");
}
