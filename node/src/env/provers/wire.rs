//! What provers say, checked.

use post_core::proof::Proof;
use post_service::v1;
use v1::node_request::Kind as Question;
use v1::service_response::Kind as Answer;

use crate::atx::MAX_INDICES;
use crate::ids::{AtxId, Challenge, NodeId};
use crate::smeshing::ProverMetadata;

/// No message is longer: a proof has less than a kilobyte.
pub(super) const MAX_MESSAGE: usize = 8 << 10;

/// What a prover says about a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    UnderWay,
    Done(Proof, ProverMetadata),
    /// It can't be made, or something else is being made.
    Failed(String),
}

pub(super) fn who_are_you() -> v1::NodeRequest {
    v1::NodeRequest { kind: Some(Question::Metadata(v1::MetadataRequest {})) }
}

pub(super) fn prove(challenge: Challenge) -> v1::NodeRequest {
    v1::NodeRequest { kind: Some(Question::GenProof(v1::GenProofRequest { challenge: challenge.0.to_vec() })) }
}

/// The answer to [`who_are_you`].
pub(super) fn metadata(response: v1::ServiceResponse) -> Result<ProverMetadata, &'static str> {
    match response.kind {
        Some(Answer::Metadata(v1::MetadataResponse { meta: Some(meta) })) => holds(&meta),
        Some(Answer::Metadata(_)) => Err("metadata without metadata"),
        _ => Err("metadata was asked for, and something else came"),
    }
}

/// The answer to [`prove`].
pub(super) fn progress(response: v1::ServiceResponse, challenge: Challenge) -> Result<Progress, &'static str> {
    let Some(Answer::GenProof(answer)) = response.kind else {
        return Err("a proof was asked for, and something else came");
    };
    match (answer.status(), answer.proof, answer.metadata) {
        (v1::GenProofStatus::Ok, None, _) => Ok(Progress::UnderWay),
        (v1::GenProofStatus::Ok, Some(proof), Some(v1::ProofMetadata { challenge: echo, meta: Some(meta) })) => {
            if echo != challenge.0 {
                return Ok(Progress::Failed("its proof answers another challenge".into()));
            }
            if proof.indices.len() > MAX_INDICES {
                return Ok(Progress::Failed("its proof has more indices than a proof can have".into()));
            }
            let v1::Proof { nonce, indices, pow } = proof;
            Ok(Progress::Done(Proof { nonce, indices, pow }, holds(&meta)?))
        }
        (v1::GenProofStatus::Ok, Some(_), _) => Ok(Progress::Failed("its proof comes without metadata".into())),
        (v1::GenProofStatus::Error, ..) => {
            Ok(Progress::Failed("it can't prove, or is busy with another challenge".into()))
        }
        (v1::GenProofStatus::Unspecified, ..) => {
            Ok(Progress::Failed("it answers with no status, or an unknown one".into()))
        }
    }
}

fn holds(meta: &v1::Metadata) -> Result<ProverMetadata, &'static str> {
    let node_id = meta.node_id.as_slice().try_into().map_err(|_| "a node id has 32 bytes")?;
    let commitment = meta.commitment_atx_id.as_slice().try_into().map_err(|_| "a commitment ATX id has 32 bytes")?;
    Ok(ProverMetadata {
        node_id: NodeId(node_id),
        commitment_atx: AtxId(commitment),
        units: meta.num_units,
        labels_per_unit: meta.labels_per_unit,
        nonce: meta.nonce,
    })
}
