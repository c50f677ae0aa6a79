//! What the firmware left on its medium, read by the hub's own code.

use super::hub::Hub;
use super::image::Image;
use crate::plan::{JOURNAL, SLOT_BYTES, SLOTS, TAIL};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::sync::Arc;
use unison_base::Lsn;
use unison_cortex_m::medium::{Medium, Store};
use unison_cortex_m::record::{KEY_PREFIX, Kind, decode};
use unison_ports::SegmentStore;
use unison_walfs::{Bound, Log, LogOptions, LogReader, LogRole};

type Segments = Store<Image, SLOTS>;

/// Opens both logs as the hub would. The copy has to be a piece of the hub's log, byte for byte and in
/// the same places; the own log has to be dense and hold what was measured.
pub(crate) fn check(path: &str) -> Result<()> {
    let hub = Hub::new()?;
    let image = Image::of(fs::read(path)?);
    let medium = Box::leak(Box::new(Medium::<_, SLOTS>::mount(image, SLOT_BYTES)?));
    let copy = open(medium.volume(TAIL).context("a volume")?, LogRole::Follower)?;
    let same = compare(&copy.reader(), &hub.engine.log())?;
    println!("tail {same} records are the hub's");
    let own = open(medium.volume(JOURNAL).context("a volume")?, LogRole::Leader)?;
    let measured = measurements(&own.reader())?;
    println!("own {measured} measurements, the newest is {}", own.appended());
    Ok(())
}

fn open(store: Segments, role: LogRole) -> Result<Log<Segments>> {
    let options = LogOptions { segment_bytes: SLOT_BYTES, verify_from: Lsn::ZERO, role };
    let (log, report) = Log::open(Arc::new(store), options, 1)?;
    ensure!(report.rungs.rot_segments + report.rungs.gaps == 0, "damage: {report:?}");
    Ok(log)
}

fn compare<H: SegmentStore>(copy: &LogReader<Segments>, hub: &LogReader<H>) -> Result<u64> {
    let mut count = 0;
    if copy.appended() < copy.first() {
        return Ok(count);
    }
    let mut ours = copy.cursor(copy.first(), Bound::Appended)?;
    let mut theirs = hub.cursor(copy.first(), Bound::Appended)?;
    while let Some(record) = ours.next()? {
        let other = theirs.next()?.context("the hub's log is shorter")?;
        ensure!(
            record.lsn == other.lsn && record.payload[..] == other.payload[..],
            "{}",
            record.lsn
        );
        ensure!(copy.locate(record.lsn)? == hub.locate(record.lsn)?, "place of {}", record.lsn);
        count += 1;
    }
    Ok(count)
}

fn measurements(log: &LogReader<Segments>) -> Result<u64> {
    let mut count = 0;
    if log.appended() < log.first() {
        return Ok(count);
    }
    let mut cursor = log.cursor(log.first(), Bound::Appended)?;
    while let Some(record) = cursor.next()? {
        let number = record.lsn.0;
        let decoded = decode(&record.payload)?;
        let entry = decoded.entries().next().context("an entry")?;
        ensure!(decoded.kind == Kind::Put && decoded.lsn == record.lsn, "record {number}");
        let key = format!("sensor:{}", number % 7);
        ensure!(entry.key == [&[KEY_PREFIX], key.as_bytes()].concat(), "key of {number}");
        ensure!(entry.value.starts_with(format!("{number}:").as_bytes()), "value of {number}");
        count += 1;
    }
    Ok(count)
}
