//! `postdata_metadata.json`: what a data directory says about itself, readable by every tool (POST.md section 3).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity::{AtxId, Commitment, NodeId};
use crate::plan::{Layout, PlanError};
use crate::vrf::VrfNonce;

/// The metadata of one set; every drive that holds a file of it carries the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// The miner.
    pub node_id: NodeId,
    /// The ATX the data is bound to.
    pub commitment_atx_id: AtxId,
    /// The network's unit.
    pub labels_per_unit: u64,
    /// Units of the whole set.
    pub num_units: u32,
    /// Bytes of each file but the last.
    pub max_file_size: u64,
    /// The VRF nonce; `None` means that nobody has looked yet, not that there is none.
    #[serde(default)]
    pub nonce: Option<u64>,
    /// Hex of the first 16 B of the label at `nonce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce_value: Option<String>,
    /// How far a search for the nonce past the end of the set has come.
    #[serde(default)]
    pub last_position: Option<u64>,
    /// Keys we don't know; kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Metadata {
    /// The file's name.
    pub const FILE_NAME: &str = "postdata_metadata.json";

    /// What the file holds.
    ///
    /// # Errors
    /// The parser's reason, in one line.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The file's content, indented as existing tools write it.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// Whether both describe one set: the same miner, ATX and sizes. What was found out later doesn't matter.
    #[must_use]
    pub fn same_set(&self, other: &Self) -> bool {
        self.difference(other).is_none()
    }

    /// The first thing in which two sets differ: its key, its value here, its value there.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let differ = |key, a: &dyn std::fmt::Display, b: &dyn std::fmt::Display| {
            let (a, b) = (a.to_string(), b.to_string());
            (a != b).then_some((key, a, b))
        };
        differ("NodeId", &self.node_id, &other.node_id)
            .or_else(|| differ("CommitmentAtxId", &self.commitment_atx_id, &other.commitment_atx_id))
            .or_else(|| differ("LabelsPerUnit", &self.labels_per_unit, &other.labels_per_unit))
            .or_else(|| differ("NumUnits", &self.num_units, &other.num_units))
            .or_else(|| differ("MaxFileSize", &self.max_file_size, &other.max_file_size))
    }

    /// The seed of the set's labels.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment::new(&self.node_id, &self.commitment_atx_id)
    }

    /// How its labels lie in files.
    ///
    /// # Errors
    /// [`PlanError`] when the sizes make no sense.
    pub fn layout(&self) -> Result<Layout, PlanError> {
        Layout::new(self.num_units, self.labels_per_unit, self.max_file_size)
    }

    /// Notes the VRF nonce.
    pub fn set_nonce(&mut self, found: &VrfNonce) {
        self.nonce = Some(found.index);
        self.nonce_value = Some(hex::encode(&found.label[..16]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"NodeId":"RJ7dokqgxUhxhzQrsjtEYfl8t/CDI9muK9bIal+AA/4=",
        "CommitmentAtxId":"9F9KvyvvF/NtFiB9gPoOS4KUnTgy0f1nvthQ7zgyysU=",
        "LabelsPerUnit":1024,"NumUnits":3,"MaxFileSize":16000}"#;

    #[test]
    fn optional_keys_may_be_absent_or_null_and_unknown_ones_stay() {
        let absent = Metadata::parse(TEXT.as_bytes()).unwrap();
        let null = TEXT.replace("16000", r#"16000,"Nonce":null,"NonceValue":null,"LastPosition":null"#);
        assert_eq!(Metadata::parse(null.as_bytes()).unwrap(), absent);

        let unknown = TEXT.replace("16000", r#"16000,"Nonce":7,"Future":{"a":[1,2]}"#);
        let metadata = Metadata::parse(unknown.as_bytes()).unwrap();
        assert_eq!(metadata.nonce, Some(7));
        let written: Value = serde_json::from_slice(&metadata.to_json().unwrap()).unwrap();
        assert_eq!(written["Future"]["a"][1], 2);
        assert_eq!(written["NumUnits"], 3);
    }

    #[test]
    fn what_differs_is_named() {
        let a = Metadata::parse(TEXT.as_bytes()).unwrap();
        let mut b = Metadata { nonce: Some(1), ..a.clone() };
        assert!(a.same_set(&b));
        b.num_units = 4;
        assert_eq!(a.difference(&b).unwrap(), ("NumUnits", "3".into(), "4".into()));
    }
}
