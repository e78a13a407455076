//! The program `huskctl`; all of it is in the library beside this file.

fn main() -> std::process::ExitCode {
    huskctl::main()
}
