//! A classic BPF interpreter for tests, written from the kernel's documentation and checked as strictly as seccomp(2) checks.

use crate::Instruction;

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    pub nr: u32,
    pub arch: u32,
    pub args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.nr,
            4 => self.arch,
            8 | 12 => 0,
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
            }
            _ => panic!("load at {offset}"),
        }
    }
}

/// What the program returns. Panics where the kernel would refuse the program.
pub(crate) fn run(program: &[Instruction], call: &Call) -> u32 {
    assert!(program.len() <= crate::MAX_INSTRUCTIONS);
    let mut a = 0u32;
    let mut pc = 0usize;
    loop {
        let i = program[pc];
        pc += 1;
        let branch = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
        match i.code {
            0x20 => a = call.word(i.k),
            0x54 => a &= i.k,
            0x05 => pc += i.k as usize,
            0x15 => pc += branch(a == i.k),
            0x25 => pc += branch(a > i.k),
            0x35 => pc += branch(a >= i.k),
            0x06 => return i.k,
            other => panic!("no such instruction: {other:#x}"),
        }
    }
}
