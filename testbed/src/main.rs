//! The testbed's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    testbed::cli::main()
}
