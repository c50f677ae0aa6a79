//! The two checksums of the formats: Castagnoli for frames, IEEE for record contents.

/// Table of one kilobyte: what a microcontroller can spare.
#[cfg(not(feature = "std"))]
static CASTAGNOLI: crc::Crc<u32, crc::Table<1>> =
    crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISCSI);

/// CRC-32C (Castagnoli, init and xorout `0xFFFF_FFFF`): frames and segment headers. With `std` by
/// the CPU's own instruction where it has one.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(feature = "std")]
    let crc = crc32c::crc32c(bytes);
    #[cfg(not(feature = "std"))]
    let crc = CASTAGNOLI.checksum(bytes);
    crc
}

#[cfg(feature = "std")]
type Running = u32;
#[cfg(not(feature = "std"))]
type Running = crc::Digest<'static, u32, crc::Table<1>>;

/// CRC-32C over several slices as if they were one: frames larger than a buffer.
#[derive(Clone)]
pub struct Crc32c(Running);

impl Crc32c {
    /// The checksum of no bytes so far.
    #[must_use]
    pub fn new() -> Self {
        #[cfg(feature = "std")]
        let running = 0;
        #[cfg(not(feature = "std"))]
        let running = CASTAGNOLI.digest();
        Self(running)
    }

    /// Adds the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        #[cfg(feature = "std")]
        (self.0 = crc32c::crc32c_append(self.0, bytes));
        #[cfg(not(feature = "std"))]
        self.0.update(bytes);
    }

    /// The checksum of all bytes added.
    #[must_use]
    pub fn finish(self) -> u32 {
        #[cfg(feature = "std")]
        let crc = self.0;
        #[cfg(not(feature = "std"))]
        let crc = self.0.finalize();
        crc
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Crc32c {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Crc32c").finish_non_exhaustive()
    }
}

/// CRC-32 (IEEE) over several slices as if they were one: record entries, transaction checksums.
#[derive(Clone, Debug, Default)]
pub struct Crc32(crc32fast::Hasher);

impl Crc32 {
    /// Adds the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds bytes that follow and are known by their checksum and their number only.
    pub fn append(&mut self, checksum: u32, bytes: u64) {
        self.0.combine(&crc32fast::Hasher::new_with_initial_len(checksum, bytes));
    }

    /// The checksum of all bytes added.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

/// CRC-32 (IEEE) of one slice.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(super::crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
        let mut parts = super::Crc32::default();
        parts.update(b"1234");
        parts.update(b"56789");
        assert_eq!(parts.finish(), 0xCBF4_3926);
    }

    #[test]
    fn every_length_agrees_with_a_bitwise_computation() {
        let bytes: alloc_free::Bytes = alloc_free::bytes();
        for length in 0..bytes.len() {
            let slice = &bytes[..length];
            assert_eq!(super::crc32c(slice), alloc_free::bitwise(slice), "length {length}");
            let mut parts = super::Crc32c::default();
            slice.chunks(1 + length / 3).for_each(|part| parts.update(part));
            assert_eq!(parts.finish(), super::crc32c(slice), "length {length} in parts");
        }
    }

    mod alloc_free {
        pub(super) type Bytes = [u8; 600];

        pub(super) fn bytes() -> Bytes {
            core::array::from_fn(|index| u8::try_from(index * 31 % 251).unwrap())
        }

        pub(super) fn bitwise(bytes: &[u8]) -> u32 {
            !bytes.iter().fold(u32::MAX, |crc, &byte| {
                (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                    (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg())
                })
            })
        }
    }
}
