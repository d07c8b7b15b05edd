//! Stytch.
