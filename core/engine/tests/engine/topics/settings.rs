//! Settings of topics: what the model makes of them, and cases by hand.

use super::model::{Known, Model, Moment};
use super::{filter, message, payloads, publish, publish_pattern, retained, trim, write};
use crate::fixture::{self, NOW_MS, Sim, commit, flush, follower_options, new, options};
use crate::follow::fetch;
use redb::StorageBackend;
use unison_base::Lsn;
use unison_base::limits::{KEEP_LAST_MAX, TOPIC_RULES_BYTES_MAX, TOPIC_RULES_MAX};
use unison_engine::{
    EngineOptions, FOREVER, KEEP_ALL, Message, MessageId, MessageLimits, MessageRequest,
    NewMessage, Operation, ReadError, Reader, SettingsError, TopicFilter, TopicRule, TopicSettings,
    Write, WriteError,
};
use unison_ports::IoError;
use unison_sim::disk::{Calls, CrashDisk, Fault, SimStore};
use unison_walfs::LogRole;

impl Model {
    /// What held at `lsn`.
    fn settings(&self, lsn: Lsn) -> TopicSettings {
        let known = self.settings.iter().rev().find(|(set, _)| *set <= lsn);
        known.map(|(_, settings)| settings.clone()).unwrap_or_default()
    }

    /// How long a message lives that is published now without a word about it.
    pub(crate) fn ttl_ms(&self, topic: &str, is_pattern: bool) -> Option<u64> {
        let settings = self.settings(Lsn::MAX);
        let ruled = closest(&settings, topic, is_pattern, |rule| rule.ttl_ms);
        ruled.or(settings.ttl_ms).filter(|ttl_ms| *ttl_ms != FOREVER)
    }

    fn keep_last(&self, known: &Known, lsn: Lsn) -> Option<usize> {
        let (topic, is_pattern) = (&known.shown.topic, known.shown.is_pattern);
        let kept = closest(&self.settings(lsn), topic, is_pattern, |rule| rule.keep_last);
        kept.filter(|count| *count != KEEP_ALL).map(|count| count as usize)
    }

    /// What is there and among the newest that its topic keeps.
    pub(crate) fn visible(&self, at: Moment) -> Vec<&Known> {
        let there: Vec<&Known> = self.there(at).collect();
        let newer = |index: usize, known: &Known| {
            let same = |other: &&&Known| {
                other.shown.topic == known.shown.topic
                    && other.shown.is_pattern == known.shown.is_pattern
            };
            there[index + 1..].iter().filter(same).count()
        };
        let kept = there.iter().enumerate().filter(|(index, known)| {
            self.keep_last(known, at.lsn).is_none_or(|keep| newer(*index, known) < keep)
        });
        kept.map(|(_, known)| *known).collect()
    }

    /// A trim that nobody asked for, at `lsn`: it takes nothing that a reader saw.
    pub(crate) fn trimmed_by_rule(&mut self, lsn: Lsn, topic: &str, is_pattern: bool) -> u64 {
        let at = Moment { lsn: lsn.prev(), now_ms: 0 };
        let of_stream =
            |known: &Known| known.shown.topic == topic && known.shown.is_pattern == is_pattern;
        let visible = self.visible(at);
        let first = visible.iter().find(|known| of_stream(known)).map(|known| known.shown.id.lsn);
        let first = first.expect("a trim without any message");
        let mut trimmed = 0;
        for known in self.messages.iter_mut().filter(|known| of_stream(known)) {
            if known.shown.id.lsn < first && known.removed.is_none_or(|before| before > lsn) {
                known.removed = Some(lsn);
                trimmed += 1;
            }
        }
        trimmed
    }
}

/// What the rule says whose filter is closest, of those that say something.
fn closest<T>(
    settings: &TopicSettings,
    topic: &str,
    is_pattern: bool,
    said: impl Fn(&TopicRule) -> Option<T>,
) -> Option<T> {
    let rank = |rule: &&TopicRule| {
        let level = |level: &str| match level {
            "#" => 'c',
            "+" => 'b',
            _ => 'a',
        };
        rule.filter.as_str().split('/').map(level).collect::<String>()
    };
    let finds = |rule: &&TopicRule| match is_pattern {
        true => covers(&rule.filter, topic),
        false => rule.filter.matches(topic),
    };
    let rules = settings.rules.iter().filter(finds).filter(|rule| said(rule).is_some());
    rules.min_by_key(rank).and_then(said)
}

/// Whether a filter finds every topic that a pattern finds.
fn covers(filter: &TopicFilter, pattern: &str) -> bool {
    fn levels(filter: &[&str], pattern: &[&str]) -> bool {
        match (filter, pattern) {
            ([], []) | (["#"], _) => true,
            (["+", ..], ["#", ..]) => false,
            (["+", filter @ ..], [_, pattern @ ..]) => levels(filter, pattern),
            ([one, filter @ ..], [two, pattern @ ..]) => one == two && levels(filter, pattern),
            _ => false,
        }
    }
    let (filter, pattern): (Vec<&str>, Vec<&str>) =
        (filter.as_str().split('/').collect(), pattern.split('/').collect());
    let blind = ["+", "#"].contains(&filter[0]) && pattern[0].starts_with('$');
    !blind && levels(&filter, &pattern)
}

fn rule(text: &str, ttl_ms: Option<u64>, keep_last: Option<u32>) -> TopicRule {
    TopicRule { filter: filter(text), ttl_ms, keep_last }
}

fn set(engine: &mut Sim, ttl_ms: Option<u64>, rules: &[TopicRule]) {
    let settings = TopicSettings { ttl_ms, rules: rules.to_vec(), ..TopicSettings::default() };
    write(engine, Operation::SetTopics(&settings)).expect("settings");
}

fn expiries(reader: &Reader<SimStore>, text: &str) -> Vec<Option<u64>> {
    let (filter, snapshot) = (filter(text), reader.snapshot());
    let messages = snapshot.messages(MessageRequest::all(&filter)).unwrap();
    messages.map(|message| message.unwrap().expires_at).collect()
}

#[test]
fn the_longest_prefix_says_how_long_a_message_lives() {
    let (disk, mut engine) = new(options());
    let rules = [
        rule("a/#", Some(1_000), None),
        rule("a/b/#", Some(2_000), Some(5)),
        rule("a/b/c", None, Some(7)),
        rule("a/+/x", Some(3_000), None),
        rule("keep/#", Some(FOREVER), None),
    ];
    set(&mut engine, Some(9_000), &rules);
    for (topic, ttl) in [
        ("a", Some(1_000)),
        ("a/z", Some(1_000)),
        ("a/b", Some(2_000)),
        ("a/b/c", Some(2_000)),
        ("a/b/x", Some(2_000)),
        ("a/z/x", Some(3_000)),
        ("b", Some(9_000)),
        ("keep/this", None),
    ] {
        publish(&mut engine, topic, b"");
        let time = engine.hlc().millis();
        assert_eq!(expiries(&engine.reader(), topic), [ttl.map(|ttl| time + ttl)], "{topic}");
    }
    publish_pattern(&mut engine, "a/b/+", b"");
    let time = engine.hlc().millis();
    let own = [NewMessage { ttl_ms: Some(FOREVER), ..message("a", b"") }];
    write(&mut engine, Operation::Publish(&own)).unwrap();
    super::everywhere((disk, engine), |reader| {
        assert_eq!(expiries(reader, "a/b/new"), [Some(time + 2_000)]);
        assert_eq!(expiries(reader, "a").last(), Some(&None));
        assert_eq!(reader.snapshot().topic_settings().unwrap().ttl_ms, Some(9_000));
    });
}

#[test]
fn a_topic_shows_the_newest_so_many_and_the_log_follows() {
    let (disk, mut engine) = new(options());
    set(&mut engine, None, &[rule("t/#", None, Some(3))]);
    for number in 0..200_u8 {
        let payload = [number];
        let messages = [NewMessage { retain: number == 190, ..message("t/1", &payload) }];
        write(&mut engine, Operation::Publish(&messages)).unwrap();
        publish(&mut engine, "other", &payload);
        let shown = payloads(&engine.reader(), "t/1");
        let newest: Vec<_> = (number.saturating_sub(2)..=number).map(|n| vec![n]).collect();
        assert_eq!(shown, newest);
        if number % 20 == 0 {
            flush(&mut engine);
        }
    }
    let trimmed = engine.trim_topics(NOW_MS).unwrap();
    commit(&mut engine);
    assert!(trimmed <= 1);
    // The rule is gone, and with it what hid the rest: so many are left of two hundred.
    set(&mut engine, None, &[]);
    let left = payloads(&engine.reader(), "t/1").len();
    assert!((3..=3 + 2 * 16 + 2).contains(&left), "{left}");
    assert!(retained(&engine.reader(), "t/1", 0).len() <= 1);
    super::everywhere((disk, engine), |reader| {
        assert_eq!(payloads(reader, "t/1").len(), left);
        assert_eq!(payloads(reader, "other").len(), 200);
    });
}

/// Payloads until the end or the first error, and that.
fn shown_within(
    found: Result<impl Iterator<Item = Result<Message<SimStore>, ReadError>>, ReadError>,
) -> (Vec<Vec<u8>>, Option<ReadError>) {
    let mut shown = Vec::new();
    for message in match found {
        Ok(found) => found,
        Err(error) => return (shown, Some(error)),
    } {
        match message {
            Ok(message) => shown.push(message.payload().to_vec()),
            Err(error) => return (shown, Some(error)),
        }
    }
    (shown, None)
}

/// Two topics of twelve messages that keep ten: looks at those that are passed over count, and at those
/// that are counted to find where a topic begins.
#[test]
fn a_read_looks_at_no_more_messages_than_its_reader_lets_it() {
    let (disk, mut engine) = new(options());
    set(&mut engine, None, &[rule("#", None, Some(10))]);
    for number in 0..12_u8 {
        let payload = [number];
        let retained = |topic| NewMessage { retain: number == 4, ..message(topic, &payload) };
        let messages = [retained("a"), retained("b")];
        write(&mut engine, Operation::Publish(&messages)).unwrap();
    }
    let all = filter("#");
    let oldest = MessageRequest::all(&all);
    let newest = MessageRequest { newest_first: true, to_ms: u64::MAX - 1, ..oldest };
    super::everywhere((disk, engine), |reader| {
        let snapshot = reader.snapshot();
        let within = |keys| MessageLimits { keys, ..MessageLimits::default() };
        let messages =
            |request, keys| shown_within(snapshot.messages_within(request, within(keys)));
        let retained = |keys| shown_within(snapshot.retained_within(&all, None, within(keys)));
        let reads: [(&dyn Fn(usize) -> _, usize, usize); 3] = [
            (&|keys| messages(oldest, keys), 20, 2 + 2 * (10 + 1) + 2 * 9),
            (&|keys| messages(newest, keys), 20, 2 + 2 * 10 + 2 * 9),
            (&retained, 2, 2 * 7),
        ];
        for (read, count, looks) in reads {
            let (whole, ended) = read(usize::MAX);
            assert_eq!((whole.len(), ended), (count, None));
            for limit in 0..looks + 3 {
                let (shown, ended) = read(limit);
                let error = (limit < looks).then_some(ReadError::Keys { limit });
                assert_eq!(ended, error, "{limit} of {looks}");
                assert!(whole.starts_with(&shown) && (ended.is_some() || shown == whole));
            }
        }
    });
}

/// A topic with many more messages than it keeps, which is due for a trim that nobody waits for.
fn due() -> (CrashDisk, Sim) {
    let (disk, mut engine) = new(options());
    set(&mut engine, None, &[rule("t", None, Some(3))]);
    for _ in 0..24 {
        publish(&mut engine, "t", b"");
    }
    (disk, engine)
}

/// How many messages are there when no rule hides any.
fn left(mut engine: Sim) -> usize {
    commit(&mut engine);
    set(&mut engine, None, &[]);
    payloads(&engine.reader(), "t").len()
}

#[test]
fn a_trim_that_could_not_be_staged_is_tried_again() {
    let (disk, mut engine) = due();
    let before = engine.tail().offset;
    fixture::put(&mut engine, b"filler", &[]);
    commit(&mut engine);
    let frame = engine.tail().offset - before;
    let room = options().segment_bytes - u64::from(engine.tail().offset + frame);
    fixture::put(&mut engine, b"filler", &vec![7; usize::try_from(room).unwrap() - 64]);
    commit(&mut engine);
    disk.inject(Fault::once(Calls::Directory, 1, IoError::NoSpace));
    assert_eq!(engine.trim_topics(NOW_MS), Err(WriteError::NoSpace));
    assert_eq!(engine.trim_topics(NOW_MS), Ok(1));
    assert_eq!(engine.trim_topics(NOW_MS), Ok(0));
    assert_eq!(left(engine), 3);
}

#[test]
fn a_trim_that_was_taken_back_is_tried_again() {
    let (disk, mut engine) = due();
    assert_eq!(engine.trim_topics(NOW_MS), Ok(1));
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
    assert_eq!(engine.trim_topics(NOW_MS), Ok(1));
    commit(&mut engine);
    assert_eq!(engine.trim_topics(NOW_MS), Ok(0));
    assert_eq!(left(engine), 3);
}

/// Makes the entries of these messages in the tree unreadable, while no engine is open.
fn rot_entries(disk: &CrashDisk, messages: &[MessageId]) {
    let tree = disk.tree("ns");
    let mut bytes = vec![0; usize::try_from(tree.len().unwrap()).unwrap()];
    tree.read(0, &mut bytes).unwrap();
    for message in messages {
        let flags = message.lsn.0.to_le_bytes().len();
        // The LSN, no flag, and a place in the first segment.
        let entry = [&message.lsn.0.to_le_bytes()[..], &[0, 1, 0, 0, 0]].concat();
        let places = bytes.windows(entry.len()).enumerate().filter(|(_, there)| *there == entry);
        let places: Vec<_> = places.map(|(at, _)| at + flags).collect();
        assert!(!places.is_empty(), "{message:?}");
        places.iter().for_each(|at| tree.write(*at as u64, &[0x80]).unwrap());
    }
}

#[test]
fn a_topic_that_cannot_be_read_holds_up_no_trim_and_no_message_of_others() {
    let (disk, mut engine) = new(options());
    set(&mut engine, None, &[rule("t/#", None, Some(1))]);
    let rotten: Vec<_> = (0..3).map(|_| publish(&mut engine, "t/1", &[7; 100])).collect();
    for _ in 0..3 {
        publish(&mut engine, "t/2", &[7; 100]);
    }
    flush(&mut engine);
    engine.close().unwrap();
    rot_entries(&disk, &rotten);
    let mut engine = fixture::open(&disk, options());
    // Both are due, for what is in them is not known.
    let both = ["t/1", "t/2"].map(|topic| message(topic, b""));
    write(&mut engine, Operation::Publish(&both)).unwrap();
    for trimmed in [1, 0] {
        assert_eq!(engine.trim_topics(NOW_MS), Ok(trimmed));
        commit(&mut engine);
    }
    // So many that the next message has to wait for a trim.
    write(&mut engine, Operation::Publish(&[message("t/1", b""); 40])).unwrap();
    publish(&mut engine, "t/3", b"");
    publish(&mut engine, "other", b"");
    set(&mut engine, None, &[]);
    assert_eq!(payloads(&engine.reader(), "t/2").len(), 1);
    let (snapshot, filter) = (engine.reader().snapshot(), filter("t/1"));
    let read = snapshot.messages(MessageRequest::all(&filter)).and_then(Iterator::collect);
    assert!(matches!(read.map(|all: Vec<_>| all.len()), Err(ReadError::Tree(_))));
}

#[test]
fn a_retained_message_that_is_not_kept_is_not_shown() {
    let (_disk, mut engine) = new(options());
    set(&mut engine, None, &[rule("t", None, Some(2))]);
    let first = [NewMessage { retain: true, ..message("t", b"retained") }];
    write(&mut engine, Operation::Publish(&first)).unwrap();
    publish(&mut engine, "t", b"2");
    assert_eq!(retained(&engine.reader(), "t", 0).len(), 1);
    publish(&mut engine, "t", b"3");
    assert!(retained(&engine.reader(), "t", 0).is_empty());
}

#[test]
fn a_snapshot_keeps_the_settings_of_its_time() {
    let (_disk, mut engine) = new(options());
    let numbers = |snapshot: &unison_engine::Snapshot<SimStore>| {
        let filter = filter("t");
        super::read(snapshot, MessageRequest::all(&filter)).len()
    };
    for _ in 0..5 {
        publish(&mut engine, "t", b"");
    }
    let before = engine.reader().snapshot();
    set(&mut engine, None, &[rule("t", None, Some(3))]);
    let three = engine.reader().snapshot();
    flush(&mut engine);
    set(&mut engine, None, &[rule("t", None, Some(1))]);
    let staged = TopicSettings::default();
    engine.stage(&Write::new(Operation::SetTopics(&staged)), NOW_MS).unwrap();
    assert_eq!(numbers(&engine.reader().snapshot()), 1, "what is staged says nothing yet");
    assert_eq!((numbers(&before), numbers(&three)), (5, 3));
    assert_eq!(three.topic_settings().unwrap().rules[0].keep_last, Some(3));
}

#[test]
fn settings_that_never_came_to_be_are_forgotten() {
    let (disk, mut engine) = new(options());
    set(&mut engine, Some(5_000), &[]);
    let rules = vec![rule("t", None, Some(1))];
    let settings = TopicSettings { ttl_ms: Some(1_000), rules, ..TopicSettings::default() };
    engine.stage(&Write::new(Operation::SetTopics(&settings)), NOW_MS).unwrap();
    disk.inject(Fault::once(Calls::Writes, 1, IoError::Device(5)));
    assert!(matches!(engine.append(NOW_MS), Err(WriteError::Append(_))));
    assert_eq!(engine.reader().snapshot().topic_settings().unwrap().ttl_ms, Some(5_000));
    publish(&mut engine, "t", b"");
    let time = engine.hlc().millis();
    assert_eq!(expiries(&engine.reader(), "t"), [Some(time + 5_000)]);
}

#[test]
fn a_follower_has_them_and_goes_on_with_them_when_it_leads() {
    let (_disk, mut engine) = new(options());
    set(&mut engine, Some(7_000), &[rule("t", None, Some(2))]);
    for _ in 0..9 {
        publish(&mut engine, "t", b"led");
    }
    let disk = CrashDisk::new();
    let mut follower = fixture::open(&disk, follower_options());
    fetch(&engine, &mut follower, 4_000, u64::MAX);
    assert_eq!(payloads(&follower.reader(), "t").len(), 2);
    assert_eq!(follower.trim_topics(NOW_MS).unwrap(), 0);
    drop(follower);
    let leader = EngineOptions { role: LogRole::Leader, ..options() };
    let mut engine = fixture::open(&disk, leader);
    publish(&mut engine, "t", b"mine");
    let time = engine.hlc().millis();
    assert_eq!(payloads(&engine.reader(), "t"), [&b"led"[..], b"mine"]);
    assert_eq!(expiries(&engine.reader(), "t")[1], Some(time + 7_000));
}

#[test]
fn settings_beyond_a_limit_are_refused_before_they_take_an_lsn() {
    let (_disk, mut engine) = new(options());
    let next = engine.next_lsn();
    let many: Vec<_> =
        (0..=TOPIC_RULES_MAX).map(|number| rule(&format!("t/{number}"), Some(1), None)).collect();
    let long = "x".repeat(4_000);
    let longer: Vec<_> = (0..=TOPIC_RULES_BYTES_MAX / 4_000)
        .map(|number| rule(&format!("{long}{number}"), Some(1), None))
        .collect();
    let mut refused = |ttl_ms, rules: &[TopicRule]| {
        let settings = TopicSettings { ttl_ms, rules: rules.to_vec(), ..TopicSettings::default() };
        match write(&mut engine, Operation::SetTopics(&settings)) {
            Err(WriteError::Settings(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(refused(None, &many), SettingsError::Rules { .. }));
    assert!(matches!(refused(None, &longer), SettingsError::Bytes { .. }));
    assert_eq!(refused(Some(0), &[]), SettingsError::Ttl);
    assert_eq!(refused(None, &[rule("a", Some(0), None)]), SettingsError::Ttl);
    for keep in [0, KEEP_LAST_MAX + 1] {
        let error = refused(None, &[rule("a", None, Some(keep))]);
        assert_eq!(error, SettingsError::KeepLast { limit: KEEP_LAST_MAX });
    }
    let twice = [rule("a", Some(1), None), rule("a", None, Some(1))];
    assert_eq!(refused(None, &twice), SettingsError::Twice);
    assert_eq!(engine.next_lsn(), next);
    trim(&mut engine, &["a"], 0).unwrap_err();
}
