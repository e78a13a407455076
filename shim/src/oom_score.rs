//! The shim's own OOM score: the kernel is to take others first, since without the shim the ends of its containers are
//! unknown, and since it is small. Its children must not inherit that.

use std::sync::OnceLock;

const FILE: &str = "/proc/self/oom_score_adj";
const PROTECTED: &str = "-998";

/// The score that this process was started with; set only if it could be changed.
static USUAL: OnceLock<String> = OnceLock::new();

/// Protects this process. Lowering needs CAP_SYS_RESOURCE: where that is missing the present value stays.
pub fn protect() {
    if let Ok(usual) = std::fs::read_to_string(FILE)
        && std::fs::write(FILE, PROTECTED).is_ok()
    {
        let _ = USUAL.set(usual.trim().to_owned());
    }
}

/// The score of this process at present; what the pause process gets, too.
pub fn present() -> i32 {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// While it lives, this process has the score that its child is to inherit.
#[derive(Debug)]
pub struct Usual;

impl Usual {
    /// To be held while a child is made.
    pub fn for_child() -> Self {
        if let Some(usual) = USUAL.get() {
            let _ = std::fs::write(FILE, usual);
        }
        Self
    }
}

impl Drop for Usual {
    fn drop(&mut self) {
        if USUAL.get().is_some() {
            let _ = std::fs::write(FILE, PROTECTED);
        }
    }
}
