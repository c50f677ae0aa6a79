# Sourced, not run: what every stage shares. Stages run from the top of the checkout, share one target
# directory, and build without incremental data, which only a developer's second build would use.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

have() { command -v "$1" >/dev/null 2>&1; }

say() { printf '\n==> %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Where Debian's rustc-web, cargo-web and rust-web-src put things.
DEBIAN_RUSTC=/usr/bin/rustc
DEBIAN_SOURCE=/usr/lib/rustlib/src/rust/library

# The standard library of a target is there as soon as rustup installed it.
rustup_has() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

debian_can_build_std() { [ -x "$DEBIAN_RUSTC" ] && [ -d "$DEBIAN_SOURCE" ]; }

# use_bare TRIPLE: fills the array `bare` with the cargo command for a target without an operating
# system. rustup's library when it is installed, else Debian's compiler builds the library from its
# source; that compiler must not meet the artefacts of the other one, hence its own target directory.
use_bare() {
    if rustup_has "$1"; then
        bare=(cargo build --locked --target "$1")
    elif debian_can_build_std; then
        bare=(env "PATH=/usr/bin:$PATH" "RUSTC=$DEBIAN_RUSTC" RUSTC_BOOTSTRAP=1
            "CARGO_TARGET_DIR=$CARGO_TARGET_DIR-bare"
            /usr/bin/cargo build --locked -Z build-std=core,alloc --target "$1")
    else
        fail "no library for $1: 'rustup target add $1', or on Debian 'apt-get install rustc-web cargo-web rust-web-src'"
    fi
}
