//! The archive of a real node: one file, one transaction a step.
//!
//! Kept in the file is its schema's version and the network it is of; a file of another is refused, and so is one that
//! another process has open.

mod layers;

use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use self::layers::LayerTables;
use crate::archive::{Applied, Archive, ArchiveError, Kept, LedgerEntry, Reload, Write};
use crate::ids::{AtxId, BallotId, Beacon, BlockId, Challenge, Epoch, GenesisId, Layer, NodeId, TxId};
use crate::time::Time;

/// The file's name in a node's directory.
pub const FILE_NAME: &str = "node.redb";

/// Goes up when the tables below change their meaning.
const SCHEMA: u64 = 2;

/// The database's cache. The records that decisions need are in memory anyway.
const CACHE_BYTES: usize = 64 << 20;

type Id = [u8; 32];
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Id → (received, encoding).
const ATXS: TableDefinition<Id, (u64, &[u8])> = TableDefinition::new("atxs");
/// (Epoch, id), for those who ask for a range.
const ATXS_BY_EPOCH: TableDefinition<(u32, Id), ()> = TableDefinition::new("atxs_by_epoch");
/// Id → encoding.
const POETS: TableDefinition<Id, &[u8]> = TableDefinition::new("poets");
/// Miner → (received, encoding).
const FRAUDS: TableDefinition<Id, (u64, &[u8])> = TableDefinition::new("frauds");
/// Miner → the smesher's encoding.
const SMESHING: TableDefinition<Id, &[u8]> = TableDefinition::new("smeshing");

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be made or opened.
    #[error("cannot open the node's database {}: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or the database says.
        reason: String,
    },
    /// Somebody else has it.
    #[error("the node's database {} is in use by another process; stop that node, or give this one another --data", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was made by another version of this program.
    #[error("the node's database {} has schema {found}, this program knows {SCHEMA}; use the version that made it, or move the file away: the network will send the ATXs again, but smeshing identities must have published for the running epoch first", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// It is of another network.
    #[error("the node's database {} is of the network {found}; give another --data for this network", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// The network it is of.
        found: String,
    },
}

/// The database. Reading and writing may go on at the same time.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database in a node's directory, or makes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path, genesis: GenesisId) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let open = |reason: String| StoreError::Open { path: path.clone(), reason };
        if !path.exists() {
            create(directory, &path, genesis).map_err(|error| open(error.to_string()))?;
        }
        let database = Builder::new().set_cache_size(CACHE_BYTES).open(&path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.clone() },
            error => open(error.to_string()),
        })?;
        let store = Self { database };
        let meta = |key| store.meta(key).map_err(|error| open(error.to_string()));
        let schema = meta("schema")?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        if schema != SCHEMA {
            return Err(StoreError::Schema { path, found: schema });
        }
        let found = meta("genesis")?.unwrap_or_default();
        if found != genesis.0 {
            return Err(StoreError::OtherNetwork { path, found: hex::encode(found) });
        }
        Ok(store)
    }

    /// Keeps the writes of one step, all or none. Readers see them at once; a crash before [`Store::flush`] forgets them.
    ///
    /// # Errors
    /// [`ArchiveError`]; then none was kept.
    pub fn write(&self, writes: &[Write]) -> Result<(), ArchiveError> {
        let work = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::None)?;
            Tables::open(&transaction)?.write(writes)?;
            Ok(transaction.commit()?)
        };
        work().map_err(failed)
    }

    /// Makes everything written so far survive a crash.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn flush(&self) -> Result<(), ArchiveError> {
        let work = || -> Result<(), redb::Error> { Ok(self.database.begin_write()?.commit()?) };
        work().map_err(failed)
    }

    /// How many ATXs there are.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn atx_count(&self) -> Result<u64, ArchiveError> {
        let work = || -> Result<u64, redb::Error> { Ok(self.database.begin_read()?.open_table(ATXS)?.len()?) };
        work().map_err(failed)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        let value = self.database.begin_read()?.open_table(META)?.get(key)?.map(|value| value.value().to_vec());
        Ok(value)
    }
}

/// Makes an empty database beside its place and moves it there, so that a crash leaves a whole one or none.
fn create(directory: &Path, path: &Path, genesis: GenesisId) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(directory)?;
    let file = tempfile::Builder::new().prefix(".node-").suffix(".redb").tempfile_in(directory)?;
    let database = Builder::new().create_with_backend(FileBackend::new(file.reopen()?)?)?;
    let transaction = database.begin_write()?;
    Tables::open(&transaction)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert("schema", &SCHEMA.to_le_bytes()[..])?;
        meta.insert("genesis", &genesis.0[..])?;
    }
    transaction.commit()?;
    drop(database);
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    std::fs::File::open(directory)?.sync_all()?;
    Ok(())
}

/// The tables that a step writes to.
struct Tables<'t> {
    atxs: Table<'t, Id, (u64, &'static [u8])>,
    by_epoch: Table<'t, (u32, Id), ()>,
    poets: Table<'t, Id, &'static [u8]>,
    frauds: Table<'t, Id, (u64, &'static [u8])>,
    smeshing: Table<'t, Id, &'static [u8]>,
    layers: LayerTables<'t>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
            atxs: transaction.open_table(ATXS)?,
            by_epoch: transaction.open_table(ATXS_BY_EPOCH)?,
            poets: transaction.open_table(POETS)?,
            frauds: transaction.open_table(FRAUDS)?,
            smeshing: transaction.open_table(SMESHING)?,
            layers: LayerTables::open(transaction)?,
        })
    }

    /// The same as [`crate::archive::Memory::write`].
    fn write(&mut self, writes: &[Write]) -> Result<(), redb::StorageError> {
        for write in writes {
            match write {
                Write::Atx { id, epoch, received, bytes } => {
                    self.by_epoch.insert((epoch.0, id.0), ())?;
                    insert_first(&mut self.atxs, id.0, *received, bytes)?;
                }
                Write::Poet { id, bytes } => {
                    self.poets.insert(id.0, &bytes[..])?;
                }
                Write::Fraud { node_id, received, bytes } => {
                    insert_first(&mut self.frauds, node_id.0, *received, bytes)?
                }
                Write::Smeshing { node_id, bytes } => {
                    self.smeshing.insert(node_id.0, &bytes[..])?;
                }
                write => self.layers.write(write)?,
            }
        }
        Ok(())
    }
}

/// What came first stays.
fn insert_first(
    table: &mut Table<'_, Id, (u64, &'static [u8])>,
    id: Id,
    received: Time,
    bytes: &[u8],
) -> Result<(), redb::StorageError> {
    if table.get(id)?.is_none() {
        table.insert(id, (received.0, bytes))?;
    }
    Ok(())
}

fn failed(error: redb::Error) -> ArchiveError {
    ArchiveError(error.to_string())
}

impl Reload for Store {
    fn each_poet(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), ArchiveError> {
        let mut work = || -> Result<(), redb::Error> {
            for entry in self.database.begin_read()?.open_table(POETS)?.iter()? {
                each(entry?.1.value());
            }
            Ok(())
        };
        work().map_err(failed)
    }

    fn each_atx(&self, each: &mut dyn FnMut(Time, &[u8])) -> Result<(), ArchiveError> {
        let mut work = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_read()?;
            let atxs = transaction.open_table(ATXS)?;
            for entry in transaction.open_table(ATXS_BY_EPOCH)?.iter()? {
                let (_, id) = entry?.0.value();
                if let Some(atx) = atxs.get(id)? {
                    let (received, bytes) = atx.value();
                    each(Time(received), bytes);
                }
            }
            Ok(())
        };
        work().map_err(failed)
    }

    fn each_fraud(&self, each: &mut dyn FnMut(Time, &[u8])) -> Result<(), ArchiveError> {
        let mut work = || -> Result<(), redb::Error> {
            for entry in self.database.begin_read()?.open_table(FRAUDS)?.iter()? {
                let (_, value) = entry?;
                let (received, bytes) = value.value();
                each(Time(received), bytes);
            }
            Ok(())
        };
        work().map_err(failed)
    }
}

impl Archive for Store {
    fn atx_ids(&self, epoch: Epoch, from: AtxId, to: AtxId, limit: usize) -> Result<Vec<AtxId>, ArchiveError> {
        if from > to {
            return Ok(Vec::new());
        }
        let work = || -> Result<Vec<AtxId>, redb::Error> {
            let table = self.database.begin_read()?.open_table(ATXS_BY_EPOCH)?;
            let range = table.range((epoch.0, from.0)..=(epoch.0, to.0))?;
            range.take(limit).map(|entry| Ok(AtxId(entry?.0.value().1))).collect()
        };
        work().map_err(failed)
    }

    fn atx(&self, id: AtxId) -> Result<Option<Kept>, ArchiveError> {
        kept(&self.database, ATXS, id.0).map_err(failed)
    }

    fn poet(&self, id: Challenge) -> Result<Option<Vec<u8>>, ArchiveError> {
        bytes(&self.database, POETS, id.0).map_err(failed)
    }

    fn frauds(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, ArchiveError> {
        let work = || -> Result<Vec<NodeId>, redb::Error> {
            let table = self.database.begin_read()?.open_table(FRAUDS)?;
            let first = after.map_or([0; 32], |after| after.0);
            let later = table.range(first..)?.map(|entry| Ok(NodeId(entry?.0.value())));
            let later = later.filter(|node_id| !matches!(node_id, Ok(node_id) if Some(*node_id) == after));
            later.take(limit).collect()
        };
        work().map_err(failed)
    }

    fn fraud(&self, node_id: NodeId) -> Result<Option<Kept>, ArchiveError> {
        kept(&self.database, FRAUDS, node_id.0).map_err(failed)
    }

    fn smeshing(&self, node_id: NodeId) -> Result<Option<Vec<u8>>, ArchiveError> {
        bytes(&self.database, SMESHING, node_id.0).map_err(failed)
    }

    fn ballots(&self, layer: Layer) -> Result<Vec<BallotId>, ArchiveError> {
        Ok(layers::ids(&self.database, layers::BALLOTS_BY_LAYER, layer).map_err(failed)?.map(BallotId).collect())
    }

    fn ballot(&self, id: BallotId) -> Result<Option<Vec<u8>>, ArchiveError> {
        layers::bytes(&self.database, layers::BALLOTS, id.0).map_err(failed)
    }

    fn content(&self, id: BallotId) -> Result<Option<Vec<u8>>, ArchiveError> {
        layers::bytes(&self.database, layers::CONTENTS, id.0).map_err(failed)
    }

    fn blocks(&self, layer: Layer) -> Result<Vec<BlockId>, ArchiveError> {
        Ok(layers::ids(&self.database, layers::BLOCKS_BY_LAYER, layer).map_err(failed)?.map(BlockId).collect())
    }

    fn block(&self, id: BlockId) -> Result<Option<Vec<u8>>, ArchiveError> {
        layers::bytes(&self.database, layers::BLOCKS, id.0).map_err(failed)
    }

    fn transaction(&self, id: TxId) -> Result<Option<Vec<u8>>, ArchiveError> {
        bytes(&self.database, layers::TRANSACTIONS, id.0).map_err(failed)
    }

    fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, ArchiveError> {
        layers::beacon(&self.database, epoch).map_err(failed)
    }

    fn spoke(&self) -> Result<Option<Layer>, ArchiveError> {
        layers::spoke(&self.database).map_err(failed)
    }

    fn hare(&self, layer: Layer) -> Result<Option<BlockId>, ArchiveError> {
        layers::hare(&self.database, layer).map_err(failed)
    }

    fn opinions(&self, from: Layer) -> Result<Vec<Vec<u8>>, ArchiveError> {
        layers::opinions(&self.database, from).map_err(failed)
    }

    fn applied(&self, layer: Layer) -> Result<Option<Applied>, ArchiveError> {
        layers::applied(&self.database, layer).map_err(failed)
    }

    fn last_applied(&self) -> Result<Option<Layer>, ArchiveError> {
        layers::last_applied(&self.database).map_err(failed)
    }

    fn last_ballots(&self) -> Result<Option<Layer>, ArchiveError> {
        layers::last_ballots(&self.database).map_err(failed)
    }

    fn ledger(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<LedgerEntry>, ArchiveError> {
        layers::ledger(&self.database, after, limit).map_err(failed)
    }

    fn transactions(&self, after: Option<TxId>, limit: usize) -> Result<Vec<TxId>, ArchiveError> {
        layers::transactions(&self.database, after, limit).map_err(failed)
    }
}

fn kept(
    database: &Database,
    table: TableDefinition<'static, Id, (u64, &'static [u8])>,
    id: Id,
) -> Result<Option<Kept>, redb::Error> {
    let entry = database.begin_read()?.open_table(table)?.get(id)?;
    Ok(entry.map(|entry| {
        let (received, bytes) = entry.value();
        Kept { received: Time(received), bytes: bytes.to_vec() }
    }))
}

fn bytes(
    database: &Database,
    table: TableDefinition<'static, Id, &'static [u8]>,
    id: Id,
) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(database.begin_read()?.open_table(table)?.get(id)?.map(|entry| entry.value().to_vec()))
}
