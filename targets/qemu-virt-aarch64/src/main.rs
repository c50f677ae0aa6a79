//! The edge-node as firmware for QEMU's `virt` machine. On a host this package only says how the
//! firmware is built.

#![cfg_attr(target_os = "none", no_std, no_main)]
// Registers, page tables and queues of devices cannot be had without; each block says why it holds.
#![cfg_attr(target_os = "none", allow(unsafe_code))]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod firmware;

/// Says what to do instead.
#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "This is firmware and does not run here. `ci/firmware build` builds it, `ci/firmware run` boots it;\n\
         see targets/qemu-virt-aarch64/README.md."
    );
    std::process::ExitCode::from(2)
}
