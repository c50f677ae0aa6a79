//! Limits, checked before anything is staged.

use super::Write;
use crate::errors::WriteError;
use unison_base::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KEY_MAX, VALUE_MAX};

/// Refuses a write that breaks a limit.
pub(super) fn check(write: &Write<'_>) -> Result<(), WriteError> {
    let operation = &write.operation;
    let operations = operation.len();
    if operations == 0 {
        return Err(WriteError::EmptyBatch);
    }
    if operations > BATCH_OPERATIONS_MAX {
        return Err(WriteError::BatchOperations { operations, limit: BATCH_OPERATIONS_MAX });
    }
    super::transaction::check(operation)?;
    super::objects::check(operation, write.transaction.is_some())?;
    super::rows::check(operation)?;
    super::topics::check(operation)?;
    let mut total = 0_usize;
    operation.try_each(|key, value| {
        total = total.saturating_add(key.len()).saturating_add(value.map_or(0, <[u8]>::len));
        check_one(key, value)
    })?;
    if operation.is_batch() && total > BATCH_BYTES_MAX {
        return Err(WriteError::BatchBytes { bytes: total, limit: BATCH_BYTES_MAX });
    }
    Ok(())
}

fn check_one(key: &[u8], value: Option<&[u8]>) -> Result<(), WriteError> {
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(WriteError::KeyLength { bytes: key.len(), limit: KEY_MAX });
    }
    match value {
        Some(value) if value.len() > VALUE_MAX => {
            Err(WriteError::ValueLength { bytes: value.len(), limit: VALUE_MAX })
        }
        _ => Ok(()),
    }
}
