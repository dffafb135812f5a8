//! The dear checks.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use node::atxs::{Dear, Judgement};
use node::env::checker::{Judge, Meters};
use post_core::backend::faulty::Faulty;
use post_core::backend::{Backend, Cpu, Error, Info, LabelJob, Sink};
use post_core::label::Label;
use post_core::pow::PowVerifier;
use post_core::scan::{Hit, ScanJob};
use post_core::verify::VerifyError;
use proptest::prelude::*;

use crate::jobs::{ByThree, NoMemory, all, params};

pub(crate) fn cpu() -> Box<dyn Backend> {
    Box::new(Cpu::new(1).unwrap())
}

fn faulty() -> Faulty {
    Faulty::new("faulty", cpu(), 5)
}

type Pow = Box<dyn PowVerifier + Send>;

fn judge(backends: Vec<Box<dyn Backend>>, pows: Vec<Pow>) -> (Judge, Arc<Meters>) {
    let meters = Arc::new(Meters::default());
    (Judge::new(params(), backends, pows, Arc::clone(&meters)).unwrap(), meters)
}

fn jobs() -> Vec<Dear> {
    all().iter().map(|(job, _)| job.clone()).collect()
}

/// The judgements of all jobs, each judged alone on the CPU.
fn one_by_one() -> &'static [Judgement] {
    static JUDGEMENTS: LazyLock<Vec<Judgement>> = LazyLock::new(|| {
        let (mut judge, _) = judge(vec![cpu()], vec![Box::new(ByThree)]);
        jobs().chunks(1).map(|job| judge.judge(job).unwrap().remove(0)).collect()
    });
    &JUDGEMENTS
}

#[test]
fn each_kind_gets_its_judgement() {
    for ((job, kind), judgement) in all().iter().zip(one_by_one()) {
        assert!(kind.fits(judgement), "{job:?}: {judgement:?} instead of {kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn many_at_once_are_judged_as_one_by_one(picked in prop::collection::vec(0..all().len(), 0..80)) {
        let (mut judge, meters) = judge(vec![cpu()], vec![Box::new(ByThree)]);
        let jobs: Vec<Dear> = picked.iter().map(|at| all()[*at].0.clone()).collect();
        let expected: Vec<Judgement> = picked.iter().map(|at| one_by_one()[*at].clone()).collect();
        let valid = expected.iter().filter(|judgement| **judgement == Judgement::Valid).count() as u64;
        prop_assert_eq!(judge.judge(&jobs).unwrap(), expected);
        prop_assert_eq!(meters.judged_valid.load(Relaxed), valid);
        prop_assert_eq!(meters.judged_invalid.load(Relaxed), jobs.len() as u64 - valid);
    }
}

#[test]
fn a_backend_that_fails_is_replaced_and_changes_no_judgement() {
    let failing: [fn(u64) -> Faulty; 4] = [
        |after| faulty().dies_after(after),
        |after| faulty().out_of_memory_after(after),
        |after| faulty().panics_after(after),
        |after| faulty().stalls_after(after, Duration::from_millis(10)),
    ];
    for device in failing {
        // In the labels of the posts, in those of the VRF nonces, and not at all.
        let batches = {
            let device = faulty();
            let deeds = device.deeds();
            judge(vec![Box::new(device)], vec![Box::new(ByThree)]).0.judge(&jobs()).unwrap();
            deeds.batches()
        };
        for after in [0, 1, batches - 1, batches] {
            let (mut judge, meters) = judge(vec![Box::new(device(after)), cpu()], vec![Box::new(ByThree)]);
            assert_eq!(judge.judge(&jobs()).unwrap(), one_by_one(), "after {after} of {batches} batches");
            assert_eq!(meters.given_up.load(Relaxed), u64::from(after < batches));
            // It is not asked again.
            assert_eq!(judge.judge(&jobs()).unwrap(), one_by_one());
            assert_eq!(meters.given_up.load(Relaxed), 1);
        }
    }
}

#[test]
fn where_nothing_is_left_nothing_is_said() {
    let (mut judge_alone, meters) = judge(vec![Box::new(faulty().dies_after(3))], vec![Box::new(ByThree)]);
    let error = judge_alone.judge(&jobs()).unwrap_err();
    assert!(matches!(error, VerifyError::Backend(Error::DeviceLost { .. })), "{error}");
    assert_eq!(meters.judge_failed.load(Relaxed), jobs().len() as u64);
    assert_eq!(meters.judged_invalid.load(Relaxed), 0);

    let (mut judge_alone, _) = judge(vec![cpu()], vec![Box::new(NoMemory), Box::new(NoMemory)]);
    assert!(matches!(judge_alone.judge(&jobs()), Err(VerifyError::Pow(_))));
}

#[test]
fn without_memory_for_a_dataset_pows_are_hashed_without() {
    let (mut judge, meters) = judge(vec![cpu()], vec![Box::new(NoMemory), Box::new(ByThree)]);
    assert_eq!(judge.judge(&jobs()).unwrap(), one_by_one());
    assert_eq!(meters.given_up.load(Relaxed), 1);
}

/// A device that is no CPU: what it says against somebody is looked at again.
struct Card(Faulty, Info);

impl Card {
    fn boxed(inner: Faulty) -> Box<dyn Backend> {
        let info = Info { kind: "vulkan", ..inner.info().clone() };
        Box::new(Self(inner, info))
    }
}

impl Backend for Card {
    fn info(&self) -> &Info {
        &self.1
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        self.0.label(job, sink)
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.0.scan(job, first, labels, hits)
    }
}

#[test]
fn a_card_that_lies_condemns_nobody() {
    for one_in in [1, 2, 5] {
        let (mut judge, meters) = judge(vec![Card::boxed(faulty().lies(one_in, 5)), cpu()], vec![Box::new(ByThree)]);
        assert_eq!(judge.judge(&jobs()).unwrap(), one_by_one(), "one lie in {one_in}");
        assert_eq!(meters.given_up.load(Relaxed), 1);
    }
    let (mut judge, meters) = judge(vec![Card::boxed(faulty())], vec![Box::new(ByThree)]);
    assert_eq!(judge.judge(&jobs()).unwrap(), one_by_one());
    assert_eq!(meters.given_up.load(Relaxed), 0);
}

/// Says it is done and gives one label less.
struct Short(Box<dyn Backend>);

impl Backend for Short {
    fn info(&self) -> &Info {
        self.0.info()
    }
    fn label(&mut self, job: &LabelJob<'_>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let end = job.labels.positions().end;
        self.0.label(job, &mut |positions, labels| {
            let labels = if positions.end == end { &labels[..labels.len() - 1] } else { labels };
            sink(positions, labels)
        })
    }
    fn scan(&mut self, job: &ScanJob<'_>, first: u64, labels: &[Label], hits: &mut Vec<Hit>) -> Result<(), Error> {
        self.0.scan(job, first, labels, hits)
    }
}

#[test]
fn a_label_that_is_not_there_is_below_nothing() {
    let only_vrf: Vec<Dear> =
        jobs().into_iter().filter(|job| job.vrf.is_some()).map(|job| Dear { posts: Vec::new(), ..job }).collect();
    let (mut judge_short, _) = judge(vec![Box::new(Short(cpu()))], vec![Box::new(ByThree)]);
    assert!(matches!(judge_short.judge(&only_vrf), Err(VerifyError::Backend(Error::DeviceLost { .. }))));
}
