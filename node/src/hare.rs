//! Hare: a committee agrees on a layer's proposals (NODE.md section 6).

mod message;

pub use message::{HareHeader, HareMessage, IterRound, MAX_VALUES, Round, Value};
