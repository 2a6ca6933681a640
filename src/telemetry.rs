//! Logs and metrics: how they are started, and every metric the worker has.
//!
//! Callers use the small typed functions and never spell a name or a label. Metrics go to one process-wide
//! recorder; before [`start_metrics`], as in most tests, they go nowhere. Knows nothing of HTTP: [`Metrics`]
//! renders the text, the ops listener serves it.

mod logs;
mod metric;
mod names;

pub use logs::{start_logs, wants_json};
pub use metric::*;
pub use names::{METRICS, Metric, Shape};

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// The recorder's reading side.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what histograms have gathered; without it they grow between two scrapes. Call it every few
    /// seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// Installs the process-wide recorder.
///
/// # Errors
/// If there is one already.
pub fn start_metrics() -> Result<Metrics, BuildError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(BuildError::from)?;
    introduce();
    Ok(Metrics { handle })
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Shape::Histogram(buckets) = metric.shape {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Tells the recorder in place what each metric means, and starts counters without labels at zero, so that
/// the first event is a rise and not a birth.
fn introduce() {
    for Metric { name, help, unit, shape } in METRICS {
        match shape {
            Shape::Counter { labels } => {
                metrics::describe_counter!(*name, *unit, *help);
                if labels.is_empty() {
                    metrics::counter!(*name).absolute(0);
                }
            }
            Shape::Gauge { .. } => metrics::describe_gauge!(*name, *unit, *help),
            Shape::Histogram(_) => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
    build_info();
}

#[cfg(test)]
mod tests;
