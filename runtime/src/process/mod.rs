//! Making a process and turning it into the program: what a container's init and the process of an `exec` share.
//!
//! The parent
//! 1. makes a [`channel::Channel`] pair and calls [`spawn::spawn`] with the namespaces to make or join and the cgroup;
//!    it returns in both processes;
//! 2. answers the child's messages until [`channel::Message::Ready`];
//! 3. does what must be done before the program runs (pid file, state), and sends [`channel::Message::Go`].
//!
//! The child
//! 1. sets up what is its own (init: root filesystem; exec: nothing);
//! 2. calls [`terminal::open`] where the program has a terminal;
//! 3. calls [`finish::prepare`], which takes away all rights that the program is not to have;
//! 4. sends `Ready`, waits at its barrier, and calls [`finish::execute`].
//!
//! For `exec` into a running container the namespaces are joined by the pidfd of its init:
//! [`spawn::Join::Process`].

pub mod channel;
pub mod creds;
pub mod failure;
pub mod finish;
pub mod home;
pub mod maps;
pub mod procfs;
pub mod program;
pub mod rlimits;
pub mod selinux;
pub mod spawn;
pub mod terminal;
