//! The program `husk`; all of it is in the library beside this file.

fn main() -> std::process::ExitCode {
    husk::main()
}
