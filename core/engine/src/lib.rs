//! The database: records, memtable, tree, checkpoint, reads.
