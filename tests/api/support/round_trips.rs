//! Counting how often the database is asked, by the spans that the store makes for a collector.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::Registry};

/// Each round trip to the database that a request waits for, by its verb and table, with the beginning and the end of units of work.
/// Of this thread only: of one test.
#[derive(Clone, Default)]
pub(crate) struct RoundTrips(Arc<Mutex<Vec<String>>>);

impl RoundTrips {
    /// Begins to count; ends with the guard.
    pub(crate) fn counted() -> (Self, DefaultGuard) {
        let trips = Self::default();
        let guard = tracing::subscriber::set_default(Registry::default().with(trips.clone()));
        (trips, guard)
    }

    /// How many of that name there were so far.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|known| *known == name).count()
    }

    /// Those that a call makes, in their order.
    pub(crate) async fn names_of<T>(&self, call: impl Future<Output = T>) -> Vec<String> {
        let before = self.0.lock().unwrap().len();
        call.await;
        self.0.lock().unwrap().split_off(before)
    }

    /// How many a call makes.
    pub(crate) async fn of<T>(&self, call: impl Future<Output = T>) -> usize {
        self.names_of(call).await.len()
    }
}

impl<S: Subscriber> Layer<S> for RoundTrips {
    fn on_new_span(&self, span: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if span.metadata().name() == "database" {
            let mut name = Name(String::new());
            span.record(&mut name);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name.0);
        }
    }
}

/// What a span is called for a collector.
struct Name(String);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "otel.name" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
