//! What opening a log does with what it finds.
//!
//! | | found | done |
//! |---|---|---|
//! | A | bad frame, and no sound frame with a higher LSN behind it, in this or a later segment | torn tail: cut there, clear the rest before the first append |
//! | B | as A, and the header, written behind a sync, covers the bad frame | as A, reported as a lost tail |
//! | C | bad or missing frame, sound higher LSNs behind it, all of which say that it had not been durable (record field 9), and no header that says otherwise | a torn group: as A; later segments are set aside |
//! | D | as C without that proof | rot: the segment is set aside; its proved parts are served, a cursor reports the rest as a gap. A follower sets aside everything from the segment on, to fetch it again |
//! | E | LSNs missing between two segments, or below what the caller knows to be durable | as D, with nothing to set aside; where a segment's number is missing too, it is this and not C or K in a follower's log |
//! | F | a segment that repeats LSNs of an earlier one | set aside |
//! | G | wrong header, sound frames | header rebuilt |
//! | H | zero-length or all-zero segment | treated as absent |
//! | I | newest segment sealed | the next one is begun at the first append |
//! | J | the repair of a header cannot be written | counted; the next opening tries again |
//! | K | in a follower's log: as C or D, and no header vouches for the hole or for what is behind it (field 9 speaks of the leader's medium and is not asked) | a torn group or rot, nobody can tell: as C, and fetched again; reported in place of A |
//!
//! A leader goes on above the highest LSN it saw, so none is given out twice. Opening twice gives
//! the same log.

#[cfg(feature = "alloc")]
mod build;
pub(crate) mod evidence;
#[cfg(feature = "alloc")]
mod finding;
pub(crate) mod mend;
#[cfg(feature = "alloc")]
mod open;
#[cfg(feature = "alloc")]
mod report;
mod rung;
pub(crate) mod verdict;

#[cfg(feature = "alloc")]
pub(crate) use open::open;
#[cfg(feature = "alloc")]
pub use report::RecoveryReport;
pub use rung::{RecoveryEvent, Rung, RungCounts};
