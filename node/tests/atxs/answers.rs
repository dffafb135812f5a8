//! What ATXs wait for comes, or they are told that it does not.

use node::atx::Received;
use node::atxs::{Input, Need, Reason};
use node::codec::encode;
use node::source::{Source, Verdict};

use crate::bad::BASE;
use crate::desk::{Desk, Found, gossip, peer};
use crate::world::Made;

/// Two peers gossip an ATX whose previous one is not here, and the first is asked for it.
fn waiting_for_e1() -> (Desk, [Source; 2], Need) {
    let (mut desk, e5) = (Desk::new(&BASE.world), BASE.e5());
    desk.poets_come(&BASE.e1);
    desk.poets_come(&e5);
    let bytes = encode(&e5.atx);
    let sources = [6, 7].map(|from| gossip(from, &bytes));
    for source in sources {
        assert_eq!(desk.bytes_come_from(source, &bytes), Found::Undecided);
    }
    let need = Need::Atx(BASE.e1.id());
    assert!(desk.fetches().contains(&(need, peer(6))));
    (desk, sources, need)
}

fn answers(desk: &mut Desk, from: u8, made: &Made) {
    desk.step(Input::Atx { received: Received::from(made.atx.clone()), source: Source::Answer { peer: peer(from) } });
}

/// The right id and another signer's post: of no use, whoever answers it. Sync may have asked another peer than it was told.
#[test]
fn a_bad_answer_of_anybody_ends_the_waiting() {
    let (mut desk, sources, need) = waiting_for_e1();
    let stolen = BASE.e1.but(&BASE.world.miner("thief"), |_| {});
    assert_eq!(stolen.id(), BASE.e1.id());
    answers(&mut desk, 9, &stolen);
    assert_eq!(desk.fetches(), [(need, peer(7))]);
    let again = BASE.e1.but(&BASE.world.miner("another thief"), |_| {});
    answers(&mut desk, 9, &again);
    assert_eq!(desk.fetches(), []);
    for source in sources {
        assert_eq!(desk.verdict(source), Found::Verdict(Verdict::Ignore, Reason::Missing(need)));
    }
    assert_eq!(desk.atxs.undecided(), (0, 0));
}

/// A bad copy that was gossiped says nothing about the answer that is still to come.
#[test]
fn gossip_is_no_answer() {
    let (mut desk, sources, _) = waiting_for_e1();
    let stolen = encode(&BASE.e1.but(&BASE.world.miner("thief"), |_| {}).atx);
    assert!(matches!(desk.bytes_come_from(gossip(9, &stolen), &stolen), Found::Verdict(Verdict::Reject, _)));
    assert_eq!(desk.fetches(), []);
    answers(&mut desk, 6, &BASE.e1);
    for source in sources {
        assert_eq!(desk.verdict(source), Found::Verdict(Verdict::Accept, Reason::Good));
    }
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for() {
    let (mut desk, sources, need) = waiting_for_e1();
    for asked_next in [vec![(need, peer(7))], vec![]] {
        desk.now = desk.now.after(119_000);
        desk.step(Input::Tick);
        assert_eq!(desk.fetches(), []);
        desk.now = desk.now.after(11_000);
        desk.step(Input::Tick);
        assert_eq!(desk.fetches(), asked_next);
    }
    for source in sources {
        assert_eq!(desk.verdict(source), Found::Verdict(Verdict::Ignore, Reason::Missing(need)));
    }
    assert_eq!(desk.atxs.undecided(), (0, 0));
}
