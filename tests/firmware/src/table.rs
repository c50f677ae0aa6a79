//! The format strings of a firmware, which are not in the image but in the names of its symbols.
//!
//! Written here and not taken from `defmt-decoder`, because that brings crates whose licences the
//! product does not admit.

use anyhow::{Context as _, bail};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SectionKind, elf};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The encoding of strings and numbers that is understood here.
const VERSION: &str = "4";
const ENCODING: &str = "rzcobs";

/// A symbol's name.
#[derive(Deserialize)]
struct Symbol {
    tag: String,
    data: String,
}

/// A format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// `INFO`, `WARN` and so on; none for parts of messages.
    pub(crate) level: Option<&'static str>,
    pub(crate) text: String,
}

/// Format strings by their index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) formats: BTreeMap<u16, Format>,
    pub(crate) timestamp: Option<String>,
    /// Bytes that are loaded into memory.
    pub(crate) loaded_bytes: u64,
    /// Bytes by section, of those that are loaded.
    pub(crate) sections: Vec<(String, u64)>,
    /// Bytes of memory that the image needs beside them.
    pub(crate) zeroed_bytes: u64,
}

fn level(tag: &str) -> Option<&'static str> {
    match tag {
        "defmt_trace" => Some("TRACE"),
        "defmt_debug" => Some("DEBUG"),
        "defmt_info" => Some("INFO"),
        "defmt_warn" => Some("WARN"),
        "defmt_error" => Some("ERROR"),
        "defmt_println" => Some("PRINT"),
        _ => None,
    }
}

impl Table {
    /// Reads the symbols of an ELF file.
    pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let file = object::File::parse(bytes).context("no ELF file")?;
        let mut table = Self::default();
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            let name = name.trim_matches('"');
            if let Some(version) = name.strip_prefix("_defmt_version_ = ") {
                known("version", version, VERSION)?;
            } else if let Some(encoding) = name.strip_prefix("_defmt_encoding_ = ") {
                known("encoding", encoding, ENCODING)?;
            } else if name.starts_with('{') {
                table.add(name, symbol.address());
            }
        }
        if table.formats.is_empty() {
            bail!("the image has no messages: was it stripped?");
        }
        table.measure(&file);
        Ok(table)
    }

    fn add(&mut self, name: &str, address: u64) {
        let Ok(symbol) = serde_json::from_str::<Symbol>(name) else { return };
        let format = Format { level: level(&symbol.tag), text: symbol.data };
        match (symbol.tag.as_str(), u16::try_from(address)) {
            ("defmt_timestamp", _) => self.timestamp = Some(format.text),
            (tag, Ok(index)) if tag.starts_with("defmt_") => {
                self.formats.insert(index, format);
            }
            _ => {}
        }
    }

    fn measure(&mut self, file: &object::File<'_>) {
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 || section.size() == 0 {
                continue;
            }
            if section.kind() == SectionKind::UninitializedData {
                self.zeroed_bytes += section.size();
            } else {
                let name = section.name().unwrap_or_default().to_owned();
                self.loaded_bytes += section.size();
                self.sections.push((name, section.size()));
            }
        }
    }
}

fn known(what: &str, found: &str, known: &str) -> anyhow::Result<()> {
    if found != known {
        bail!("the image logs with {what} {found}; {known} is understood");
    }
    Ok(())
}
