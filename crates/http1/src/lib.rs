//! The HTTP/1.1 grammar of Sluice: heads, framing and chunked coding over byte slices.
