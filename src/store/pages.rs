//! Pages of a table, by id.

use sea_orm::{EntityTrait, Order, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, entity::prelude::*};

use crate::domain::page::{ListOrder, OrderedPage, Place};

/// A page of what a query finds, with one row more if there is more. Read in the order that [`OrderedPage::reads`].
pub(super) fn paged<E: EntityTrait>(query: Select<E>, id: E::Column, page: &OrderedPage) -> Select<E> {
    let reads = page.reads();
    let order = match reads {
        ListOrder::OldestFirst => Order::Asc,
        ListOrder::NewestFirst => Order::Desc,
    };
    let mut query = query.order_by(id, order).limit(u64::from(page.size) + 1);
    if page.skip > 0 {
        query = query.offset(u64::from(page.skip));
    }
    match (page.place, reads) {
        (Place::First, _) => query,
        (Place::After(edge) | Place::Before(edge), ListOrder::OldestFirst) => query.filter(id.gt(edge)),
        (Place::After(edge) | Place::Before(edge), ListOrder::NewestFirst) => query.filter(id.lt(edge)),
    }
}
