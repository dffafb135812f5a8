//! The whole program, run as a user runs it. Written from the contract alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// One test for each check and each case of the vectors, so that the name of a failure says both.
macro_rules! per_case {
    ($($check:ident),+) => {
        mod a {
            $(#[test] fn $check() { super::$check(&crate::support::case(0)); })+
        }
        mod b {
            $(#[test] fn $check() { super::$check(&crate::support::case(1)); })+
        }
        mod c {
            $(#[test] fn $check() { super::$check(&crate::support::case(2)); })+
        }
        mod d {
            $(#[test] fn $check() { super::$check(&crate::support::case(3)); })+
        }
    };
}

mod bad_input;
mod cases;
mod identity;
mod output;
mod resume;
mod support;
mod verdicts;
