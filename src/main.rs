//! The command. Everything it does is in the library.

use std::process::ExitCode;

/// A request allocates a hundred times, and what it allocates is freed by other threads: the allocators of the C
/// libraries are slow at that, musl's above all.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    semroute::cli::run()
}
