//! The master keys of namespaces.

use crate::SystemEntropy;
use std::collections::BTreeMap;
use std::sync::Arc;
use unison_base::NamespaceName;
use unison_engine::{Keyring, MasterKey};

/// Master keys by namespace: the first of each wraps what is sealed from now on, all of them open what
/// was sealed before. Shows itself without the keys.
#[derive(Clone, Debug, Default)]
pub struct NamespaceKeys(BTreeMap<NamespaceName, Vec<MasterKey>>);

impl NamespaceKeys {
    /// Adds a key behind those that a namespace has.
    pub fn add(&mut self, namespace: NamespaceName, key: MasterKey) {
        self.0.entry(namespace).or_default().push(key);
    }

    pub(super) fn ring(&self, namespace: &NamespaceName) -> Keyring {
        let keys = self.0.get(namespace).cloned().unwrap_or_default();
        Keyring::new(namespace.clone(), keys, Arc::new(SystemEntropy))
    }
}
