//! What fails in the middle.
