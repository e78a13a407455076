//! Containers: made, started, stopped, removed, shown.

mod create;
mod end;
mod exec;
mod logs;
mod release;
mod remove;
mod rootfs;
mod start;
mod stats;
mod status;
mod stop;
mod update;
mod volumes;

pub use create::create;
pub use end::{announce, ended, finish, judge, judge_unknown, orphaned};
pub use exec::exec_sync;
pub use logs::reopen;
pub use release::discard;
pub use remove::remove;
pub use start::start;
pub use stats::{list as list_stats, of as stats};
pub use status::{list, one as status};
pub use stop::{Cause, kill, stop};
pub use update::update;
