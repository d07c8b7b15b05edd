//! Descope.
