//! A gauge that is not there until it is set.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeGaugeValue, EncodeMetric, MetricEncoder},
    metrics::MetricType,
};

/// A process without the part that sets it shows no zero that would be taken for a number. Clones are the same gauge.
#[derive(Clone, Debug, Default)]
pub(super) struct Late<N>(Arc<Mutex<Option<N>>>);

impl<N: Copy> Late<N> {
    pub(super) fn set(&self, number: N) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(number);
    }

    fn number(&self) -> Option<N> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Late<i64> {
    pub(super) fn add(&self, delta: i64) {
        let mut number = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *number = Some(number.unwrap_or_default() + delta);
    }
}

impl<N: Copy + EncodeGaugeValue> EncodeMetric for Late<N> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.number().map_or(Ok(()), |number| encoder.encode_gauge(&number))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.number().is_none()
    }
}
