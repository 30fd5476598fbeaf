//! The embedded staging: a replicated key-value service with a health-checking router.
