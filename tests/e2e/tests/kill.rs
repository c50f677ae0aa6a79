//! SIGKILL on a process that writes to real files: whatever it acknowledged is found by the next
//! one, without holes, and nothing is found that was never written.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use unison_base::prng::Prng;
use unison_e2e::process::Chatty;

const KILLS: u32 = 1_000;
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

#[test]
fn a_thousand_kills_lose_nothing_acknowledged() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |text| text.parse().expect("a number"));
    let dir = tempfile::tempdir().unwrap();
    let mut prng = Prng::new(2_026);
    let mut acknowledged = Counts::new();
    let mut total_found = 0;
    for round in 0..kills {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kill-writer"));
        command.arg(dir.path());
        let mut writer = Chatty::start(command);
        let mut found = Counts::new();
        loop {
            let line = writer.line().unwrap_or_else(|| panic!("round {round}: it ended by itself"));
            if line == "ready" {
                break;
            }
            assert!(note(&line, "found", &mut found), "round {round}: it said {line:?}");
        }
        for (thread, &acked) in &acknowledged {
            let held = found.get(thread).copied().unwrap_or(0);
            // One write per thread may be durable without its acknowledgement having been read.
            assert!(
                held == acked || held == acked + 1,
                "round {round}: thread {thread} had {acked} acknowledged, {held} found"
            );
        }
        total_found = found.values().sum();
        acknowledged = found;
        std::thread::sleep(Duration::from_micros(prng.below(25_000)));
        for line in writer.kill() {
            let known = note(&line, "acked", &mut acknowledged);
            assert!(known, "round {round}: it said {line:?}");
        }
    }
    println!("{kills} kills, {total_found} records found, 0 acknowledged ones lost, 0 holes");
    assert!(total_found > u64::from(kills), "too few writes between the kills to mean anything");
}
