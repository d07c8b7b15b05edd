//! placeholder until merge
#[derive(Clone, Debug, Default)]
pub struct Metrics;
impl Metrics {
    pub fn lane_queued(&self, _n: i64) {}
    pub fn lane_running_add(&self, _d: i64) {}
    pub fn lane_refused(&self, _c: &'static str) {}
    pub fn lane_waited(&self, _s: f64) {}
    pub fn hash_finished(&self, _s: &'static str, _f: f64) {}
}
