//! Carries out a plan: the phases of a drill, from preflight to the final read-back.

pub mod sampler;
