//! The refresh protocol in every order of events.
//!
//! A model of one session, checked exhaustively. Every decision in it is made by `RefreshState::present`, the function that
//! the service runs. Around it are:
//! - the session's row in a database, and requests that are handled in two steps, *read and decide* and *conditional
//!   write*, between which anything may happen. Each request has a replica of its own, so there are as many as it takes;
//! - requests and replies that are delayed or lost, and replicas that die before a write, or between a write and its reply;
//! - the owner: two tabs over one stored token, each with a request under way;
//! - a thief who copies the stored token once, presents whatever it holds whenever it likes, one request at a time, and
//!   keeps what it gets.
//!
//! # What is promised
//! 1. The owner is not signed out by accident: until a thief presents something, no request of the owner is refused.
//! 2. One successor: whoever presents generation `n` gets generation `n + 1`, a row moves on by one. As tokens are a
//!    function of session and generation, no generation has two tokens.
//! 3. A thief does not stay by stealth. When the owner gets a token that the thief does not hold, the thief gets it within
//!    one grace period, or it never gets anything again. And an owner who comes a grace period or more after the thief's
//!    last success is not given what the thief got: it gets a token that the thief does not hold, or it is refused, and
//!    the session is over for both.
//! 4. After a reuse nobody gets a token from that session.
//!
//! # What is not promised
//! - A thief who presents its token within one grace period of *each* refresh of the owner gets the same successor and goes
//!   along unseen. That is the price of any grace period; the shorter it is, the harder this gets.
//! - Promise 1 asks two things of the owner (`owner.rs`). All requests with one token are over, answered or given up,
//!   within a grace period of the first, also when the tabs are several; where clocks of replicas differ, by that much
//!   earlier. And a new token is not refreshed while a request with the one before may still be under way. `limits.rs`
//!   shows that each is needed: whoever breaks it may be signed out. No thief gains by it: promises 2 to 4 hold for a
//!   careless owner, too.
//!
//! Of the service it is asked that a request is over within a grace period, too: the rotation carries the time at which the
//! request began. A failover that loses the end of a session, rather than a rotation, is not in the model.
//!
//! Time and generations in the model are relative, so it has no end of time, and "every reachable state" means just that.
#![expect(clippy::print_stdout, reason = "how many states there are, and how a promise breaks, is worth reading")]

mod claims;
mod flaws;
mod limits;
mod model;
mod owner;
mod promises;
mod service;
mod thief;
