//! Mutual TLS: each side shows a certificate, and takes nobody who has none that it trusts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::data::{CHALLENGE, Set};
use crate::node::Node;
use crate::program::Run;

/// Someone who vouches for others.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name and its key, both PEM.
    fn vouch(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn node(&self, name: &str) -> Node {
        let (cert, key) = self.vouch(name);
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(cert, key));
        Node::with_tls(tls.client_ca_root(Certificate::from_pem(self.pem())))
    }
}

/// Files for a prover: who vouches for the node, its own certificate and key.
fn files(root: &Path, trusted: &Authority, (cert, key): (String, String)) -> [PathBuf; 3] {
    let write = |name: &str, text: &str| {
        fs::write(root.join(name), text).unwrap();
        root.join(name)
    };
    [write("ca.pem", &trusted.pem()), write("cert.pem", &cert), write("key.pem", &key)]
}

fn with_tls(run: Run, [ca, cert, key]: &[PathBuf; 3]) -> Run {
    run.set("--ca-cert", ca.display()).set("--cert", cert.display()).set("--key", key.display())
}

#[test]
fn both_sides_know_each_other() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let authority = Authority::new("authority");
    let mut node = authority.node("localhost");
    let files = files(root.path(), &authority, authority.vouch("prover"));
    let address = format!("https://localhost:{}", node.address().port());
    let program = with_tls(set.serve(&address), &files).start();
    let mut prover = node.registered();
    assert_eq!(prover.metadata, set.metadata);
    set.assert_proven(CHALLENGE, &prover.proof(&CHALLENGE));
    assert!(!program.said().contains("warning"), "{}", program.said());
}

#[test]
fn the_name_in_the_certificate_is_checked_and_can_be_told() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let authority = Authority::new("authority");
    let mut node = authority.node("node.example");
    let files = files(root.path(), &authority, authority.vouch("prover"));
    let address = format!("https://127.0.0.1:{}", node.address().port());
    let run = with_tls(set.serve(&address), &files);
    let end = run.clone().set("--max-retries", 0).ends();
    end.refused(&["could not be reached", "certificate not valid for name"]);
    let _program = run.set("--domain", "node.example").start();
    assert_eq!(node.registered().metadata, set.metadata);
}

#[test]
fn strangers_are_refused_on_both_sides() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let (authority, stranger) = (Authority::new("authority"), Authority::new("stranger"));
    let mut node = authority.node("localhost");
    let address = format!("https://localhost:{}", node.address().port());
    // The prover trusts somebody else.
    let own = files(root.path(), &stranger, authority.vouch("prover"));
    let end = with_tls(set.serve(&address), &own).set("--max-retries", 1).ends();
    end.refused(&["could not be reached in 2 attempts", "invalid peer certificate"]);
    // The node trusts somebody else.
    let own = files(root.path(), &authority, stranger.vouch("prover"));
    let end = with_tls(set.serve(&address), &own).set("--max-retries", 1).ends();
    end.refused(&["could not be reached in 2 attempts", "check that it runs, --address, and that it trusts --cert"]);
    // The prover does not encrypt at all.
    let end = set.serve(&address.replace("https", "http")).set("--max-retries", 0).ends();
    end.refused(&["could not be reached in 1 attempts"]);
    assert!(!node.is_registered_within(Duration::ZERO));
}

#[test]
fn certificates_come_all_or_none_and_only_with_https() {
    let root = tempfile::tempdir().unwrap();
    let set = Set::init(root.path(), "set", 1);
    let authority = Authority::new("authority");
    let files = files(root.path(), &authority, authority.vouch("prover"));
    let https = "https://127.0.0.1:1";
    let all = with_tls(set.serve(https), &files);
    for flag in ["--ca-cert", "--cert", "--key"] {
        all.clone().without(flag).ends().refused(&[flag, "post serve --help"]);
    }
    set.serve(https).ends().refused(&["--ca-cert, --cert and --key"]);
    set.serve(https).set("--domain", "node").ends().refused(&["--ca-cert"]);
    with_tls(set.serve("http://127.0.0.1:1"), &files).ends().refused(&["not encrypted", "https://"]);
    // A file that is none, one that is another, one that is damaged.
    all.clone().set("--key", root.path().join("none").display()).ends().refused(&["none", "check the path"]);
    all.clone().set("--key", files[1].display()).ends().refused(&["cert.pem", "no PRIVATE KEY"]);
    fs::write(&files[2], "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n").unwrap();
    all.ends().refused(&["certificates can't be used"]);
}
