//! A BPF program from device rules. Instruction set: Linux `Documentation/bpf/standardization/instruction-set.rst`.

use husk_sys::bpf::Instruction;

use super::rules::{ALL, Kind, Rule};

/// Registers. R1 is the context at entry, R0 the verdict at exit; the names of the others are this program's.
const VERDICT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// The wanted access bits which no rule has allowed yet.
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// `BPF_DEVCG_DEV_BLOCK` and `_CHAR`.
const BLOCK: i32 = 1;
const CHAR: i32 = 2;

/// Opcodes: class | source or size | operation.
mod op {
    /// dst = *(u32 *)(src + offset)
    pub const LOAD_WORD: u8 = 0x61;
    /// dst = imm
    pub const MOV: u8 = 0xb7;
    /// dst = src
    pub const MOV_REGISTER: u8 = 0xbf;
    /// dst &= imm
    pub const AND: u8 = 0x57;
    /// dst >>= imm
    pub const SHIFT_RIGHT: u8 = 0x77;
    /// jump always
    pub const JUMP: u8 = 0x05;
    /// jump if dst != imm
    pub const JUMP_NOT_EQUAL: u8 = 0x55;
    /// jump if dst & imm
    pub const JUMP_ANY_SET: u8 = 0x45;
    pub const EXIT: u8 = 0x95;
}

fn instruction(code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Instruction {
    let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
    let ([o0, o1], [i0, i1, i2, i3]) = (offset.to_ne_bytes(), imm.to_ne_bytes());
    [code, registers, o0, o1, i0, i1, i2, i3]
}

/// The program for rules of which the last one that fits decides, for each of the access bits by itself.
///
/// It goes through the rules from the last to the first: an allowing rule strikes its bits off the wanted ones, and
/// nothing left means allow; a denying rule that covers a bit still wanted means deny. At the end: deny.
pub(super) fn assemble(rules: &[Rule]) -> Vec<Instruction> {
    // struct bpf_cgroup_dev_ctx { u32 access_type (access << 16 | type); u32 major; u32 minor; }
    let mut code = vec![
        instruction(op::LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(op::MOV_REGISTER, WANTED, KIND, 0, 0),
        instruction(op::SHIFT_RIGHT, WANTED, 0, 0, 16),
        instruction(op::AND, KIND, 0, 0, 0xffff),
        instruction(op::LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(op::LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let conditions = conditions(rule);
        let action = action(rule);
        // The verifier refuses unreachable code: a rule that fits everything is the last one.
        let last = conditions.is_empty() && rule.access == ALL;
        for (index, (register, value)) in conditions.iter().enumerate() {
            let skip = conditions.len() - index - 1 + action.len();
            code.push(instruction(op::JUMP_NOT_EQUAL, *register, 0, skip as i16, *value));
        }
        code.extend(action);
        if last {
            return code;
        }
    }
    code.extend(verdict(false));
    code
}

/// Registers and the values they must have for the rule to fit.
fn conditions(rule: &Rule) -> Vec<(u8, i32)> {
    let kind = match rule.kind {
        Kind::Any => None,
        Kind::Block => Some((KIND, BLOCK)),
        Kind::Char => Some((KIND, CHAR)),
    };
    // Numbers are below 2^20, so they fit the sign-extended immediate.
    let number = |register, value: Option<u32>| value.map(|value| (register, value as i32));
    [kind, number(MAJOR, rule.major), number(MINOR, rule.minor)].into_iter().flatten().collect()
}

/// What to do where the rule fits; falls through to the next rule where it does not decide.
fn action(rule: &Rule) -> Vec<Instruction> {
    let access = i32::from(rule.access);
    let decide = verdict(rule.allow);
    let mut code = match (rule.access == ALL, rule.allow) {
        (true, _) => vec![],
        (false, true) => vec![
            instruction(op::AND, WANTED, 0, 0, !access),
            instruction(op::JUMP_NOT_EQUAL, WANTED, 0, decide.len() as i16, 0),
        ],
        (false, false) => vec![
            instruction(op::JUMP_ANY_SET, WANTED, 0, 1, access),
            instruction(op::JUMP, 0, 0, decide.len() as i16, 0),
        ],
    };
    code.extend(decide);
    code
}

fn verdict(allow: bool) -> [Instruction; 2] {
    [instruction(op::MOV, VERDICT, 0, 0, i32::from(allow)), instruction(op::EXIT, 0, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rules::{MKNOD, READ, WRITE};
    use super::*;

    /// Runs a program as the kernel would; panics on anything the verifier would refuse.
    fn interpret(code: &[Instruction], kind: i32, major: u32, minor: u32, access: u8) -> bool {
        let context = [u32::from(access) << 16 | kind as u32, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0usize;
        loop {
            let [code, regs, o0, o1, imm @ ..] = code[at];
            let (dst, src) = ((regs & 15) as usize, (regs >> 4) as usize);
            let offset = i64::from(i16::from_ne_bytes([o0, o1]));
            let imm = i64::from(i32::from_ne_bytes(imm)) as u64;
            let mut jump = false;
            match code {
                op::LOAD_WORD => registers[dst] = u64::from(context[offset as usize / 4]),
                op::MOV => registers[dst] = imm,
                op::MOV_REGISTER => registers[dst] = registers[src],
                op::AND => registers[dst] &= imm,
                op::SHIFT_RIGHT => registers[dst] >>= imm,
                op::JUMP => jump = true,
                op::JUMP_NOT_EQUAL => jump = registers[dst] != imm,
                op::JUMP_ANY_SET => jump = registers[dst] & imm != 0,
                op::EXIT => return registers[0] == 1,
                other => panic!("opcode {other:#x}"),
            }
            // Loops were refused before Linux 5.3.
            assert!(offset >= 0);
            at += 1 + if jump { offset as usize } else { 0 };
        }
    }

    /// The meaning of rules, said as simply as can be.
    fn allowed(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
        [MKNOD, READ, WRITE].into_iter().filter(|bit| access & bit != 0).all(|bit| {
            let fits = |rule: &&Rule| {
                (rule.kind == Kind::Any || rule.kind == kind)
                    && rule.major.is_none_or(|m| m == major)
                    && rule.minor.is_none_or(|m| m == minor)
                    && rule.access & bit != 0
            };
            rules.iter().rev().find(fits).is_some_and(|rule| rule.allow)
        })
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let kind = prop_oneof![Just(Kind::Any), Just(Kind::Block), Just(Kind::Char)];
        // Few numbers, so that rules overlap.
        let number = || proptest::option::weighted(0.6, 0u32..3);
        (any::<bool>(), kind, number(), number(), 1..=ALL)
            .prop_map(|(allow, kind, major, minor, access)| Rule { allow, kind, major, minor, access })
    }

    /// Each instruction can be reached, and control never runs off the end: what the verifier demands.
    fn verify(code: &[Instruction]) {
        let mut reached = vec![false; code.len()];
        let mut todo = vec![0];
        while let Some(at) = todo.pop() {
            if std::mem::replace(&mut reached[at], true) {
                continue;
            }
            let target = at + 1 + usize::try_from(i16::from_ne_bytes([code[at][2], code[at][3]])).unwrap();
            match code[at][0] {
                op::EXIT => {}
                op::JUMP => todo.push(target),
                op::JUMP_NOT_EQUAL | op::JUMP_ANY_SET => todo.extend([at + 1, target]),
                _ => todo.push(at + 1),
            }
        }
        assert!(reached.iter().all(|r| *r), "unreachable code: {reached:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn program_means_what_the_rules_mean(
            rules in proptest::collection::vec(rule(), 0..12),
            block in any::<bool>(), major in 0u32..4, minor in 0u32..4, access in 1..=ALL,
        ) {
            let code = assemble(&rules);
            verify(&code);
            let (kind, number) = if block { (Kind::Block, BLOCK) } else { (Kind::Char, CHAR) };
            prop_assert_eq!(interpret(&code, number, major, minor, access), allowed(&rules, kind, major, minor, access));
        }
    }

    #[test]
    fn default_rules_are_closed_but_for_the_usual_nodes() {
        let code = assemble(&super::super::rules::all(&[]).unwrap());
        let char = |major, minor, access| interpret(&code, CHAR, major, minor, access);
        assert!(char(1, 3, READ | WRITE) && char(136, 17, READ | WRITE) && char(10, 200, ALL));
        assert!(char(10, 229, MKNOD) && !char(10, 229, READ) && !char(10, 229, READ | MKNOD));
        assert!(interpret(&code, BLOCK, 8, 0, MKNOD) && !interpret(&code, BLOCK, 8, 0, READ));
    }

    #[test]
    fn one_rule_for_everything_is_the_whole_program() {
        let any = |allow| Rule { allow, kind: Kind::Any, major: None, minor: None, access: ALL };
        let char = Rule { kind: Kind::Char, ..any(false) };
        assert_eq!(assemble(&[char, any(true)]).len(), 6 + 2);
        assert!(interpret(&assemble(&[any(true)]), BLOCK, 8, 0, ALL));
        assert!(!interpret(&assemble(&[any(true), any(false)]), BLOCK, 8, 0, READ));
    }
}
