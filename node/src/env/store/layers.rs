//! The tables of what nodes agree on: ballots, blocks, transactions, what became of layers, the ledger.

use std::ops::Bound;

use redb::{
    Database, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction,
};

use crate::archive::{Applied, LedgerEntry, Write};
use crate::ids::{Beacon, BlockId, Epoch, Layer, Opinion, StateRoot, TxId};

/// Ballots and blocks have short names.
type Short = [u8; 20];
type Bytes = &'static [u8];
type Became = (Option<Short>, [u8; 32], [u8; 32]);

pub(super) const BALLOTS: TableDefinition<Short, Bytes> = TableDefinition::new("ballots");
pub(super) const BALLOTS_BY_LAYER: TableDefinition<(u32, Short), ()> = TableDefinition::new("ballots_by_layer");
pub(super) const CONTENTS: TableDefinition<Short, Bytes> = TableDefinition::new("contents");
const CONTENTS_BY_LAYER: TableDefinition<(u32, Short), ()> = TableDefinition::new("contents_by_layer");
pub(super) const BLOCKS: TableDefinition<Short, Bytes> = TableDefinition::new("blocks");
pub(super) const BLOCKS_BY_LAYER: TableDefinition<(u32, Short), ()> = TableDefinition::new("blocks_by_layer");
pub(super) const TRANSACTIONS: TableDefinition<[u8; 32], Bytes> = TableDefinition::new("transactions");
const BEACONS: TableDefinition<u32, [u8; 4]> = TableDefinition::new("beacons");
/// One entry: the last layer in which the node spoke.
const SPOKE: TableDefinition<(), u32> = TableDefinition::new("spoke");
const HARES: TableDefinition<u32, Short> = TableDefinition::new("hares");
/// (Layer, name) → the last vote of a chain.
const OPINIONS: TableDefinition<(u32, [u8; 32]), Bytes> = TableDefinition::new("opinions");
/// Layer → (block, root of all accounts, opinion).
const APPLIED: TableDefinition<u32, Became> = TableDefinition::new("applied");
const LEDGER: TableDefinition<Bytes, Bytes> = TableDefinition::new("ledger");

/// These tables while a step is written.
pub(super) struct LayerTables<'t> {
    ballots: Table<'t, Short, Bytes>,
    ballots_by_layer: Table<'t, (u32, Short), ()>,
    contents: Table<'t, Short, Bytes>,
    contents_by_layer: Table<'t, (u32, Short), ()>,
    blocks: Table<'t, Short, Bytes>,
    blocks_by_layer: Table<'t, (u32, Short), ()>,
    transactions: Table<'t, [u8; 32], Bytes>,
    beacons: Table<'t, u32, [u8; 4]>,
    spoke: Table<'t, (), u32>,
    hares: Table<'t, u32, Short>,
    opinions: Table<'t, (u32, [u8; 32]), Bytes>,
    applied: Table<'t, u32, Became>,
    ledger: Table<'t, Bytes, Bytes>,
}

impl<'t> LayerTables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            ballots: transaction.open_table(BALLOTS)?,
            ballots_by_layer: transaction.open_table(BALLOTS_BY_LAYER)?,
            contents: transaction.open_table(CONTENTS)?,
            contents_by_layer: transaction.open_table(CONTENTS_BY_LAYER)?,
            blocks: transaction.open_table(BLOCKS)?,
            blocks_by_layer: transaction.open_table(BLOCKS_BY_LAYER)?,
            transactions: transaction.open_table(TRANSACTIONS)?,
            beacons: transaction.open_table(BEACONS)?,
            spoke: transaction.open_table(SPOKE)?,
            hares: transaction.open_table(HARES)?,
            opinions: transaction.open_table(OPINIONS)?,
            applied: transaction.open_table(APPLIED)?,
            ledger: transaction.open_table(LEDGER)?,
        })
    }

    /// The same as [`crate::archive::Memory::write`]; what belongs into other tables is left to them.
    pub(super) fn write(&mut self, write: &Write) -> Result<(), StorageError> {
        match write {
            Write::Ballot { id, layer, bytes } => {
                self.ballots_by_layer.insert((layer.0, id.0), ())?;
                self.ballots.insert(id.0, &bytes[..])?;
            }
            Write::Content { id, layer, bytes } => {
                self.contents_by_layer.insert((layer.0, id.0), ())?;
                self.contents.insert(id.0, &bytes[..])?;
            }
            Write::Block { id, layer, bytes } => {
                self.blocks_by_layer.insert((layer.0, id.0), ())?;
                self.blocks.insert(id.0, &bytes[..])?;
            }
            Write::Transaction { id, bytes } => {
                self.transactions.insert(id.0, &bytes[..])?;
            }
            Write::ForgetTransaction { id } => {
                self.transactions.remove(id.0)?;
            }
            Write::Beacon { epoch, beacon } => {
                self.beacons.insert(epoch.0, beacon.0)?;
            }
            Write::Speaks { layer } => {
                self.spoke.insert((), layer.0)?;
            }
            Write::Hare { layer, block } => {
                self.hares.insert(layer.0, block.0)?;
            }
            Write::Opinion { opinion, layer, bytes } => {
                self.opinions.insert((layer.0, opinion.0), &bytes[..])?;
            }
            Write::Applied { layer, applied: Applied { block, root, opinion } } => {
                self.applied.insert(layer.0, (block.map(|block| block.0), root.0, opinion.0))?;
            }
            Write::Ledger { key, value: Some(value) } => {
                self.ledger.insert(&key[..], &value[..])?;
            }
            Write::Ledger { key, value: None } => {
                self.ledger.remove(&key[..])?;
            }
            Write::Forget { before } => self.forget(before.0)?,
            Write::Atx { .. } | Write::Poet { .. } | Write::Fraud { .. } | Write::Smeshing { .. } => {}
        }
        Ok(())
    }

    fn forget(&mut self, before: u32) -> Result<(), StorageError> {
        let old: Vec<(u32, Short)> = {
            let range = self.contents_by_layer.range(..(before, [0; 20]))?;
            range.map(|entry| Ok(entry?.0.value())).collect::<Result<_, StorageError>>()?
        };
        for key in old {
            self.contents.remove(key.1)?;
            self.contents_by_layer.remove(key)?;
        }
        self.opinions.retain_in(..(before, [0; 32]), |_, _| false)?;
        self.hares.retain_in(..before, |_, _| false)
    }
}

/// The names of a layer's things, ascending.
pub(super) fn ids(
    database: &Database,
    table: TableDefinition<'static, (u32, Short), ()>,
    layer: Layer,
) -> Result<impl Iterator<Item = Short>, redb::Error> {
    let table = database.begin_read()?.open_table(table)?;
    let range = table.range((layer.0, [0; 20])..=(layer.0, [0xff; 20]))?;
    let ids: Vec<Short> = range.map(|entry| Ok(entry?.0.value().1)).collect::<Result<_, StorageError>>()?;
    Ok(ids.into_iter())
}

pub(super) fn bytes(
    database: &Database,
    table: TableDefinition<'static, Short, Bytes>,
    id: Short,
) -> Result<Option<Vec<u8>>, redb::Error> {
    Ok(database.begin_read()?.open_table(table)?.get(id)?.map(|entry| entry.value().to_vec()))
}

pub(super) fn beacon(database: &Database, epoch: Epoch) -> Result<Option<Beacon>, redb::Error> {
    Ok(database.begin_read()?.open_table(BEACONS)?.get(epoch.0)?.map(|entry| Beacon(entry.value())))
}

pub(super) fn spoke(database: &Database) -> Result<Option<Layer>, redb::Error> {
    Ok(database.begin_read()?.open_table(SPOKE)?.get(())?.map(|entry| Layer(entry.value())))
}

pub(super) fn hare(database: &Database, layer: Layer) -> Result<Option<BlockId>, redb::Error> {
    Ok(database.begin_read()?.open_table(HARES)?.get(layer.0)?.map(|entry| BlockId(entry.value())))
}

pub(super) fn applied(database: &Database, layer: Layer) -> Result<Option<Applied>, redb::Error> {
    let entry = database.begin_read()?.open_table(APPLIED)?.get(layer.0)?;
    Ok(entry.map(|entry| {
        let (block, root, opinion) = entry.value();
        Applied { block: block.map(BlockId), root: StateRoot(root), opinion: Opinion(opinion) }
    }))
}

pub(super) fn opinions(database: &Database, from: Layer) -> Result<Vec<Vec<u8>>, redb::Error> {
    let table = database.begin_read()?.open_table(OPINIONS)?;
    let range = table.range((from.0, [0; 32])..)?;
    range.map(|entry| Ok(entry?.1.value().to_vec())).collect()
}

pub(super) fn last_applied(database: &Database) -> Result<Option<Layer>, redb::Error> {
    Ok(database.begin_read()?.open_table(APPLIED)?.last()?.map(|(layer, _)| Layer(layer.value())))
}

pub(super) fn last_ballots(database: &Database) -> Result<Option<Layer>, redb::Error> {
    Ok(database.begin_read()?.open_table(BALLOTS_BY_LAYER)?.last()?.map(|(key, _)| Layer(key.value().0)))
}

pub(super) fn ledger(database: &Database, after: Option<&[u8]>, limit: usize) -> Result<Vec<LedgerEntry>, redb::Error> {
    let table = database.begin_read()?.open_table(LEDGER)?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = table.range::<&[u8]>((from, Bound::Unbounded))?;
    let owned = |entry: Result<(redb::AccessGuard<'_, Bytes>, redb::AccessGuard<'_, Bytes>), StorageError>| {
        let (key, value) = entry?;
        Ok((key.value().to_vec(), value.value().to_vec()))
    };
    range.take(limit).map(owned).collect()
}

pub(super) fn transactions(database: &Database, after: Option<TxId>, limit: usize) -> Result<Vec<TxId>, redb::Error> {
    let table = database.begin_read()?.open_table(TRANSACTIONS)?;
    let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.0));
    let range = table.range::<[u8; 32]>((from, Bound::Unbounded))?;
    range.take(limit).map(|entry| Ok(TxId(entry?.0.value()))).collect()
}
