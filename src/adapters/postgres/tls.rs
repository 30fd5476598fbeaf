//! TLS for PostgreSQL, as `sslmode` in the URL asks for it, with libpq's meaning of the modes but one: `verify-ca` looks
//! at the name too. `prefer` and `require` trust anyone.

use crate::adapters::AdapterError;
use crate::adapters::tls::config;
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) use crate::adapters::tls::Trust;

/// What tokio-postgres needs to speak TLS.
pub(super) fn connector(trust: &Trust) -> Result<MakeRustlsConnect, AdapterError> {
    config(trust).map(MakeRustlsConnect::new)
}
