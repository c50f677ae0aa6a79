//! The part of FlatBuffers that records use: tables, numbers, vectors.

use unison_base::bytes::{array_at, u16_at, u32_at};

/// The bytes are no such buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A table, and where its fields are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_bytes: usize,
}

/// A vector of offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets<'a> {
    bytes: &'a [u8],
    first: usize,
    count: usize,
}

impl<'a> Table<'a> {
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::at(bytes, target(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Malformed> {
        let back = i32::from_le_bytes(array_at(bytes, at).ok_or(Malformed)?);
        let vtable = i64::try_from(at).map_err(|_| Malformed)? - i64::from(back);
        let vtable = usize::try_from(vtable).map_err(|_| Malformed)?;
        let vtable_bytes = u16_at(bytes, vtable).map(usize::from).ok_or(Malformed)?;
        if vtable_bytes < 4 || vtable.checked_add(vtable_bytes).is_none_or(|end| end > bytes.len())
        {
            return Err(Malformed);
        }
        Ok(Self { bytes, at, vtable, vtable_bytes })
    }

    /// Where a field is; `None` when the table leaves it out.
    fn field(&self, id: usize) -> Result<Option<usize>, Malformed> {
        let slot = 4 + 2 * id;
        if slot + 2 > self.vtable_bytes {
            return Ok(None);
        }
        let in_table = u16_at(self.bytes, self.vtable + slot).ok_or(Malformed)?;
        if in_table == 0 {
            return Ok(None);
        }
        self.at.checked_add(in_table.into()).map(Some).ok_or(Malformed)
    }

    /// A number; 0 when the table leaves it out.
    pub(super) fn number<const N: usize>(&self, id: usize) -> Result<[u8; N], Malformed> {
        let Some(at) = self.field(id)? else { return Ok([0; N]) };
        array_at(self.bytes, at).ok_or(Malformed)
    }

    pub(super) fn bytes(&self, id: usize) -> Result<Option<&'a [u8]>, Malformed> {
        let Some((first, count)) = self.vector(id)? else { return Ok(None) };
        let end = first.checked_add(count).ok_or(Malformed)?;
        self.bytes.get(first..end).map(Some).ok_or(Malformed)
    }

    pub(super) fn tables(&self, id: usize) -> Result<Offsets<'a>, Malformed> {
        let Some((first, count)) = self.vector(id)? else {
            return Ok(Offsets { bytes: self.bytes, first: 0, count: 0 });
        };
        let end = count.checked_mul(4).and_then(|length| first.checked_add(length));
        if end.is_none_or(|end| end > self.bytes.len()) {
            return Err(Malformed);
        }
        Ok(Offsets { bytes: self.bytes, first, count })
    }

    fn vector(&self, id: usize) -> Result<Option<(usize, usize)>, Malformed> {
        let Some(field) = self.field(id)? else { return Ok(None) };
        let at = target(self.bytes, field)?;
        let count = u32_at(self.bytes, at).and_then(|count| usize::try_from(count).ok());
        Ok(Some((at.checked_add(4).ok_or(Malformed)?, count.ok_or(Malformed)?)))
    }
}

impl<'a> Offsets<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = Result<Table<'a>, Malformed>> {
        (0..self.count).map(move |index| {
            let slot = self.first + 4 * index;
            Table::at(self.bytes, target(self.bytes, slot)?)
        })
    }
}

/// What the offset at `at` points to.
fn target(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let offset = u32_at(bytes, at).and_then(|offset| usize::try_from(offset).ok());
    offset.and_then(|offset| at.checked_add(offset)).ok_or(Malformed)
}
