use super::Backoff;
use unison_base::prng::Prng;

#[test]
fn delays_stay_within_bounds_spread_out_and_grow() {
    let mut firsts = 0_u64;
    let mut tenths = 0_u64;
    for seed in 0..1_000 {
        let mut prng = Prng::new(seed);
        let mut backoff = Backoff::new(200, 60_000);
        for attempt in 0..50 {
            let delay = backoff.next_ms(&mut prng);
            assert!((200..=60_000).contains(&delay), "{delay}");
            firsts += u64::from(attempt == 0) * delay;
            tenths += u64::from(attempt == 9) * delay;
        }
        backoff.reset();
        assert!(backoff.next_ms(&mut prng) <= 600);
    }
    assert!((350_000..450_000).contains(&firsts), "mean first delay {} us", firsts);
    assert!(tenths > 10 * firsts, "later delays are longer: {tenths} against {firsts}");
}

#[test]
fn strange_bounds_do_no_harm() {
    let mut prng = Prng::new(1);
    let mut backoff = Backoff::new(0, 0);
    assert!((0..100).all(|_| backoff.next_ms(&mut prng) == 1));
    let mut backoff = Backoff::new(u32::MAX, 0);
    assert_eq!(backoff.next_ms(&mut prng), u64::from(u32::MAX));
}
