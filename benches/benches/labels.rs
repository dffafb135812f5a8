//! Labels per second of one core: the readable reference, the portable kernel.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use post_core::identity::Commitment;
use post_core::label::row::NativeRow;
use post_core::label::{portable, reference};
use post_core::params::ScryptParams;

const LABELS: u64 = 96;

fn labels(c: &mut Criterion) {
    let commitment = Commitment([7; 32]);
    let scrypt = ScryptParams::MAINNET;
    let mut group = c.benchmark_group("labels");
    group.sample_size(10).throughput(Throughput::Elements(LABELS));
    group.bench_function("tier=reference/n=8192", |b| {
        b.iter(|| {
            for index in 0..LABELS {
                let label = reference::full_label(&commitment, index, scrypt).expect("a defined cost");
                std::hint::black_box(label);
            }
        });
    });
    let jobs: Vec<_> = (0..LABELS).map(|index| (commitment, index)).collect();
    let mut scratch = portable::Scratch::<NativeRow>::new(scrypt.n).expect("a few MiB");
    let mut out = vec![[0; 32]; jobs.len()];
    group.bench_function("tier=portable/n=8192", |b| {
        b.iter(|| portable::full_labels(&mut scratch, &jobs, std::hint::black_box(&mut out)));
    });
    group.finish();
}

criterion_group!(benches, labels);
criterion_main!(benches);
