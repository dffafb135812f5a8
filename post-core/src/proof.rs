//! A proof, and the file it travels in (POST.md section 5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::identity::{AtxId, Challenge, NodeId};

/// K2 labels that satisfy one nonce.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proof {
    /// The nonce, 0 … 4095.
    pub nonce: u32,
    /// The packed indices; as JSON in base64.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub indices: Vec<u8>,
    /// The k2pow of the nonce's group.
    pub pow: u64,
}

/// What a proof claims to be about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProofMetadata {
    /// The miner.
    pub node_id: NodeId,
    /// The ATX the data is bound to.
    pub commitment_atx_id: AtxId,
    /// What it answers.
    pub challenge: Challenge,
    /// Space units.
    pub num_units: u32,
}

/// A proof with its metadata, as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofFile {
    /// The proof.
    pub proof: Proof,
    /// What it is about.
    pub metadata: ProofMetadata,
}

impl ProofFile {
    /// Reads the JSON form. Keys that mean nothing here are passed over.
    ///
    /// # Errors
    /// The parser's reason, in one line.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        // serde would also take lists for objects, their items in the order of the fields.
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        if [&value, &value["proof"], &value["metadata"]].iter().any(|part| part.is_array()) {
            return Err(serde::de::Error::custom("a list where an object should be"));
        }
        serde_json::from_slice(bytes)
    }

    /// The JSON form, on one line.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(&text).map_err(|e| serde::de::Error::custom(format!("the indices are not base64: {e}")))
}
