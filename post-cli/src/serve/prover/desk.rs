//! What a node hears when it asks for a proof, as a pure machine.

use post_core::identity::Challenge;

/// The answer to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    /// Nothing was under way: whoever hears this begins the proof. For the node it is as good as under way.
    Begin,
    /// It is under way.
    UnderWay,
    /// Here it is.
    Done(T),
    /// It failed. Said once: the next question begins it again.
    Failed,
    /// One for another challenge is under way.
    Busy,
}

/// Where an identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Proving,
    Done,
}

/// The proof at hand.
#[derive(Debug)]
enum State<T> {
    Idle,
    Proving(Challenge),
    Done(Challenge, T),
    /// Not told yet.
    Failed(Challenge),
}

/// Remembers one proof.
#[derive(Debug)]
pub(super) struct Desk<T> {
    state: State<T>,
    /// Why the last proof failed, until one succeeds.
    error: Option<String>,
}

impl<T> Default for Desk<T> {
    fn default() -> Self {
        Self { state: State::Idle, error: None }
    }
}

impl<T: Clone> Desk<T> {
    pub(super) fn ask(&mut self, challenge: Challenge) -> Answer<T> {
        match &self.state {
            State::Proving(own) if *own == challenge => Answer::UnderWay,
            State::Proving(_) => Answer::Busy,
            State::Done(own, proof) if *own == challenge => Answer::Done(proof.clone()),
            State::Failed(own) if *own == challenge => {
                self.state = State::Idle;
                Answer::Failed
            }
            State::Idle | State::Done(..) | State::Failed(_) => {
                self.state = State::Proving(challenge);
                Answer::Begin
            }
        }
    }

    /// The proof that was begun is made, or failed for a reason. Returns whether that reason is news.
    pub(super) fn finish(&mut self, made: Result<T, String>) -> bool {
        let State::Proving(challenge) = self.state else { return false };
        match made {
            Ok(proof) => {
                self.state = State::Done(challenge, proof);
                self.error = None;
                false
            }
            Err(reason) => {
                self.state = State::Failed(challenge);
                let is_news = self.error.as_ref() != Some(&reason);
                self.error = Some(reason);
                is_news
            }
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Idle | State::Failed(_) => Phase::Idle,
            State::Proving(_) => Phase::Proving,
            State::Done(..) => Phase::Done,
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Challenge = Challenge([1; 32]);
    const B: Challenge = Challenge([2; 32]);

    #[test]
    fn a_proof_from_the_first_question_to_the_next_challenge() {
        let mut desk = Desk::default();
        assert_eq!(desk.phase(), Phase::Idle);
        assert_eq!(desk.ask(A), Answer::Begin);
        assert_eq!((desk.ask(A), desk.ask(B), desk.ask(A)), (Answer::UnderWay, Answer::Busy, Answer::UnderWay));
        assert_eq!(desk.phase(), Phase::Proving);
        assert!(!desk.finish(Ok(7)));
        assert_eq!((desk.ask(A), desk.ask(A)), (Answer::Done(7), Answer::Done(7)));
        assert_eq!(desk.phase(), Phase::Done);
        assert_eq!((desk.ask(B), desk.ask(A), desk.ask(B)), (Answer::Begin, Answer::Busy, Answer::UnderWay));
        assert_eq!(desk.phase(), Phase::Proving);
    }

    #[test]
    fn a_failure_is_told_once_and_blocks_nothing() {
        let mut desk = Desk::<u8>::default();
        assert_eq!(desk.ask(A), Answer::Begin);
        assert!(desk.finish(Err("no disk".into())));
        assert_eq!((desk.phase(), desk.error()), (Phase::Idle, Some("no disk")));
        assert_eq!((desk.ask(A), desk.ask(A)), (Answer::Failed, Answer::Begin));
        assert!(!desk.finish(Err("no disk".into())), "the same again is no news");
        assert_eq!(desk.ask(B), Answer::Begin, "nobody asks for the failed one any more");
        assert!(desk.finish(Err("no memory".into())));
        assert_eq!((desk.ask(B), desk.ask(B)), (Answer::Failed, Answer::Begin));
        desk.finish(Ok(1));
        assert_eq!((desk.ask(B), desk.error()), (Answer::Done(1), None));
    }

    #[test]
    fn an_end_that_nobody_began_changes_nothing() {
        let mut desk = Desk::default();
        assert!(!desk.finish(Ok(1)));
        assert_eq!(desk.ask(A), Answer::Begin);
    }
}
