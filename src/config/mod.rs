//! Configuration: typed and closed.
