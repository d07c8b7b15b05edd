//! Pages of a list, by key: a page starts after the last id of the page before. Ids are made in the order of time.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// Largest page.
pub const PAGE_SIZE_MAX: u16 = 100;
/// Size of a page if none was asked for.
pub const PAGE_SIZE_DEFAULT: u16 = 20;
/// Most items that can be passed over: the database reads them all the same.
pub const SKIP_MAX: u16 = 10_000;

/// The page size is out of range.
#[derive(Debug, thiserror::Error)]
#[error("must be 1 to {PAGE_SIZE_MAX}, or 0 for the default of {PAGE_SIZE_DEFAULT}")]
pub struct ParsePageSizeError;

/// The page token was not made by this service.
#[derive(Debug, thiserror::Error)]
#[error("is not the next_page_token of an earlier answer")]
pub struct ParsePageTokenError;

/// So many items cannot be passed over.
#[derive(Debug, thiserror::Error)]
#[error("must be 0 to {SKIP_MAX}")]
pub struct ParseSkipError;

/// In which order a list goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ListOrder {
    /// By time of creation.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// Where in its list a page lies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Place {
    /// It starts right behind that id, in the order of the list.
    After(Uuid),
    /// It ends right before that id, in the order of the list.
    Before(Uuid),
    /// It is the first.
    #[default]
    First,
}

/// Which page of a list that can be read in two directions.
#[derive(Clone, Copy, Debug)]
pub struct OrderedPage {
    /// How many items at most.
    pub size: u16,
    /// Order of the list.
    pub order: ListOrder,
    /// Where the page lies.
    pub place: Place,
    /// How many items to pass over from there.
    pub skip: u16,
}

impl OrderedPage {
    /// Reads how many items to pass over.
    pub fn parse_skip(skip: i32) -> Result<u16, ParseSkipError> {
        u16::try_from(skip).ok().filter(|skip| *skip <= SKIP_MAX).ok_or(ParseSkipError)
    }

    /// In which order the database has to read: away from the id that the page is next to.
    pub fn reads(&self) -> ListOrder {
        match (self.order, self.place) {
            (ListOrder::OldestFirst, Place::Before(_)) => ListOrder::NewestFirst,
            (ListOrder::NewestFirst, Place::Before(_)) => ListOrder::OldestFirst,
            (order, Place::After(_) | Place::First) => order,
        }
    }
}

impl From<Page> for OrderedPage {
    fn from(page: Page) -> Self {
        let place = page.after.map_or(Place::First, Place::After);
        Self { size: page.size, order: ListOrder::OldestFirst, place, skip: 0 }
    }
}

/// Which page of a list that goes one way: oldest first.
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
    /// Makes a page from up to `page.size + 1` rows, as the database has read them: the extra one tells that there is more.
    pub fn from_rows(mut items: Vec<T>, page: impl Into<OrderedPage>, id: impl Fn(&T) -> Uuid) -> Self {
        let page = page.into();
        let mut more = items.len() > usize::from(page.size);
        items.truncate(page.size.into());
        if matches!(page.place, Place::Before(_)) {
            items.reverse();
            // At least what it was to end before.
            more = true;
        }
        let last = items.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(id(last)));
        Self { items, next_page_token: last.unwrap_or_default() }
    }

    /// The same page of something else.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(convert).collect(), next_page_token: self.next_page_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(place: Place, order: ListOrder) -> OrderedPage {
        OrderedPage { size: 2, order, place, skip: 0 }
    }

    #[test]
    fn a_page_that_ends_before_something_is_read_backwards_and_turned_round() {
        let (id, before) = (Uuid::from_u128, Place::Before(Uuid::from_u128(4)));
        assert_eq!(page(before, ListOrder::OldestFirst).reads(), ListOrder::NewestFirst);
        assert_eq!(page(before, ListOrder::NewestFirst).reads(), ListOrder::OldestFirst);
        assert_eq!(page(Place::First, ListOrder::NewestFirst).reads(), ListOrder::NewestFirst);
        let rows = [3, 2, 1].map(id).to_vec();
        let listed = Listed::from_rows(rows, page(before, ListOrder::OldestFirst), |id| *id);
        assert_eq!(listed.items, [2, 3].map(id));
        assert_eq!(Page::parse_token(&listed.next_page_token).unwrap(), Some(id(3)), "what it ends before comes next");
        let nothing = Listed::from_rows(Vec::new(), page(before, ListOrder::OldestFirst), |id: &Uuid| *id);
        assert!(nothing.next_page_token.is_empty());
    }

    #[test]
    fn as_many_as_ten_thousand_can_be_passed_over() {
        assert_eq!((OrderedPage::parse_skip(0).unwrap(), OrderedPage::parse_skip(10_000).unwrap()), (0, 10_000));
        for skip in [-1, 10_001, 65_536, i32::MIN, i32::MAX] {
            assert!(OrderedPage::parse_skip(skip).is_err(), "{skip}");
        }
    }
}
