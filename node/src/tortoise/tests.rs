use super::*;
use crate::ballot::{Content, LayerVote, Vote};
use crate::ids::{AtxId, Beacon, BlockId, Signature};

const FIRST: Layer = Layer(20);
const W: u128 = 900 << 16;

/// A miner's node.
struct Miner {
    name: u8,
    weight: u64,
    tortoise: Tortoise,
    decided: BTreeMap<Layer, Vote>,
    there: bool,
    coin: bool,
}

struct View<'a>(&'a Miner);

impl Hares for View<'_> {
    fn decided(&self, layer: Layer) -> Option<Vote> {
        self.0.decided.get(&layer).copied()
    }

    fn was_there(&self, _: Layer) -> bool {
        self.0.there
    }

    fn coin(&self, _: Layer) -> Option<bool> {
        Some(self.0.coin)
    }

    fn expected(&self, _: Layer) -> u128 {
        W
    }
}

fn block(layer: Layer, i: u8) -> Vote {
    Vote::Block { id: BlockId([i; 20]), height: layer.0.into() }
}

impl Miner {
    fn new(name: u8, weight: u64) -> Self {
        let (tortoise, decided) = (Tortoise::new(FIRST, 10, 50), BTreeMap::new());
        Self { name, weight, tortoise, decided, there: true, coin: false }
    }

    fn ballot(&mut self, layer: Layer) -> Ballot {
        let mut tortoise = std::mem::replace(&mut self.tortoise, Tortoise::new(FIRST, 10, 50));
        let OwnVotes { base, differences, opinion } = tortoise.own_votes(layer, 10, 2, &View(self)).unwrap();
        self.tortoise = tortoise;
        Ballot {
            layer,
            atx: AtxId([self.name; 32]),
            beacon: Beacon([0; 4]),
            total_weight: 900,
            slots: vec![],
            base,
            differences,
            opinion,
            content: Content::default().hash(),
            smesher: NodeId([self.name; 32]),
            signature: Signature([0; 64]),
        }
    }

    fn hear(&mut self, ballot: &Ballot, weight: u64) {
        let votes = self.tortoise.understand(ballot).unwrap();
        let Ballot { layer, opinion, smesher, beacon, .. } = *ballot;
        self.tortoise.count(ballot.id(), Counted { layer, opinion, smesher, beacon, weight: weight << 16 }, votes);
        while let Some(vote) = self.tortoise.final_vote(|_| W) {
            self.tortoise.settle(vote);
        }
    }
}

/// Each of `groups` hears its own ballots of a layer only.
fn vote(miners: &mut [Miner], layer: Layer, groups: &[std::ops::Range<usize>]) -> Vec<Ballot> {
    let ballots: Vec<Ballot> = miners.iter_mut().map(|miner| miner.ballot(layer)).collect();
    for group in groups {
        for hearer in group.clone() {
            for voter in group.clone() {
                let weight = miners[voter].weight;
                miners[hearer].hear(&ballots[voter], weight);
            }
        }
    }
    ballots
}

fn nine() -> Vec<Miner> {
    (0..9).map(|i| Miner::new(i, 100)).collect()
}

fn settled(miners: &[Miner]) -> BTreeSet<(Layer, Opinion)> {
    miners.iter().map(|miner| (miner.tortoise.frontier(), miner.tortoise.settled())).collect()
}

#[test]
fn all_agree_and_layers_are_final_two_later() {
    let mut miners = nine();
    for i in 0..30 {
        let layer = FIRST.after(i);
        vote(&mut miners, layer, &[0..9]);
        let vote = block(layer, i as u8);
        miners.iter_mut().for_each(|miner| {
            miner.decided.insert(layer, vote);
        });
        assert_eq!(settled(&miners).len(), 1);
        assert_eq!(miners[0].tortoise.frontier(), FIRST.after(i.saturating_sub(1)), "after layer {layer}");
    }
    let (ballots, links) = miners[0].tortoise.size();
    assert_eq!((ballots, links), (270, 29));
}

#[test]
fn a_fifth_that_is_gone_and_a_third_do_and_do_not_hold_it_up() {
    for (gone, is_final) in [(0, true), (2, true), (3, false), (5, false)] {
        let mut miners = nine();
        for i in 0..40 {
            let layer = FIRST.after(i);
            vote(&mut miners, layer, &[gone..9]);
            miners.iter_mut().for_each(|miner| {
                miner.decided.insert(layer, block(layer, 1));
            });
        }
        assert_eq!(miners[8].tortoise.frontier() > FIRST, is_final, "{gone} of nine are gone");
    }
}

/// Cut 5 : 4, each side with Hare results of its own or none; after twelve layers all hear everything.
#[test]
fn a_network_that_was_cut_comes_together() {
    for (left, right) in [(true, false), (true, true), (false, false)] {
        let mut miners = nine();
        let mut missed: Vec<Ballot> = Vec::new();
        for i in 0..60 {
            let layer = FIRST.after(i);
            let cut = (10..22).contains(&i);
            let groups = if cut { vec![0..5, 5..9] } else { vec![0..9] };
            if i == 22 {
                for ballot in &missed {
                    for miner in &mut miners {
                        miner.hear(ballot, 100);
                    }
                }
            }
            let ballots = vote(&mut miners, layer, &groups);
            if cut {
                missed.extend(ballots);
            }
            for (j, miner) in miners.iter_mut().enumerate() {
                let (decides, which) = if cut { if j < 5 { (left, 1) } else { (right, 2) } } else { (true, 3) };
                if decides {
                    miner.decided.insert(layer, block(layer, which));
                }
            }
            let frontiers: BTreeSet<Layer> = miners.iter().map(|miner| miner.tortoise.frontier()).collect();
            if cut {
                assert!(frontiers.iter().all(|frontier| *frontier <= FIRST.after(11)), "nothing is final on one side");
            }
        }
        assert_eq!(settled(&miners).len(), 1, "{left} {right}");
        assert_eq!(miners[0].tortoise.frontier(), FIRST.after(58), "{left} {right}");
    }
}

/// Half decided on a block, half on none: what is older than hdist is voted on alike.
#[test]
fn divided_miners_come_together() {
    for coin in [false, true] {
        let mut miners: Vec<Miner> = (0..8).map(|i| Miner::new(i, 112)).collect();
        for miner in &mut miners {
            miner.coin = coin;
        }
        for i in 0..60 {
            let layer = FIRST.after(i);
            vote(&mut miners, layer, &[0..8]);
            for (j, miner) in miners.iter_mut().enumerate() {
                if i != 5 || j < 4 {
                    miner.decided.insert(layer, block(layer, 1));
                }
            }
        }
        assert_eq!(settled(&miners).len(), 1);
        assert_eq!(miners[0].tortoise.frontier(), FIRST.after(58));
    }
}

#[test]
fn who_was_not_there_says_what_the_others_say() {
    let mut miners = nine();
    miners[0].there = false;
    for i in 0..10 {
        let layer = FIRST.after(i);
        vote(&mut miners, layer, &[0..9]);
        for miner in &mut miners[1..] {
            miner.decided.insert(layer, block(layer, 1));
        }
    }
    let layer = FIRST.after(10);
    let (one, other) = (miners[0].ballot(layer), miners[1].ballot(layer));
    // All but the last layer, on which there are no ballots yet.
    let before = |ballot: &Ballot, tortoise: &Tortoise| tortoise.opinions.link(ballot.opinion).unwrap().before;
    assert_eq!(before(&one, &miners[0].tortoise), before(&other, &miners[1].tortoise));
    assert_eq!(one.differences, [LayerVote { layer: FIRST.after(9), vote: Vote::Abstain }]);
}

#[test]
fn two_thirds_are_not_enough_and_frauds_weigh_nothing() {
    for (heard, convicted, is_final) in [(6, 0, false), (7, 0, true), (9, 2, true), (9, 3, false)] {
        let mut miners = nine();
        for i in 0..24 {
            let layer = FIRST.after(i);
            vote(&mut miners, layer, &[0..heard, heard..9]);
            miners.iter_mut().for_each(|miner| {
                miner.decided.insert(layer, block(layer, 1));
            });
            if i == 1 {
                (0..convicted).for_each(|name| miners[5].tortoise.convict(NodeId([name; 32])));
            }
        }
        assert_eq!(miners[5].tortoise.frontier() > FIRST, is_final, "{heard} heard, {convicted} of them convicted");
    }
}

#[test]
fn ballots_without_a_base_wait_and_wrong_ones_are_told() {
    let mut miners = nine();
    let first = vote(&mut miners, FIRST, &[0..9]);
    miners.iter_mut().for_each(|miner| {
        miner.decided.insert(FIRST, block(FIRST, 1));
    });
    let second = miners[0].ballot(FIRST.next());
    let mut other = Tortoise::new(FIRST, 10, 50);
    assert_eq!(other.understand(&second).unwrap_err(), Uncountable::Base(second.base.unwrap()));
    let base = first.iter().find(|ballot| Some(ballot.id()) == second.base).unwrap();
    let votes = other.understand(base).unwrap();
    let (opinion, smesher, beacon) = (base.opinion, base.smesher, base.beacon);
    other.count(base.id(), Counted { layer: FIRST, opinion, smesher, beacon, weight: 1 }, votes);
    other.understand(&second).unwrap();
    let wrong = Ballot { opinion: Opinion([7; 32]), ..second.clone() };
    assert_eq!(other.understand(&wrong).unwrap_err(), OpinionError::Other.into());
    let same_layer = Ballot { layer: FIRST, ..second };
    assert_eq!(other.understand(&same_layer).unwrap_err(), Uncountable::BaseLayer);
}
