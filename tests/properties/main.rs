//! The analysis against simulations that share no code with it: a service that is on or off at known times, a store
//! that keeps and loses known records, and the sliding windows of sustained service counted the slow way.

mod books;
mod random;
mod record;
mod service;
mod windows;
