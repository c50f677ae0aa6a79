//! `--keys-file`: the master keys of namespaces, as TOML.
//!
//! ```text
//! default = "64 hexadecimal digits"
//! plant-7 = ["the key for what is sealed from now on", "a key of before"]
//! ```

use std::collections::BTreeMap;
use std::env::VarError;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use unison_base::NamespaceName;
use unison_engine::MasterKey;
use unison_linux::store::NamespaceKeys;
use zeroize::Zeroizing;

/// The environment variable that holds the keys themselves, where there is no file.
const VARIABLE: &str = "UNISON_KEYS";
/// What the group and others may do with the file: nothing.
const OTHERS: u32 = 0o077;
const KEY_BYTES: usize = 32;

/// Why the keys cannot be used. Never says what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read the keys file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "others than the owner may use the keys file {} (its mode is {mode:03o}): chmod 600 it",
        path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not a table of namespaces with a key or a list of keys each.
    #[error("{place}: each line is `namespace = \"64 hexadecimal digits\"`, or a list of such")]
    Malformed {
        /// Where the keys come from.
        place: String,
    },
    /// A name that no namespace can have.
    #[error("{place}: `{name}` is no name of a namespace")]
    Namespace {
        /// Where the keys come from.
        place: String,
        /// The name.
        name: String,
    },
    /// A key that is none.
    #[error("{place}: a key of namespace `{name}` is not 64 hexadecimal digits")]
    Key {
        /// Where the keys come from.
        place: String,
        /// The namespace.
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a key of 64 hexadecimal digits, or a list of such keys")]
enum Keys {
    One(String),
    Several(Vec<String>),
}

/// The keys of a file, or else of the environment; none without either.
///
/// # Errors
/// See [`KeysError`].
pub fn load_keys(file: Option<&Path>) -> Result<NamespaceKeys, KeysError> {
    match file {
        Some(path) => {
            let metadata = std::fs::metadata(path);
            let unreadable = |source| KeysError::Read { path: path.to_owned(), source };
            let mode = metadata.map_err(unreadable)?.permissions().mode() & 0o777;
            if mode & OTHERS != 0 {
                return Err(KeysError::Permissions { path: path.to_owned(), mode });
            }
            let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
            parse(&text, &path.display().to_string())
        }
        None => of_variable(std::env::var(VARIABLE)),
    }
}

fn of_variable(said: Result<String, VarError>) -> Result<NamespaceKeys, KeysError> {
    match said {
        Ok(text) => parse(&Zeroizing::new(text), VARIABLE),
        Err(VarError::NotPresent) => Ok(NamespaceKeys::default()),
        Err(VarError::NotUnicode(_)) => Err(KeysError::Malformed { place: VARIABLE.to_owned() }),
    }
}

fn parse(text: &str, place: &str) -> Result<NamespaceKeys, KeysError> {
    let place = || place.to_owned();
    let tables: BTreeMap<String, Keys> =
        toml::from_str(text).map_err(|_| KeysError::Malformed { place: place() })?;
    let mut all = NamespaceKeys::default();
    for (name, keys) in tables {
        let namespace = NamespaceName::new(&name);
        let namespace =
            namespace.map_err(|_| KeysError::Namespace { place: place(), name: name.clone() })?;
        let keys = match keys {
            Keys::One(key) => vec![key],
            Keys::Several(keys) => keys,
        };
        for key in keys.into_iter().map(Zeroizing::new) {
            let key = key_of(&key)
                .ok_or_else(|| KeysError::Key { place: place(), name: name.clone() })?;
            all.add(namespace.clone(), MasterKey::new(&key));
        }
    }
    Ok(all)
}

fn key_of(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let digits = text.as_bytes();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let digit =
            |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::{KeysError, load_keys, of_variable, parse};
    use std::env::VarError;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_key_or_several_by_namespace() {
        let (one, two) = ("0a".repeat(32), "Ff".repeat(32));
        let text = format!("default = \"{one}\"\n\"a.b\" = [\"{two}\", \"{one}\"]\n");
        let shown = format!("{:?}", parse(&text, "here").unwrap());
        assert_eq!(shown.matches("KeyId(").count(), 3, "{shown}");
        assert!(!shown.contains("0a0a") && !shown.to_lowercase().contains("ffff"));
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        let secret = "5e".repeat(31);
        for text in [
            format!("default = \"{secret}\""),
            format!("default = \"{secret}zz\""),
            format!("Default = \"{secret}00\""),
            format!("default = {secret}"),
            "default = 5".to_owned(),
        ] {
            let error = parse(&text, "the file").unwrap_err().to_string();
            assert!(error.contains("the file") && !error.contains("5e5e"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_not_passed_over() {
        assert!(of_variable(Err(VarError::NotPresent)).is_ok());
        let garbled = VarError::NotUnicode(OsString::from_vec(vec![0xFF; 4]));
        assert!(matches!(of_variable(Err(garbled)), Err(KeysError::Malformed { .. })));
    }

    #[test]
    fn a_file_that_others_may_use_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        assert!(matches!(load_keys(Some(&path)), Err(KeysError::Read { .. })));
        std::fs::write(&path, format!("default = \"{}\"", "00".repeat(32))).unwrap();
        for (mode, refused) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = load_keys(Some(&path));
            assert_eq!(matches!(found, Err(KeysError::Permissions { .. })), refused, "{mode:o}");
        }
    }
}
