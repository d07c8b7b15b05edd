//! Argon2 (RFC 9106) as fast as the processor allows, bit by bit what the standard says.
//!
//! A [`Kernel`] owns one piece of memory, the arena, and computes one hash at a time in it, on one thread. Read on from
//! there:
//!
//! - [`Kernel::derive`] (`kernel.rs`): the hash from end to end, the RFC's section 3.2;
//! - `blake2b_long.rs`: the two ends, `H_0` and H' (3.2, 3.3);
//! - `segment.rs`: which block is made from which (3.4), and its memory asked for before it is needed;
//! - `portable.rs`, `avx2.rs`, `avx512.rs`, `neon.rs`: the compression function G (3.5, 3.6), once for each kind of
//!   processor;
//! - `path.rs`: the choice between those, at run time;
//! - `arena.rs`: the memory, on huge pages where there are any;
//! - `self_test.rs`: what a process asks before it trusts a path.
//!
//! Every `unsafe` of the project is here: memory from the system, and instructions that not every processor has.

mod arena;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blake2b_long;
mod block;
mod kernel;
// A word of memory is a word of a vector, and so are their bytes.
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod parameters;
mod path;
mod portable;
mod prefetch;
mod segment;
mod self_test;

pub use self::{
    arena::OutOfMemory,
    kernel::{DeriveError, Kernel},
    parameters::{Input, ParameterError, Parameters, Variant, Version},
    path::Path,
    self_test::SelfTestError,
};
