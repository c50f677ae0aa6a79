//! A TCP connection as bytes.

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use smoltcp::socket::tcp::{RecvError, Socket};

/// Everything a driver needs of a connection. Nothing waits: a driver asks
/// [`read_ready`](ReadReady::read_ready) or [`write_ready`](WriteReady::write_ready) first.
pub trait Stream: Read + Write + ReadReady + WriteReady {}

impl<S: Read + Write + ReadReady + WriteReady> Stream for S {}

/// Why bytes could not be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StreamError {
    /// Nothing can be moved now; nothing here waits for it.
    #[error("not ready")]
    NotReady,
    /// The connection is gone.
    #[error("the connection was reset")]
    Reset,
}

impl embedded_io::Error for StreamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotReady => ErrorKind::Other,
            Self::Reset => ErrorKind::ConnectionReset,
        }
    }
}

/// One connection of a socket.
#[derive(Debug)]
pub struct TcpStream<'s> {
    socket: &'s mut Socket<'static>,
}

impl<'s> TcpStream<'s> {
    pub(super) fn new(socket: &'s mut Socket<'static>) -> Self {
        Self { socket }
    }
}

impl ErrorType for TcpStream<'_> {
    type Error = StreamError;
}

impl Read for TcpStream<'_> {
    /// 0 when the peer has said everything.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        match self.socket.recv_slice(buffer) {
            Ok(0) if !buffer.is_empty() => Err(StreamError::NotReady),
            Ok(bytes) => Ok(bytes),
            Err(RecvError::Finished) => Ok(0),
            Err(RecvError::InvalidState) => Err(StreamError::Reset),
        }
    }
}

impl Write for TcpStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        match self.socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => Err(StreamError::NotReady),
            Ok(taken) => Ok(taken),
            Err(_) => Err(StreamError::Reset),
        }
    }

    /// The stack sends by itself; this only says whether it has.
    fn flush(&mut self) -> Result<(), StreamError> {
        if self.socket.send_queue() == 0 { Ok(()) } else { Err(StreamError::NotReady) }
    }
}

impl ReadReady for TcpStream<'_> {
    /// True too when reading tells of the end.
    fn read_ready(&mut self) -> Result<bool, StreamError> {
        Ok(self.socket.can_recv() || !self.socket.may_recv())
    }
}

impl WriteReady for TcpStream<'_> {
    /// True too when writing tells that the connection is gone.
    fn write_ready(&mut self) -> Result<bool, StreamError> {
        Ok(self.socket.can_send() || !self.socket.may_send())
    }
}
