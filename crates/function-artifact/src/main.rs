//! Builds the function's zip and prints its path, size in bytes and SHA-256.

use function_artifact::{Options, build, hex};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Read when run, not when compiled: a compiled-in path would end up in the CLI that links this crate.
    let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else {
        eprintln!("run this through cargo: cargo run -p function-artifact");
        return ExitCode::FAILURE;
    };
    let Some(root) = manifest.parent().and_then(|crates| crates.parent()) else {
        eprintln!("{} is not a crate of the workspace", manifest.display());
        return ExitCode::FAILURE;
    };
    match build(&Options { target: std::env::args().nth(1), ..Options::in_workspace(root) }) {
        Ok(artifact) => {
            println!("{}\t{}\t{}", artifact.path.display(), artifact.bytes.len(), hex(&artifact.sha256()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::FAILURE
        }
    }
}
