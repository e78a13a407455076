//! Linux security modules: AppArmor, which the VM's kernel has on, and SELinux, which it has on in a VM of its own.

mod apparmor;
mod selinux;
