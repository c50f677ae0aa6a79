//! How the base types lie on the wire: as their numbers.

use serde::{Deserialize, Serialize};
use unison_base::{Hlc, LogId, Lsn, Position, SegmentId};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Lsn")]
pub(crate) struct LsnForm(u64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Hlc")]
pub(crate) struct HlcForm(u64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "SegmentId")]
pub(crate) struct SegmentIdForm(u32);

#[derive(Serialize, Deserialize)]
#[serde(remote = "LogId")]
pub(crate) struct LogIdForm([u8; 16]);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Position")]
pub(crate) struct PositionForm {
    #[serde(with = "SegmentIdForm")]
    segment: SegmentId,
    offset: u32,
}
