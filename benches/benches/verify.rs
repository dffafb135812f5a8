//! Verification: one proof with all its labels, and the labels of 256 proofs pooled in one job.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use post_core::backend::{Cpu, label_list};
use post_core::identity::Commitment;
use post_core::params::ScryptParams;

/// K2 of mainnet.
const LABELS_OF_A_PROOF: u64 = 37;

fn verify(c: &mut Criterion) {
    let mut cpu = Cpu::new(0).expect("threads");
    let mut group = c.benchmark_group("verify");
    group.sample_size(10);
    // Labels alone: RandomX has its own benchmark, the rest of a verification is microseconds.
    for (proofs, labels) in [(1, LABELS_OF_A_PROOF), (256, 1), (256, LABELS_OF_A_PROOF)] {
        let list: Vec<_> = (0..proofs)
            .flat_map(|proof: u64| (0..labels).map(move |label| (Commitment([proof as u8; 32]), label << 20 | proof)))
            .collect();
        group.throughput(Throughput::Elements(proofs));
        group.bench_function(BenchmarkId::from_parameter(format!("proofs={proofs}/labels={labels}")), |b| {
            b.iter(|| label_list(&mut cpu, ScryptParams::MAINNET, &list).expect("labels"));
        });
    }
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
