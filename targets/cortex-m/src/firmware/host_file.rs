//! A file of the host that runs QEMU.

use cortex_m_semihosting::{nr, syscall};
use unison_ports::IoError;

/// An open file.
#[derive(Debug)]
pub(crate) struct HostFile(usize);

/// How a file is opened; the numbers are those of semihosting.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Read = 1,
    ReadAndWrite = 3,
    Create = 7,
}

impl HostFile {
    /// Opens a file; its name ends with a zero.
    pub(crate) fn open(name: &'static core::ffi::CStr, mode: Mode) -> Result<Self, IoError> {
        let arguments = [name.as_ptr() as usize, mode as usize, name.count_bytes()];
        // SAFETY: SYS_OPEN reads three words: the address of a name, a mode, the length of the name.
        let handle = unsafe { syscall(nr::OPEN, &arguments) };
        if handle == usize::MAX { Err(IoError::NotFound) } else { Ok(Self(handle)) }
    }

    pub(crate) fn bytes(&self) -> Result<usize, IoError> {
        // SAFETY: SYS_FLEN reads one word, a handle.
        let bytes = unsafe { syscall(nr::FLEN, &[self.0]) };
        if bytes == usize::MAX { Err(failed()) } else { Ok(bytes) }
    }

    fn seek(&self, offset: usize) -> Result<(), IoError> {
        // SAFETY: SYS_SEEK reads two words, a handle and a place.
        let result = unsafe { syscall(nr::SEEK, &[self.0, offset]) };
        if result == 0 { Ok(()) } else { Err(failed()) }
    }

    /// Reads from `offset` and returns how many bytes came; less than wanted only at the file's end.
    pub(crate) fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<usize, IoError> {
        self.seek(offset)?;
        let arguments = [self.0, buffer.as_mut_ptr() as usize, buffer.len()];
        // SAFETY: SYS_READ reads three words and writes at most so many bytes to the buffer, which
        // is borrowed for the call.
        let missing = unsafe { syscall(nr::READ, &arguments) };
        buffer.len().checked_sub(missing).ok_or(failed())
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), IoError> {
        self.seek(offset)?;
        let arguments = [self.0, bytes.as_ptr() as usize, bytes.len()];
        // SAFETY: SYS_WRITE reads three words and so many bytes, which are borrowed for the call.
        let missing = unsafe { syscall(nr::WRITE, &arguments) };
        if missing == 0 { Ok(()) } else { Err(failed()) }
    }
}

fn failed() -> IoError {
    // SAFETY: SYS_ERRNO takes no argument.
    let number = unsafe { cortex_m_semihosting::syscall1(nr::ERRNO, 0) };
    IoError::Device(i32::try_from(number).unwrap_or(i32::MAX))
}
