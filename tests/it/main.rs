//! The integration suite: one binary, a module per promise or per kind of fault.
//!
//! How large the heavy suites run is set by `ANNALS_PROOF`; see [`proof`].

mod proof;
