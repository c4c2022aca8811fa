//! Compiles a snapshot into a plan and holds the named stages of a request.
