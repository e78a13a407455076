//! Compiles `proto/*.proto` without protoc.

use std::error::Error;

const FILES: [&str; 7] = ["common", "windows", "sandbox", "container", "stats", "image", "runtime"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let paths = FILES.map(|name| format!("proto/{name}.proto"));
    let descriptors = protox::compile(&paths, ["proto"])?;
    // JSON is how husk-cri keeps requests on disk and how huskctl shows answers.
    tonic_prost_build::configure()
        .build_transport(true)
        .message_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default)]")
        .compile_fds(descriptors)?;
    Ok(())
}
