//! The JSON that PoET servers speak, which is that of protocol buffers: bytes in base64, names in camelCase or as in the
//! .proto, 64-bit integers as texts or numbers, durations as `1.5s`, anything absent or null that is at its default.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url_safe = text.contains(['-', '_']);
        let engine = if url_safe { URL_SAFE_PAD_INDIFFERENT } else { STANDARD_PAD_INDIFFERENT };
        engine.decode(text).map(Self).map_err(D::Error::custom)
    }
}

/// So many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Array<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Serialize for Array<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Array<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bytes(bytes) = Bytes::deserialize(deserializer)?;
        let len = bytes.len();
        bytes.try_into().map(Self).map_err(|_| D::Error::custom(format!("{len} bytes instead of {N}")))
    }
}

/// A 64-bit integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Long(pub(super) u64);

impl Serialize for Long {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Self(number)),
            Form::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
        }
    }
}

/// A stretch of time; what is negative is over, and 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}.{:09}s", self.0.as_secs(), self.0.subsec_nanos()))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok());
        let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        span.map(Self).ok_or_else(|| D::Error::custom(format!("{text:?} is not a duration like 1.5s")))
    }
}

/// A field that may be null.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PowParamsResponse {
    #[serde(alias = "pow_params", deserialize_with = "nullable")]
    pub(super) pow_params: PowParams,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PowParams {
    #[serde(deserialize_with = "nullable")]
    pub(super) difficulty: u32,
    #[serde(deserialize_with = "nullable")]
    pub(super) challenge: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InfoResponse {
    #[serde(alias = "service_pubkey")]
    pub(super) service_pubkey: Array<32>,
    #[serde(default, alias = "phase_shift", deserialize_with = "nullable")]
    pub(super) phase_shift: Span,
    #[serde(default, alias = "cycle_gap", deserialize_with = "nullable")]
    pub(super) cycle_gap: Span,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubmitRequest {
    #[serde(default)]
    pub(super) nonce: Long,
    #[serde(default, alias = "pow_params")]
    pub(super) pow_params: PowParams,
    pub(super) prefix: Bytes,
    pub(super) challenge: Array<32>,
    pub(super) pubkey: Array<32>,
    pub(super) signature: Array<64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubmitResponse {
    #[serde(alias = "round_id")]
    pub(super) round_id: String,
    #[serde(default, alias = "round_end")]
    pub(super) round_end: Option<Span>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProofResponse {
    pub(super) proof: Proof,
    pub(super) pubkey: Array<32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Proof {
    pub(super) proof: MerkleProof,
    pub(super) members: Vec<Array<32>>,
    pub(super) leaves: Long,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MerkleProof {
    pub(super) root: Array<32>,
    #[serde(alias = "proven_leaves")]
    pub(super) proven_leaves: Vec<Array<32>>,
    /// There are none when all leaves are shown.
    #[serde(default, alias = "proof_nodes", deserialize_with = "nullable")]
    pub(super) proof_nodes: Vec<Array<32>>,
}

/// What comes with a status that is not 200.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(deserialize_with = "nullable")]
    pub(super) code: i32,
    #[serde(deserialize_with = "nullable")]
    pub(super) message: String,
}

/// gRPC's code for a precondition that failed: here, a round that ends too late.
pub(super) const FAILED_PRECONDITION: i32 = 9;
/// gRPC's code for something that is there already: here, another registration.
pub(super) const ALREADY_EXISTS: i32 = 6;
