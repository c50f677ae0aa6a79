//! The suite for `SegmentStore` and `SegmentFile`.

mod bytes;
mod durability;
mod naming;
mod roles;
mod sharing;

use super::Medium;
use unison_base::SegmentId;
use unison_ports::{IoError, SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

/// One check.
pub struct Check<M> {
    /// What it is called.
    pub name: &'static str,
    /// Panics when the contract is broken.
    pub run: fn(),
    medium: core::marker::PhantomData<M>,
}

/// Lists the checks once: as a table, and as a macro that makes each a test.
macro_rules! checks {
    ($d:tt $($module:ident: $($name:ident),+;)+) => {
        $(pub use $module::{$($name),+};)+

        /// Every check of the suite.
        #[must_use]
        pub fn all<M: Medium>() -> Vec<Check<M>> {
            vec![$($(Check {
                name: stringify!($name),
                run: $name::<M>,
                medium: core::marker::PhantomData,
            }),+),+]
        }

        /// Makes a test of every check of the segment suite for one medium.
        #[macro_export]
        macro_rules! conformance {
            ($d medium:ty) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::segments::$name::<$d medium>();
                    }
                )+)+
            };
        }
    };
}

checks! { $
    bytes:
        a_new_segment_is_zeros_of_its_whole_size,
        every_byte_that_is_written_is_read_back,
        a_write_leaves_its_neighbours_alone,
        nothing_outside_a_segment_is_read_or_written,
        a_view_shows_what_a_read_shows,
        hints_change_nothing;
    durability:
        synced_writes_survive_a_power_cut,
        every_sync_covers_all_writes_before_it,
        a_restart_keeps_everything,
        directory_operations_are_durable_when_they_return,
        a_full_medium_refuses_creation_and_nothing_else;
    naming:
        segments_are_listed_once_each,
        the_number_of_a_segment_may_be_any,
        an_existing_segment_is_not_made_again,
        a_leftover_of_a_creation_is_replaced,
        what_is_not_there_is_not_found,
        opening_changes_no_size,
        the_identity_is_kept;
    roles:
        a_role_changes_and_the_bytes_stay,
        the_roles_of_a_number_are_different_files,
        only_a_segment_of_the_log_is_written,
        a_taken_role_keeps_both_and_the_newer_answers,
        a_retired_number_can_be_made_again;
    sharing:
        handles_see_each_others_writes,
        an_open_handle_outlives_the_removal,
        an_open_handle_outlives_a_change_of_role,
        writers_and_readers_of_other_ranges_do_not_disturb_each_other,
        the_store_is_called_from_several_threads;
}

/// A size that every medium can hold and that is no multiple of a page.
const SIZE: u64 = (64 << 10) + 512;
const ID: SegmentId = SegmentId(7);

/// Bytes that differ from their neighbours and from zeros.
fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 250) as u8 ^ seed | 1).collect()
}

fn read<F: SegmentFile>(file: &F, offset: u64, length: usize) -> Vec<u8> {
    let mut buffer = vec![0xA5; length];
    file.read_at(offset, &mut buffer).expect("a read inside the segment");
    buffer
}

fn entries<S: SegmentStore>(store: &S) -> Vec<SegmentEntry> {
    let mut entries = Vec::new();
    store.list(&mut |entry| entries.push(entry)).expect("a list");
    entries.sort();
    entries
}

fn entry(id: SegmentId, kind: SegmentKind, size: u64) -> SegmentEntry {
    SegmentEntry { id, kind, size }
}

/// The error of a call that has to fail.
fn refused<T>(result: Result<T, IoError>) -> IoError {
    result.err().expect("a call that has to fail succeeded")
}

/// A log segment with `bytes` at its start, synced.
fn written<S: SegmentStore>(store: &S, id: SegmentId, bytes: &[u8]) -> S::File {
    let file = store.create(id, SIZE).expect("a creation");
    file.write_at(0, bytes).expect("a write");
    file.sync().expect("a sync");
    file
}
