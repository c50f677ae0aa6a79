//! Trouble with the disk: the node says so, and answers what it can.

use crate::reply::Reply;
use crate::world::{DISK_BYTES, World, boot_line};
use std::panic::{AssertUnwindSafe, catch_unwind};
use unison_bare::block::BlockDevice as _;
use unison_bare::edge::Event;
use unison_ports::IoError;
use unison_sim::blocks::CrashBlocks;
use unison_sim::disk::{Calls, Fault};

#[test]
fn a_node_without_a_disk_says_so() {
    let mut world = World::with_disk(None, &boot_line());
    world.wait_for(|event| matches!(event, Event::DiskMissing));
    let status = world.status();
    assert_eq!(status["disk"]["state"], "missing");
    assert_eq!(status["reasons"][0], "no disk; attach one and start again");
    let reply = world.ask("GET a");
    let said = "LOADING namespace default cannot be read: no disk; attach one and start again";
    assert_eq!(reply.text(), said);
    assert_eq!(world.ask("PING").text(), "PONG");
    assert_eq!(world.http("GET /health").0, "HTTP/1.1 200 OK");
    world.pass(60_000);
    assert_eq!(world.hub().followers(), 0);
}

#[test]
fn a_disk_of_something_else_is_left_alone() {
    let disk = CrashBlocks::new(DISK_BYTES);
    disk.write(0, &[0xEB; 512]).unwrap();
    disk.flush().unwrap();
    let before = disk.disk().counters();
    let mut world = World::with_disk(Some(disk), &boot_line());
    world.wait_for(|event| matches!(event, Event::DiskRefused { .. }));
    let status = world.status();
    assert_eq!(status["disk"]["state"], "refused");
    assert!(status["disk"]["reason"].as_str().unwrap().contains("not ours"), "{status:#}");
    world.pass(120_000);
    let after = world.disk.as_ref().unwrap().disk().counters();
    assert_eq!((before.writes, before.syncs), (after.writes, after.syncs));
}

#[test]
fn a_full_disk_is_named_with_what_to_do_and_reads_go_on() {
    let mut world = World::with_disk(Some(CrashBlocks::new(8 << 20)), &boot_line());
    let mut number = 0_u32;
    world.events.clear();
    while !world.has_told(|event| matches!(event, Event::DiskFull { .. })) {
        for _ in 0..50 {
            world.hub().put(format!("key:{number:06}").as_bytes(), &[7; 2_000]);
            number += 1;
        }
        world.pass(300);
        assert!(number < 20_000, "the disk is never full: {:#?}", world.events);
    }
    world.pass(200_000);
    let told = world.events.iter().filter(|event| matches!(event, Event::DiskFull { .. }));
    assert_eq!(told.count(), 1, "{:#?}", world.events);
    let status = world.status();
    assert_eq!(status["ready"], false);
    let reason = status["reasons"][0].as_str().unwrap();
    assert!(reason.contains("no space left") && reason.contains("attach a larger"), "{reason}");
    assert!(status["namespaces"][0]["diskFull"].is_string(), "{status:#}");
    assert_eq!(world.ask("GET key:000007"), Reply::Bulk(vec![7; 2_000]));
    let held = world.ask("DBSIZE");
    world.power_cut(unison_sim::disk::Cut::LOST, 1);
    world.pass(5_000);
    assert_eq!(world.ask("DBSIZE"), held);
}

#[test]
fn a_failed_sync_opens_the_namespace_anew() {
    let mut world = World::new();
    world.hub().put(b"before", b"1");
    world.catch_up();
    let fault = Fault::once(Calls::Syncs, 1, IoError::Device(5));
    world.disk.as_ref().unwrap().disk().inject(fault);
    world.hub().put(b"after", b"2");
    world.wait_for(|event| matches!(event, Event::NamespaceOpened { .. }));
    assert!(world.has_told(|event| matches!(event, Event::DiskFailed { .. })));
    world.catch_up();
    assert_eq!(world.ask("GET before"), Reply::Bulk(b"1".to_vec()));
    assert_eq!(world.ask("GET after"), Reply::Bulk(b"2".to_vec()));
    assert_eq!(world.status()["ready"], true);
}

fn world_with_records() -> World {
    let mut world = World::new();
    for number in 0..50_u32 {
        world.hub().put(&number.to_be_bytes(), &[1; 100]);
    }
    world.catch_up();
    world
}

#[test]
fn a_disk_that_takes_no_writes_for_a_while_is_tried_again() {
    let mut world = world_with_records();
    let disk = world.disk.as_ref().unwrap().disk().clone();
    disk.inject(Fault::for_ever(Calls::Writes, 1, IoError::Device(5)));
    world.hub().put(b"after", b"2");
    world.wait_for(|event| matches!(event, Event::CannotTake { .. }));
    world.pass(60_000);
    let told = world.events.iter().filter(|event| matches!(event, Event::CannotTake { .. }));
    assert_eq!(told.count(), 1, "{:#?}", world.events);
    assert_eq!(world.status()["ready"], false);
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(50), "reads go on");
    disk.heal();
    world.wait_for(|event| matches!(event, Event::TakesAgain { .. }));
    assert_eq!(world.ask("GET after"), Reply::Bulk(b"2".to_vec()));
}

#[test]
fn a_disk_that_keeps_nothing_for_a_while_is_opened_again_and_again() {
    let mut world = world_with_records();
    let disk = world.disk.as_ref().unwrap().disk().clone();
    disk.inject(Fault::for_ever(Calls::Syncs, 1, IoError::Device(5)));
    world.hub().put(b"after", b"2");
    world.wait_for(|event| matches!(event, Event::DiskFailed { .. }));
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(50), "reads go on until it is opened again");
    let status = world.status();
    assert_eq!((&status["ready"], &status["disk"]["state"]), (&false.into(), &"failed".into()));
    world.pass(60_000);
    let reply = world.ask("DBSIZE");
    assert!(reply.text().starts_with("LOADING namespace default cannot be read: "), "{reply:?}");
    let told = world.events.iter().filter(|event| matches!(event, Event::DiskFailed { .. }));
    assert_eq!(told.count(), 1, "{:#?}", world.events);
    disk.heal();
    world.wait_for(|event| matches!(event, Event::UpToDate { .. }));
    assert_eq!(world.ask("GET after"), Reply::Bulk(b"2".to_vec()));
    assert_eq!(world.status()["ready"], true);
}

/// Keys that make the tree grow faster than the log.
fn long_key(number: u32) -> Vec<u8> {
    let mut key = number.wrapping_mul(0x9E37_79B9).to_be_bytes().to_vec();
    key.extend([b'k'; 1_500]);
    key
}

#[test]
fn a_tree_without_room_is_named_and_nothing_is_lost() {
    let mut world = World::with_disk(Some(CrashBlocks::new(16 << 20)), &boot_line());
    let mut number = 0_u32;
    world.events.clear();
    while !world.has_told(|event| matches!(event, Event::TreeFull { .. })) {
        for _ in 0..50 {
            world.hub().put(&long_key(number), b"v");
            number += 1;
        }
        world.pass(300);
        let full = world.has_told(|event| matches!(event, Event::DiskFull { .. }));
        assert!(!full && number < 20_000, "the log is full first: {:#?}", world.events);
    }
    world.pass(100_000);
    let told = world.events.iter().filter(|event| matches!(event, Event::TreeFull { .. }));
    assert_eq!(told.count(), 1, "{:#?}", world.events);
    let failed = world.has_told(|event| matches!(event, Event::NamespaceFailed { .. }));
    assert!(!failed, "{:#?}", world.events);
    let status = world.status();
    assert_eq!(status["ready"], false);
    let applied = status["namespaces"][0]["applied"].as_u64().unwrap();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(applied as i64));
    world.power_cut(unison_sim::disk::Cut::LOST, 1);
    world.pass(20_000);
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(applied as i64));
    let held: i64 = applied as i64;
    assert!(held > 1_000, "{held}");
}

/// Where the tree is, sectors are worn out; the log goes on.
#[test]
fn a_flush_that_fails_again_and_again_is_tried_after_pauses() {
    let mut world = world_with_records();
    let disk = std::sync::Arc::clone(world.disk.as_ref().unwrap());
    let tree = tree_begins(&disk);
    disk.wear_out(tree..disk.sectors());
    world.events.clear();
    for number in 0..1_500_u32 {
        world.hub().put(&number.to_be_bytes(), &[1; 100]);
        world.pass(if number % 100 == 0 { 100 } else { 1 });
    }
    world.pass(600_000);
    let count = |world: &World, wanted: fn(&Event) -> bool| {
        world.events.iter().filter(|event| wanted(event)).count()
    };
    let failed = count(&world, |event| matches!(event, Event::FlushFailed { .. }));
    assert_eq!(failed, 1, "{:#?}", world.events);
    let opened = count(&world, |event| matches!(event, Event::NamespaceOpened { .. }));
    assert!(opened < 20, "opened {opened} times");
    disk.wear_out(0..0);
    world.pass(61_000);
    world.catch_up();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(1_500));
    assert_eq!(world.status()["ready"], true);
}

#[test]
fn a_damaged_tree_is_made_anew_from_the_log() {
    let mut world = World::new();
    for number in 0..3_000_u32 {
        world.hub().put(&number.to_be_bytes(), &[1; 100]);
    }
    world.catch_up();
    assert!(world.status()["namespaces"][0]["flushes"].as_u64().unwrap() > 0);
    world.node = None;
    let disk = world.disk.take().unwrap().copy();
    spoil_tree(&disk);
    world.disk = Some(std::sync::Arc::new(disk));
    world.boot();
    world.wait_for(|event| matches!(event, Event::TreeMadeAnew { .. }));
    world.catch_up();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(3_000));
    assert_eq!(world.status()["ready"], true);
}

/// redb panics at some damage, at every start: a board that counts its panics gets out of that.
#[test]
fn a_tree_that_every_run_panics_at_is_made_anew() {
    let mut world = World::new();
    for number in 0..3_000_u32 {
        world.hub().put(&number.to_be_bytes(), &[1; 100]);
    }
    world.catch_up();
    world.node = None;
    let disk = world.disk.take().unwrap().copy();
    spoil_pages(&disk);
    for panics in 0..=3 {
        world.disk = Some(std::sync::Arc::new(disk.copy()));
        world.board.panics.set(panics);
        world.events.clear();
        let boot = || {
            world.boot();
            world.catch_up();
        };
        let ended = catch_unwind(AssertUnwindSafe(boot)).is_err();
        assert_eq!(ended, panics < 3, "after {panics} panics");
    }
    assert!(world.has_told(|event| matches!(event, Event::TreeMadeAnew { .. })));
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(3_000));
    assert_eq!(world.status()["ready"], true);
}

#[test]
fn a_bit_that_flipped_in_the_log_is_told_and_fetched_again() {
    let unflushed = boot_line().replace("memtable=64KiB", "memtable=4MiB");
    let mut world = World::with_disk(Some(CrashBlocks::new(DISK_BYTES)), &unflushed);
    for number in 0..1_000_u32 {
        let key = format!("key:{number:05}");
        world.hub().put(key.as_bytes(), &[7; 300]);
    }
    world.catch_up();
    world.node = None;
    let disk = world.disk.take().unwrap().copy();
    flip_in(&disk, b"key:00010");
    world.disk = Some(std::sync::Arc::new(disk));
    world.boot();
    world.wait_for(|event| matches!(event, Event::DamageFound { segments: 1.., .. }));
    world.catch_up();
    assert_eq!(world.ask("DBSIZE"), Reply::Integer(1_000));
    assert_eq!(world.ask("GET key:00010"), Reply::Bulk(vec![7; 300]));
    let status = world.status();
    assert!(status["namespaces"][0]["recovery"]["rotSegments"].as_u64() >= Some(1), "{status:#}");
    assert_eq!(status["ready"], true);
}

/// Flips a bit of every sector of the disk that holds `text`.
fn flip_in(disk: &CrashBlocks, text: &[u8]) {
    let mut sector = [0; 512];
    let mut flipped = 0;
    for number in 0..disk.sectors() {
        disk.read(number, &mut sector).unwrap();
        if let Some(at) = sector.windows(text.len()).position(|window| window == text) {
            sector[at] ^= 1;
            disk.write(number, &sector).unwrap();
            flipped += 1;
        }
    }
    disk.flush().unwrap();
    assert!(flipped > 0, "the disk does not hold {text:?}");
}

/// Overwrites what begins like a tree's file, wherever it is.
fn spoil_tree(disk: &CrashBlocks) {
    disk.write(tree_begins(disk), &[0xA5; 512]).unwrap();
    disk.flush().unwrap();
}

/// Overwrites a tree's pages, but for the first, which says where the others are.
fn spoil_pages(disk: &CrashBlocks) {
    let first = tree_begins(disk) + 8;
    disk.write(first, &vec![0xA5; 1 << 20]).unwrap();
    disk.flush().unwrap();
}

/// The first sector of a tree's file.
fn tree_begins(disk: &CrashBlocks) -> u64 {
    let mut sector = [0; 512];
    let begins = |&number: &u64| {
        disk.read(number, &mut sector).unwrap();
        sector.starts_with(b"redb")
    };
    (0..disk.sectors()).find(begins).expect("a tree on the disk")
}
