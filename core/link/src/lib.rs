//! Replication as a pair of state machines without I/O.
