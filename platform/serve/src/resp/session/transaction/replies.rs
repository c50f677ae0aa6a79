//! What a transaction answers, until it is known that it happens.

use unison_resp::output::Output;

use crate::budget::{REPLIES_BYTES_MAX, Share};

/// Most bytes of one transaction's replies.
const REPLY_BYTES_MAX: usize = 64 << 20;
const TOO_LONG: &str = "the replies of a transaction have at most 67108864 bytes";
const _: () = assert!(REPLY_BYTES_MAX == 67_108_864, "the text names it");
const TOO_MANY: &str = "the replies of all transactions in flight are above the limit of 268435456 bytes (replies), \
                        try again";
const _: () = assert!(REPLIES_BYTES_MAX == 268_435_456, "the text names it");
/// So many bytes of them are not counted among those of all connections.
const UNCOUNTED_BYTES: usize = 64 << 10;

/// Replies behind those of commands before.
pub(super) struct Replies {
    pub(super) output: Output,
    /// Where they begin.
    start: usize,
    share: Share,
}

impl Replies {
    pub(super) fn new(output: Output, share: Share) -> Self {
        Self { start: output.bytes().len(), output, share }
    }

    /// Takes back all that was answered here.
    pub(super) fn take_back(&mut self) {
        self.output.truncate(self.start);
        // Less than before always succeeds.
        self.share.resize(0);
    }

    /// Counts them.
    ///
    /// # Errors
    /// They are too many, and why.
    pub(super) fn count(&mut self) -> Result<(), &'static str> {
        let bytes = self.output.bytes().len().saturating_sub(self.start);
        if bytes > REPLY_BYTES_MAX {
            return Err(TOO_LONG);
        }
        let counted = if bytes > UNCOUNTED_BYTES { bytes } else { 0 };
        if self.share.resize(counted) { Ok(()) } else { Err(TOO_MANY) }
    }

    pub(super) fn into_parts(self) -> (Output, Share) {
        (self.output, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::{REPLY_BYTES_MAX, Replies, TOO_LONG, TOO_MANY, UNCOUNTED_BYTES};
    use crate::budget::Budget;
    use unison_resp::output::Output;

    #[test]
    fn those_of_all_are_counted_until_they_are_given_back() {
        let budget = Budget::new(4 * UNCOUNTED_BYTES);
        let large = vec![b'v'; 3 * UNCOUNTED_BYTES];
        let replies = || Replies::new(Output::default(), budget.share());
        let (mut first, mut second) = (replies(), replies());
        first.output.bulk(&large);
        first.count().unwrap();
        second.output.bulk(&large[..UNCOUNTED_BYTES / 2]);
        second.count().unwrap();
        second.output.bulk(&large);
        assert_eq!(second.count(), Err(TOO_MANY));
        second.take_back();
        let (_, share) = first.into_parts();
        second.output.bulk(&large);
        assert_eq!(second.count(), Err(TOO_MANY));
        drop(share);
        second.count().unwrap();
        second.take_back();
        assert!(second.output.bytes().is_empty());
        assert!(budget.share().resize(4 * UNCOUNTED_BYTES));
    }

    #[test]
    fn those_of_one_are_bounded_behind_what_was_there() {
        let mut output = Output::default();
        output.bulk(&vec![b'v'; UNCOUNTED_BYTES]);
        let before = output.bytes().len();
        let mut replies = Replies::new(output, Budget::new(usize::MAX).share());
        let half = vec![b'v'; REPLY_BYTES_MAX / 2];
        replies.output.bulk(&half);
        replies.count().unwrap();
        replies.output.bulk(&half);
        assert_eq!(replies.count(), Err(TOO_LONG));
        replies.take_back();
        assert_eq!(replies.output.bytes().len(), before);
    }
}
