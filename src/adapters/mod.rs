//! All IO with the outside world; the only place that names a client crate.
