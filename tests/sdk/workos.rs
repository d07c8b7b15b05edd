//! WorkOS.
