//! Linux security modules: AppArmor, which the VM's kernel has on.

mod apparmor;
