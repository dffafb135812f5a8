//! Who holds the data and for what: node id, commitment ATX, their commitment, the key file (POST.md sections 2 and 3).

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that is not 32 bytes.
#[derive(Debug, thiserror::Error)]
#[error("{what} must be 32 bytes as 64 hex digits or 44 base64 characters, got {got}")]
pub struct IdError {
    what: &'static str,
    got: String,
}

/// Decodes 32 bytes from hex or base64; the two can't be confused because their lengths differ.
fn parse_32(what: &'static str, text: &str) -> Result<[u8; 32], IdError> {
    let bytes = if text.len() == 64 { hex::decode(text).ok() } else { BASE64.decode(text).ok() };
    let got = match &bytes {
        Some(bytes) => format!("{} bytes", bytes.len()),
        // Anything else that is hex all through is most likely a hex id of the wrong length.
        None if !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{} hex digits", text.len())
        }
        None => format!("{} characters that are neither", text.chars().count()),
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(IdError { what, got })
}

macro_rules! bytes_32 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_32($what, text).map(Self)
            }
        }

        /// JSON holds base64, as in the files of existing tools.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&BASE64.encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let bytes = BASE64.decode(&text).map_err(|e| {
                    serde::de::Error::custom(format!(concat!($what, " is not base64: {}"), e))
                })?;
                let got = bytes.len();
                bytes.try_into().map(Self).map_err(|_| {
                    serde::de::Error::custom(format!(concat!($what, " must be 32 bytes, got {}"), got))
                })
            }
        }
    };
}

bytes_32!(
    /// A miner: its Ed25519 public key.
    NodeId,
    "a node id"
);
bytes_32!(
    /// The id of an activation (ATX); here the one the data is bound to.
    AtxId,
    "a commitment ATX id"
);
bytes_32!(
    /// What a proof answers: fresh for every epoch.
    Challenge,
    "a challenge"
);
bytes_32!(
    /// The seed of all labels of one set: `blake3(node id ‖ commitment ATX id)` (POST.md section 2).
    Commitment,
    "a commitment"
);

impl Commitment {
    /// Binds the data to a miner and an ATX.
    #[must_use]
    pub fn new(node_id: &NodeId, commitment_atx_id: &AtxId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&node_id.0).update(&commitment_atx_id.0);
        Self(hasher.finalize().into())
    }
}

/// A key file is 128 digits; what is far longer is not one.
const MAX_KEY_FILE: u64 = 4096;

/// What can be wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It could not be read or written.
    #[error("cannot {verb} the key file {}: {source}; check the path and its permissions", path.display())]
    Io {
        /// `read` or `write`.
        verb: &'static str,
        /// The key file.
        path: PathBuf,
        /// The system's reason; `AlreadyExists` when a key is there, which is never overwritten.
        source: std::io::Error,
    },
    /// Not 128 hex digits.
    #[error("the key file {} is malformed: it must hold 128 hex digits (32 B seed, 32 B public key)", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// The second half is not the public key of the first.
    #[error("the key file {} is damaged: its public key does not belong to its seed; restore it from a copy", path.display())]
    Mismatch {
        /// The key file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes for a new key: {0}")]
    NoRandomness(getrandom::Error),
}

/// A miner's Ed25519 key pair.
pub struct IdentityKey(SigningKey);

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey(public {})", self.node_id())
    }
}

impl IdentityKey {
    /// The file name used beside the data.
    pub const FILE_NAME: &str = "identity.key";

    /// A fresh key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeyError::NoRandomness)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key of a seed: the first half of a key file.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The secret half, for whoever signs with another library.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Reads a key file: hex of seed ‖ public key, surrounding white space ignored.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::Malformed`], [`KeyError::Mismatch`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_KEY_FILE).read_to_end(&mut text))
            .map_err(|source| KeyError::Io { verb: "read", path: path.to_path_buf(), source })?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(text.trim_ascii(), &mut bytes)
            .map_err(|_| KeyError::Malformed { path: path.to_path_buf() })?;
        SigningKey::from_keypair_bytes(&bytes).map(Self).map_err(|_| KeyError::Mismatch { path: path.to_path_buf() })
    }

    /// Writes the key to a file that must not exist, readable by its owner only; a crash leaves all of it or nothing.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let text = hex::encode(self.0.to_keypair_bytes());
        let write = || -> std::io::Result<()> {
            let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // A crash may leave the copy behind: in our own folder, where there is one. Its mode is 0600, as a key needs.
            let own = directory.join(".post");
            let beside = if own.is_dir() { &own } else { directory };
            let mut file = tempfile::Builder::new().prefix(".identity-").tempfile_in(beside)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist_noclobber(path).map_err(|e| e.error)?;
            crate::sys::sync_directory(directory)
        };
        write().map_err(|source| KeyError::Io { verb: "write", path: path.to_path_buf(), source })
    }

    /// The public half.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_from_hex_and_base64() {
        let id = NodeId([7; 32]);
        assert_eq!(id.to_string().parse::<NodeId>().unwrap(), id);
        assert_eq!(BASE64.encode(id.0).parse::<NodeId>().unwrap(), id);
    }

    #[test]
    fn ids_of_a_wrong_length_say_so() {
        for (text, got) in
            [("", "0 bytes"), ("ab", "2 hex digits"), ("!!", "neither"), (&"0".repeat(62), "62 hex digits")]
        {
            let message = text.parse::<Challenge>().unwrap_err().to_string();
            assert!(message.contains(got), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_key_is_written_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(IdentityKey::FILE_NAME);
        let key = IdentityKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(IdentityKey::read(&path).unwrap().node_id(), key.node_id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let second = IdentityKey::generate().unwrap();
        assert!(matches!(second.write_new(&path), Err(KeyError::Io { .. })));
        assert_eq!(IdentityKey::read(&path).unwrap().node_id(), key.node_id(), "the first key is still there");
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn damaged_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("zz");
        assert!(matches!(IdentityKey::read(&path), Err(KeyError::Malformed { .. })));
        write(&format!("{}{}", "11".repeat(32), "22".repeat(32)));
        assert!(matches!(IdentityKey::read(&path), Err(KeyError::Mismatch { .. })));
    }
}
