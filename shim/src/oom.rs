//! OOM kills, told while the container goes on: inotify on memory.events.

use crate::poll::Token;
use crate::server::Shim;
use husk_cgroup::Cgroup;
use husk_shim_api::Event;
use rustix::fs::inotify;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// One inotify instance for the pod, made when the first container has a memory controller.
#[derive(Debug, Default)]
pub struct OomWatch {
    inotify: Option<OwnedFd>,
}

impl OomWatch {
    /// Ends a watch. The kernel has ended it by itself if the cgroup is gone.
    pub fn remove(&self, watch: Option<i32>) {
        if let (Some(inotify), Some(watch)) = (&self.inotify, watch) {
            let _ = inotify::remove_watch(inotify, watch);
        }
    }
}

impl Shim {
    /// Watches a container's cgroup. Without a memory controller there is nothing to watch; the exit's evidence does
    /// not depend on it.
    pub(crate) fn watch_oom(&mut self, slot: u32) {
        let Some(container) = self.containers.iter_mut().find(|c| c.slot == slot) else { return };
        let Some(file) = container.cgroup.as_ref().map(|dir| dir.join("memory.events")) else { return };
        if !file.exists() {
            return;
        }
        if self.oom.inotify.is_none() {
            let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
            let Ok(new) = inotify::init(flags) else { return };
            if self.poll.add(&new, Token::Inotify).is_err() {
                return;
            }
            self.oom.inotify = Some(new);
        }
        if let Some(inotify) = &self.oom.inotify {
            container.watch = inotify::add_watch(inotify, &file, inotify::WatchFlags::MODIFY).ok();
        }
    }

    pub(crate) fn oom_events(&mut self) {
        let Some(inotify) = &self.oom.inotify else { return };
        let mut space = [MaybeUninit::uninit(); 512];
        let mut reader = inotify::Reader::new(inotify, &mut space);
        while reader.next().is_ok() {}
        let mut events = Vec::new();
        for container in self.containers.iter_mut().filter(|c| c.watch.is_some() && c.exit.is_none()) {
            let Some(cgroup) = &container.cgroup else { continue };
            let Ok(Some(now)) = Cgroup::open(cgroup).memory_events() else { continue };
            // The group was made for this run: its counters began at zero.
            let kills = now.oom_kill;
            if kills > container.oom_kills {
                container.oom_kills = kills;
                events.push(Event::Oom { container: container.id.clone(), kills });
            }
        }
        for event in events {
            self.links.tell(&self.poll, event);
        }
    }
}
