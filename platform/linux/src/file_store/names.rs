//! File names of segments.

use unison_base::SegmentId;
use unison_ports::SegmentKind;

/// Most files that one number may have in one role.
pub(super) const COPIES_MAX: u32 = 10_000;

const fn ending(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Log => "seg",
        SegmentKind::Values => "val",
        SegmentKind::Aside => "seg.rot",
    }
}

/// Name of a segment's file.
pub(super) fn of(id: SegmentId, kind: SegmentKind) -> String {
    format!("{id}.{}", ending(kind))
}

/// Name of an older file of the same number and role; `copy` is 2 or more.
pub(super) fn copy_of(id: SegmentId, kind: SegmentKind, copy: u32) -> String {
    format!("{id}.{}.{copy}", ending(kind))
}

/// The segment that a file name stands for. Older copies are evidence for a person and have none.
pub(super) fn parse(name: &str) -> Option<(SegmentId, SegmentKind)> {
    let (digits, rest) = name.split_once('.')?;
    let kind = [SegmentKind::Log, SegmentKind::Values, SegmentKind::Aside]
        .into_iter()
        .find(|&kind| ending(kind) == rest)?;
    let id = SegmentId(digits.parse().ok()?);
    // Only the one spelling that `of` writes, so that two names never mean one segment.
    (id.0 > 0 && of(id, kind) == name).then_some((id, kind))
}

#[cfg(test)]
mod tests {
    use super::{of, parse};
    use unison_base::SegmentId;
    use unison_ports::SegmentKind;

    #[test]
    fn every_name_is_read_back_and_nothing_else_is() {
        for kind in [SegmentKind::Log, SegmentKind::Values, SegmentKind::Aside] {
            for id in [1, 42, 999_999_999, u32::MAX] {
                assert_eq!(parse(&of(SegmentId(id), kind)), Some((SegmentId(id), kind)));
            }
        }
        let strangers = [
            "",
            ".",
            "..",
            "log.id",
            "lock",
            "1.seg",
            "0000000001.seg",
            "000000000.seg",
            "+00000001.seg",
            "-00000001.seg",
            "000000001.seg.rot.2",
            "000000001.tmp",
            "000000001.seg.",
            "9999999999.seg",
            "000000001seg",
            "00000000a.seg",
        ];
        for name in strangers {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
