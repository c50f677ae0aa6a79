//! What runs without an operating system. One core, and interrupts stay masked: they only end a
//! wait, so nothing here runs beside anything else.

mod arguments;
mod board;
mod clock;
mod console;
mod fault;
mod heap;
mod interrupts;
mod log;
mod machine;
mod node;
mod paging;
mod panic;
mod power;
mod retained;
mod start;
mod virtio;
