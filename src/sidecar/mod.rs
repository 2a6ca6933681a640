//! The embedded stand-in for Dapr.
