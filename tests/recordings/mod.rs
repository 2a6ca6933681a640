//! The recordings of daprd 1.18.1 in `tests/captures/`, for every suite that holds a sidecar against them: how they
//! are read and masked, how the app of a scenario answers, and what two deliveries have in common.
//!
//! Must never know how a sidecar is run, nor on which clock: `sidecar_golden` replays them on the embedded sidecar
//! and a virtual clock, `conformance` plays them in real time on every sidecar there is.

pub(crate) mod app;
pub(crate) mod capture;
pub(crate) mod same;

/// Scenarios that nothing run on its own can match: capture, scenario, reason. One that begins to match must leave.
pub(crate) const UNMATCHED: [(&str, &str, &str); 3] = [
    (
        "kafka+resiliency",
        "bulksub-always-retry-first",
        "recorded beside other bulk topics, which held its second batch back for 1.4 s: two repeats fewer fit",
    ),
    (
        "kafka+resiliency",
        "bulksub-dlq",
        "recorded beside another bulk topic whose handler failed for ever and held back its last batch",
    ),
    (
        "kafka+resiliency",
        "bulksub-wrapped-kinds",
        "recorded beside another bulk topic whose handler failed for ever: nothing was delivered at all",
    ),
];

/// Whether a scenario is one of [`UNMATCHED`].
pub(crate) fn is_unmatched(capture: &str, scenario: &str) -> bool {
    UNMATCHED.iter().any(|(c, s, _)| *c == capture && *s == scenario)
}
