//! Names, keys, tries and walks, each against the plain definition of what a filter finds.

use super::key::{self, KeyKind, MessagePosition};
use super::name::{TopicError, TopicFilter, check_topic, topic_from_dotted};
use super::number;
use super::trie::{TopicMemo, TopicTrie};
use super::walk::{Next, Walk};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use unison_base::Lsn;
use unison_base::prng::Prng;

/// The definition, level by level.
fn finds(filter: &[&str], topic: &[&str], first: bool) -> bool {
    match (filter, topic) {
        (["#"], _) if !first || !topic[0].starts_with('$') => true,
        ([], []) => true,
        (["+", filter @ ..], [level, topic @ ..]) if !first || !level.starts_with('$') => {
            finds(filter, topic, false)
        }
        ([one, filter @ ..], [level, topic @ ..]) if one == level => finds(filter, topic, false),
        _ => false,
    }
}

fn oracle(filter: &str, topic: &str) -> bool {
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    finds(&filter, &topic, true)
}

const LITERALS: [&str; 6] = ["a", "b", "ab", "", "$s", "\u{1}é"];

/// All names of up to three levels.
fn all_topics() -> Vec<String> {
    let mut topics: Vec<String> = LITERALS.map(String::from).to_vec();
    let mut longest = topics.clone();
    for _ in 0..2 {
        longest = longest
            .iter()
            .flat_map(|begin| LITERALS.map(|level| format!("{begin}/{level}")))
            .collect();
        topics.extend(longest.iter().cloned());
    }
    topics.retain(|topic| !topic.is_empty());
    topics
}

fn any_filter(prng: &mut Prng) -> TopicFilter {
    let count = prng.between(1, 4);
    let mut levels: Vec<&str> = Vec::new();
    for _ in 0..count {
        let pick = usize::try_from(prng.below(9)).unwrap();
        levels.push(LITERALS.get(pick).copied().unwrap_or("+"));
    }
    if prng.chance(30) {
        levels.push("#");
    }
    if prng.chance(5) {
        levels = vec!["#"];
    }
    TopicFilter::new(&levels.join("/")).unwrap_or_else(|_| TopicFilter::new("a").unwrap())
}

#[test]
fn filters_find_what_the_definition_says() {
    let (topics, mut prng) = (all_topics(), Prng::new(1));
    for _ in 0..400 {
        let filter = any_filter(&mut prng);
        for topic in &topics {
            assert_eq!(filter.matches(topic), oracle(filter.as_str(), topic), "{filter:?} {topic}");
        }
        assert_eq!(filter.is_topic(), check_topic(filter.as_str()).is_ok());
    }
}

#[test]
fn filters_overlap_when_some_topic_is_found_by_both() {
    let (topics, mut prng) = (all_topics(), Prng::new(2));
    let mut both = 0;
    for _ in 0..3_000 {
        let (one, other) = (any_filter(&mut prng), any_filter(&mut prng));
        // Both find the name without a character, which no topic has.
        let nameless = [&one, &other].iter().any(|filter| filter.as_str() == "/#");
        if nameless || one.levels().count().max(other.levels().count()) > 3 {
            continue;
        }
        let expected =
            topics.iter().any(|topic| oracle(one.as_str(), topic) && oracle(other.as_str(), topic));
        assert_eq!(one.overlaps(&other), expected, "{one:?} {other:?}");
        assert_eq!(other.overlaps(&one), expected, "{one:?} {other:?}");
        both += u32::from(expected);
    }
    assert!(both > 300, "{both}");
}

/// Of the universe of topics a filter may find all that a pattern finds by chance, never the other way
/// round; and one that finds a level which no name has is not there by chance.
#[test]
fn a_filter_covers_another_one_when_it_finds_all_of_its_topics() {
    let (topics, mut prng) = (all_topics(), Prng::new(4));
    let mut covered = 0;
    for _ in 0..3_000 {
        let (one, other) = (any_filter(&mut prng), any_filter(&mut prng));
        let mut found = topics.iter().filter(|topic| oracle(other.as_str(), topic));
        let all = found.all(|topic| oracle(one.as_str(), topic));
        if one.covers(&other) {
            assert!(all, "{one:?} {other:?}");
            covered += 1;
        }
        assert!(one.covers(&one) && (!one.is_topic() || !one.covers(&other) || one == other));
    }
    assert!(covered > 100, "{covered}");
    let filter = |text| TopicFilter::new(text).unwrap();
    for (one, other, covers) in [
        ("#", "a/b", true),
        ("#", "$s/#", false),
        ("a/#", "a", true),
        ("a/#", "a/+/#", true),
        ("a/+", "a/#", false),
        ("a/+", "a/+", true),
        ("+/b", "a/b", true),
        ("a/b", "a/+", false),
        ("a/b/#", "a/#", false),
    ] {
        assert_eq!(filter(one).covers(&filter(other)), covers, "{one} {other}");
    }
}

#[test]
fn a_trie_finds_what_its_filters_find() {
    let (topics, mut prng) = (all_topics(), Prng::new(3));
    let (mut trie, mut filters) = (TopicTrie::default(), Vec::new());
    let mut memo = TopicMemo::new(50);
    for round in 0..1_500_u64 {
        if filters.len() > 40 || prng.chance(30) && !filters.is_empty() {
            let at = usize::try_from(prng.below(filters.len() as u64)).unwrap();
            let (filter, value): (TopicFilter, u64) = filters.swap_remove(at);
            assert!(trie.remove(&filter, &value) && !trie.remove(&filter, &value));
        } else {
            let filter = any_filter(&mut prng);
            trie.insert(&filter, round);
            filters.push((filter, round));
        }
        assert_eq!(trie.len(), filters.len());
        let at = usize::try_from(prng.below(topics.len() as u64)).unwrap();
        let (topic, asked) = (&topics[at], any_filter(&mut prng));
        let expected: BTreeSet<u64> = filters
            .iter()
            .filter(|(filter, _)| oracle(filter.as_str(), topic))
            .map(|(_, value)| *value)
            .collect();
        let mut found = Vec::new();
        trie.matching(topic, |value| found.push(*value));
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{topic}");
        let remembered = memo.matching(&trie, at as u64, || topic);
        assert_eq!(remembered.iter().copied().collect::<BTreeSet<_>>(), expected, "{topic}");
        let expected: BTreeSet<u64> = filters
            .iter()
            .filter(|(filter, _)| filter.overlaps(&asked))
            .map(|(_, value)| *value)
            .collect();
        let mut found = BTreeSet::new();
        trie.overlapping(&asked, |value| assert!(found.insert(*value)));
        assert_eq!(found, expected, "{asked:?}");
    }
}

#[test]
fn an_emptied_trie_holds_no_nodes() {
    let mut trie = TopicTrie::default();
    let filters = ["a/+/b", "a/#", "#", "+", "a/+/c"].map(|text| TopicFilter::new(text).unwrap());
    filters.iter().for_each(|filter| trie.insert(filter, 1));
    assert!(filters.iter().all(|filter| trie.remove(filter, &1)) && trie.is_empty());
    assert_eq!(format!("{trie:?}").matches("Node").count(), 1);
}

/// All names that a walk takes, with the number of keys that it looked at.
fn walked(filter: &TopicFilter, keys: &BTreeMap<Vec<u8>, String>) -> (Vec<String>, usize) {
    let walk = Walk::new(KeyKind::Name, filter);
    let (mut taken, mut looks) = (Vec::new(), 0);
    let mut from = walk.prefix();
    while let Some((key, name)) = keys.range(from.clone()..walk.end()).next() {
        looks += 1;
        let (matched, next) = walk.look(key);
        taken.extend(matched.then(|| name.clone()));
        from = match next {
            Next::Following => [key, &[0][..]].concat(),
            Next::From(seek) => {
                assert!(seek > *key, "{filter:?} goes back from {name}");
                seek
            }
            Next::End => break,
        };
    }
    (taken, looks)
}

#[test]
fn a_walk_takes_every_name_once_and_in_order() {
    let mut prng = Prng::new(4);
    for _ in 0..300 {
        let names = all_topics().into_iter().filter(|_| prng.chance(60));
        let keys: BTreeMap<_, _> =
            names.map(|name| (key::name(KeyKind::Name, &name), name)).collect();
        for _ in 0..20 {
            let filter = any_filter(&mut prng);
            let found = |name: &&String| oracle(filter.as_str(), name);
            let expected: Vec<String> = keys.values().filter(found).cloned().collect();
            assert_eq!(walked(&filter, &keys).0, expected, "{filter:?}");
        }
    }
}

#[test]
fn a_walk_passes_over_what_is_below_a_level() {
    let mut keys = BTreeMap::new();
    for (room, sensor) in (0..50).flat_map(|room| (0..100).map(move |sensor| (room, sensor))) {
        let name = format!("room{room}/sensor{sensor}");
        keys.insert(key::name(KeyKind::Name, &name), name);
    }
    let (taken, looks) = walked(&TopicFilter::new("+/sensor7").unwrap(), &keys);
    assert_eq!(taken.len(), 50);
    assert!(looks <= 101, "{looks}");
}

#[test]
fn keys_sort_as_numbers_and_times_do_and_come_back() {
    let mut prng = Prng::new(5);
    let mut numbers: Vec<u64> = (0..2_000).map(|_| prng.next_u64() >> prng.below(64)).collect();
    numbers.extend([0, 1, 255, 256, u64::MAX]);
    numbers.sort_unstable();
    let encoded = |number: u64| {
        let mut bytes = Vec::new();
        number::put(&mut bytes, number);
        assert!(bytes.len() <= number::NUMBER_BYTES_MAX);
        assert_eq!(number::take(&[&bytes, &b"rest"[..]].concat()), Some((number, &b"rest"[..])));
        bytes
    };
    assert!(numbers.iter().map(|number| encoded(*number)).is_sorted());
    assert_eq!(number::take(&[2, 0, 1]), None);
    assert_eq!(number::take(&[9, 1, 1, 1, 1, 1, 1, 1, 1, 1]), None);

    let mut messages: Vec<(u64, MessagePosition)> = (0..2_000)
        .map(|_| {
            let time_ms = prng.below(3) << prng.below(47);
            let lsn = Lsn(prng.below(70_000));
            (prng.below(300), MessagePosition { time_ms, lsn, index: u32::from(prng.chance(50)) })
        })
        .collect();
    messages.sort_unstable();
    let keys: Vec<Vec<u8>> = messages.iter().map(|(id, at)| key::message(*id, at)).collect();
    assert!(keys.is_sorted());
    for (key, (id, at)) in keys.iter().zip(&messages) {
        assert_eq!(key::message_of(key), Some((*id, *at)));
        assert!(key.len() <= key::FIXED_KEY_MAX && key.starts_with(&key::stream(*id)));
        assert!(*key >= key::from_record(*id, at.time_ms, at.lsn));
        assert!(*key >= key::from_time(*id, at.time_ms) && *key > key::stream(*id));
    }
}

#[test]
fn texts_that_are_no_topics_are_refused() {
    use TopicError as E;
    let topic = |text: &str| check_topic(text).err();
    assert_eq!(topic(""), Some(E::Length { bytes: 0, limit: 4_096 }));
    assert_eq!(topic(&"a".repeat(4_097)), Some(E::Length { bytes: 4_097, limit: 4_096 }));
    assert_eq!(topic(&"a".repeat(4_096)), None);
    assert_eq!(topic(&["a"; 64].join("/")), None);
    assert_eq!(topic(&["a"; 65].join("/")), Some(E::Levels { levels: 65, limit: 64 }));
    assert_eq!(topic("a/\0"), Some(E::Zero));
    assert_eq!(topic("a/+"), Some(E::Wildcard));
    assert!(["/", "a//b", "$SYS/x", "Ä/ö", "a.b*c"].iter().all(|text| check_topic(text).is_ok()));
    for text in ["a+/b", "#/a", "a/#/b", "a#", "++", "+#"] {
        assert_eq!(TopicFilter::new(text).err(), Some(E::WildcardPlace), "{text}");
    }
    assert!(["#", "+", "+/+", "a/+/b", "+/#"].iter().all(|text| TopicFilter::new(text).is_ok()));
}

#[test]
fn the_dotted_way_of_writing_is_read() {
    let slashed = |text| TopicFilter::from_dotted(text).map(|filter| filter.as_str().into());
    for (dotted, expected) in [
        ("a.b", "a/b"),
        ("a.*.b", "a/+/b"),
        ("a...", "a/#"),
        ("...", "#"),
        ("*...", "+/#"),
        ("a..b", "a//b"),
        ("....", "//#"),
        (".", "/"),
        ("a....", "a//#"),
    ] {
        assert_eq!(slashed(dotted), Ok::<String, _>(expected.into()), "{dotted}");
    }
    assert_eq!(slashed("a/b"), Err(TopicError::Dotted));
    // What is not at the end must not be read as "all topics".
    for text in ["a.b*", "...a...", "a...b", "...a", "......", "a*..."] {
        assert_eq!(slashed(text), Err(TopicError::WildcardPlace), "{text}");
    }
    assert_eq!(topic_from_dotted("a.b"), Ok("a/b".into()));
    assert_eq!(topic_from_dotted("a.#"), Err(TopicError::Dotted));
    for name in ["a.*", "*", "a...", "a*b"] {
        assert_eq!(topic_from_dotted(name), Err(TopicError::DottedWildcard), "{name}");
    }
}

#[test]
fn keys_are_those_of_the_page() {
    let page = include_str!("../../../../../schemas/tree.md");
    let at = MessagePosition { time_ms: 1_700_000_000_000, lsn: Lsn(258), index: 1 };
    let keys = [
        key::name(KeyKind::Name, "a/b"),
        key::name(KeyKind::Text, "a/+"),
        key::by_id(KeyKind::Topic, 300),
        key::by_id(KeyKind::Pattern, 301),
        key::message(300, &at),
        key::by_id(KeyKind::Retained, 300),
    ];
    for key in keys {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(page.contains(&format!("`{hex}`")), "{hex}");
    }
}
