//! The firmware; on a machine with an operating system, the tool that makes its tape and checks what it
//! left on its medium.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "semihosting, the linker's symbols, the one large array")]
mod firmware;
#[cfg(not(target_os = "none"))]
mod host;
mod plan;

#[cfg(not(target_os = "none"))]
fn main() -> anyhow::Result<()> {
    host::main()
}
