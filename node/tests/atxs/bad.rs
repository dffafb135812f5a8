//! Every kind of bad ATX gets the right verdict, for the right reason.

use std::sync::LazyLock;

use node::atx::{Atx, Junk, MAX_ATX_BYTES, SyntaxError};
use node::atxs::{Need, Reason, Wrong};
use node::codec::{DecodeError, Fault, encode};
use node::ids::{AtxId, Challenge, Epoch, GenesisId, NO_ATX, Signature};
use node::poet::MembershipError;
use node::signature::{Domain, Signer};
use node::source::Verdict::{Ignore, Reject};
use post_core::index_packing::{pack, required_bits, unpack};
use post_core::verify::Invalid;

use crate::desk::{Desk, Found, gossip};
use crate::world::{Made, Miner, Plan, Share, World, bytes, tampered};

/// Four miners, three of them married, and what they published in epochs 1 to 4.
pub(crate) struct Base {
    pub(crate) world: World,
    pub(crate) alice: Miner,
    pub(crate) bob: Miner,
    pub(crate) carol: Miner,
    pub(crate) eve: Miner,
    pub(crate) a1: Made,
    pub(crate) b1: Made,
    pub(crate) c1: Made,
    pub(crate) e1: Made,
    pub(crate) a2: Made,
    /// In which they marry: Bob, Alice, Carol.
    pub(crate) a3: Made,
    /// Merged, signed by Bob.
    pub(crate) m4: Made,
}

impl Base {
    fn new() -> Self {
        let world = World::new();
        let [alice, bob, carol, eve] = ["alice", "bob", "carol", "eve"].map(|name| world.miner(name));
        let [a1, b1, c1, e1] = [&alice, &bob, &carol, &eve].map(|miner| world.initial(miner, 1));
        let a2 = world.next(&alice, 2, a1.id());
        let a3 = world.next_but(&alice, 3, Some(a2.id()), |plan| {
            plan.marriages =
                vec![bob.marries(&alice, b1.id()), alice.marries(&alice, NO_ATX), carol.marries(&alice, c1.id())];
        });
        let mut base = Self { m4: a1.clone(), world, alice, bob, carol, eve, a1, b1, c1, e1, a2, a3 };
        base.m4 = base.merged(4, |_| {});
        base
    }

    /// A merged ATX of the three, signed by Bob, planned otherwise.
    pub(crate) fn merged<'a>(&'a self, epoch: u32, change: impl FnOnce(&mut Plan<'a>)) -> Made {
        let mut plan = Plan {
            epoch,
            positioning: self.a1.id(),
            shares: vec![
                Share { miner: &self.bob, index: 0, previous: Some(self.b1.id()), units: 4 },
                Share { miner: &self.alice, index: 1, previous: Some(self.a3.id()), units: 5 },
                Share { miner: &self.carol, index: 2, previous: Some(self.c1.id()), units: 3 },
            ],
            marriage: Some(self.a3.id()),
            marriages: vec![],
            leaves: crate::world::LEAVES,
            signer: &self.bob,
        };
        change(&mut plan);
        self.world.make(&plan)
    }

    /// Eve's ATX of epoch 5.
    pub(crate) fn e5(&self) -> Made {
        self.world.next(&self.eve, 5, self.e1.id())
    }

    pub(crate) fn history(&self) -> [&Made; 7] {
        [&self.a1, &self.b1, &self.c1, &self.e1, &self.a2, &self.a3, &self.m4]
    }

    /// A node that knows the history.
    pub(crate) fn desk(&self) -> Desk {
        let mut desk = Desk::new(&self.world);
        self.history().into_iter().for_each(|made| desk.accepts(made));
        desk
    }
}

pub(crate) static BASE: LazyLock<Base> = LazyLock::new(Base::new);

struct Case {
    name: &'static str,
    made: Made,
    bytes: Vec<u8>,
    right: fn(&Found) -> bool,
}

macro_rules! case {
    ($cases:ident, $name:literal, $made:expr, $right:pat) => {{
        let made: Made = $made;
        let bytes = encode(&made.atx);
        raw!($cases, $name, made, bytes, $right)
    }};
}

/// Bytes other than those of the ATX.
macro_rules! raw {
    ($cases:ident, $name:literal, $made:expr, $bytes:expr, $right:pat) => {
        $cases.push(Case { name: $name, made: $made, bytes: $bytes, right: |found| matches!(found, $right) })
    };
}

macro_rules! syntax {
    ($error:pat) => {
        Found::Verdict(Reject, Reason::Syntax($error))
    };
}

macro_rules! wrong {
    ($wrong:pat) => {
        Found::Verdict(Reject, Reason::Context($wrong))
    };
}

macro_rules! post {
    ($post:pat, $invalid:pat) => {
        Found::Verdict(Reject, Reason::Post { post: $post, invalid: $invalid })
    };
}

macro_rules! encoding {
    ($fault:pat) => {
        Found::Junk(Junk::Encoding(DecodeError { what: $fault, .. }))
    };
}

fn intake(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let made = base.e5();
    let but = |change: fn(&mut Atx)| {
        let mut made = made.clone();
        change(&mut made.atx);
        made
    };
    let resigned = |signature: Signature| {
        let mut made = made.clone();
        made.atx.signature = signature;
        made
    };
    case!(cases, "wrong signature", but(|atx| atx.signature.0[40] ^= 1), Found::Signature);
    case!(cases, "signature of another key", but(|atx| atx.smesher = BASE.alice.id()), Found::Signature);
    let wrong_domain = base.eve.signer.sign(Domain::Ballot, &made.id().0);
    case!(cases, "wrong domain", resigned(wrong_domain), Found::Signature);
    let other_network = Signer::new(GenesisId([7; 20]), &bytes("eve")).sign(Domain::Atx, &made.id().0);
    case!(cases, "other network's signature", resigned(other_network), Found::Signature);
    let tamper = |tamper: fn(&mut Vec<u8>)| tampered(&made.atx, tamper);
    raw!(cases, "trailing bytes", made.clone(), tamper(|b| b.push(0)), encoding!(Fault::Trailing { extra: 1 }));
    raw!(cases, "truncated", made.clone(), tamper(|b| b.truncate(b.len() - 1)), encoding!(Fault::Truncated { .. }));
    // Epoch 5 is one byte, 20, and may not be two.
    let not_shortest = tamper(|b| drop(b.splice(0..1, [21, 0])));
    raw!(cases, "non-canonical integer", made.clone(), not_shortest, encoding!(Fault::NotShortest));
    let too_large = tamper(|b| drop(b.splice(0..1, encode(&(1_u64 << 32)))));
    raw!(cases, "integer too large", made.clone(), too_large, encoding!(Fault::TooLarge { .. }));
    let flag = tamper(|b| b[57] = 2);
    raw!(cases, "option that is neither there nor not", made.clone(), flag, encoding!(Fault::Flag { flag: 2 }));
    let too_long = |change| encode(&but(change).atx);
    let list = too_long(|atx| atx.previous_atxs = vec![AtxId([1; 32]); 257]);
    raw!(cases, "257 previous ATXs", made.clone(), list, encoding!(Fault::TooLong { len: 257, max: 256 }));
    let list = too_long(|atx| atx.niposts = vec![atx.niposts[0].clone(); 5]);
    raw!(cases, "5 NiPoSTs", made.clone(), list, encoding!(Fault::TooLong { len: 5, max: 4 }));
    let list = too_long(|atx| atx.niposts[0].posts = vec![atx.niposts[0].posts[0].clone(); 257]);
    raw!(cases, "257 posts", made.clone(), list, encoding!(Fault::TooLong { len: 257, max: 256 }));
    let list = too_long(|atx| atx.niposts[0].membership.nodes = vec![[1; 32]; 33]);
    raw!(cases, "33 nodes of membership", made.clone(), list, encoding!(Fault::TooLong { len: 33, max: 32 }));
    let list = too_long(|atx| atx.niposts[0].posts[0].post.indices = vec![1; 801]);
    raw!(cases, "801 bytes of indices", made.clone(), list, encoding!(Fault::TooLong { len: 801, max: 800 }));
    let list = too_long(|atx| atx.marriages = vec![BASE.a3.atx.marriages[0].clone(); 257]);
    raw!(cases, "257 marriages", made.clone(), list, encoding!(Fault::TooLong { len: 257, max: 256 }));
    let endless = vec![0; MAX_ATX_BYTES + 1];
    raw!(cases, "larger than any ATX", made.clone(), endless, Found::Junk(Junk::TooLarge { .. }));
}

fn syntax(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let (e5, m5) = (base.e5(), base.merged(5, |_| {}));
    let e5_but = |change: fn(&mut Atx)| e5.but(&base.eve, change);
    let m5_but = |change: fn(&mut Atx)| m5.but(&base.bob, change);
    let e1_but = |change: fn(&mut Atx)| base.e1.but(&base.eve, change);
    let no_atx = e5_but(|atx| atx.positioning_atx = NO_ATX);
    case!(cases, "positioning ATX of zeros", no_atx, syntax!(SyntaxError::NoAtx { what: "positioning ATX" }));
    let no_atx = e5_but(|atx| atx.previous_atxs = vec![NO_ATX]);
    case!(cases, "previous ATX of zeros", no_atx, syntax!(SyntaxError::NoAtx { what: "previous ATX" }));
    let no_atx = m5_but(|atx| atx.marriage_atx = Some(NO_ATX));
    case!(cases, "marriage ATX of zeros", no_atx, syntax!(SyntaxError::NoAtx { what: "marriage ATX" }));
    let no_atx = e1_but(|atx| {
        atx.initial.as_mut().unwrap().commitment_atx = NO_ATX;
        atx.publish_epoch = Epoch(5);
    });
    case!(cases, "commitment ATX of zeros", no_atx, syntax!(SyntaxError::NoAtx { what: "commitment ATX" }));
    let neither = e5_but(|atx| atx.previous_atxs.clear());
    case!(cases, "neither initial nor previous", neither, syntax!(SyntaxError::InitialXorPrevious));
    let both = e5_but(|atx| atx.initial = BASE.e1.atx.initial.clone());
    case!(cases, "initial and previous", both, syntax!(SyntaxError::InitialXorPrevious));
    let twice = m5_but(|atx| atx.previous_atxs[1] = atx.previous_atxs[0]);
    case!(cases, "previous ATX twice", twice, syntax!(SyntaxError::PreviousTwice { index: 1 }));
    case!(cases, "no NiPoST", e5_but(|atx| atx.niposts.clear()), syntax!(SyntaxError::NoPost));
    case!(cases, "no post", e5_but(|atx| atx.niposts[0].posts.clear()), syntax!(SyntaxError::NoPost));
    let two = e5_but(|atx| atx.niposts.extend(atx.niposts.clone()));
    case!(cases, "two posts of a solo miner", two, syntax!(SyntaxError::NotSolo));
    let index = e5_but(|atx| atx.niposts[0].posts[0].marriage_index = 1);
    case!(cases, "marriage index of a solo miner", index, syntax!(SyntaxError::MarriageIndex { post: 0, index: 1 }));
    let index = e5_but(|atx| atx.niposts[0].posts[0].previous_index = 1);
    case!(cases, "previous index outside", index, syntax!(SyntaxError::PreviousIndex { post: 0, index: 1 }));
    let units = e5_but(|atx| atx.niposts[0].posts[0].num_units = 0);
    case!(cases, "no units", units, syntax!(SyntaxError::NoUnits { post: 0 }));
    let index = m5_but(|atx| atx.niposts[0].posts[2].marriage_index = 0);
    case!(cases, "a miner twice in a merged ATX", index, syntax!(SyntaxError::MinerTwice { post: 2, index: 0 }));
    let married = m5_but(|atx| atx.marriages = BASE.a3.atx.marriages.clone());
    case!(cases, "marriages in a merged ATX", married, syntax!(SyntaxError::NotMerged));
    let absent = base.a3.but(&base.alice, |atx| {
        atx.marriages.remove(1);
    });
    case!(cases, "marriage without signer", absent, syntax!(SyntaxError::OwnMarriage { own: 0 }));
}

fn names(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let Base { world, alice, eve, .. } = base;
    let e5 = base.e5();
    let e5_but = |change: fn(&mut Atx)| e5.but(eve, change);
    let zero = e5_but(|atx| atx.publish_epoch = Epoch(0));
    case!(cases, "epoch 0", zero, wrong!(Wrong::EpochZero));
    let far = e5_but(|atx| atx.publish_epoch = Epoch(11));
    case!(cases, "epoch far in the future", far, Found::Verdict(Reject, Reason::Early { epoch: Epoch(11) }));
    let near = e5_but(|atx| atx.publish_epoch = Epoch(10));
    case!(cases, "epoch in the future", near, Found::Verdict(Ignore, Reason::Early { epoch: Epoch(10) }));
    let replayed = e5_but(|atx| atx.publish_epoch = Epoch(6));
    case!(cases, "replayed epoch", replayed, wrong!(Wrong::Membership { nipost: 0, error: MembershipError::Root }));
    let foreign = world.next(eve, 5, base.a2.id());
    case!(cases, "foreign previous", foreign, wrong!(Wrong::PreviousNotTheirs { post: 0 }));
    let copy = base.a2.but(eve, |_| {});
    case!(cases, "another's ATX signed again", copy, Found::Verdict(Ignore, Reason::Known));
    let copy = world.next(alice, 5, base.m4.id()).but(eve, |_| {});
    case!(cases, "another's new ATX signed", copy, wrong!(Wrong::PreviousNotTheirs { post: 0 }));
    let same = world.next(alice, 3, base.a3.id());
    case!(cases, "previous of the same epoch", same, wrong!(Wrong::NotOlder { what: "previous ATX", epoch: Epoch(3) }));
    let later = world.next(alice, 2, base.a3.id());
    case!(cases, "previous from the future", later, wrong!(Wrong::NotOlder { what: "previous ATX", epoch: Epoch(3) }));
    let unknown = world.next(eve, 5, AtxId([9; 32]));
    case!(cases, "previous unknown", unknown, Found::Verdict(Ignore, Reason::Missing(Need::Atx(AtxId([9, ..])))));
    let golden = world.next(eve, 5, world.golden());
    case!(cases, "golden previous", golden, wrong!(Wrong::Golden { what: "previous ATX" }));
    let unused = base.merged(5, |_| {}).but(&base.bob, |atx| atx.previous_atxs.push(BASE.e1.id()));
    case!(cases, "previous of no post", unused, wrong!(Wrong::UnusedPrevious { index: 3 }));
    let on = |positioning| world.next_but(eve, 3, Some(base.e1.id()), |plan| plan.positioning = positioning);
    let unknown = on(AtxId([8; 32]));
    case!(cases, "positioning unknown", unknown, Found::Verdict(Ignore, Reason::Missing(Need::Atx(AtxId([8, ..])))));
    let same = on(base.a3.id());
    case!(cases, "positioning of the same epoch", same, wrong!(Wrong::NotOlder { what: "positioning ATX", .. }));
    let bound_to = |commitment_atx| {
        let mut frank = world.miner("frank");
        frank.commitment_atx = commitment_atx;
        world.initial(&frank, 3)
    };
    let unknown = bound_to(AtxId([7; 32]));
    case!(cases, "commitment unknown", unknown, Found::Verdict(Ignore, Reason::Missing(Need::Atx(AtxId([7, ..])))));
    let same = bound_to(base.a3.id());
    case!(cases, "commitment of the same epoch", same, wrong!(Wrong::NotOlder { what: "commitment ATX", .. }));
}

fn poets(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let Base { world, eve, .. } = base;
    let e5 = base.e5();
    let e5_but = |change: fn(&mut Atx)| e5.but(eve, change);
    let undelivered = Made { poets: vec![], ..e5.clone() };
    case!(cases, "PoET never delivered", undelivered, Found::Verdict(Ignore, Reason::Missing(Need::Poet(_))));
    let not_its_id = e5_but(|atx| atx.niposts[0].challenge = Challenge([3; 32]));
    let right = not_its_id;
    case!(
        cases,
        "challenge not a PoET's id",
        right,
        Found::Verdict(Ignore, Reason::Missing(Need::Poet(Challenge([3, ..]))))
    );
    let mut tampered = e5.clone();
    tampered.poets[0].root[0] ^= 1;
    tampered.atx.niposts[0].challenge = tampered.poets[0].id();
    let tampered = tampered.but(eve, |_| {});
    case!(cases, "PoET that does not hold", tampered, wrong!(Wrong::NoTicks { nipost: 0 }));
    let short = world.next_but(eve, 5, Some(base.e1.id()), |plan| plan.leaves = 3);
    case!(cases, "PoET of no tick", short, wrong!(Wrong::NoTicks { nipost: 0 }));
    let other_round = e5_but(|atx| atx.niposts[0].challenge = BASE.a1.poets[0].id());
    case!(cases, "membership of another round", other_round, wrong!(Wrong::Membership { .. }));
    let leaf = e5_but(|atx| atx.niposts[0].posts[0].leaf_index ^= 1);
    case!(cases, "leaf index wrong", leaf, wrong!(Wrong::Membership { .. }));
    let leaf = e5_but(|atx| atx.niposts[0].posts[0].leaf_index = u64::MAX);
    case!(
        cases,
        "leaf index outside",
        leaf,
        wrong!(Wrong::Membership { error: MembershipError::NoSuchMember { .. }, .. })
    );
    let nodes = e5_but(|atx| atx.niposts[0].membership.nodes.truncate(1));
    case!(cases, "node of membership missing", nodes, wrong!(Wrong::Membership { .. }));
    let nodes = e5_but(|atx| atx.niposts[0].membership.nodes.clear());
    case!(
        cases,
        "no nodes of membership",
        nodes,
        wrong!(Wrong::Membership { error: MembershipError::TooFewNodes, .. })
    );
    let nodes = e5_but(|atx| atx.niposts[0].membership.nodes.push([5; 32]));
    case!(cases, "node of membership too many", nodes, wrong!(Wrong::Membership { error: MembershipError::Root, .. }));
    let leaf = base.merged(5, |_| {}).but(&base.bob, |atx| {
        let posts = &mut atx.niposts[0].posts;
        posts[1].leaf_index = posts[0].leaf_index;
    });
    case!(cases, "two challenges at one leaf", leaf, wrong!(Wrong::LeafTwice { nipost: 0, .. }));
    let other = e5_but(|atx| atx.positioning_atx = BASE.a1.id());
    case!(cases, "positioning ATX that was not registered", other, wrong!(Wrong::Membership { .. }));
}

fn merging(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let Base { world, alice, bob, carol, eve, .. } = base;
    let m5 = base.merged(5, |_| {});
    let m5_but = |change: fn(&mut Atx)| m5.but(bob, change);
    let outside = m5_but(|atx| atx.niposts[0].posts[2].marriage_index = 3);
    case!(cases, "marriage index outside", outside, wrong!(Wrong::MarriageIndex { post: 2, index: 3, married: 3 }));
    case!(cases, "merged by a non-member", m5.but(eve, |_| {}), wrong!(Wrong::SignerAbsent));
    let absent = base.merged(5, |plan| {
        plan.shares.remove(0);
    });
    case!(cases, "merged by a member without a post", absent, wrong!(Wrong::SignerAbsent));
    let nobody = m5_but(|atx| atx.marriage_atx = Some(BASE.e1.id()));
    case!(cases, "marriage ATX without marriages", nobody, wrong!(Wrong::NoMarriage));
    let same = base.merged(3, |plan| plan.shares.retain(|share| share.index != 1));
    case!(cases, "marriage ATX of the same epoch", same, wrong!(Wrong::NotOlder { what: "marriage ATX", .. }));
    let unknown = m5_but(|atx| atx.marriage_atx = Some(AtxId([6; 32])));
    case!(cases, "marriage ATX unknown", unknown, Found::Verdict(Ignore, Reason::Missing(Need::Atx(AtxId([6, ..])))));
    let swapped = base.merged(5, |plan| {
        let (bobs, carols) = (plan.shares[0].previous, plan.shares[2].previous);
        (plan.shares[0].previous, plan.shares[2].previous) = (carols, bobs);
    });
    case!(cases, "previous of another member", swapped, wrong!(Wrong::PreviousNotTheirs { post: 0 }));
    let marrying = |marriages: Vec<node::atx::Marriage>| {
        world.next_but(eve, 5, Some(base.e1.id()), |plan| {
            plan.marriages = marriages;
            plan.marriages.push(eve.marries(eve, NO_ATX));
        })
    };
    let frank = world.miner("frank");
    let mut signature = bob.marries(eve, base.b1.id());
    signature.signature.0[0] ^= 1;
    case!(
        cases,
        "marriage signature wrong",
        marrying(vec![signature]),
        wrong!(Wrong::MarriageSignature { marriage: 0 })
    );
    let to_another = bob.marries(alice, base.b1.id());
    case!(cases, "marriage with another signer", marrying(vec![to_another]), wrong!(Wrong::MarriageSignature { .. }));
    let by_another = frank.marries(eve, base.b1.id());
    case!(cases, "marriage signed by another", marrying(vec![by_another]), wrong!(Wrong::MarriageSignature { .. }));
    let merged = carol.marries(eve, base.m4.id());
    case!(
        cases,
        "marriage that shows a merged ATX",
        marrying(vec![merged]),
        wrong!(Wrong::ReferenceMerged { marriage: 0 })
    );
    let twice = bob.marries(eve, base.b1.id());
    let twice = marrying(vec![twice.clone(), twice]);
    case!(cases, "one miner married twice in one ATX", twice, wrong!(Wrong::MarriedTwice { marriage: 1 }));
    let oneself = marrying(vec![eve.marries(eve, base.e1.id())]);
    case!(cases, "signer married to itself", oneself, wrong!(Wrong::MarriedTwice { marriage: 1 }));
    let unknown = marrying(vec![frank.marries(eve, AtxId([5; 32]))]);
    case!(cases, "marriage that shows an unknown ATX", unknown, Found::Verdict(Ignore, Reason::Missing(_)));
    let other = m5.but(bob, |atx| atx.niposts[0].posts[0].leaf_index += 4);
    case!(cases, "leaf of a member of a merged ATX", other, wrong!(Wrong::Membership { .. }));
}

/// Another packing of the indices of `atx`'s post.
fn repack(world: &World, atx: &mut Atx, change: impl FnOnce(&mut Vec<u64>)) {
    let post = &mut atx.niposts[0].posts[0];
    let bits = required_bits(u64::from(post.num_units) * world.params.post.labels_per_unit);
    let mut indices: Vec<u64> = unpack(&post.post.indices, bits).take(world.params.post.k2 as usize).collect();
    change(&mut indices);
    post.post.indices = pack(&indices, bits).unwrap();
}

fn posts(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let Base { world, alice, eve, .. } = base;
    let e5 = base.e5();
    let e5_but = |change: fn(&mut Atx)| e5.but(eve, change);
    let units = e5_but(|atx| atx.niposts[0].posts[0].num_units = 9);
    case!(cases, "units too many", units, wrong!(Wrong::Units { post: 0, got: 9, min: 2, max: 8 }));
    let units = e5_but(|atx| atx.niposts[0].posts[0].num_units = 1);
    case!(cases, "units too few", units, wrong!(Wrong::Units { post: 0, got: 1, min: 2, max: 8 }));
    let units = e5_but(|atx| atx.niposts[0].posts[0].num_units = u32::MAX);
    case!(cases, "units that overflow", units, wrong!(Wrong::Units { post: 0, got: u32::MAX, .. }));
    let repeated = e5_but(|atx| repack(&BASE.world, atx, |indices| indices[3] = indices[2]));
    case!(cases, "repeated index", repeated, post!(Some(0), Invalid::DuplicateIndex { .. }));
    let outside = e5_but(|atx| repack(&BASE.world, atx, |indices| indices[36] = 1024));
    case!(cases, "index outside", outside, post!(Some(0), Invalid::IndexOutOfRange { index: 1024, index_id: 36, .. }));
    let padding = e5_but(|atx| *atx.niposts[0].posts[0].post.indices.last_mut().unwrap() |= 0x80);
    case!(cases, "padding bits", padding, post!(Some(0), Invalid::NonZeroPadding {}));
    let length = e5_but(|atx| atx.niposts[0].posts[0].post.indices.truncate(50));
    case!(cases, "indices too short", length, post!(Some(0), Invalid::InvalidIndicesLen { expected: 51, got: 50 }));
    let group = e5_but(|atx| atx.niposts[0].posts[0].post.nonce = 4096);
    case!(
        cases,
        "nonce group out of range",
        group,
        post!(Some(0), Invalid::NonceGroupOutOfBounds { nonce_group: 256 })
    );
    let pow = e5_but(|atx| atx.niposts[0].posts[0].post.pow |= 1 << 56);
    case!(cases, "pow of 2^56", pow, post!(Some(0), Invalid::PowOutOfRange { .. }));
    // Of four pows one holds.
    let bad_pow = |challenge: Challenge| {
        let groups = (0..).map(|group| 16 * group);
        let good = |nonce: u32, pow| {
            let input = post_core::pow::PowInput::new((nonce / 16) as u8, &challenge, eve.id());
            let target = post_core::difficulty::pow_target(&world.params.post.pow_difficulty, 4);
            post_core::pow::PowVerifier::verify(&crate::world::HashPow, &input, pow, &target).unwrap()
        };
        groups.map(|nonce| (nonce, (0..).find(|pow| good(nonce, *pow)).unwrap())).find(|(nonce, pow)| {
            let there = post_core::pow::PowInput::new((nonce / 16) as u8, &e5.atx.niposts[0].challenge, eve.id());
            let target = post_core::difficulty::pow_target(&world.params.post.pow_difficulty, 4);
            !post_core::pow::PowVerifier::verify(&crate::world::HashPow, &there, *pow, &target).unwrap()
        })
    };
    let (nonce, pow) = bad_pow(Challenge([1; 32])).unwrap();
    let other =
        e5.but(eve, |atx| (atx.niposts[0].posts[0].post.nonce, atx.niposts[0].posts[0].post.pow) = (nonce, pow));
    case!(cases, "pow for another challenge", other, post!(Some(0), Invalid::InvalidPoW {}));
    let label = e5.but(eve, |atx| miss(world, eve, atx, 36));
    case!(
        cases,
        "a label that misses",
        label,
        post!(Some(0), Invalid::InvalidMsb { index_id: 36, .. } | Invalid::InvalidLsb { .. })
    );
    let mut otherwise = world.miner("eve");
    otherwise.commitment_atx = base.a1.id();
    let other = world.next(&otherwise, 5, base.e1.id());
    case!(
        cases,
        "data bound to another ATX",
        other,
        post!(Some(0), Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. })
    );
    let e2 = world.next(eve, 2, base.e1.id());
    let old = e5.but(eve, |atx| atx.niposts[0].posts[0].post = e2.atx.niposts[0].posts[0].post.clone());
    case!(
        cases,
        "proof of another epoch",
        old,
        post!(Some(0), Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. } | Invalid::InvalidPoW {})
    );
    let grace = world.miner("grace");
    let mut stolen = world.miner("grace");
    stolen.units = 4;
    let theirs = world.post(alice, &Challenge([0; 32]), 4);
    let first = world.initial(&grace, 5);
    // The registration has the initial post in it, so a round is made for it.
    let stolen = registered(world, &stolen, first, |atx| atx.initial.as_mut().unwrap().post = theirs);
    case!(
        cases,
        "initial post of another miner",
        stolen,
        post!(None, Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. } | Invalid::InvalidPoW {})
    );
    let copy = world.initial(&grace, 5).but(&world.miner("heidi"), |_| {});
    case!(
        cases,
        "another's first ATX signed",
        copy,
        post!(None, Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. } | Invalid::InvalidPoW {})
    );
    let nonce = world.initial(&grace, 5).but(&grace, |atx| atx.vrf_nonce = world.no_vrf_nonce(&grace, 4));
    case!(cases, "VRF nonce wrong in a first ATX", nonce, Found::Verdict(Reject, Reason::Vrf));
    let nonce = e5.but(eve, |atx| atx.vrf_nonce = world.no_vrf_nonce(eve, 4));
    case!(cases, "VRF nonce wrong when changed", nonce, Found::Verdict(Reject, Reason::Vrf));
    let ivan = ivan(world);
    let nonce = world.next_but(&ivan, 5, Some(world.initial(&ivan, 1).id()), |plan| plan.shares[0].units = 8);
    let nonce = nonce.but(&ivan, |atx| atx.vrf_nonce = world.vrf_nonce(&ivan, 2));
    let nonce = Made { poets: [nonce.poets, world.initial(&ivan, 1).poets].concat(), ..nonce };
    case!(cases, "VRF nonce wrong for grown units", nonce, Found::Verdict(Reject, Reason::Vrf));
}

/// A miner of two units whose VRF nonce is none of eight.
fn ivan(world: &World) -> Miner {
    let candidates = (0..).map(|i| Miner { units: 2, ..world.miner(&format!("ivan {i}")) });
    let grown = |miner: &Miner| world.vrf_nonce(miner, 2) != world.vrf_nonce(miner, 8);
    candidates.into_iter().find(grown).unwrap()
}

/// The ATX after a change, in a round in which it was registered; the proof answers that round.
fn registered(world: &World, miner: &Miner, mut made: Made, change: impl FnOnce(&mut Atx)) -> Made {
    change(&mut made.atx);
    let challenge = made.atx.poet_challenge(&made.atx.niposts[0].posts[0]);
    let (proof, members) = world.round(&[challenge], crate::world::LEAVES);
    let nipost = &mut made.atx.niposts[0];
    nipost.posts[0].leaf_index = members.position(&challenge).unwrap();
    nipost.membership = members.prove(&[nipost.posts[0].leaf_index]).unwrap();
    nipost.challenge = proof.id();
    nipost.posts[0].post = world.post(miner, &proof.id(), nipost.posts[0].num_units);
    made.atx.sign(&miner.signer);
    made.poets = vec![proof];
    made
}

/// Puts an index whose label misses at a position of the post.
pub(crate) fn miss(world: &World, miner: &Miner, atx: &mut Atx, position: usize) {
    use post_core::verify::{Job, Mode, Verifier};
    let metadata = post_core::proof::ProofMetadata {
        node_id: miner.id(),
        commitment_atx_id: miner.commitment_atx,
        challenge: atx.niposts[0].challenge,
        num_units: atx.niposts[0].posts[0].num_units,
    };
    for index in 0..1024 {
        let mut other = atx.clone();
        repack(world, &mut other, |indices| indices[position] = index);
        let proof = &other.niposts[0].posts[0].post;
        let verifier = Verifier::new(&world.params.post, &crate::world::HashPow).unwrap();
        let job = Job { proof, metadata: &metadata, mode: &Mode::All };
        let mut cpu = post_core::backend::Cpu::new(1).unwrap();
        let verdict = verifier.verify_batch(&[job], &mut cpu).unwrap().remove(0);
        if matches!(verdict, Err(Invalid::InvalidMsb { .. } | Invalid::InvalidLsb { .. })) {
            *atx = other;
            return;
        }
    }
    panic!("no label misses");
}

fn contradictions(cases: &mut Vec<Case>) {
    let base = &*BASE;
    let Base { world, alice, eve, .. } = base;
    let two = world.next_but(alice, 2, Some(base.a1.id()), |plan| plan.positioning = base.e1.id());
    case!(cases, "two for one epoch", two, Found::Verdict(Ignore, Reason::Fraud));
    let two = world.next(alice, 5, base.a2.id());
    case!(cases, "two with one previous", two, Found::Verdict(Ignore, Reason::Fraud));
    let two = world.initial(eve, 5);
    case!(cases, "initial twice", two, Found::Verdict(Ignore, Reason::Fraud));
    let solo = world.next(alice, 4, base.a3.id());
    case!(cases, "solo and merged in one epoch", solo, Found::Verdict(Ignore, Reason::Fraud));
    let double = world.next_but(eve, 5, Some(base.e1.id()), |plan| {
        plan.marriages = vec![eve.marries(eve, NO_ATX), base.carol.marries(eve, base.c1.id())];
    });
    case!(cases, "double marriage", double, Found::Verdict(Ignore, Reason::Fraud));
    let again =
        world.next_but(alice, 5, Some(base.m4.id()), |plan| plan.marriages = vec![alice.marries(alice, NO_ATX)]);
    case!(cases, "two weddings of one signer", again, Found::Verdict(Ignore, Reason::Fraud));
}

#[test]
fn every_kind_of_bad_atx_gets_the_right_verdict() {
    let mut cases = Vec::new();
    let c = &mut cases;
    for add in [intake, syntax, names, poets, merging, posts, contradictions] {
        add(c);
    }
    let mut wrong = Vec::new();
    for case in &cases {
        let mut desk = BASE.desk();
        if case.name == "VRF nonce wrong for grown units" {
            desk.accepts(&BASE.world.initial(&ivan(&BASE.world), 1));
        }
        let before = desk.known();
        let found = match desk.bytes_come(&case.bytes) {
            junk @ (Found::Junk(_) | Found::Signature) => junk,
            _ => {
                desk.poets_come(&case.made);
                desk.nobody_answers();
                desk.verdict(gossip(7, &case.bytes))
            }
        };
        if !(case.right)(&found) {
            wrong.push(format!("{}: {found:?}", case.name));
        }
        let is_fraud = found == Found::Verdict(Ignore, Reason::Fraud);
        assert_eq!(desk.known() == before, !is_fraud, "{}", case.name);
        assert_eq!(desk.atxs.undecided(), (0, 0), "{}", case.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} kinds of bad ATXs", cases.len());
    assert!(cases.len() >= 40, "{}", cases.len());
}
