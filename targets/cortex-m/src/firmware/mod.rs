//! What is hardware: QEMU's mps2-an386, whose console, files and exit code are semihosting.

mod console;
mod fault;
mod flash;
mod host_file;
mod node;
mod stack;

use console::say;
use cortex_m_rt::entry;
use unison_cortex_m::{Buffers, LastValues};

/// Bytes of one record of the journal.
const RECORD_BYTES: usize = 256;
const GROUP_BYTES: usize = Buffers::GROUP_BYTES;

#[entry]
fn main() -> ! {
    static mut INBOX: [u8; Buffers::INBOX_BYTES] = [0; Buffers::INBOX_BYTES];
    static mut GROUP: [u8; GROUP_BYTES] = [0; GROUP_BYTES];
    static mut FRAME: [u8; GROUP_BYTES] = [0; GROUP_BYTES];
    static mut JOURNAL: [u8; RECORD_BYTES + 64] = [0; RECORD_BYTES + 64];
    static mut RECORD: [u8; RECORD_BYTES] = [0; RECORD_BYTES];
    static mut VALUES: LastValues = LastValues::new();
    let memory = node::Memory {
        tail: Buffers { inbox: INBOX, group: GROUP, frame: FRAME, values: VALUES },
        journal: JOURNAL,
        record: RECORD,
    };
    match node::run(memory) {
        Ok(()) => console::exit(0),
        Err(error) => {
            say!("error: {error}");
            console::exit(1)
        }
    }
}
