//! What the tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod canon;
pub(crate) mod cases;
pub(crate) mod fuzz_bodies;
pub(crate) mod fuzz_dialects;
pub(crate) mod generate;
pub(crate) mod golden;
pub(crate) mod recorded;
pub(crate) mod rewrite;
pub(crate) mod written;
