//! The `pgrotate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgrotate::cli::main()
}
