//! A line between a client and a node that a test can cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on to one address.
#[derive(Debug)]
pub struct Relay {
    address: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Listens on a free port, for as long as the process lives.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let open = Arc::<Mutex<Vec<TcpStream>>>::default();
        let relay = Self { address, open: Arc::clone(&open) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // While nobody listens there, clients are hung up on.
                if let Ok(node) = TcpStream::connect(&target) {
                    pass(&client, &node, &open);
                    pass(&node, &client, &open);
                }
            }
        });
        relay
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Cuts every connection wherever it is, in the middle of a word too.
    ///
    /// # Panics
    /// A thread of the relay did.
    pub fn cut(&self) {
        for stream in self.open.lock().expect("no thread panicked").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Copies a few bytes at a time, so that a cut leaves something half said.
fn pass(from: &TcpStream, to: &TcpStream, open: &Mutex<Vec<TcpStream>>) {
    let (Ok(mut from), Ok(mut to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone())
    else {
        return;
    };
    open.lock().expect("no thread panicked").push(kept);
    std::thread::spawn(move || {
        let mut bytes = [0; 61];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
