//! Messages between husk-cri and husk-shim.
