//! One kind of operation and nothing beside it, for a tool that counts instructions: their number is the
//! same on a busy machine. `ci/instructions` prints it for each.

use crate::measure::Setting;
use crate::peer::{Redb, summed};
use crate::store::{Bench, flush, gets, load_redb, scans};
use crate::workload::{VALUE_BYTES, Workload};
use unison_engine::{ColumnRange, ColumnValues, Operation, Write};
use unison_linux::store::Durability;

const READS: u64 = 5_000;
const SCANS: u64 = 200;
const BATCHES: usize = 50;
const BATCH: usize = 100;
const COLUMNS: [&str; 4] = ["state", "temperature", "updated", "version"];
const COLUMN_BYTES: usize = 64;

/// What is counted. Scans are of a hundred entries, writes in batches of a hundred.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    GetMemtable,
    GetTree,
    RedbGet,
    RedbGetChecked,
    ScanMemtable,
    ScanTree,
    RedbScan,
    RedbScanChecked,
    ColumnMemtable,
    ColumnTree,
    RowMemtable,
    RowTree,
    Set,
    RedbSet,
}

/// Prepares a scenario and does it, the counted part within [`counted`].
pub(crate) fn run(setting: &Setting<'_>, scenario: Scenario) -> anyhow::Result<()> {
    use Scenario as On;
    let operations = match scenario {
        On::RedbGet | On::RedbGetChecked | On::RedbScan | On::RedbScanChecked | On::RedbSet => {
            redb(setting, scenario)?
        }
        On::ColumnMemtable | On::ColumnTree | On::RowMemtable | On::RowTree => {
            rows(setting, scenario)?
        }
        On::GetMemtable | On::GetTree | On::ScanMemtable | On::ScanTree | On::Set => {
            keys(setting, scenario)?
        }
    };
    println!("{operations}");
    Ok(())
}

/// Everything in here is counted: the tool knows the function by its name.
#[inline(never)]
fn counted(work: impl FnOnce() -> anyhow::Result<usize>) -> anyhow::Result<()> {
    anyhow::ensure!(work()? > 0, "nothing was done");
    Ok(())
}

fn keys(setting: &Setting<'_>, scenario: Scenario) -> anyhow::Result<u64> {
    let bench = Bench::open(setting, Durability::Never)?;
    bench.load(setting.keys)?;
    if matches!(scenario, Scenario::GetTree | Scenario::ScanTree) {
        flush(&bench)?;
    }
    // The first reads fill the tree's cache.
    let mut workload = Workload::new(1, setting.keys);
    gets(&bench, &mut workload, setting.keys)?;
    let operations = match scenario {
        Scenario::ScanMemtable | Scenario::ScanTree => {
            counted(|| scans(&bench, &mut workload, SCANS))?;
            SCANS
        }
        Scenario::Set => {
            let value = vec![7; VALUE_BYTES];
            let batches = batches(&mut workload);
            counted(|| {
                for keys in &batches {
                    let pairs: Vec<_> = keys.iter().map(|key| (&key[..], &value[..])).collect();
                    bench.namespace.write(&Write::new(Operation::PutBatch(&pairs)))?;
                }
                Ok(BATCHES)
            })?;
            (BATCHES * BATCH) as u64
        }
        _ => {
            counted(|| gets(&bench, &mut workload, READS))?;
            READS
        }
    };
    bench.store.close()?;
    Ok(operations)
}

fn batches(workload: &mut Workload) -> Vec<Vec<[u8; 16]>> {
    (0..BATCHES).map(|_| (0..BATCH).map(|_| workload.random_key()).collect()).collect()
}

fn rows(setting: &Setting<'_>, scenario: Scenario) -> anyhow::Result<u64> {
    let bench = Bench::open(setting, Durability::Never)?;
    let value = vec![7; COLUMN_BYTES];
    let columns = COLUMNS.map(|name| (name, value.as_slice()));
    let mut workload = Workload::new(1, setting.keys);
    for keys in workload.all_keys().collect::<Vec<_>>().chunks(BATCH) {
        let rows: Vec<_> = keys.iter().map(|row| ColumnValues { row, columns: &columns }).collect();
        bench.namespace.write(&Write::new(Operation::PutColumns(&rows)))?;
    }
    if matches!(scenario, Scenario::ColumnTree | Scenario::RowTree) {
        flush(&bench)?;
    }
    let whole = matches!(scenario, Scenario::RowMemtable | Scenario::RowTree);
    read_rows(&bench, &mut workload, setting.keys, whole)?;
    counted(|| read_rows(&bench, &mut workload, READS, whole))?;
    bench.store.close()?;
    Ok(READS)
}

/// Reads one column of each row, or all. Returns the bytes read.
fn read_rows(
    bench: &Bench,
    workload: &mut Workload,
    count: u64,
    whole: bool,
) -> anyhow::Result<usize> {
    let reader = bench.namespace.reader();
    let mut bytes = 0;
    for _ in 0..count {
        let key = workload.random_key();
        if !whole {
            let column = reader.column(&key, "updated")?;
            bytes += column.map_or(Ok(0), |value| value.bytes().map(|bytes| bytes.len()))?;
        } else if let Some(row) = reader.snapshot().row(&key)? {
            for column in row.columns(ColumnRange::default())? {
                bytes += column?.value.bytes()?.len();
            }
        }
    }
    Ok(bytes)
}

fn redb(setting: &Setting<'_>, scenario: Scenario) -> anyhow::Result<u64> {
    let dir = setting.dir()?;
    let peer = Redb::create(dir.path())?;
    load_redb(&peer, setting.keys)?;
    let mut workload = Workload::new(1, setting.keys);
    peer.gets(&mut workload, setting.keys, <[u8]>::len)?;
    let checked = matches!(scenario, Scenario::RedbGetChecked | Scenario::RedbScanChecked);
    let look = if checked { summed } else { <[u8]>::len };
    match scenario {
        Scenario::RedbScan | Scenario::RedbScanChecked => {
            counted(|| peer.scans(&mut workload, SCANS, look))?;
            Ok(SCANS)
        }
        Scenario::RedbSet => {
            let value = vec![7; VALUE_BYTES];
            let pairs =
                |keys: Vec<[u8; 16]>| keys.into_iter().map(|key| (key, value.clone())).collect();
            let batches: Vec<Vec<_>> = batches(&mut workload).into_iter().map(pairs).collect();
            counted(|| {
                batches.iter().try_for_each(|pairs| peer.put(pairs, false))?;
                Ok(BATCHES)
            })?;
            Ok((BATCHES * BATCH) as u64)
        }
        _ => {
            counted(|| peer.gets(&mut workload, READS, look))?;
            Ok(READS)
        }
    }
}
