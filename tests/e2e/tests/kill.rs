//! SIGKILL on a process that writes to real files: whatever it acknowledged is found by the next
//! one, without holes, and nothing is found that was never written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use unison_base::prng::Prng;
use unison_e2e::node::command;
use unison_e2e::process::Chatty;

const KILLS: u32 = 1_000;
/// Kills on one directory, before a fresh one: every start reads back all that is there.
const KILLS_A_DIRECTORY: u32 = 50;
/// Long runs are for machines with time; set the number of kills here.
const KILLS_VARIABLE: &str = "UNISON_TEST_KILLS";

type Counts = BTreeMap<u64, u64>;

fn note(line: &str, word: &str, counts: &mut Counts) -> bool {
    let mut parts = line.split(' ');
    if parts.next() != Some(word) {
        return false;
    }
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).expect("a number");
    let (thread, count) = (number(), number());
    counts.insert(thread, count);
    true
}

/// Starts a writer on `dir`, which must find what was acknowledged, and kills it.
fn round(dir: &Path, acknowledged: &mut Counts, alive: Duration) -> u64 {
    let mut command = command("kill-writer");
    command.arg(dir);
    let mut writer = Chatty::start(command);
    let mut found = Counts::new();
    loop {
        let line = writer.line().expect("it does not end by itself");
        if line == "ready" {
            break;
        }
        assert!(note(&line, "found", &mut found), "it said {line:?}");
    }
    for (thread, &acked) in acknowledged.iter() {
        let held = found.get(thread).copied().unwrap_or(0);
        // One write per thread may be durable without its acknowledgement having been read.
        assert!(
            held == acked || held == acked + 1,
            "thread {thread} had {acked} acknowledged, {held} found"
        );
    }
    let total = found.values().sum();
    *acknowledged = found;
    std::thread::sleep(alive);
    for line in writer.kill() {
        assert!(note(&line, "acked", acknowledged), "it said {line:?}");
    }
    total
}

#[test]
fn a_thousand_kills_lose_nothing_acknowledged() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |text| text.parse().expect("a number"));
    let mut prng = Prng::new(2_026);
    let mut found = 0;
    for first in (0..kills).step_by(KILLS_A_DIRECTORY as usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut acknowledged = Counts::new();
        let mut last = 0;
        for _ in first..kills.min(first + KILLS_A_DIRECTORY) {
            let alive = Duration::from_micros(prng.below(25_000));
            last = round(dir.path(), &mut acknowledged, alive);
        }
        found += last;
    }
    println!("{kills} kills, {found} records found, 0 acknowledged ones lost, 0 holes");
    assert!(found > u64::from(kills), "too few writes between the kills to mean anything");
}
