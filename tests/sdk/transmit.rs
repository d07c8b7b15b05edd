//! Transmit Security: there is no official client, so one written from the contract with stock OAuth and JWT libraries.
