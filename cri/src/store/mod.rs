//! What husk-cri knows of its objects, on disk and in memory.
//!
//! One JSON file per object, replaced by rename: a crash leaves the old or the new one, and a person can read it. A
//! change is on disk before anyone sees it in memory.

mod entry;
mod record;
mod table;

pub use entry::{Entry, blocking, write};
pub use record::{
    ContainerPhase, ContainerRecord, Ended, RECORD_VERSION, SandboxPhase, SandboxRecord, User, load_all,
};
pub use table::{Named, Table};
