//! Architectures and their system call numbers.

use oci_spec::runtime::Arch;

use crate::table::{NO, SYSCALLS};

/// Bit that marks the number of an x32 call (asm/unistd.h: `__X32_SYSCALL_BIT`).
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// An application binary interface whose calls husk knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abi {
    /// 64-bit x86.
    X86_64 = 0,
    /// 32-bit x86.
    X86 = 1,
    /// 32-bit pointers on 64-bit x86.
    X32 = 2,
    /// 64-bit ARM.
    Aarch64 = 3,
    /// 32-bit ARM (EABI).
    Arm = 4,
}

impl Abi {
    /// That of this build; `None` where husk has no table for it.
    pub fn native() -> Option<Abi> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Abi::X86_64),
            "aarch64" => Some(Abi::Aarch64),
            _ => None,
        }
    }

    /// The ABI of a kernel's report (AUDIT_ARCH_*, number).
    pub fn from_audit(arch: u32, nr: u32) -> Option<Abi> {
        match arch {
            0xc000_003e if nr & X32_BIT != 0 => Some(Abi::X32),
            0xc000_003e => Some(Abi::X86_64),
            0x4000_0003 => Some(Abi::X86),
            0xc000_00b7 => Some(Abi::Aarch64),
            0x4000_0028 => Some(Abi::Arm),
            _ => None,
        }
    }

    pub(crate) fn from_oci(arch: Arch, native: Abi) -> Option<Abi> {
        match arch {
            Arch::ScmpArchNative => Some(native),
            Arch::ScmpArchX86_64 => Some(Abi::X86_64),
            Arch::ScmpArchX86 => Some(Abi::X86),
            Arch::ScmpArchX32 => Some(Abi::X32),
            Arch::ScmpArchAarch64 => Some(Abi::Aarch64),
            Arch::ScmpArchArm => Some(Abi::Arm),
            _ => None,
        }
    }

    /// True where a kernel for `native` can run programs of this ABI.
    pub(crate) fn runs_on(self, native: Abi) -> bool {
        match native {
            Abi::X86_64 => matches!(self, Abi::X86_64 | Abi::X86 | Abi::X32),
            Abi::Aarch64 => matches!(self, Abi::Aarch64 | Abi::Arm),
            other => self == other,
        }
    }

    /// AUDIT_ARCH_* (linux/audit.h), as `seccomp_data.arch` has it. x32 shares that of x86_64.
    pub fn audit(self) -> u32 {
        match self {
            Abi::X86_64 | Abi::X32 => 0xc000_003e,
            Abi::X86 => 0x4000_0003,
            Abi::Aarch64 => 0xc000_00b7,
            Abi::Arm => 0x4000_0028,
        }
    }

    /// The number of a call, as `seccomp_data.nr` has it.
    pub fn number(self, name: &str) -> Option<u32> {
        let row = SYSCALLS.binary_search_by_key(&name, |(n, _)| n).ok()?;
        let nr = SYSCALLS[row].1[self as usize];
        let bit = if self == Abi::X32 { X32_BIT } else { 0 };
        (nr != NO).then_some(nr as u32 | bit)
    }

    /// The name of a call.
    pub fn name(self, nr: u32) -> Option<&'static str> {
        let nr = if self == Abi::X32 { nr & !X32_BIT } else { nr };
        SYSCALLS
            .iter()
            .find(|(_, row)| row[self as usize] != NO && row[self as usize] as u32 == nr)
            .map(|(name, _)| *name)
    }
}

/// True where some architecture has a call of this name.
pub(crate) fn is_known(name: &str) -> bool {
    SYSCALLS.binary_search_by_key(&name, |(n, _)| n).is_ok()
}

/// Where 32-bit x86 programs may reach `name` too: the multiplexing call and the value of its first argument
/// (socketcall(2), ipc(2)).
pub(crate) fn multiplexed(name: &str) -> Option<(&'static str, u64)> {
    let sub = match name {
        "socket" => ("socketcall", 1),
        "bind" => ("socketcall", 2),
        "connect" => ("socketcall", 3),
        "listen" => ("socketcall", 4),
        "accept" => ("socketcall", 5),
        "getsockname" => ("socketcall", 6),
        "getpeername" => ("socketcall", 7),
        "socketpair" => ("socketcall", 8),
        "send" => ("socketcall", 9),
        "recv" => ("socketcall", 10),
        "sendto" => ("socketcall", 11),
        "recvfrom" => ("socketcall", 12),
        "shutdown" => ("socketcall", 13),
        "setsockopt" => ("socketcall", 14),
        "getsockopt" => ("socketcall", 15),
        "sendmsg" => ("socketcall", 16),
        "recvmsg" => ("socketcall", 17),
        "accept4" => ("socketcall", 18),
        "recvmmsg" => ("socketcall", 19),
        "sendmmsg" => ("socketcall", 20),
        "semop" => ("ipc", 1),
        "semget" => ("ipc", 2),
        "semctl" => ("ipc", 3),
        "semtimedop" => ("ipc", 4),
        "msgsnd" => ("ipc", 11),
        "msgrcv" => ("ipc", 12),
        "msgget" => ("ipc", 13),
        "msgctl" => ("ipc", 14),
        "shmat" => ("ipc", 21),
        "shmdt" => ("ipc", 22),
        "shmget" => ("ipc", 23),
        "shmctl" => ("ipc", 24),
        _ => return None,
    };
    Some(sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(SYSCALLS.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn numbers() {
        assert_eq!(Abi::X86_64.number("ptrace"), Some(101));
        assert_eq!(Abi::X86.number("ptrace"), Some(26));
        assert_eq!(Abi::X32.number("ptrace"), Some(X32_BIT | 521));
        assert_eq!(Abi::Aarch64.number("ptrace"), Some(117));
        assert_eq!(Abi::Aarch64.number("open"), None);
        assert_eq!(Abi::Arm.number("set_tls"), Some(983_045));
        assert_eq!(Abi::X86_64.number("no_such_call"), None);
        assert_eq!(Abi::X86_64.name(101), Some("ptrace"));
        assert_eq!(Abi::from_audit(0xc000_003e, X32_BIT | 521).unwrap().name(X32_BIT | 521), Some("ptrace"));
    }

    #[test]
    fn every_multiplexed_name_is_a_call() {
        for (name, _) in SYSCALLS {
            if let Some((through, _)) = multiplexed(name) {
                assert!(Abi::X86.number(through).is_some());
            }
        }
        assert_eq!(SYSCALLS.iter().filter(|(n, _)| multiplexed(n).is_some()).count(), 32);
    }
}
