//! Memory that runs short: what it would not hold is refused, by name, and taken when there is room.

use crate::reply::Reply;
use crate::world::{World, boot_line};
use unison_bare::board::HeapFigures;
use unison_bare::edge::Event;
use unison_engine::{ApplyError, ColumnValues, Operation, Write};
use unison_node::ReplicaError;
use unison_sim::blocks::CrashBlocks;

const BUDGET: usize = 24 << 20;

fn used(bytes: usize) -> HeapFigures {
    HeapFigures { used: bytes, peak: bytes, budget: BUDGET }
}

/// Columns whose keys take some 400 KiB of the index.
fn put_wide_row(world: &mut World, row: u8) {
    let names: Vec<_> = (0..400).map(|number| format!("{number:03}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), &b"v"[..])).collect();
    let row = [row; 900];
    let rows = [ColumnValues { row: &row, columns: &columns }];
    world.hub().write(&Write::new(Operation::PutColumns(&rows)));
}

fn is_out_of_memory(event: &Event) -> bool {
    let Event::CannotTake { error, .. } = event else { return false };
    matches!(error, ReplicaError::Apply(ApplyError::Memory { .. }))
}

#[test]
fn a_record_that_memory_does_not_hold_waits_until_it_does() {
    let mut world = World::new();
    world.hub().put(b"key", b"value");
    world.catch_up();
    world.board.heap.set(used(BUDGET - BUDGET / 5 - (512 << 10)));
    put_wide_row(&mut world, b'r');
    world.wait_for(is_out_of_memory);
    world.pass(60_000);
    assert_eq!(world.events.iter().filter(|event| is_out_of_memory(event)).count(), 1);
    let status = world.status();
    let reason = status["reasons"][0].as_str().unwrap();
    assert!(reason.contains("bytes of memory, and there is room for"), "{reason}");
    assert_eq!(world.ask("GET key"), Reply::Bulk(b"value".to_vec()), "reads go on");
    world.board.heap.set(used(BUDGET / 2));
    world.wait_for(|event| matches!(event, Event::TakesAgain { .. }));
    world.catch_up();
    let row = "r".repeat(900);
    assert_eq!(world.ask(&format!("HLEN {row}")), Reply::Integer(400));
}

#[test]
fn a_run_that_memory_holds_in_parts_only_is_taken_with_flushes_between_them() {
    let mut world = World::with_disk(Some(CrashBlocks::new(64 << 20)), &boot_line());
    // Room for two of these rows at a time.
    world.board.heap.set(used(BUDGET - BUDGET / 5 - (9 << 18)));
    for row in b'a'..=b'z' {
        put_wide_row(&mut world, row);
    }
    world.flushes_of_a_poll = Some(0);
    world.catch_up();
    assert!(!world.has_told(is_out_of_memory), "{:#?}", world.events);
    // One to take more of a run, and the one that is due then: callers have their turn in between.
    assert!(world.flushes_of_a_poll <= Some(2), "{:?} at a time", world.flushes_of_a_poll);
    let status = world.status();
    assert!(status["namespaces"][0]["flushes"].as_u64() >= Some(13), "{status:#}");
    for row in b'a'..=b'z' {
        let row = String::from_utf8(vec![row; 900]).unwrap();
        assert_eq!(world.ask(&format!("HLEN {row}")), Reply::Integer(400));
    }
}

#[test]
fn a_tree_without_room_for_wide_rows_keeps_them_in_memory() {
    let mut world = World::new();
    for row in b'a'..=b'z' {
        put_wide_row(&mut world, row);
    }
    world.wait_for(|event| matches!(event, Event::TreeFull { .. }));
    world.pass(30_000);
    let failed = world.has_told(|event| matches!(event, Event::NamespaceFailed { .. }));
    assert!(!failed, "{:#?}", world.events);
    let applied = world.status()["namespaces"][0]["applied"].as_u64().unwrap() as u8;
    assert!(applied > 1, "{applied}");
    let newest = String::from_utf8(vec![b'a' + applied - 1; 900]).unwrap();
    assert_eq!(world.ask(&format!("HLEN {newest}")), Reply::Integer(400));
}
