//! The server for provers against mock provers that know nothing but the .proto file.

mod cycle;
mod garbage;
mod leaks;
mod mock;
mod tls;
