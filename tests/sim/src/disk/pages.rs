//! Bytes of a file in pages that copies share until one of them writes.

use super::PAGE_BYTES;
use std::sync::Arc;

const PAGE: usize = PAGE_BYTES as usize;

/// A page; `None` is one of zeros.
type Page = Option<Arc<[u8; PAGE]>>;

/// Bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
    length: u64,
}

impl Pages {
    /// `length` zeros.
    pub(super) fn zeros(length: u64) -> Self {
        let mut pages = Self::default();
        pages.set_len(length);
        pages
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Cuts or extends with zeros.
    pub(super) fn set_len(&mut self, length: u64) {
        let pages = usize::try_from(length.div_ceil(PAGE_BYTES)).unwrap_or(usize::MAX);
        self.pages.resize(pages, None);
        let used = usize::try_from(length % PAGE_BYTES).unwrap_or(0);
        if length < self.length
            && used > 0
            && let Some(Some(last)) = self.pages.last_mut()
        {
            Arc::make_mut(last)[used..].fill(0);
        }
        self.length = length;
    }

    fn holds(&self, offset: u64, length: usize) -> bool {
        offset.checked_add(length as u64).is_some_and(|end| end <= self.length)
    }

    /// Fills `buffer`; false, and nothing done, past the end.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let inside = self.holds(offset, buffer.len());
        if inside {
            for_pages(offset, buffer.len(), |page, within, range| match &self.pages[page] {
                Some(bytes) => {
                    buffer[range.clone()].copy_from_slice(&bytes[within..within + range.len()]);
                }
                None => buffer[range].fill(0),
            });
        }
        inside
    }

    /// Writes `bytes`; false, and nothing done, past the end.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let inside = self.holds(offset, bytes.len());
        if inside {
            for_pages(offset, bytes.len(), |page, within, range| {
                let page = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE]));
                Arc::make_mut(page)[within..within + range.len()].copy_from_slice(&bytes[range]);
            });
        }
        inside
    }

    /// Writes what fits.
    pub(super) fn write_clipped(&mut self, offset: u64, bytes: &[u8]) {
        let room = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.write(offset, &bytes[..bytes.len().min(room)]);
    }
}

/// Splits a range of a file: page, offset within it, range of the caller's bytes.
fn for_pages(
    offset: u64,
    length: usize,
    mut visit: impl FnMut(usize, usize, std::ops::Range<usize>),
) {
    let mut done = 0;
    while done < length {
        let at = usize::try_from(offset).unwrap_or(usize::MAX) + done;
        let within = at % PAGE;
        let end = length.min(done + PAGE - within);
        visit(at / PAGE, within, done..end);
        done = end;
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;
    use unison_base::prng::Prng;

    #[test]
    fn pages_behave_like_a_vector() {
        let mut prng = Prng::new(7);
        let mut model = vec![0_u8; 20_000];
        let mut pages = Pages::zeros(20_000);
        for round in 0..3_000 {
            let kept = (round % 7 == 0).then(|| (pages.clone(), model.clone()));
            let offset = prng.below(30_000);
            let length = usize::try_from(prng.below(9_000)).unwrap();
            let start = usize::try_from(offset).unwrap();
            let mut bytes = vec![0; length];
            prng.fill(&mut bytes);
            let inside = start + length <= model.len();
            assert_eq!(pages.write(offset, &bytes), inside);
            if inside {
                model[start..start + length].copy_from_slice(&bytes);
            }
            if round % 11 == 0 {
                let resized = prng.below(30_000);
                pages.set_len(resized);
                model.resize(usize::try_from(resized).unwrap(), 0);
            }
            let mut all = vec![1; model.len()];
            assert!(pages.read(0, &mut all));
            assert!(all == model, "round {round}");
            if let Some((old_pages, old_model)) = kept {
                let mut all = vec![1; old_model.len()];
                assert!(old_pages.read(0, &mut all));
                assert!(all == old_model, "a copy changed in round {round}");
            }
        }
    }
}
