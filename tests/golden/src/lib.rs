//! Golden vectors, checked by an independent decoder.
