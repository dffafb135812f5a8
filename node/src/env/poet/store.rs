//! What a PoET in this process keeps in a directory: a file with the members of each round, and one with the proof.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::PoetError;
use crate::codec::{DecodeError, Reader, Scale, decode, encode, put_list};
use crate::ids::{Epoch, NodeId, PoetChallenge};
use crate::poet::{MAX_MEMBERS, PoetProof};

/// Who registered what.
pub(super) type Registrations = BTreeMap<NodeId, PoetChallenge>;

/// The registrations of a round as bytes.
struct MembersFile(Vec<Entry>);

struct Entry(NodeId, PoetChallenge);

impl Scale for MembersFile {
    fn encode_to(&self, out: &mut Vec<u8>) {
        put_list(out, &self.0);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.list(MAX_MEMBERS).map(Self)
    }
}

impl Scale for Entry {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.0.encode_to(out);
        self.1.encode_to(out);
    }

    fn decode_from(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(NodeId::decode_from(input)?, PoetChallenge::decode_from(input)?))
    }
}

/// The directory.
#[derive(Debug)]
pub(super) struct Store(PathBuf);

fn at(path: &Path) -> impl FnOnce(io::Error) -> PoetError {
    move |source| PoetError::Store { path: path.into(), source }
}

impl Store {
    /// Opens it, made if it isn't there, with the registrations of every round in it.
    pub(super) fn open(dir: &Path) -> Result<(Self, BTreeMap<Epoch, Registrations>), PoetError> {
        fs::create_dir_all(dir).map_err(at(dir))?;
        let store = Self(dir.into());
        let mut rounds = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(at(dir))? {
            let name = entry.map_err(at(dir))?.file_name();
            let round = name.to_str().and_then(|name| name.strip_suffix(".members")?.parse().ok());
            if let Some(round) = round.map(Epoch)
                && let Some(MembersFile(entries)) = store.read(&store.members(round))?
            {
                rounds
                    .insert(round, entries.into_iter().map(|Entry(node_id, challenge)| (node_id, challenge)).collect());
            }
        }
        Ok((store, rounds))
    }

    fn members(&self, round: Epoch) -> PathBuf {
        self.0.join(format!("{round}.members"))
    }

    fn proof(&self, round: Epoch) -> PathBuf {
        self.0.join(format!("{round}.proof"))
    }

    pub(super) fn keep_members(&self, round: Epoch, members: &Registrations) -> Result<(), PoetError> {
        let entries = members.iter().map(|(&node_id, &challenge)| Entry(node_id, challenge)).collect();
        self.replace(&self.members(round), &encode(&MembersFile(entries)))
    }

    pub(super) fn keep_proof(&self, round: Epoch, proof: &PoetProof) -> Result<(), PoetError> {
        self.replace(&self.proof(round), &encode(proof))
    }

    pub(super) fn read_proof(&self, round: Epoch) -> Result<Option<PoetProof>, PoetError> {
        self.read(&self.proof(round))
    }

    /// The whole file, old or new, is there at any moment.
    #[expect(clippy::disallowed_methods, reason = "the PoET's own files, each replaced by its own copy")]
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), PoetError> {
        let new = path.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            if cfg!(unix) { File::open(&self.0)?.sync_all() } else { Ok(()) }
        };
        write().map_err(at(path))
    }

    fn read<T: Scale>(&self, path: &Path) -> Result<Option<T>, PoetError> {
        match fs::read(path) {
            Ok(bytes) => match decode(&bytes) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(at(path)(io::Error::new(io::ErrorKind::InvalidData, error))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(path)(error)),
        }
    }
}
