//! Pages of a list, by key: a page starts after the last id of the page before.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Largest page.
pub const PAGE_SIZE_MAX: u16 = 100;
/// Size of a page if none was asked for.
pub const PAGE_SIZE_DEFAULT: u16 = 20;

/// The page size is out of range.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to {PAGE_SIZE_MAX}, or 0 for the default of {PAGE_SIZE_DEFAULT}")]
pub struct ParsePageSizeError;

/// The page token was not made by this service.
#[derive(Debug, thiserror::Error)]
#[error("is not the next_page_token of an earlier answer")]
pub struct ParsePageTokenError;

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many items at most.
    pub size: u16,
    /// The last id of the page before.
    pub after: Option<Uuid>,
}

impl Page {
    /// Reads a page size.
    pub fn parse_size(size: i32) -> Result<u16, ParsePageSizeError> {
        match u16::try_from(size) {
            Ok(0) => Ok(PAGE_SIZE_DEFAULT),
            Ok(size) if size <= PAGE_SIZE_MAX => Ok(size),
            _ => Err(ParsePageSizeError),
        }
    }

    /// Reads a page token; empty means the first page.
    pub fn parse_token(token: &str) -> Result<Option<Uuid>, ParsePageTokenError> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| ParsePageTokenError)?;
        Uuid::from_slice(&bytes).map(Some).map_err(|_| ParsePageTokenError)
    }
}

/// A page that was read, and where the next one starts.
#[derive(Debug)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub next_page_token: String,
}

impl<T> Listed<T> {
    /// Makes a page from up to `page.size + 1` rows: the extra one tells that there is more.
    pub fn from_rows(mut items: Vec<T>, page: Page, id: impl Fn(&T) -> Uuid) -> Self {
        let more = items.len() > usize::from(page.size);
        items.truncate(page.size.into());
        let last = items.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(id(last)));
        Self { items, next_page_token: last.unwrap_or_default() }
    }

    /// The same page of something else.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(convert).collect(), next_page_token: self.next_page_token }
    }
}
