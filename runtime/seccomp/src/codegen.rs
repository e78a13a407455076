//! From a [`Model`] to classic BPF.
//!
//! Layout: a chain over the few architectures, then for each a binary search over the system call numbers. Each part ends
//! in a return, so jumps only ever go a short way forward, over the part that does not apply.

use crate::Instruction;
use crate::arch::{Abi, X32_BIT};
use crate::model::{Condition, Decision, Model, Op, RET_ENOSYS, RET_KILL_PROCESS, Rule, Table};

// linux/bpf_common.h
const LD_W_ABS: u16 = 0x20;
const AND_K: u16 = 0x54;
const JA: u16 = 0x05;
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const RET: u16 = 0x06;

// struct seccomp_data (linux/seccomp.h)
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

type Code = Vec<Instruction>;

/// The program for `model`.
pub(crate) fn generate(model: &Model) -> Code {
    let mut out = vec![load(ARCH)];
    let table = |abi| model.tables.iter().find(|t| t.abi == abi);
    for t in &model.tables {
        let section = match t.abi {
            // x32 has the architecture of x86_64 and is told apart by the number; it lives in the section of x86_64.
            Abi::X32 => continue,
            Abi::X86_64 => x86_64(model, t, table(Abi::X32)),
            _ => numbers(model, t),
        };
        // arch == audit ? section : next
        append_if(&mut out, JEQ, t.abi.audit(), section);
    }
    // No program of this profile's architectures made the call. To kill is what the field does; of the process and not only
    // of the thread, so that it ends at once and its wait status says SIGSYS.
    out.push(ret(RET_KILL_PROCESS));
    out
}

fn x86_64(model: &Model, x86_64: &Table, x32: Option<&Table>) -> Code {
    let mut out = vec![load(NR)];
    // -1 is what a tracer leaves where it skips a call: no x32 call, though it has the bit.
    let x32 = match x32 {
        Some(table) => search(model, table),
        None => vec![jump(JEQ, u32::MAX, 0, 1), ret(model.default), ret(RET_KILL_PROCESS)],
    };
    append_if(&mut out, JGE, X32_BIT, x32);
    out.extend(search(model, x86_64));
    out
}

fn numbers(model: &Model, table: &Table) -> Code {
    let mut out = vec![load(NR)];
    out.extend(search(model, table));
    out
}

/// Decides by the number in the accumulator.
fn search(model: &Model, table: &Table) -> Code {
    let ranges = ranges(model, table);
    tree(model, &ranges)
}

/// First numbers of runs of equal decisions, from 0 on.
fn ranges(model: &Model, table: &Table) -> Vec<(u32, Decision)> {
    let default = Decision::Always(model.default);
    let mut points: Vec<(u32, Decision)> = vec![(0, default.clone())];
    let mut push = |start: u32, decision: Decision| match points.last_mut() {
        Some((_, last)) if *last == decision => {}
        Some((at, last)) if *at == start => *last = decision,
        _ => points.push((start, decision)),
    };
    for (nr, decision) in &table.calls {
        push(*nr, decision.clone());
        push(nr + 1, default.clone());
    }
    if let Some(newest) = table.newest {
        push(newest + 1, Decision::Always(RET_ENOSYS));
        // A call that a tracer has skipped is none that the kernel lacks.
        push(u32::MAX, default);
    }
    // A replaced first point may equal its successor.
    points.dedup_by(|b, a| a.1 == b.1);
    points
}

fn tree(model: &Model, ranges: &[(u32, Decision)]) -> Code {
    match ranges {
        [] => vec![ret(model.default)],
        [(_, Decision::Always(action))] => vec![ret(*action)],
        [(_, Decision::Rules(rules))] => rules_code(model, rules),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let mut out = Code::new();
            append_if(&mut out, JGE, high[0].0, tree(model, high));
            out.extend(tree(model, low));
            out
        }
    }
}

/// Each rule: its conditions, each of which may leave for the next rule; then its action.
fn rules_code(model: &Model, rules: &[Rule]) -> Code {
    let mut out = Code::new();
    for rule in rules {
        // Written from the end, so that the way to the next rule is known.
        let mut code = vec![ret(rule.action)];
        for condition in rule.conditions.iter().rev() {
            // At most six conditions of six instructions each: the distance fits.
            let mut part = condition_code(condition, code.len() as u8);
            part.append(&mut code);
            code = part;
        }
        out.append(&mut code);
    }
    out.push(ret(model.default));
    out
}

/// Falls through where the condition holds, else skips `rest` instructions more.
fn condition_code(condition: &Condition, rest: u8) -> Code {
    let low = ARGS + 8 * condition.index as u32;
    let high = low + 4;
    let (h, l) = ((condition.value >> 32) as u32, condition.value as u32);
    match condition.op {
        Op::Eq => vec![load(high), jump(JEQ, h, 0, rest + 2), load(low), jump(JEQ, l, 0, rest)],
        Op::Ne => vec![load(high), jump(JEQ, h, 0, 2), load(low), jump(JEQ, l, rest, 0)],
        Op::Gt => {
            vec![load(high), jump(JGT, h, 3, 0), jump(JEQ, h, 0, rest + 2), load(low), jump(JGT, l, 0, rest)]
        }
        Op::Ge => {
            vec![load(high), jump(JGT, h, 3, 0), jump(JEQ, h, 0, rest + 2), load(low), jump(JGE, l, 0, rest)]
        }
        Op::Lt => {
            vec![load(high), jump(JGT, h, rest + 3, 0), jump(JEQ, h, 0, 2), load(low), jump(JGE, l, rest, 0)]
        }
        Op::Le => {
            vec![load(high), jump(JGT, h, rest + 3, 0), jump(JEQ, h, 0, 2), load(low), jump(JGT, l, rest, 0)]
        }
        Op::Masked(mask) => vec![
            load(high),
            and((mask >> 32) as u32),
            jump(JEQ, h, 0, rest + 3),
            load(low),
            and(mask as u32),
            jump(JEQ, l, 0, rest),
        ],
    }
}

/// `if A <op> k { body }`, where `body` ends in a return.
fn append_if(out: &mut Code, op: u16, k: u32, body: Code) {
    match u8::try_from(body.len()) {
        Ok(length) => out.push(jump(op, k, 0, length)),
        // Conditional jumps reach 255 instructions; the unconditional one has 32 bits.
        Err(_) => {
            out.extend([jump(op, k, 1, 0), Instruction { code: JA, jt: 0, jf: 0, k: body.len() as u32 }])
        }
    }
    out.extend(body);
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LD_W_ABS, jt: 0, jf: 0, k: offset }
}

fn and(mask: u32) -> Instruction {
    Instruction { code: AND_K, jt: 0, jf: 0, k: mask }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn ret(value: u32) -> Instruction {
    Instruction { code: RET, jt: 0, jf: 0, k: value }
}
