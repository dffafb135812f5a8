//! `post-node account`: keys of accounts, what they have, and sending it.

mod passphrase;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use node::codec::encode;
use node::ids::{Address, GenesisId, Signature};
use node::status::{AccountStatus, Status, Submission, Submitted};
use node::transaction::{Transaction, is_account};
use node::wallet::amount::{format, parse};
use node::wallet::{Cost, Wallet};
use serde::Serialize;

use super::{agent, ask, tell};

/// Keys of accounts, what they have, and sending it
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a new key, sealed with a passphrase
    New(New),
    /// Show what an account has
    Balance(Balance),
    /// Send SMH to another account
    Send(Send),
}

#[derive(clap::Args)]
struct New {
    /// Write the key here; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: passphrase::Args,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Balance {
    /// Whose, 24 bytes as hex
    #[arg(value_name = "ADDRESS", value_parser = super::run::address)]
    address: Option<Address>,
    /// Whose, by its key file
    #[arg(long, value_name = "FILE", conflicts_with = "address")]
    key: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(clap::Args)]
struct Send {
    /// The key file of the account that pays
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: passphrase::Args,
    /// Who gets it, 24 bytes as hex
    #[arg(long, value_name = "ADDRESS", value_parser = super::run::address)]
    to: Address,
    /// How much: SMH like 1.5, or smidge like 1500smidge
    #[arg(long, value_name = "SMH", value_parser = parse)]
    amount: u64,
    /// What the proposers of the block get
    #[arg(long, value_name = "SMH", value_parser = parse, default_value = "0.0001")]
    fee: u64,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(clap::Args)]
struct NodeArgs {
    /// The node's HTTP interface
    #[arg(long, value_name = "HOST:PORT", default_value = super::run::DEFAULT_HTTP)]
    node: String,
    /// Print JSON, on one line
    #[arg(long)]
    json: bool,
}

/// What `new` tells.
#[derive(Serialize)]
struct Made {
    address: String,
}

/// What `send` tells.
#[derive(Serialize)]
struct Sent {
    id: String,
    from: String,
    to: String,
    amount: u64,
    fee: u64,
    nonce: u64,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::New(args) => new(args),
        Command::Balance(args) => balance(args),
        Command::Send(args) => send(args),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// `text`, or `value` as JSON.
fn say(json: bool, value: &impl Serialize, text: &str) -> Result<()> {
    if json { tell(&serde_json::to_string(value)?) } else { tell(text) }
}

fn new(args: &New) -> Result<()> {
    let passphrase = args.passphrase.new_one()?;
    let wallet = Wallet::create(&args.key, &passphrase, Cost::default())?;
    let address = wallet.address().to_string();
    say(args.json, &Made { address: address.clone() }, &address)
}

fn balance(args: &Balance) -> Result<()> {
    let address = match (&args.address, &args.key) {
        (Some(address), _) => *address,
        (None, Some(key)) => Wallet::read(key)?.address(),
        (None, None) => bail!("whose? give an address, or --key"),
    };
    let account = account(&args.node.node, address)?;
    say(args.node.json, &account, &format(account.balance))
}

fn account(node: &str, address: Address) -> Result<AccountStatus> {
    ask(&agent(), node, &format!("/accounts/{address}"))
}

fn send(args: &Send) -> Result<()> {
    let Send { to, amount, fee, node: NodeArgs { node, json }, .. } = args;
    if !is_account(to) {
        bail!("--to: no key has the address {to}, and what is sent there is lost; addresses begin with 00000000");
    }
    let cost = amount.checked_add(*fee).context("--amount and --fee are more than there will ever be")?;
    let wallet = Wallet::read(&args.key)?;
    let passphrase = args.passphrase.of(&args.key)?;
    let status: Status = ask(&agent(), node, "/status")?;
    let mut genesis = GenesisId([0; 20]);
    hex::decode_to_slice(&status.genesis_id, &mut genesis.0).context("the node does not say which network it is in")?;
    let signer = wallet.open(&passphrase, genesis)?;
    let AccountStatus { balance, nonce, .. } = account(node, wallet.address())?;
    if cost > balance {
        bail!("the account has {}, and {} are to be sent, with the fee", format(balance), format(cost));
    }
    let mut tx = Transaction {
        from: signer.node_id(),
        to: *to,
        amount: *amount,
        fee: *fee,
        nonce,
        signature: Signature([0; 64]),
    };
    tx.sign(&signer);
    let id = submit(node, &tx)?;
    let from = wallet.address().to_string();
    let sent = Sent { id: id.clone(), from, to: to.to_string(), amount: *amount, fee: *fee, nonce };
    say(*json, &sent, &id)
}

/// Gives it to the node.
fn submit(node: &str, tx: &Transaction) -> Result<String> {
    let url = format!("http://{node}/transactions");
    let submission = Submission { bytes: hex::encode(encode(tx)) };
    let request = agent().post(&url).config().http_status_as_error(false).build();
    let mut response = request.send_json(&submission).with_context(|| format!("no answer from {url}"))?;
    if !response.status().is_success() {
        let why = response.body_mut().read_to_string().unwrap_or_default();
        bail!("the node refuses the transaction ({}): {}", response.status().as_u16(), why.trim());
    }
    let Submitted { id } = response.body_mut().read_json().context("the node answers something unexpected")?;
    if id != tx.id().to_string() {
        bail!("the node has taken another transaction than the one sent: {id}");
    }
    Ok(id)
}
