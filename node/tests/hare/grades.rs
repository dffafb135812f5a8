//! One machine, and how late a message may come to it. `delay` counts the rounds that it executes in between.

use node::codec::encode;
use node::hare::{Effect, Hare, HareMessage, Input, IterRound, Round, Value, Why};
use node::ids::BallotId;
use node::signature::Signer;
use node::source::Verdict;
use node::time::Time;

use super::world::{Eyes, LAYER, at, gossip, ids, message, params, roster, signer, spoken, starts, value, verifier};

const MINERS: u64 = 6;

/// A node that speaks for the smallest miner and hears all others.
struct Alone {
    hare: Hare,
    eyes: Eyes,
    out: Vec<Effect>,
}

impl Alone {
    fn new() -> Self {
        let me = signer(0);
        let others = (1..=MINERS).map(|name| (signer(name).node_id(), 1 << 30));
        let roster = roster(others.chain([(me.node_id(), 1 << 29)]));
        let eyes = Eyes { roster, proposals: ids(&[1, 2]), frauds: [].into(), may_speak: true };
        Self { hare: Hare::new(&params(), verifier(), vec![me]), eyes, out: Vec::new() }
    }

    fn step(&mut self, now: Time, input: Input) {
        self.hare.step(now, &self.eyes, input, &mut self.out);
    }

    fn hear_bytes(&mut self, now: Time, bytes: Vec<u8>) -> (Verdict, Why) {
        let source = gossip(&bytes);
        self.step(now, Input::Message { bytes, source });
        match self.out.pop() {
            Some(Effect::Verdict { verdict, why, .. }) => (verdict, why),
            other => panic!("{other:?}"),
        }
    }

    fn say(&self, who: &Signer, at: IterRound, set: &[BallotId]) -> HareMessage {
        message(who, &self.eyes.roster, at, value(at, set)).unwrap()
    }

    /// All others say it; it comes when `delay` - 1 rounds after its own have been executed.
    fn all_say(&mut self, at: IterRound, set: &[BallotId], delay: u32) {
        for name in 1..=MINERS {
            let bytes = encode(&self.say(&signer(name), at, set));
            let (verdict, _) = self.hear_bytes(starts((at.number() + delay).saturating_sub(1)), bytes);
            assert_eq!(verdict, if delay > 5 { Verdict::Ignore } else { Verdict::Accept });
        }
    }

    fn tick(&mut self, round: u32) {
        self.step(starts(round), Input::Tick);
    }

    /// What it said in a round.
    fn said(&self, at: IterRound) -> Option<&Value> {
        self.out.iter().find_map(|effect| match effect {
            Effect::Gossip(message) if message.at == at => Some(&message.value),
            _ => None,
        })
    }

    fn decided(&self) -> Option<&Vec<BallotId>> {
        self.out.iter().find_map(|effect| match effect {
            Effect::Decided { proposals, .. } => Some(proposals),
            _ => None,
        })
    }
}

const COMMIT: IterRound = IterRound { iteration: 0, round: Round::Commit };
const NOTIFY: IterRound = IterRound { iteration: 0, round: Round::Notify };
const PROPOSE: IterRound = IterRound { iteration: 0, round: Round::Propose };

#[test]
fn rounds_are_numbered() {
    let numbers: Vec<_> = (0..29).filter(|number| spoken(*number).is_some()).collect();
    assert_eq!(numbers, [0, 2, 5, 6, 9, 12, 13, 16, 19, 20, 23, 26, 27]);
}

#[test]
fn what_is_proposed_has_grade_4() {
    for (delay, proposed) in [(0, true), (1, true), (2, true), (3, false)] {
        let mut node = Alone::new();
        node.eyes.proposals = ids(&[1]);
        let set = ids(&[1, 2]);
        node.tick(0);
        if delay < 3 {
            node.all_say(at(0, Round::Preround), &set, delay);
            node.tick(2);
        } else {
            node.tick(2);
            node.all_say(at(0, Round::Preround), &set, delay);
        }
        let want = proposed.then_some(Value::Proposals(set));
        assert_eq!(node.said(PROPOSE), want.as_ref(), "{delay}");
    }
}

#[test]
fn what_is_committed_to() {
    let all = [1, 2];
    // The preround's delay, the proposed set, the proposals' delay.
    let cases: [(u32, &[u8], u32, bool); 8] = [
        (1, &all, 1, true),
        // Not to be the only one that knows it.
        (1, &all, 2, false),
        (1, &all, 3, false),
        // All must be in it that had grade 5, not what had less.
        (1, &[1], 1, false),
        (2, &[1], 1, true),
        (4, &all, 1, true),
        (5, &all, 1, false),
        // Nobody wanted it.
        (1, &[1, 2, 3], 1, false),
    ];
    for (delay, set, proposed, good) in cases {
        let mut node = Alone::new();
        // Its own proposal would be one more.
        node.eyes.may_speak = false;
        let mut due = vec![(delay, at(0, Round::Preround), &all[..]), (2 + proposed, PROPOSE, set)];
        due.sort();
        for (before, at, names) in due {
            node.tick(before - 1);
            node.all_say(at, &ids(names), before - at.number());
        }
        node.tick(4);
        node.eyes.may_speak = true;
        node.tick(5);
        let want = good.then_some(Value::Reference(Value::reference(&ids(set))));
        assert_eq!(node.said(COMMIT), want.as_ref(), "{delay} {set:?} {proposed}");
    }
}

#[test]
fn a_notification_needs_commits_in_time() {
    for delay in 0..3 {
        let mut node = Alone::new();
        node.all_say(COMMIT, &ids(&[1]), delay);
        node.tick(6);
        assert_eq!(node.said(NOTIFY).is_some(), delay < 2, "{delay}");
    }
}

#[test]
fn a_decision_needs_notifications_in_time_and_the_set() {
    for (delay, known) in [(0, true), (1, true), (2, true), (1, false)] {
        let mut node = Alone::new();
        if known {
            node.all_say(PROPOSE, &ids(&[1]), 1);
        }
        node.all_say(NOTIFY, &ids(&[1]), delay);
        node.tick(7);
        assert_eq!(node.decided().is_some(), delay < 2 && known, "{delay} {known}");
        // One iteration more, so that others can finish.
        node.tick(13);
        assert_eq!(node.hare.is_running(LAYER), node.decided().is_none());
    }
}

/// A node in iteration 1, to which all committed to {1} in iteration 0, so much too late; it is silent before `speaks`.
fn with_commits(delay: u32, speaks: u32, proposed: Option<&[BallotId]>) -> Alone {
    let mut node = Alone::new();
    node.eyes.may_speak = false;
    node.tick(0);
    node.all_say(at(0, Round::Preround), &ids(&[1, 2]), 2);
    node.all_say(PROPOSE, &ids(&[1]), 3);
    node.tick(5);
    let after = 5 + delay;
    node.tick(speaks.min(after) - 1);
    node.eyes.may_speak = speaks < after;
    node.all_say(COMMIT, &ids(&[1]), delay);
    node.eyes.may_speak = speaks == 9;
    node.tick(9);
    if let Some(set) = proposed {
        node.all_say(at(1, Round::Propose), set, 1);
    }
    node.eyes.may_speak = true;
    node.tick(speaks);
    node
}

#[test]
fn locks_by_grade() {
    let (locked, other) = (ids(&[1]), ids(&[1, 2]));
    for delay in 2..=5 {
        // Up to grade 2 it is proposed again.
        let again = if delay <= 4 { &locked } else { &other };
        let node = with_commits(delay, 9, None);
        assert_eq!(node.said(at(1, Round::Propose)), Some(&Value::Proposals(again.clone())), "{delay}");
        for proposed in [None, Some(&locked), Some(&other)] {
            let node = with_commits(delay, 12, proposed.map(Vec::as_slice));
            let want = match delay {
                // A hard lock needs no proposal, a soft one lets nothing else pass.
                2 => Some(&locked),
                3 => proposed.filter(|set| *set == &locked),
                _ => proposed,
            };
            let want = want.map(|set| Value::Reference(Value::reference(set)));
            assert_eq!(node.said(at(1, Round::Commit)), want.as_ref(), "{delay} {proposed:?}");
        }
    }
}

#[test]
fn contradictions_convict_once() {
    let mut node = Alone::new();
    node.tick(0);
    let liar = signer(1);
    let mut hear = |set: &[u8]| {
        let bytes = encode(&node.say(&liar, at(0, Round::Preround), &ids(set)));
        node.hear_bytes(starts(0), bytes)
    };
    assert_eq!(hear(&[1]), (Verdict::Accept, Why::Counts));
    assert_eq!(hear(&[1]), (Verdict::Ignore, Why::Known));
    assert_eq!(hear(&[2]), (Verdict::Accept, Why::Contradicts));
    assert_eq!(hear(&[3]), (Verdict::Ignore, Why::Known));
    let convicted =
        node.out.iter().filter(|effect| matches!(effect, Effect::Contradiction(_, who) if *who == liar.node_id()));
    assert_eq!(convicted.count(), 1);
}

#[test]
fn what_is_no_message() {
    let mut node = Alone::new();
    let say = |node: &Alone, at| node.say(&signer(1), at, &ids(&[1]));
    let good = say(&node, at(0, Round::Preround));
    assert_eq!(node.hear_bytes(starts(0), vec![1, 2]).0, Verdict::Reject);
    let mut wrong = good.clone();
    wrong.signature.0[0] ^= 1;
    assert_eq!(node.hear_bytes(starts(0), encode(&wrong)), (Verdict::Reject, Why::Unsound));
    let mut wrong = good.clone();
    wrong.proof.0[0] ^= 1;
    assert_eq!(node.hear_bytes(starts(0), encode(&wrong)), (Verdict::Ignore, Why::NotDrawn));
    let mut wrong = good.clone();
    wrong.layer = LAYER.next();
    wrong.sign(&signer(1));
    assert_eq!(node.hear_bytes(starts(0), encode(&wrong)), (Verdict::Ignore, Why::Layer));
    let mut stranger = good.clone();
    stranger.sign(&signer(99));
    assert_eq!(node.hear_bytes(starts(0), encode(&stranger)), (Verdict::Ignore, Why::Weightless));
    let beyond = say(&node, at(4, Round::Propose));
    assert_eq!(node.hear_bytes(starts(0), encode(&beyond)), (Verdict::Reject, Why::Unsound));
    // What it claims to have isn't signed, and doesn't count.
    let mut greedy = good.clone();
    greedy.seats = u16::MAX;
    assert_eq!(node.hear_bytes(starts(0), encode(&greedy)), (Verdict::Accept, Why::Counts));
    node.tick(2);
    assert_eq!(node.said(PROPOSE), None);
}

#[test]
fn late_ticks_execute_all_rounds_and_say_only_the_last() {
    let mut node = Alone::new();
    node.all_say(at(0, Round::Preround), &ids(&[1, 2]), 1);
    node.tick(2);
    assert!(node.said(PROPOSE).is_some());
    let mut node = Alone::new();
    node.tick(6);
    assert!(node.out.iter().all(|effect| !matches!(effect, Effect::Gossip(_))));
    let mut node = Alone::new();
    node.all_say(COMMIT, &ids(&[1]), 1);
    node.tick(7);
    assert!(node.said(NOTIFY).is_none());
}
