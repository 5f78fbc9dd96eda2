//! Puts the rotation function into a release build of the CLI.
//!
//! 1. `PGROTATE_EMBED_ZIP` names a ready zip: it is taken, whatever the profile.
//! 2. Else a release build builds the function itself, in a target directory of its own: the same one
//!    would make the two cargos wait for each other for ever.
//! 3. A development build carries none and looks for what `make function` built, when it runs.

use std::path::PathBuf;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(embedded_function)");
    println!("cargo::rerun-if-env-changed=PGROTATE_EMBED_ZIP");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let zip = if let Some(ready) = std::env::var_os("PGROTATE_EMBED_ZIP") {
        let ready = PathBuf::from(ready);
        println!("cargo::rerun-if-changed={}", ready.display());
        std::fs::read(&ready).unwrap_or_else(|error| panic!("PGROTATE_EMBED_ZIP: {}: {error}", ready.display()))
    } else if std::env::var("PROFILE").as_deref() == Ok("release") {
        for source in ["crates/rotation-function", "crates/function-contract", "Cargo.lock"] {
            println!("cargo::rerun-if-changed={source}");
        }
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
        match function_artifact::build(&function_artifact::Options::in_workspace(root)) {
            Ok(artifact) => artifact.bytes,
            Err(error) => panic!("the rotation function cannot be built: {error}"),
        }
    } else {
        return;
    };
    std::fs::write(out.join("function.zip"), zip).expect("OUT_DIR can be written");
    println!("cargo::rustc-cfg=embedded_function");
}
