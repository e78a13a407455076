//! The header of an ELF file: for which machine it is and which loader it names (elf(5)).

/// The fields that matter, checked against nothing but their own bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elf {
    wide: bool,
    little: bool,
    machine: u16,
    /// Program headers: offset, size of one, how many.
    headers: (u64, u16, u16),
}

const PT_INTERP: u32 = 3;
const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;

/// `None` where it is no ELF file.
pub(crate) fn parse(head: &[u8]) -> Option<Elf> {
    let ident = head.get(..20)?.strip_prefix(b"\x7fELF")?;
    let (wide, little) = (ident[0] == 2, ident[1] != 2);
    let at =
        |offset: usize, length: usize| number(head.get(offset..offset + length).unwrap_or_default(), little);
    let headers = if wide {
        (at(32, 8), at(54, 2) as u16, at(56, 2) as u16)
    } else {
        (at(28, 4), at(42, 2) as u16, at(44, 2) as u16)
    };
    Some(Elf { wide, little, machine: at(18, 2) as u16, headers })
}

impl Elf {
    /// The machine it is for, where that is not this one.
    pub(crate) fn foreign(&self) -> Option<String> {
        let native = match std::env::consts::ARCH {
            "x86_64" => EM_X86_64,
            "aarch64" => EM_AARCH64,
            "riscv64" => EM_RISCV,
            _ => return None,
        };
        // 32-bit x86 on x86_64 runs on nearly every kernel, so it explains nothing.
        if self.little && (self.machine == native || native == EM_X86_64 && self.machine == EM_386) {
            return None;
        }
        Some(self.machine_name())
    }

    fn machine_name(&self) -> String {
        let name = match (self.machine, self.wide, self.little) {
            (EM_386, ..) => "x86 (32-bit)",
            (EM_X86_64, ..) => "x86_64",
            (40, ..) => "arm (32-bit)",
            (EM_AARCH64, _, true) => "aarch64",
            (EM_AARCH64, _, false) => "aarch64 (big-endian)",
            (EM_RISCV, true, _) => "riscv64",
            (EM_RISCV, false, _) => "riscv32",
            (8, true, _) => "mips64",
            (8, false, _) => "mips",
            (20, ..) => "ppc",
            (21, _, true) => "ppc64le",
            (21, _, false) => "ppc64",
            (22, true, _) => "s390x",
            (22, false, _) => "s390",
            (258, ..) => "loongarch64",
            (other, ..) => return format!("machine number {other}"),
        };
        name.into()
    }

    /// The dynamic loader's path; `None` for a static program. `read(offset, length)` reads from the file.
    pub(crate) fn loader(&self, read: impl Fn(u64, usize) -> Vec<u8>) -> Option<Vec<u8>> {
        let (offset, size, count) = self.headers;
        // No real program has more; a hostile file must not make husk read for long.
        let count = count.min(256);
        let table = read(offset, usize::from(size) * usize::from(count));
        let header = table.chunks_exact(usize::from(size).max(1)).find(|header| {
            header.get(..4).is_some_and(|kind| number(kind, self.little) == u64::from(PT_INTERP))
        })?;
        let field =
            |offset: usize, length: usize| Some(number(header.get(offset..offset + length)?, self.little));
        let (at, length) =
            if self.wide { (field(8, 8)?, field(32, 8)?) } else { (field(4, 4)?, field(16, 4)?) };
        // PATH_MAX
        let mut path = read(at, length.min(4096) as usize);
        path.truncate(path.iter().position(|b| *b == 0).unwrap_or(path.len()));
        (!path.is_empty()).then_some(path)
    }
}

fn number(bytes: &[u8], little: bool) -> u64 {
    let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
    if little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A 64-bit little-endian program with one program header, PT_INTERP.
    pub(crate) fn program(machine: u16, loader: &str) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16] = 2;
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = PT_INTERP as u8;
        file[72] = 120;
        file[96] = loader.len() as u8 + 1;
        file.extend(loader.as_bytes());
        file.push(0);
        file
    }

    fn reader(file: &[u8]) -> impl Fn(u64, usize) -> Vec<u8> + '_ {
        |at, length| {
            file.iter().skip(usize::try_from(at).unwrap_or(usize::MAX)).take(length).copied().collect()
        }
    }

    #[test]
    fn headers() {
        let file = program(EM_X86_64, "/lib/ld.so");
        let elf = parse(&file).unwrap();
        assert_eq!(elf.loader(reader(&file)).unwrap(), b"/lib/ld.so");
        assert_eq!(parse(&program(40, "x")).unwrap().foreign().as_deref(), Some("arm (32-bit)"));
        assert_eq!(parse(&program(999, "x")).unwrap().foreign().as_deref(), Some("machine number 999"));
        assert!(parse(b"\x7fELF").is_none());
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(parse(&own).unwrap().foreign(), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(mut file in proptest::collection::vec(any::<u8>(), 20..300), elf in any::<bool>()) {
            if elf {
                file[..4].copy_from_slice(b"\x7fELF");
            }
            if let Some(elf) = parse(&file) {
                let _ = (elf.foreign(), elf.loader(reader(&file)));
            }
        }
    }
}
