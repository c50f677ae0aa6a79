//! Linker scripts of the firmware. On a host there is nothing to do.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=memory.ld");
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "none") {
        let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-search={here}");
        for script in ["image.ld", "memory.ld", "defmt.x"] {
            println!("cargo::rustc-link-arg-bins=-T{script}");
        }
        // What is logged is decided when the firmware is built; defmt's own default is errors only.
        let level = env::var("DEFMT_LOG").unwrap_or_else(|_| "info".into());
        println!("cargo::rustc-env=DEFMT_LOG={level}");
    }
}
