//! The models: how a user's key looks in storage. Each has a prefix of its own, so no two models
//! ever meet, whatever bytes a user's key begins with.

pub(crate) mod kv;
