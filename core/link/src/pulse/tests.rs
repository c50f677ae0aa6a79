use super::{Pulse, Timing};
use crate::messages::{Beat, Echo};
use unison_base::Hlc;

fn beat(time_ms: u64, echo: Option<Echo>, interval_ms: u32) -> Beat {
    Beat { time_ms, echo, hlc: Hlc(0), interval_ms }
}

fn greeted() -> Pulse {
    let mut pulse = Pulse::new(Timing::default(), 1_000);
    pulse.greeted(5_000, 1_000);
    pulse.beat_heard(&beat(1, Some(Echo { time_ms: 1_000, held_ms: 0 }), 5_000), 1_000);
    pulse
}

#[test]
fn silence_of_three_intervals_is_death() {
    let mut pulse = greeted();
    pulse.heard(2_000);
    assert!(!pulse.is_dead(16_999));
    assert!(pulse.is_dead(17_000));
}

#[test]
fn the_longer_interval_of_both_counts_up_to_a_bound() {
    let mut pulse = greeted();
    pulse.beat_heard(&beat(1, None, 8_000), 2_000);
    pulse.heard(2_000);
    assert!(!pulse.is_dead(25_999));
    assert!(pulse.is_dead(26_000));
    pulse.beat_heard(&beat(1, None, u32::MAX), 2_000);
    assert!(pulse.is_dead(182_000));
}

#[test]
fn the_round_trip_leaves_out_what_the_peer_held_and_stretches_the_interval() {
    let mut pulse = greeted();
    assert_eq!(pulse.interval_ms(), 5_000);
    let echo = Echo { time_ms: 10_000, held_ms: 500 };
    pulse.beat_heard(&beat(1, Some(echo), 5_000), 42_500);
    assert_eq!(pulse.rtt_ms(), Some(4_000));
    assert_eq!(pulse.interval_ms(), 8_000);
    let hostile = Echo { time_ms: 0, held_ms: 0 };
    for now_ms in (20_000..60_000_000).step_by(100_000) {
        pulse.beat_heard(&beat(1, Some(hostile), 5_000), now_ms);
    }
    assert!(pulse.interval_ms() <= 60_000);
}

#[test]
fn a_word_is_as_old_as_what_it_answers() {
    let mut pulse = greeted();
    let echo = Echo { time_ms: 10_000, held_ms: 500 };
    pulse.beat_heard(&beat(1, Some(echo), 5_000), 42_500);
    assert_eq!(pulse.word_ms(), 10_500);
    pulse.beat_heard(&beat(2, Some(Echo { time_ms: 9_000, held_ms: 0 }), 5_000), 43_000);
    pulse.beat_heard(&beat(3, None, 5_000), 44_000);
    assert_eq!(pulse.word_ms(), 10_500);
    let hostile = Echo { time_ms: u64::MAX, held_ms: u32::MAX };
    pulse.beat_heard(&beat(4, Some(hostile), 60_000), 45_000);
    assert_eq!((pulse.word_ms(), pulse.word_holds_ms()), (45_000, 15_000));
}

#[test]
fn a_stall_is_forgotten_within_a_few_beats() {
    let mut pulse = greeted();
    for late_ms in [60_000; 12] {
        let echo = Echo { time_ms: 100_000 - late_ms, held_ms: 0 };
        pulse.beat_heard(&beat(1, Some(echo), 5_000), 100_000);
    }
    assert!(pulse.interval_ms() > 50_000);
    for _ in 0..4 {
        let echo = Echo { time_ms: 100_000, held_ms: 0 };
        pulse.beat_heard(&beat(1, Some(echo), 5_000), 100_010);
    }
    assert!(pulse.interval_ms() < 7_000, "{}", pulse.interval_ms());
}

#[test]
fn a_message_that_never_ends_is_noticed() {
    let mut pulse = greeted();
    pulse.message_open(500, 1_000);
    pulse.message_open(1_000, 2_000);
    pulse.heard(17_000);
    assert!(!pulse.is_stalled(17_999));
    assert!(pulse.is_stalled(18_000));
    pulse.message_done();
    assert!(!pulse.is_stalled(18_000));
}

#[test]
fn patience_is_longer_until_the_round_trip_is_known() {
    let mut pulse = Pulse::new(Timing { beat_ms: 200, ..Timing::default() }, 1_000);
    pulse.greeted(200, 1_000);
    assert!(!pulse.is_dead(20_999));
    assert!(pulse.is_dead(21_000));
}

#[test]
fn a_handshake_has_its_own_time() {
    let pulse = Pulse::new(Timing::default(), 1_000);
    assert!(!pulse.beat_due(1_000_000));
    assert!(!pulse.is_dead(20_999));
    assert!(pulse.is_dead(21_000));
    assert_eq!(pulse.deadline_ms(), 21_000);
}
