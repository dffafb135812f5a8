//! One file a command: its arguments and what it does.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod nonce;
pub(crate) mod prove;
pub(crate) mod verify;
