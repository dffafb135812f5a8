//! `post-node account`, as a person or a script calls it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use node::codec::decode;
use node::ids::GenesisId;
use node::signature::Verifier;
use node::status::{AccountStatus, AgreementStatus, Submission, Submitted};
use node::transaction::Transaction;
use node::wallet::{Cost, Wallet};
use serde_json::{Value, json};

const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
const GENESIS: GenesisId = GenesisId([9; 20]);
const TO: &str = "000000000000000000000000000000000000000000000007";

fn account() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_post-node"));
    command.arg("account");
    command
}

/// Runs; exit code, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A call that is wrong: what is said of it.
fn refused(command: &mut Command) -> String {
    let (code, out, err) = run(command);
    assert_eq!((code, &out[..]), (2, ""), "{err}");
    err
}

fn key(dir: &Path) -> (PathBuf, Wallet) {
    let path = dir.join("key.json");
    let wallet = Wallet::create(&path, b"secret", CHEAP).unwrap();
    (path, wallet)
}

/// What stands in a node's place.
#[derive(Default)]
struct Mock {
    balance: u64,
    nonce: u64,
    refuses: bool,
    lies: bool,
    got: Mutex<Vec<Vec<u8>>>,
}

fn status() -> Value {
    json!({
        "version": "0", "genesis_id": GENESIS.to_string(), "peer": "", "now_ms": 0, "epoch": 1, "layer": 1, "synced": true,
        "sync": { "have": 0, "of": 0 }, "peers": 0, "frauds": 0, "parked": 0, "epochs": [],
        "agreement": AgreementStatus::default(), "smeshing": []
    })
}

async fn submit(State(mock): State<Arc<Mock>>, Json(submission): Json<Submission>) -> Response {
    if mock.refuses {
        return (StatusCode::UNPROCESSABLE_ENTITY, "the nonce is used").into_response();
    }
    let bytes = hex::decode(submission.bytes).unwrap();
    let id = decode::<Transaction>(&bytes).unwrap().id().to_string();
    mock.got.lock().unwrap().push(bytes);
    Json(Submitted { id: if mock.lies { "00".into() } else { id } }).into_response()
}

/// Serves until the test's process ends.
fn serve(mock: Arc<Mock>) -> SocketAddr {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let account = |State(mock): State<Arc<Mock>>, axum::extract::Path(address): axum::extract::Path<String>| async move {
                Json(AccountStatus { address, balance: mock.balance, nonce: mock.nonce })
            };
            let router = axum::Router::new()
                .route("/status", get(|| async { Json(status()) }))
                .route("/accounts/{address}", get(account))
                .route("/transactions", post(submit))
                .with_state(mock);
            axum::serve(listener, router).await.unwrap();
        });
    });
    address.recv().unwrap()
}

fn send(key: &Path, node: SocketAddr) -> Command {
    let mut command = account();
    command.args(["send", "--to", TO, "--amount", "1.5", "--fee", "10smidge", "--json", "--key"]).arg(key);
    command.args(["--node", &node.to_string()]).write_stdin("secret\n");
    command
}

#[test]
fn a_new_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    let (code, out, err) = run(account().args(["new", "--json", "--key"]).arg(&path).write_stdin("geheim\n"));
    assert_eq!((code, &err[..]), (0, ""));
    let told: Value = serde_json::from_str(&out).unwrap();
    let wallet = Wallet::read(&path).unwrap();
    assert_eq!(told["address"], wallet.address().to_string());
    wallet.open(b"geheim", GENESIS).unwrap();
    // A second time nothing happens to it, and it is said before any passphrase is used.
    let before = std::fs::read(&path).unwrap();
    assert!(refused(account().args(["new", "--key"]).arg(&path).write_stdin("other\n")).contains("never overwritten"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // No passphrase, no key.
    let none = dir.path().join("none.json");
    assert!(refused(account().args(["new", "--key"]).arg(&none).write_stdin("\n")).contains("empty"));
    assert!(
        refused(account().args(["new", "--passphrase-file", "/nonexistent", "--key"]).arg(&none))
            .contains("cannot read")
    );
    assert!(
        refused(account().args(["new", "--key", "/nonexistent/key.json"]).write_stdin("x\n")).contains("/nonexistent")
    );
    assert!(!none.exists());
}

#[test]
fn balances() {
    let dir = tempfile::tempdir().unwrap();
    let (path, wallet) = key(dir.path());
    let node = serve(Arc::new(Mock { balance: 1_500_000_000, nonce: 4, ..Mock::default() })).to_string();
    let address = wallet.address().to_string();
    assert_eq!(run(account().args(["balance", &address, "--node", &node])), (0, "1.5 SMH".into(), String::new()));
    let (code, out, _) = run(account().args(["balance", "--json", "--node", &node, "--key"]).arg(&path));
    let told: AccountStatus = serde_json::from_str(&out).unwrap();
    assert_eq!((code, told), (0, AccountStatus { address, balance: 1_500_000_000, nonce: 4 }));
    assert!(refused(account().args(["balance", "12", "--node", &node])).contains("48 hex digits"));
    assert!(refused(account().args(["balance", "--node", &node])).contains("--key"));
    assert!(refused(account().args(["balance", TO, "--node", "127.0.0.1:1"])).contains("is the node running?"));
}

#[test]
fn a_transaction_is_signed_and_given_to_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let (path, wallet) = key(dir.path());
    let mock = Arc::new(Mock { balance: 1_500_000_010, nonce: 3, ..Mock::default() });
    let node = serve(Arc::clone(&mock));
    let (code, out, err) = run(&mut send(&path, node));
    assert_eq!((code, &err[..]), (0, ""));
    let got = mock.got.lock().unwrap().clone();
    let tx: Transaction = decode(&got[0]).unwrap();
    assert!(tx.signature_holds(&Verifier::new(GENESIS)));
    assert_eq!((tx.amount, tx.fee, tx.nonce, tx.to.to_string()), (1_500_000_000, 10, 3, TO.into()));
    let told: Value = serde_json::from_str(&out).unwrap();
    let from = wallet.address().to_string();
    let expected =
        json!({ "id": tx.id().to_string(), "from": from, "to": TO, "amount": tx.amount, "fee": 10, "nonce": 3 });
    assert_eq!(told, expected);
    // By a file, with what an editor appends.
    let file = dir.path().join("passphrase");
    std::fs::write(&file, "secret\r\nnot this").unwrap();
    assert_eq!(run(send(&path, node).arg("--passphrase-file").arg(&file)).0, 0);
}

#[test]
fn what_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = key(dir.path());
    let poor = Arc::new(Mock { balance: 1_500_000_009, ..Mock::default() });
    let node = serve(Arc::clone(&poor));
    assert!(refused(send(&path, node).write_stdin("Secret\n")).contains("wrong passphrase"));
    assert!(refused(&mut send(&path, node)).contains("1.50000001 SMH are to be sent"));
    let garbage = dir.path().join("garbage.json");
    std::fs::write(&garbage, "\u{0}garbage").unwrap();
    assert!(refused(&mut send(&garbage, node)).contains("no key file"));
    assert!(refused(&mut send(&dir.path().join("nothing"), node)).contains("nothing"));
    let with = |flag: &str, value: &str| {
        let mut command = account();
        command.args(["send", "--node", &node.to_string(), "--key"]).arg(&path);
        for (name, good) in [("--to", TO), ("--amount", "1"), ("--fee", "1")] {
            command.arg(format!("{name}={}", if name == flag { value } else { good }));
        }
        refused(command.write_stdin("secret\n"))
    };
    assert!(with("--to", "zz").contains("48 hex digits"));
    assert!(with("--to", &"11".repeat(24)).contains("no key has the address"));
    assert!(with("--amount", "1,5").contains("an amount is a number"));
    assert!(with("--amount", "0.0000000001").contains("nine decimals"));
    assert!(with("--fee", "-1").contains("an amount is a number"));
    assert!(with("--amount", "18446744073.709551615").contains("more than there will ever be"));
    assert!(poor.got.lock().unwrap().is_empty());

    let strict = serve(Arc::new(Mock { balance: u64::MAX, refuses: true, ..Mock::default() }));
    assert!(refused(&mut send(&path, strict)).contains("refuses the transaction (422): the nonce is used"));
    let liar = serve(Arc::new(Mock { balance: u64::MAX, lies: true, ..Mock::default() }));
    assert!(refused(&mut send(&path, liar)).contains("another transaction"));
}
