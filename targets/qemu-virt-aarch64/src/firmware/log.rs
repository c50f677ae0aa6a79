//! The node's events in the log.

use unison_bare::edge::{Event, Severity};

/// Logs an event at its level.
pub(crate) fn tell(event: &Event) {
    let text = defmt::Display2Format(event);
    match event.severity() {
        Severity::Error => defmt::error!("{}", text),
        Severity::Warning => defmt::warn!("{}", text),
        Severity::Info => defmt::info!("{}", text),
    }
}
