//! What a checker counts, for whoever watches the node.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

macro_rules! meters {
    ($(#[doc = $help:literal] $name:ident,)*) => {
        /// Counters, and with `waiting` in their name gauges. All only ever lag behind by a moment.
        #[derive(Debug, Default)]
        pub struct Meters {
            $(#[doc = $help] pub $name: AtomicU64,)*
        }

        impl Meters {
            /// Name, meaning and value of each.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $help.trim_ascii(), self.$name.load(Relaxed)),)*]
            }
        }
    };
}

meters! {
    /// Messages handed in.
    messages,
    /// Messages that had to give way before anybody looked at them.
    overflowed,
    /// Messages that wait for their cheap checks.
    messages_waiting,
    /// Memory of the messages that wait, in bytes.
    bytes_waiting,
    /// Messages longer than any ATX.
    junk_too_large,
    /// Messages that are no encoding of an ATX.
    junk_encoding,
    /// ATXs with a wrong signature.
    junk_signature,
    /// ATXs with a wrong signature that was known to be wrong.
    junk_known,
    /// ATXs whose signature was known to be right.
    known_good,
    /// ATXs found to be rightly signed, those known before included.
    good,
    /// Signatures checked together with others.
    signatures_batched,
    /// Signatures checked by themselves.
    signatures_single,
    /// Batches of signatures.
    signature_batches,
    /// Batches of signatures of several peers that had to be checked peer by peer.
    signature_batches_failed,
    /// Time for all cheap checks, in microseconds.
    sieve_us,
    /// Of it, time for signatures, in microseconds.
    signatures_us,
    /// Posts and VRF nonces that wait for a judgement or are being judged.
    claims_waiting,
    /// Batches of jobs judged.
    judge_batches,
    /// Jobs found valid.
    judged_valid,
    /// Jobs found invalid.
    judged_invalid,
    /// Jobs that could not be judged.
    judge_failed,
    /// Devices and ways to hash that failed and were given up for the next.
    given_up,
    /// Posts judged.
    posts,
    /// VRF nonces judged.
    vrf_nonces,
    /// Time for k2pows, in microseconds.
    pow_us,
    /// Time for the labels of posts and their cheap rules, in microseconds.
    labels_us,
    /// Time for the labels of VRF nonces, in microseconds.
    vrf_us,
}

/// Adds the time since `start`.
pub(super) fn add_time(meter: &AtomicU64, start: Instant) -> u64 {
    let us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    meter.fetch_add(us, Relaxed);
    us
}
