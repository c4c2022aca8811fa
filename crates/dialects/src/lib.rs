//! Provider wire formats: bytes in, bytes and events out.
