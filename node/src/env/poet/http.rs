//! A PoET server, asked by HTTP.

use std::fmt::Display;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::pow::{MAX_DIFFICULTY, Work};
use super::wire::{
    ALREADY_EXISTS, Array, Bytes, FAILED_PRECONDITION, InfoResponse, Long, MerkleProof, PowParams, PowParamsResponse,
    Proof, ProofResponse, Refusal, SubmitRequest, SubmitResponse,
};
use super::{Poet, PoetError, PoetInfo, Registration, RoundResult, rfc3339};
use crate::ids::{Epoch, PoetChallenge};
use crate::poet::{MAX_MEMBERS, Members, PoetProof};
use crate::signature::{Domain, Signer};
use crate::time::Time;

/// How long an answer may take, from the first byte sent to the last one read.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A round's proof and its members: 47 B each, as many as there may be.
const MAX_PROOF: u64 = 48 * MAX_MEMBERS as u64 + (1 << 20);

/// Anything else that a PoET says.
const MAX_OTHER: u64 = 64 << 10;

/// How much of what a server says about an error is handed on.
const MAX_REASON: usize = 200;

/// A PoET server.
#[derive(Clone, Debug)]
pub struct HttpPoet {
    server: String,
    agent: Agent,
}

impl HttpPoet {
    /// The one at `server`, an address such as `https://poet.example.org` or `127.0.0.1:8080`. Nothing is asked yet.
    #[must_use]
    pub fn new(server: &str) -> Self {
        Self::with_timeout(server, TIMEOUT)
    }

    /// The same, and answers have to be there in `timeout`.
    #[must_use]
    pub fn with_timeout(server: &str, timeout: Duration) -> Self {
        let server = server.trim_end_matches('/');
        let server = if server.contains("://") { server.into() } else { format!("http://{server}") };
        let config = Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).max_redirects(2);
        Self { server, agent: config.build().into() }
    }

    fn get<T: DeserializeOwned>(&self, path: &str, limit: u64) -> Result<T, PoetError> {
        let response = self.agent.get(format!("{}{path}", self.server)).call();
        self.read(response.map_err(|error| self.unreachable(error))?, limit)
    }

    fn unreachable(&self, reason: impl Display) -> PoetError {
        PoetError::Unreachable { server: self.server.clone(), reason: reason.to_string() }
    }

    fn malformed(&self, reason: impl Display) -> PoetError {
        let reason = reason.to_string().chars().take(MAX_REASON).collect();
        PoetError::Malformed { server: self.server.clone(), reason }
    }

    fn read<T: DeserializeOwned>(&self, mut response: Response<Body>, limit: u64) -> Result<T, PoetError> {
        let status = response.status();
        let limit = if status == StatusCode::OK { limit } else { MAX_OTHER };
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(limit) => self.malformed(format!("more than {limit} bytes")),
            error => self.unreachable(error),
        })?;
        if status != StatusCode::OK {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| self.malformed(error))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> PoetError {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let server = self.server.clone();
        match (refusal.code, status) {
            (FAILED_PRECONDITION, _) => PoetError::TooLate { server },
            (ALREADY_EXISTS, _) | (_, StatusCode::CONFLICT) => PoetError::AlreadyRegistered { server },
            _ => {
                let reason = refusal.message.chars().take(MAX_REASON).collect();
                PoetError::Refused { server, status: status.as_u16(), reason }
            }
        }
    }

    /// The work that the server asks for, done.
    fn work(&self, signer: &Signer, challenge: PoetChallenge) -> Result<(u64, PowParams), PoetError> {
        let PowParamsResponse { pow_params } = self.get("/v1/pow_params", MAX_OTHER)?;
        let difficulty = pow_params.difficulty;
        let too_hard = || PoetError::TooHard { server: self.server.clone(), difficulty };
        if difficulty > MAX_DIFFICULTY {
            return Err(too_hard());
        }
        let work = Work::new(&pow_params.challenge.0, signer.node_id(), challenge);
        Ok((work.search(difficulty).ok_or_else(too_hard)?, pow_params))
    }
}

impl Poet for HttpPoet {
    fn info(&self) -> Result<PoetInfo, PoetError> {
        let info: InfoResponse = self.get("/v1/info", MAX_OTHER)?;
        Ok(PoetInfo { service: info.service_pubkey.0, phase_shift: info.phase_shift.0, cycle_gap: info.cycle_gap.0 })
    }

    fn submit(
        &self,
        signer: &Signer,
        challenge: PoetChallenge,
        ends_by: Option<Time>,
    ) -> Result<Registration, PoetError> {
        let (nonce, pow_params) = self.work(signer, challenge)?;
        let request = SubmitRequest {
            nonce: Long(nonce),
            pow_params,
            prefix: Bytes(signer.prefix(Domain::Poet)),
            challenge: Array(challenge.0),
            pubkey: Array(signer.node_id().0),
            signature: Array(signer.sign(Domain::Poet, &challenge.0).0),
            deadline: ends_by.map(rfc3339::write),
        };
        let response = self.agent.post(format!("{}/v1/submit", self.server)).send_json(&request);
        let response = response.map_err(|error| self.unreachable(error))?;
        let SubmitResponse { round_id, round_end } = self.read(response, MAX_OTHER)?;
        let round = round_id.parse().map(Epoch).map_err(|_| self.malformed(format!("round {round_id:?}")))?;
        Ok(Registration { round, ends_in: round_end.map(|span| span.0) })
    }

    fn proof(&self, round: Epoch) -> Result<Option<RoundResult>, PoetError> {
        let ProofResponse { proof, pubkey } = match self.get(&format!("/v1/proofs/{round}"), MAX_PROOF) {
            Err(PoetError::Refused { status: 404, .. }) => return Ok(None),
            answer => answer?,
        };
        let Proof { proof: MerkleProof { root, proven_leaves, proof_nodes }, members, leaves } = proof;
        let members: Vec<_> = members.into_iter().map(|member| PoetChallenge(member.0)).collect();
        let nobody = |source| PoetError::Members { server: self.server.clone(), round, source };
        let arrays = |list: Vec<Array<32>>| list.into_iter().map(|array| array.0).collect();
        let proof = PoetProof {
            statement: Members::new(&members).map_err(nobody)?.root(),
            leaves: leaves.0,
            root: root.0,
            proven: arrays(proven_leaves),
            nodes: arrays(proof_nodes),
        };
        proof.verify().map_err(|source| PoetError::Proof { server: self.server.clone(), round, source })?;
        Ok(Some(RoundResult { service: pubkey.0, round, proof, members }))
    }
}
