//! Text as it is written beside a definition, to roff in the man(7) macros.
//!
//! `# TITLE` begins a section. Paragraphs are parted by empty lines; a line that begins with `: ` explains the line
//! before it; lines with four blanks before them are shown as they stand. `` `x` `` is bold, `*x*` is italic, and a
//! page such as `husk-run(8)` is bold, too.

use std::fmt::Write as _;

/// The whole text.
pub fn roff(words: &str) -> String {
    let mut out = String::new();
    let mut lines = words.lines().peekable();
    // Whether a heading has just been written: it begins a paragraph by itself.
    let mut fresh = true;
    let mut open = false;
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("# ") {
            let _ = writeln!(out, ".SH \"{}\"", escape(title));
            (fresh, open) = (true, false);
        } else if line.trim().is_empty() {
            open = false;
        } else if let Some(first) = line.strip_prefix("    ") {
            out.push_str(if fresh { "" } else { ".PP\n" });
            let _ = write!(out, ".RS 4\n.nf\n{}\n", verbatim(first));
            while let Some(next) = lines.next_if(|next| next.starts_with("    ")) {
                let _ = writeln!(out, "{}", verbatim(next.get(4..).unwrap_or_default()));
            }
            out.push_str(".fi\n.RE\n");
            (fresh, open) = (false, false);
        } else if let Some(meaning) = line.strip_prefix(": ") {
            let _ = writeln!(out, "{}", inline(meaning));
            open = true;
        } else if lines.peek().is_some_and(|next| next.starts_with(": ")) {
            let _ = writeln!(out, ".TP\n{}", inline(line));
            fresh = false;
        } else {
            if !open && !fresh {
                out.push_str(".PP\n");
            }
            let _ = writeln!(out, "{}", inline(line));
            (fresh, open) = (false, true);
        }
    }
    out
}

/// Text with its marks. A line that begins with a dot or an apostrophe would be taken for a macro.
pub fn inline(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '*']) {
        let (before, marked) = rest.split_at(at);
        out.push_str(&references(before));
        let mark = marked.chars().next().unwrap_or('`');
        let inner = marked.get(1..).unwrap_or_default();
        let Some((inside, after)) = inner.split_once(mark) else {
            out.push_str(&escape(marked));
            rest = "";
            break;
        };
        let font = if mark == '`' { 'B' } else { 'I' };
        let _ = write!(out, "\\f{font}{}\\fR", escape(inside));
        rest = after;
    }
    out.push_str(&references(rest));
    guard(out)
}

/// Pages of the manual are bold.
fn references(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(' ') {
        match word.split_once('(') {
            Some((name, rest))
                if !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                    && matches!(rest.as_bytes(), [b'1'..=b'9', b')', ..]) =>
            {
                let _ = write!(out, "\\fB{}\\fR({}", escape(name), escape(rest));
            }
            _ => out.push_str(&escape(word)),
        }
    }
    out
}

fn verbatim(line: &str) -> String {
    guard(escape(line))
}

fn guard(line: String) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

/// Backslashes begin an escape, a plain minus would be shown as a hyphen, and quotes end a macro's argument.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}

#[cfg(test)]
mod tests {
    use super::{inline, roff};

    #[test]
    fn marks_and_pages() {
        assert_eq!(
            inline("see `--all` of husk-kill(8), or *ID*."),
            "see \\fB\\-\\-all\\fR of \\fBhusk\\-kill\\fR(8), or \\fIID\\fR."
        );
        assert_eq!(inline(".dot (as here)"), "\\&.dot (as here)");
    }

    #[test]
    fn paragraphs_terms_and_examples() {
        let text = "# FILES\nOne\nline.\n\nTwo.\n\n`/run`\n: State\nof all.\n\n    # husk list\n    .x\n";
        assert_eq!(
            roff(text),
            ".SH \"FILES\"\nOne\nline.\n.PP\nTwo.\n.TP\n\\fB/run\\fR\nState\nof all.\n.PP\n.RS 4\n.nf\n# husk list\n\\&.x\n.fi\n.RE\n"
        );
    }
}
