//! The key of the node's connections, which is nobody's key else.

use std::path::Path;

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multihash::Multihash;
use post_core::identity::{IdentityKey, KeyError};

use crate::source::Peer;

/// The name of the key's file in a node's directory.
pub const FILE_NAME: &str = "node.key";

/// The key in a folder; a new one if there is none.
pub(super) fn open(directory: &Path) -> Result<Keypair, KeyError> {
    let path = directory.join(FILE_NAME);
    let key = if path.exists() {
        IdentityKey::read(&path)?
    } else {
        let key = IdentityKey::generate()?;
        key.write_new(&path)?;
        key
    };
    let malformed = |_| KeyError::Malformed { path };
    Keypair::ed25519_from_bytes(key.seed()).map_err(malformed)
}

/// A peer's name as libp2p has it.
pub(super) fn peer_id(peer: Peer) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&peer.0).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// A peer by its libp2p name; `None` for those with other keys than Ed25519.
pub(super) fn peer(id: &PeerId) -> Option<Peer> {
    // A short key stands in the name itself: type 1, 32 bytes.
    let hash: &Multihash<64> = id.as_ref();
    let [0x08, 0x01, 0x12, 0x20, key @ ..] = hash.digest() else { return None };
    (hash.code() == 0).then_some(Peer(key.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let id = Keypair::generate_ed25519().public().to_peer_id();
        let peer = peer(&id).unwrap();
        assert_eq!(peer_id(peer), Some(id));
        assert_eq!(super::peer(&PeerId::random()), None);
    }

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap().public();
        assert_eq!(open(dir.path()).unwrap().public(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
