//! The data plane: listeners, lanes, upstream pools, relay, drain, metrics and rings.
