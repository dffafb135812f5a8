//! One file a command: its arguments and what it does.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod grow;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod link;
pub(crate) mod merge;
pub(crate) mod nonce;
pub(crate) mod plan;
pub(crate) mod prove;
pub(crate) mod prune;
pub(crate) mod serve;
pub(crate) mod verify;
