//! Expiry, one rule at a time.
