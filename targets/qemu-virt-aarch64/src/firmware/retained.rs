//! A page of memory that keeps its bytes across a reset: the account of panics in a row. It makes
//! pauses before restarts grow, and lets the next run say why the one before ended.

use crate::firmware::machine::RETAINED_ADDRESS;
use core::fmt::Write;
use heapless::String;

/// Bytes of a panic's report that are kept.
pub(crate) const REPORT_MAX: usize = 512;

const MAGIC: u64 = u64::from_le_bytes(*b"UNISONrt");

/// As it lies in the page. Any bytes are a valid value of it; after power-on they are noise.
#[derive(Clone, Copy)]
#[repr(C)]
struct Page {
    magic: u64,
    panics: u64,
    report_bytes: u64,
    report: [u8; REPORT_MAX],
    /// Over all the rest.
    sum: u64,
}

/// What the runs before this one left.
pub(crate) struct Account {
    /// Panics since the last run that lasted.
    pub(crate) panics: u64,
    /// Message and place of the newest one.
    pub(crate) report: String<REPORT_MAX>,
}

/// The account, if there is one that is whole.
pub(crate) fn read() -> Option<Account> {
    let page = load();
    if page.magic != MAGIC || page.sum != sum(&page) {
        return None;
    }
    let bytes = usize::try_from(page.report_bytes).ok().and_then(|bytes| page.report.get(..bytes));
    let report = bytes.and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default();
    Some(Account { panics: page.panics, report: String::try_from(report).unwrap_or_default() })
}

/// Adds a panic, and tells how many there are now.
pub(crate) fn add_panic(report: &impl core::fmt::Display) -> u64 {
    let panics = read().map_or(0, |account| account.panics).saturating_add(1);
    // Already counted when the report itself goes wrong.
    store(account(panics, ""));
    let mut text = String::<REPORT_MAX>::new();
    // Cut off at the capacity.
    let _ = write!(Cut(&mut text), "{report}");
    store(account(panics, &text));
    panics
}

/// `report` is at most [`REPORT_MAX`] bytes.
fn account(panics: u64, report: &str) -> Page {
    let mut page = Page {
        magic: MAGIC,
        panics,
        report_bytes: report.len() as u64,
        report: [0; REPORT_MAX],
        sum: 0,
    };
    for (to, from) in page.report.iter_mut().zip(report.as_bytes()) {
        *to = *from;
    }
    page.sum = sum(&page);
    page
}

/// Forgets them: this run has lasted.
pub(crate) fn clear() {
    store(Page { magic: 0, panics: 0, report_bytes: 0, report: [0; REPORT_MAX], sum: 0 });
}

/// Takes what fits and drops the rest.
struct Cut<'a>(&'a mut String<REPORT_MAX>);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.chars().try_for_each(|letter| self.0.push(letter)).map_err(|_| core::fmt::Error)
    }
}

/// FNV-1a: noise must not pass for an account, and nobody forges one.
fn sum(page: &Page) -> u64 {
    let words = [page.magic, page.panics, page.report_bytes];
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).chain(page.report);
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn load() -> Page {
    // SAFETY: mapped memory outside the image, the heap and the device tree, used by this module
    // only, aligned to a page; any bytes are a valid `Page`.
    unsafe { core::ptr::read_volatile(RETAINED_ADDRESS as *const Page) }
}

fn store(page: Page) {
    // SAFETY: as in `load`.
    unsafe { core::ptr::write_volatile(RETAINED_ADDRESS as *mut Page, page) }
}
