//! Messages of topics as events.

use crate::fixture::{self, commit, flush, options};
use std::ops::ControlFlow;
use unison_base::Lsn;
use unison_engine::{
    ChangeFilter, ChangeId, ChangeModel, MessageId, Models, NewMessage, Operation, TopicFilter,
    TrimBefore,
};
use unison_sim::disk::SimStore;

/// Name, what happened, topic or pattern, payload, headers.
type Seen = (String, &'static str, String, Option<Vec<u8>>, Vec<String>);

fn seen(reader: &unison_engine::Reader<SimStore>, filter: ChangeFilter) -> Vec<Seen> {
    let mut changes = reader.changes(filter, ChangeId::default());
    let mut seen = Vec::new();
    changes
        .read(usize::MAX, &mut |change| {
            let key = String::from_utf8(change.key.to_vec()).unwrap();
            let key = if change.is_of_pattern { format!("pattern {key}") } else { key };
            let headers = change.headers().map(|(name, _)| name.to_owned()).collect();
            let payload = change.value().map(<[u8]>::to_vec);
            seen.push((change.id.to_string(), change.kind.name(), key, payload, headers));
            ControlFlow::Continue(())
        })
        .unwrap();
    seen
}

fn message<'a>(topic: &'a str, payload: &'a [u8]) -> NewMessage<'a> {
    NewMessage { topic, payload, headers: &[("h", b"x")], ttl_ms: None, retain: false }
}

#[test]
fn messages_are_events_under_the_names_that_they_are_published_to() {
    for flushed in [false, true] {
        let (disk, mut engine) = fixture::new(options());
        let batch = [message("a/b", b"1"), message("a/c", b"2"), message("a/b", b"3")];
        let first = fixture::stage(&mut engine, Operation::Publish(&batch)).unwrap().lsn;
        let to_all =
            fixture::stage(&mut engine, Operation::PublishPattern(&[message("a/+", b"4")]));
        let to_all = to_all.unwrap().lsn;
        let id = MessageId { lsn: first, index: 0 };
        let deleted = fixture::stage(&mut engine, Operation::DeleteMessage(id)).unwrap().lsn;
        let all = TopicFilter::new("a/c").unwrap();
        let trim = TrimBefore { topics: &["a/c"], before_ms: u64::MAX };
        let trimmed = fixture::stage(&mut engine, Operation::Trim(trim)).unwrap().lsn;
        fixture::put(&mut engine, b"a/b", b"a key");
        commit(&mut engine);
        if flushed {
            flush(&mut engine);
            drop(engine);
            engine = fixture::open(&disk, options());
        }
        let said = |lsn: Lsn, index: u32, payload: &str, topic: &str| -> Seen {
            let id = format!("{lsn}-{index}");
            (id, "publish", topic.into(), Some(payload.into()), vec!["h".into()])
        };
        let due = [
            said(first, 0, "1", "a/b"),
            said(first, 1, "2", "a/c"),
            said(first, 2, "3", "a/b"),
            said(to_all, 0, "4", "pattern a/+"),
            (format!("{deleted}-0"), "delete", "a/b".into(), None, vec![]),
            (format!("{trimmed}-0"), "trim", "a/c".into(), None, vec![]),
        ];
        let models = Models::NONE.with(ChangeModel::Topic);
        let topics = ChangeFilter { models, ..ChangeFilter::default() };
        assert_eq!(seen(&engine.reader(), topics.clone()), due);
        let filtered = ChangeFilter { topics: Some(all), ..topics };
        assert_eq!(
            seen(&engine.reader(), filtered),
            [due[1].clone(), due[3].clone(), due[5].clone()]
        );
        let keys =
            ChangeFilter { models: Models::NONE.with(ChangeModel::Kv), ..ChangeFilter::default() };
        assert_eq!(seen(&engine.reader(), keys).len(), 1);
        assert_eq!(seen(&engine.reader(), ChangeFilter::default()).len(), 7);
    }
}
