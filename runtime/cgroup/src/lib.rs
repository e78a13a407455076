//! cgroup v2: groups, limits, devices, statistics.
