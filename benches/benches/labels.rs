//! Labels per second of one core: every tier of this machine, every way to run it, by cost.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use post_core::identity::Commitment;
use post_core::label::tier::Tier;
use post_core::label::worker::{Method, Worker};
use post_core::params::ScryptParams;

fn methods() -> Vec<Method> {
    let of = |tier| if tier == Tier::Scalar { vec![Method::new(tier)] } else { Method::all(tier) };
    Tier::available().into_iter().flat_map(of).collect()
}

fn labels(c: &mut Criterion) {
    let commitment = Commitment([7; 32]);
    for n in [512, 8192] {
        let mut group = c.benchmark_group("labels");
        group.sample_size(10);
        for method in methods() {
            let mut worker = Worker::new(method, ScryptParams { n, r: 1, p: 1 }).expect("a few MiB");
            // What the backend gives a worker in one go.
            let jobs: Vec<_> = (0..method.task() as u64).map(|index| (commitment, index)).collect();
            group.throughput(Throughput::Elements(jobs.len() as u64));
            let mut out = vec![[0; 32]; jobs.len()];
            group.bench_function(format!("tier={}/way={}/n={n}", method.tier(), method.variant()), |b| {
                b.iter(|| worker.full_labels(&jobs, std::hint::black_box(&mut out)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, labels);
criterion_main!(benches);
