//! Exit records, their evidence and verdict.
