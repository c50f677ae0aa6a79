//! What Linux gives: segment files, the tree file, clock, entropy, group commit.
