//! Row 14, in a size that fits the memory of a test: 1 GB over 64 kbit/s would be 36 hours of
//! simulated time and several gigabytes here; 12 MiB are 26 minutes. The line is cut every 3 MB
//! instead of every few hours, which is the harder case for what is sent twice.

use unison_sim::fleet;

const LOG_BYTES: u64 = 12 << 20;
const CUTS: u64 = 4;

#[test]
fn a_month_away_and_a_slow_line_cost_hardly_a_byte_twice() {
    let back = fleet::long_absence(14, LOG_BYTES, CUTS).unwrap_or_else(|breach| panic!("{breach}"));
    let twice = back.sent_bytes.saturating_sub(back.log_bytes);
    let percent = twice as f64 * 100.0 / back.log_bytes as f64;
    println!("{back:?}: {percent:.2} % beside the log");
    assert!(back.connections > CUTS, "{back:?}");
    assert!(percent <= 1.0, "{back:?}: {percent:.2} %");
    // The line is what it takes, and not the pauses between attempts.
    assert!(back.took_ms < back.log_bytes / 8 * 12 / 10 + 120_000, "{back:?}");
}
