//! Whose turn it is to add to an object of a transaction: the newest request's. The one before may be
//! of a connection that is dead without the node's knowing, and its last bytes may still come; behind
//! those of the request that goes on in its place they would spoil the object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::MutexGuard;
use unison_base::TxnId;

/// The number of the newest request, held while one adds a chunk.
type Newest = tokio::sync::Mutex<u64>;

type Objects = BTreeMap<(TxnId, Vec<u8>), Weak<Newest>>;

/// Objects that are added to: as many as there are requests that do.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Objects>);

/// The turn of one request, until another one has come.
#[derive(Debug)]
pub(super) struct Turn {
    newest: Arc<Newest>,
    number: u64,
}

impl Turns {
    /// Takes the turn from whoever has it, once it is between two chunks.
    pub(super) async fn take(&self, transaction: TxnId, object: &[u8]) -> Turn {
        let newest = self.of(transaction, object);
        let number = {
            let mut newest = newest.lock().await;
            *newest += 1;
            *newest
        };
        Turn { newest, number }
    }

    fn of(&self, transaction: TxnId, object: &[u8]) -> Arc<Newest> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, newest| newest.strong_count() > 0);
        let place = all.entry((transaction, object.to_vec())).or_default();
        place.upgrade().unwrap_or_else(|| {
            let newest = Arc::default();
            *place = Arc::downgrade(&newest);
            newest
        })
    }
}

impl Turn {
    /// Holds the turn for a chunk; `None` when another request has it.
    pub(super) async fn hold(&self) -> Option<MutexGuard<'_, u64>> {
        let newest = self.newest.lock().await;
        (*newest == self.number).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use unison_base::TxnId;

    #[tokio::test]
    async fn the_newest_request_has_the_turn() {
        let turns = Turns::default();
        let (one, two) = (TxnId([1; 16]), TxnId([2; 16]));
        let first = turns.take(one, b"o").await;
        let elsewhere = [turns.take(one, b"p").await, turns.take(two, b"o").await];
        assert!(first.hold().await.is_some());
        let second = turns.take(one, b"o").await;
        assert!(first.hold().await.is_none() && second.hold().await.is_some());
        drop(first);
        let third = turns.take(one, b"o").await;
        assert!(second.hold().await.is_none() && third.hold().await.is_some());
        for turn in &elsewhere {
            assert!(turn.hold().await.is_some());
        }
        drop((second, third, elsewhere));
        let _last = turns.take(two, b"p").await;
        assert_eq!(turns.0.lock().unwrap().len(), 1, "what nobody adds to is forgotten");
    }
}
