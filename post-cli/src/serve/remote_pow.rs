//! k2pows from another machine (POST.md section 7): the worker is asked again and again until it has one.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use post_core::pow::{POW_LIMIT, PowError, PowInput, PowProver, PowVerifier};
use post_core::watch::Watch;

/// The first pause between two questions; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Failures in a row after which the proof fails too; the pows that were found are kept.
const FAILURES: u32 = 6;

/// A worker answers at once, even if all it says is that it is busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A u64 has 20 digits; what is far longer is no answer.
const LONGEST_ANSWER: u64 = 1024;

/// How much of a worker's words goes into a message.
const QUOTED: usize = 200;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where the worker is.
pub(crate) struct Worker {
    address: String,
    agent: ureq::Agent,
}

/// What a worker says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Pow(u64),
    /// It is at work on it, or has others to serve first.
    Wait,
    /// It may go better next time.
    Failed(String),
    /// It would say the same again.
    Refused(String),
}

impl Worker {
    /// Nobody is asked yet.
    pub(crate) fn new(address: &str) -> Result<Self> {
        let address = address.trim_end_matches('/');
        if !["http://", "https://"].iter().any(|scheme| address.len() > scheme.len() && address.starts_with(scheme)) {
            bail!("--remote-k2pow `{address}` is no address; write http://HOST:PORT");
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self { address: address.to_owned(), agent: config.into() })
    }

    fn ask(&self, path: &str) -> Answer {
        let mut response = match self.agent.get(format!("{}{path}", self.address)).call() {
            Ok(response) => response,
            Err(error) => return Answer::Failed(format!("no answer ({error}); check --remote-k2pow and the network")),
        };
        let status = response.status().as_u16();
        match response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_string() {
            Ok(text) => judge(status, text.trim()),
            Err(_) if status == 201 || status == 429 => Answer::Wait,
            Err(error) => Answer::Failed(format!("status {status} with an unreadable answer ({error})")),
        }
    }

    fn error(&self, reason: String) -> PowError {
        PowError::Worker { worker: self.address.clone(), reason }
    }
}

/// What an answer means.
fn judge(status: u16, text: &str) -> Answer {
    let quoted: String = text.chars().take(QUOTED).collect();
    let quoted = crate::report::plain(quoted);
    match status {
        200 => match text.parse() {
            Ok(pow) if pow < POW_LIMIT => Answer::Pow(pow),
            _ => Answer::Refused(format!("`{quoted}` is no pow; check that --remote-k2pow is a k2pow worker")),
        },
        201 | 429 => Answer::Wait,
        500.. => Answer::Failed(format!("it failed with status {status} `{quoted}`; look at its own log")),
        _ => Answer::Refused(format!("status {status} `{quoted}`; check that --remote-k2pow is a k2pow worker")),
    }
}

/// Asks the worker, and believes nothing that was not verified here.
pub(crate) struct RemotePow<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) judge: &'a dyn PowVerifier,
}

impl PowProver for RemotePow<'_> {
    /// Not always the smallest pow: any valid one makes a valid proof.
    fn prove(&self, input: &PowInput, target: &[u8; 32], watch: &dyn Watch) -> Result<u64, PowError> {
        let PowInput { group, challenge, node_id } = input;
        let path = format!("/job/{node_id}/{group}/{}/{}", hex::encode(challenge), hex::encode(target));
        let (mut pause, mut failures) = (FIRST_PAUSE, 0);
        while !watch.stop() {
            match self.worker.ask(&path) {
                Answer::Pow(pow) if self.judge.verify(input, pow, target)? => return Ok(pow),
                Answer::Pow(pow) => {
                    let reason = format!("pow {pow} of group {group} is wrong; name another worker, or none");
                    return Err(self.worker.error(reason));
                }
                Answer::Wait => failures = 0,
                Answer::Failed(reason) if failures + 1 == FAILURES => return Err(self.worker.error(reason)),
                Answer::Failed(_) => failures += 1,
                Answer::Refused(reason) => return Err(self.worker.error(reason)),
            }
            wait(pause, watch);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(PowError::Stopped)
    }
}

fn wait(pause: Duration, watch: &dyn Watch) {
    let started = Instant::now();
    while started.elapsed() < pause && !watch.stop() {
        std::thread::sleep(LOOK_EVERY.min(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(judge(200, "72057594037927935"), Answer::Pow(POW_LIMIT - 1));
        assert_eq!(judge(201, ""), Answer::Wait);
        assert_eq!(judge(429, "later"), Answer::Wait);
        for status in [500, 502, 503, 999] {
            assert!(matches!(judge(status, "x"), Answer::Failed(_)), "{status}");
        }
        let never =
            [(200, "72057594037927936"), (200, ""), (200, "-1"), (200, "1 2"), (204, ""), (301, ""), (404, "7")];
        for (status, text) in never {
            assert!(matches!(judge(status, text), Answer::Refused(_)), "{status} {text}");
        }
        let Answer::Refused(reason) = judge(200, &"\u{1b}[2J".repeat(1000)) else { panic!("taken") };
        assert!(reason.len() < 2000 && !reason.contains('\u{1b}'), "{reason}");
    }

    #[test]
    fn addresses() {
        assert_eq!(Worker::new("http://a:1/k2/").unwrap().address, "http://a:1/k2");
        for address in ["", "a:1", "http://", "ftp://a"] {
            assert!(Worker::new(address).is_err(), "{address}");
        }
    }
}
