//! Key files of accounts: an Ed25519 seed, sealed with a passphrase.
//!
//! The passphrase and a salt give a key by Argon2id, and ChaCha20-Poly1305 seals the seed with it. Each file has a salt of
//! its own, so no key is used twice. What the file says in the clear is bound to what is sealed.

pub mod amount;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use serde::{Deserialize, Serialize};

use crate::ids::{Address, GenesisId, NodeId};
use crate::signature::Signer;
use crate::transaction::address_of;

/// A key file has a dozen lines; of anything else no more than this is read.
const MAX_FILE: u64 = 1 << 16;
/// Files of this kind are read.
const VERSION: u32 = 1;

/// What trying a passphrase costs (Argon2id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// How often it is filled.
    pub passes: u32,
    /// In so many parts.
    pub lanes: u32,
}

impl Default for Cost {
    /// Half a second, or a second.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 1 }
    }
}

/// Why a key file can't be made or used.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// There is something with this name.
    #[error("{} is there already; key files are never overwritten, choose another name", .0.display())]
    Exists(PathBuf),
    /// The disk.
    #[error("the key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not a key file, or not one that this program understands.
    #[error("{} is no key file of an account: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The seal doesn't open.
    #[error("wrong passphrase for {} (or the file was changed)", .0.display())]
    Passphrase(PathBuf),
    /// Anybody would guess it.
    #[error("the passphrase is empty")]
    Empty,
    /// No randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// The key can't be derived, for want of memory or because the file asks for something impossible.
    #[error("the passphrase can't be used: {0}")]
    Derivation(argon2::Error),
}

/// The file's shape.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u32,
    address: String,
    public_key: String,
    argon2id: Cost,
    salt: String,
    chacha20poly1305: String,
}

/// An account's key, still sealed.
#[derive(Clone)]
pub struct Wallet {
    path: PathBuf,
    public_key: NodeId,
    cost: Cost,
    salt: [u8; 16],
    /// The seed, then the tag.
    sealed: [u8; 48],
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.address())
    }
}

impl Wallet {
    /// Makes a new key and its file, which only its owner may read. A file that is there stays as it is, and nobody ever
    /// sees half a file.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn create(path: &Path, passphrase: &[u8], cost: Cost) -> Result<Self, WalletError> {
        // Before any work; whether it is still so is asked again in the end.
        if path.symlink_metadata().is_ok() {
            return Err(WalletError::Exists(path.into()));
        }
        let (mut seed, mut salt) = ([0; 32], [0; 16]);
        getrandom::fill(&mut seed).and_then(|()| getrandom::fill(&mut salt)).map_err(WalletError::Random)?;
        let public_key = Signer::new(GenesisId([0; 20]), &seed).node_id();
        let mut sealed = [0; 48];
        let (body, tag) = sealed.split_at_mut(32);
        body.copy_from_slice(&seed);
        let made = cipher(passphrase, &salt, cost)?
            .encrypt_in_place_detached(&Nonce::default(), &associated(&public_key), body)
            .map_err(|_| WalletError::Derivation(argon2::Error::OutputTooLong))?;
        tag.copy_from_slice(&made);
        let wallet = Self { path: path.into(), public_key, cost, salt, sealed };
        wallet.write()?;
        Ok(wallet)
    }

    fn write(&self) -> Result<(), WalletError> {
        let failed = |source| WalletError::Io { path: self.path.clone(), source };
        let text = serde_json::to_string_pretty(&KeyFile {
            version: VERSION,
            address: self.address().to_string(),
            public_key: hex::encode(self.public_key.0),
            argon2id: self.cost,
            salt: hex::encode(self.salt),
            chacha20poly1305: hex::encode(self.sealed),
        });
        let text = text.map_err(|error| failed(error.into()))?;
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // 0600 from its first moment on.
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(&self.path).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => WalletError::Exists(self.path.clone()),
            _ => failed(error.error),
        })?;
        #[cfg(unix)]
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(())
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn read(path: &Path) -> Result<Self, WalletError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|source| WalletError::Io { path: path.into(), source })?;
        let malformed = |reason: String| WalletError::Malformed { path: path.into(), reason };
        let file: KeyFile = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if file.version != VERSION {
            return Err(malformed(format!("version {}, and this program reads version {VERSION}", file.version)));
        }
        let cost = file.argon2id;
        // What a file asks for is somebody's word.
        if cost.memory_kib > 1 << 20 || cost.passes > 64 || cost.lanes > 16 {
            return Err(malformed("more than 1 GiB, 64 passes or 16 lanes".into()));
        }
        let public_key = NodeId(bytes(&file.public_key).map_err(malformed)?);
        let (salt, sealed) = (bytes(&file.salt).map_err(malformed)?, bytes(&file.chacha20poly1305).map_err(malformed)?);
        let wallet = Self { path: path.into(), public_key, cost, salt, sealed };
        if file.address != wallet.address().to_string() {
            return Err(malformed("the address is another key's".into()));
        }
        Ok(wallet)
    }

    /// The account's address; no passphrase is needed to know it.
    #[must_use]
    pub fn address(&self) -> Address {
        address_of(&self.public_key)
    }

    /// The key.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn open(&self, passphrase: &[u8], genesis: GenesisId) -> Result<Signer, WalletError> {
        let wrong = || WalletError::Passphrase(self.path.clone());
        let mut seed = [0; 32];
        let (body, tag) = self.sealed.split_at(32);
        seed.copy_from_slice(body);
        cipher(passphrase, &self.salt, self.cost)?
            .decrypt_in_place_detached(
                &Nonce::default(),
                &associated(&self.public_key),
                &mut seed,
                Tag::from_slice(tag),
            )
            .map_err(|_| wrong())?;
        let signer = Signer::new(genesis, &seed);
        if signer.node_id() == self.public_key { Ok(signer) } else { Err(wrong()) }
    }
}

/// What the seal binds.
fn associated(public_key: &NodeId) -> Vec<u8> {
    [b"account key 1", &public_key.0[..]].concat()
}

fn cipher(passphrase: &[u8], salt: &[u8; 16], cost: Cost) -> Result<ChaCha20Poly1305, WalletError> {
    if passphrase.is_empty() {
        return Err(WalletError::Empty);
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(WalletError::Derivation)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, &mut key)
        .map_err(WalletError::Derivation)?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| format!("{} hex digits are wanted: {error}", 2 * N))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
