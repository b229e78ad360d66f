//! The HTTP client that connectors are handed: guarded against SSRF, capped, counted.

/// See the module.
#[derive(Debug)]
pub struct Http;
