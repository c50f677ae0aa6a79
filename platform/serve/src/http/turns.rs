//! Whose turn it is to add to an object of a transaction: the newest request's. The one before may be
//! of a connection that is dead without the node's knowing, and its last bytes may still come; behind
//! those of the request that goes on in its place they would spoil the object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::MutexGuard;
use unison_base::{NamespaceName, TxnId};

/// The number of the newest request, held while one adds a chunk.
type Newest = tokio::sync::Mutex<u64>;

/// An object of a transaction. Its name is chosen by a client, so it counts in one namespace only.
type Place = (NamespaceName, TxnId, Vec<u8>);

type Objects = BTreeMap<Place, Weak<Newest>>;

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
    /// Takes the turn from whoever has it, once it is between two chunks and `check` finds nothing
    /// against it: a request that is refused stops nobody.
    ///
    /// # Errors
    /// What `check` says; whoever had the turn keeps it.
    pub(super) async fn take<R, E>(
        &self,
        namespace: &NamespaceName,
        transaction: TxnId,
        object: &[u8],
        check: impl FnOnce() -> Result<R, E>,
    ) -> Result<(Turn, R), E> {
        let newest = self.of((namespace.clone(), transaction, object.to_vec()));
        let (number, checked) = {
            let mut newest = newest.lock().await;
            let checked = check()?;
            *newest += 1;
            (*newest, checked)
        };
        Ok((Turn { newest, number }, checked))
    }

    fn of(&self, place: Place) -> Arc<Newest> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, newest| newest.strong_count() > 0);
        let place = all.entry(place).or_default();
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
    use super::{Turn, Turns};
    use unison_base::{NamespaceName, TxnId};

    const ONE: TxnId = TxnId([1; 16]);
    const TWO: TxnId = TxnId([2; 16]);

    async fn take(turns: &Turns, namespace: &str, transaction: TxnId, object: &[u8]) -> Turn {
        let namespace = NamespaceName::new(namespace).unwrap();
        turns.take(&namespace, transaction, object, || Ok::<_, ()>(())).await.unwrap().0
    }

    #[tokio::test]
    async fn the_newest_request_has_the_turn() {
        let turns = Turns::default();
        let first = take(&turns, "n", ONE, b"o").await;
        let elsewhere = [
            take(&turns, "n", ONE, b"p").await,
            take(&turns, "n", TWO, b"o").await,
            take(&turns, "m", ONE, b"o").await,
        ];
        assert!(first.hold().await.is_some());
        let second = take(&turns, "n", ONE, b"o").await;
        assert!(first.hold().await.is_none() && second.hold().await.is_some());
        drop(first);
        let third = take(&turns, "n", ONE, b"o").await;
        assert!(second.hold().await.is_none() && third.hold().await.is_some());
        for turn in &elsewhere {
            assert!(turn.hold().await.is_some());
        }
        drop((second, third, elsewhere));
        let _last = take(&turns, "n", TWO, b"p").await;
        assert_eq!(turns.0.lock().unwrap().len(), 1, "what nobody adds to is forgotten");
    }

    #[tokio::test]
    async fn a_request_that_is_refused_takes_no_turn() {
        let turns = Turns::default();
        let first = take(&turns, "n", ONE, b"o").await;
        let namespace = NamespaceName::new("n").unwrap();
        let refused = turns.take(&namespace, ONE, b"o", || Err::<(), _>("refused")).await;
        assert_eq!(refused.unwrap_err(), "refused");
        assert!(first.hold().await.is_some());
    }
}
