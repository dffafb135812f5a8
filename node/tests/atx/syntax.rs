//! Every rule that an ATX can break by itself, broken by one change to a good one.

use node::atx::{Atx, SyntaxError};
use node::ids::NO_ATX;

use crate::samples::{crowd, following, initial, marrying, merged};

fn broken(mut atx: Atx, change: impl FnOnce(&mut Atx)) -> SyntaxError {
    assert_eq!(atx.check(), Ok(()));
    change(&mut atx);
    atx.check().unwrap_err()
}

#[test]
fn lists_have_limits() {
    let too_long = |atx, change: fn(&mut Atx)| match broken(atx, change) {
        SyntaxError::TooLong { what, len, max } if len == max + 1 => what,
        other => panic!("{other}"),
    };
    assert_eq!(too_long(merged(), |atx| atx.niposts = vec![atx.niposts[0].clone(); 5]), "NiPoSTs");
    assert_eq!(too_long(marrying(), |atx| atx.marriages = vec![atx.marriages[0].clone(); 257]), "marriages");
    assert_eq!(
        too_long(following(), |atx| atx.niposts[0].membership.nodes = vec![[1; 32]; 33]),
        "nodes of a membership proof"
    );
    assert_eq!(
        too_long(crowd(), |atx| {
            let one_more = atx.niposts[0].posts[0].clone();
            atx.niposts[0].posts.push(one_more);
        }),
        "posts of a NiPoST"
    );
    assert_eq!(too_long(following(), |atx| atx.niposts[0].posts[0].post.indices = vec![1; 801]), "bytes of indices");
    let of_initial: fn(&mut Atx) = |atx| atx.initial.as_mut().unwrap().post.indices = vec![1; 801];
    assert_eq!(too_long(initial("alice"), of_initial), "bytes of indices");
    let error = broken(merged(), |atx| atx.previous_atxs = vec![atx.previous_atxs[0]; 257]);
    assert_eq!(error, SyntaxError::TooLong { what: "previous ATXs", len: 257, max: 256 });
}

#[test]
fn an_atx_must_be_there() {
    let what = |error| match error {
        SyntaxError::NoAtx { what } => what,
        other => panic!("{other}"),
    };
    assert_eq!(what(broken(following(), |atx| atx.positioning_atx = NO_ATX)), "positioning ATX");
    assert_eq!(what(broken(following(), |atx| atx.previous_atxs[0] = NO_ATX)), "previous ATX");
    assert_eq!(what(broken(merged(), |atx| atx.marriage_atx = Some(NO_ATX))), "marriage ATX");
    let commitment = |atx: &mut Atx| atx.initial.as_mut().unwrap().commitment_atx = NO_ATX;
    assert_eq!(what(broken(initial("alice"), commitment)), "commitment ATX");
}

#[test]
fn an_atx_is_either_initial_or_has_previous_ones() {
    let both = broken(initial("alice"), |atx| atx.previous_atxs = following().previous_atxs);
    assert_eq!(both, SyntaxError::InitialXorPrevious);
    assert_eq!(broken(following(), |atx| atx.previous_atxs.clear()), SyntaxError::InitialXorPrevious);
    // With one id twice, the bytes of a post's index could be changed and the id would stay.
    let twice = broken(merged(), |atx| atx.previous_atxs[1] = atx.previous_atxs[0]);
    assert_eq!(twice, SyntaxError::PreviousTwice { index: 1 });
}

#[test]
fn there_are_posts() {
    assert_eq!(broken(following(), |atx| atx.niposts.clear()), SyntaxError::NoPost);
    assert_eq!(broken(merged(), |atx| atx.niposts[1].posts.clear()), SyntaxError::NoPost);
    let no_units = broken(merged(), |atx| atx.niposts[1].posts[0].num_units = 0);
    assert_eq!(no_units, SyntaxError::NoUnits { post: 2 });
}

#[test]
fn a_solo_atx_has_one_post() {
    assert_eq!(broken(merged(), |atx| atx.marriage_atx = None), SyntaxError::NotSolo);
    assert_eq!(broken(following(), |atx| atx.niposts.extend(merged().niposts)), SyntaxError::NotSolo);
    let two_previous = |atx: &mut Atx| atx.previous_atxs = merged().previous_atxs;
    assert_eq!(broken(following(), two_previous), SyntaxError::NotSolo);
    let another = broken(following(), |atx| atx.niposts[0].posts[0].marriage_index = 1);
    assert_eq!(another, SyntaxError::MarriageIndex { post: 0, index: 1 });
}

#[test]
fn a_merged_atx_only_merges() {
    let marriage_atx = merged().marriage_atx;
    assert_eq!(broken(initial("alice"), |atx| atx.marriage_atx = marriage_atx), SyntaxError::NotMerged);
    assert_eq!(broken(marrying(), |atx| atx.marriage_atx = marriage_atx), SyntaxError::NotMerged);
    let post = |atx: &mut Atx, marriage: u32| atx.niposts[1].posts[0].marriage_index = marriage;
    assert_eq!(broken(merged(), |atx| post(atx, 1)), SyntaxError::MinerTwice { post: 2, index: 1 });
    assert_eq!(broken(merged(), |atx| post(atx, 256)), SyntaxError::MarriageIndex { post: 2, index: 256 });
}

#[test]
fn a_post_names_a_previous_atx_of_the_list() {
    for (atx, index) in [(initial("alice"), 1), (following(), 1), (merged(), 2), (merged(), u32::MAX)] {
        let error = broken(atx, |atx| atx.niposts[0].posts[0].previous_index = index);
        assert_eq!(error, SyntaxError::PreviousIndex { post: 0, index });
    }
}

#[test]
fn who_marries_others_marries_itself_once() {
    let not_itself = broken(marrying(), |atx| {
        atx.marriages.remove(1);
    });
    assert_eq!(not_itself, SyntaxError::OwnMarriage { own: 0 });
    let twice = broken(marrying(), |atx| atx.marriages[0].reference_atx = NO_ATX);
    assert_eq!(twice, SyntaxError::OwnMarriage { own: 2 });
}
