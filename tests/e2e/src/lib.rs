//! Real processes, real clients, real kills.
