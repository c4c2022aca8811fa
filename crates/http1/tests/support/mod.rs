//! What the tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod fuzz_bodies;
