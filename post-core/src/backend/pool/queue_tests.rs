//! The queue under devices that exist on paper only: no threads, no clock, the same every time.

use proptest::prelude::*;

use super::*;

const SLOWER: f64 = 10.0;

/// A device as it really is.
#[derive(Clone, Debug)]
struct Device {
    batch: u64,
    /// Seconds for a whole batch.
    seconds: f64,
    /// Whether part of a batch takes as long as all of it.
    rigid: bool,
    /// Fails after so many batches.
    fails_after: u64,
    /// Takes ten times as long after so many batches.
    slows_after: u64,
}

impl Device {
    fn rate(&self) -> f64 {
        self.batch as f64 / self.seconds
    }

    /// Seconds for the next batch of a piece of which so many labels are left.
    fn takes(&self, labels: u64, batches: u64) -> f64 {
        let part = if self.rigid { 1.0 } else { labels.min(self.batch) as f64 / self.batch as f64 };
        self.seconds * part * if batches < self.slows_after { 1.0 } else { SLOWER }
    }
}

struct Ran {
    /// When each device was done with all it did.
    ended: Vec<f64>,
    made: Vec<u64>,
    /// Seconds each device waited with nothing to do while there was something to be handed out.
    waited: Vec<f64>,
    /// Most labels that were done out of turn.
    held: u64,
}

/// Runs a job on devices that the queue believes to be `guess` times as fast as they are.
fn run(labels: u64, devices: &[Device], guesses: &[f64]) -> Ran {
    let lane = |(device, guess): (&Device, &f64)| Lane::new(device.batch, device.batch / 2, device.rate() * guess);
    let mut queue = Queue::in_order(0..labels, devices.iter().zip(guesses).map(lane).collect());
    let count = devices.len();
    let mut ran = Ran { ended: vec![0.0; count], made: vec![0; count], waited: vec![0.0; count], held: 0 };
    // What each is at: the rest of its piece, and when its batch is done; or since when it waits.
    let mut at_work: Vec<Option<(Range<u64>, f64)>> = vec![None; count];
    let mut waits_since: Vec<Option<f64>> = vec![Some(0.0); count];
    let mut batches = vec![0; count];
    let mut done = Ranges::default();
    let mut now = 0.0;
    loop {
        for i in 0..count {
            let Some(since) = waits_since[i] else { continue };
            match queue.take(i, now) {
                Next::Piece(piece) => {
                    assert!(!piece.is_empty() && piece.end <= labels);
                    ran.waited[i] += now - since;
                    at_work[i] = Some((piece.clone(), now + devices[i].takes(piece.end - piece.start, batches[i])));
                    waits_since[i] = None;
                }
                Next::Wait => {}
                Next::Over => waits_since[i] = None,
            }
        }
        let next = (0..count).filter(|i| at_work[*i].is_some()).min_by(|a, b| {
            let at = |i: &usize| at_work[*i].as_ref().map_or(0.0, |(_, at)| *at);
            at(a).total_cmp(&at(b))
        });
        let Some(i) = next else { break };
        let (piece, at) = at_work[i].take().unwrap();
        now = at;
        if batches[i] == devices[i].fails_after {
            queue.give_up(i);
            continue;
        }
        batches[i] += 1;
        let batch = piece.start..piece.end.min(piece.start + devices[i].batch);
        let (wanted, more) = queue.made(i, batch.clone(), now);
        let end = wanted.end;
        assert!(wanted.start == batch.start && end <= batch.end);
        assert_eq!(done.within(&wanted).count(), 0, "made twice");
        done.insert(piece.start..end);
        ran.made[i] += end - piece.start;
        ran.ended[i] = now;
        let delivered = done.iter().next().filter(|first| first.start == 0).map_or(0, |first| first.end);
        queue.deliver(delivered);
        ran.held = ran.held.max(done.len() - delivered);
        if more {
            at_work[i] = Some((end..piece.end, now + devices[i].takes(piece.end - end, batches[i])));
        } else {
            assert!(queue.finish(i));
            waits_since[i] = Some(now);
        }
    }
    if devices.iter().any(|device| device.fails_after == u64::MAX) {
        assert!(done.iter().eq(std::iter::once(0..labels)), "all was made");
        assert_eq!(ran.made.iter().sum::<u64>(), labels);
    }
    ran
}

fn sound(batch: u64, seconds: f64, rigid: bool) -> Device {
    Device { batch, seconds, rigid, fails_after: u64::MAX, slows_after: u64::MAX }
}

/// Devices that keep their speed end together, and nobody waits longer than for a batch.
fn check(labels: u64, devices: &[Device], guesses: &[f64]) {
    let ran = run(labels, devices, guesses);
    let total: f64 = devices.iter().map(Device::rate).sum();
    let slowest = devices.iter().map(|device| device.seconds).fold(0.0, f64::max);
    let ideal = labels as f64 / total;
    let end = ran.ended.iter().copied().fold(0.0, f64::max);
    assert!(
        end <= ideal * 1.02 + slowest * 1.01,
        "{end} s instead of {ideal} s, a slow batch is {slowest} s: {devices:?}"
    );
    for (device, waited) in ran.waited.iter().enumerate() {
        assert!(
            *waited <= slowest * 1.01,
            "device {device} waited {waited} s, a slow batch is {slowest} s: {devices:?}"
        );
    }
    assert!(ran.held <= MAX_WINDOW, "{} labels held", ran.held);
}

/// Measured on real hardware or its model: an H200, an RTX 3090, a CPU of eight cores, a software GPU.
fn real() -> [Device; 4] {
    [sound(120_000, 0.1, true), sound(20_000, 0.05, true), sound(2048, 0.2, false), sound(256, 1.5, true)]
}

#[test]
fn a_slow_device_costs_a_fast_one_at_most_one_of_its_batches() {
    let [h200, rtx, cpu, software] = real();
    let guess = |device: &Device| device.seconds * GUESS;
    /// As the pool guesses: three batches a second.
    const GUESS: f64 = 3.0;
    for labels in [1000, 100_000, 1 << 20, 100_000_000] {
        for devices in [
            vec![h200.clone(), cpu.clone()],
            vec![cpu.clone(), software.clone()],
            vec![software.clone(), h200.clone()],
            vec![h200.clone(), rtx.clone(), cpu.clone(), software.clone()],
            vec![h200.clone(); 8],
            [vec![h200.clone(); 8], vec![cpu.clone(), software.clone()]].concat(),
        ] {
            let guesses: Vec<f64> = devices.iter().map(guess).collect();
            check(labels, &devices, &guesses);
        }
    }
}

#[test]
fn a_device_that_becomes_slow_does_not_keep_its_long_piece() {
    let [h200, rtx, cpu, _] = real();
    for labels in [1 << 20, 10_000_000] {
        for slow in 0..3 {
            for slows_after in [1, 5, 20, 30] {
                let mut devices = [h200.clone(), rtx.clone(), cpu.clone()];
                devices[slow].slows_after = slows_after;
                let ran = run(labels, &devices, &[1.0; 3]);
                // The batch that it is at stays its own, and one more may, until the slower rate shows.
                let batch = devices[slow].seconds * SLOWER;
                let waited = ran.waited.iter().copied().fold(0.0, f64::max);
                assert!(waited <= batch * 2.0, "waited {waited} s, a batch is {batch} s");
                let ended = ran.ended.iter().copied();
                let spread = ended.clone().fold(0.0, f64::max) - ended.fold(f64::MAX, f64::min);
                assert!(spread <= batch * 2.0 + 0.5, "{slow} of {labels}: the first ended {spread} s before the last");
            }
        }
    }
}

#[test]
fn pieces_are_long_while_there_is_much_to_do() {
    let lane = || Lane { measured: true, ..Lane::new(1000, 1000, 10_000.0) };
    let lanes = || vec![lane(), lane()];
    let mut queue = Queue::in_order(0..1_000_000, lanes());
    assert_eq!(queue.take(0, 0.0), Next::Piece(0..16_000));
    assert_eq!(queue.take(1, 0.0), Next::Piece(16_000..32_000));
    // In order, but not for ever: what is done out of turn has to be kept.
    let mut queue = Queue::in_order(0..1_000_000, lanes());
    assert_eq!(queue.take(0, 0.0), Next::Piece(0..16_000));
    let mut last = 0;
    while let Next::Piece(piece) = queue.take(1, 2.0) {
        last = piece.end;
        queue.made(1, piece, 2.0);
        assert!(queue.finish(1));
    }
    assert!((MIN_WINDOW - 1000..=MIN_WINDOW).contains(&last), "{last}");
    assert_eq!(queue.take(1, 2.0), Next::Wait);
    queue.deliver(1000);
    assert!(matches!(queue.take(1, 2.0), Next::Piece(_)));
    // Alone: everything at once.
    let mut queue = Queue::in_order(0..1_000_000, lanes());
    queue.give_up(1);
    assert_eq!(queue.take(0, 0.0), Next::Piece(0..1_000_000));
    assert!(!queue.too_early(0, MIN_WINDOW) && queue.too_early(0, MIN_WINDOW + 1));
    assert_eq!(queue.silent(1.0, 1e9), [0; 0], "who waits for us is not silent");
}

/// Behind the last index there is no room for a whole batch.
#[test]
fn the_last_labels_there_can_be_are_handed_out() {
    let lanes = (0..2).map(|_| Lane::new(100, 50, 100.0)).collect();
    let mut queue = Queue::in_order(u64::MAX - 3..u64::MAX, lanes);
    let mut next = u64::MAX - 3;
    while let Next::Piece(piece) = queue.take(0, 0.0) {
        assert_eq!(piece.start, next);
        next = piece.end;
        queue.made(0, piece, 1.0);
        assert!(queue.finish(0));
        queue.deliver(next);
    }
    assert_eq!((next, queue.take(0, 2.0)), (u64::MAX, Next::Over));
}

#[test]
fn what_came_back_goes_first_and_to_somebody_else() {
    let lanes = (0..2).map(|_| Lane::new(100, 100, 100.0)).collect();
    let mut queue = Queue::in_order(0..300, lanes);
    let Next::Piece(first) = queue.take(0, 0.0) else { panic!("nothing to do") };
    assert_eq!(first, 0..100);
    assert_eq!(queue.made(0, 0..30, 0.3), (0..30, true));
    assert!(matches!(queue.take(1, 0.3), Next::Piece(Range { start: 100, .. })));
    queue.give_up(0);
    assert_eq!(queue.made(0, 30..60, 0.6), (30..30, false), "nobody wants it any more");
    assert_eq!(queue.take(0, 1.0), Next::Over);
    assert_eq!(queue.take(1, 2.0), Next::Piece(30..100));
}

#[test]
fn who_is_ahead_of_a_device_that_failed_does_not_wait_for_it() {
    let lane = |batch| Lane { measured: true, ..Lane::new(batch, batch, batch as f64) };
    let mut queue = Queue::in_order(0..1_000_000, vec![lane(40_000), lane(500)]);
    let Next::Piece(first) = queue.take(0, 0.0) else { panic!("nothing to do") };
    let Next::Piece(second) = queue.take(1, 0.0) else { panic!("nothing to do") };
    assert!(second.start > MIN_WINDOW && !queue.too_early(1, second.start));
    // The window is as small now as the device that is left.
    queue.give_up(0);
    assert!(!queue.too_early(1, second.start), "it alone can make what it would wait for");
    queue.made(1, second.clone(), 1.0);
    assert!(queue.finish(1));
    assert_eq!(queue.take(1, 1.0), Next::Piece(first));
    assert!(queue.too_early(1, second.end), "the window counts again");
}

#[test]
fn who_says_nothing_is_named() {
    let lanes = (0..3).map(|_| Lane::new(100, 100, 100.0)).collect();
    let mut queue = Queue::in_order(0..1000, lanes);
    assert_eq!(queue.silent(5.0, 4.0), [0; 0]);
    // The first works, the second works and tells, the third never began.
    queue.take(0, 4.0);
    queue.take(1, 4.0);
    queue.made(1, 100..150, 8.0);
    assert_eq!(queue.silent(5.0, 9.5), [0, 2]);
    // The process was paused: what was heard before counts as if the pause had not been.
    queue.excuse(1000.0, 1009.5);
    assert_eq!(queue.silent(5.0, 1009.5), [0, 2]);
    queue.excuse(1.0, 1009.5);
    assert_eq!(queue.silent(5.0, 1009.5), [2]);
    queue.excuse(f64::MAX, 1009.5);
    assert_eq!(queue.silent(5.0, 1009.5), [0; 0]);
    assert_eq!(queue.silent(5.0, 1020.0), [0, 1, 2], "who hangs is named later");
}

fn any_device() -> impl Strategy<Value = Device> {
    (1_u64..5000, 0.01_f64..2.0, any::<bool>(), prop_oneof![4 => Just(u64::MAX), 1 => 0_u64..50])
        .prop_map(|(batch, seconds, rigid, fails_after)| Device { fails_after, ..sound(batch, seconds, rigid) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn everything_is_made_once_whatever_the_devices(
        devices in prop::collection::vec((any_device(), 0.01_f64..100.0), 1..7), labels in 1_u64..200_000,
    ) {
        let (devices, guesses): (Vec<_>, Vec<_>) = devices.into_iter().unzip();
        run(labels, &devices, &guesses);
    }

    /// With devices that don't change and are known, the end is one batch of the slowest away from the ideal at most.
    #[test]
    fn known_devices_end_together(
        devices in prop::collection::vec(any_device(), 1..7), labels in 1_u64..2_000_000,
    ) {
        let devices: Vec<_> = devices.into_iter().map(|device| Device { fails_after: u64::MAX, ..device }).collect();
        check(labels, &devices, &vec![1.0; devices.len()]);
    }

    /// Guesses cost little, because the first batch tells.
    #[test]
    fn wrong_guesses_cost_little(
        devices in prop::collection::vec((any_device(), 0.01_f64..100.0), 1..7), labels in 1_u64..2_000_000,
    ) {
        let (devices, guesses): (Vec<_>, Vec<_>) = devices.into_iter().unzip();
        let devices: Vec<_> = devices.into_iter().map(|device| Device { fails_after: u64::MAX, ..device }).collect();
        let ran = run(labels, &devices, &guesses);
        let ideal = labels as f64 / devices.iter().map(Device::rate).sum::<f64>();
        let slowest = devices.iter().map(|device| device.seconds).fold(0.0, f64::max);
        let end = ran.ended.iter().copied().fold(0.0, f64::max);
        prop_assert!(end <= ideal * 1.05 + slowest * 3.0, "{end} s instead of {ideal} s");
    }
}
