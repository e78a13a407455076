//! The program `husk-cri`; all of it is in the library beside this file.

fn main() -> anyhow::Result<()> {
    husk_cri::main()
}
