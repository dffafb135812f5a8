//! Bytes of labels scanned per second by one core, by number of nonce groups, at mainnet's difficulty for 4 units.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use post_core::difficulty::Difficulty;
use post_core::identity::Challenge;
use post_core::label::Label;
use post_core::scan::{NonceGroup, ScanJob, portable, reference};

const LABELS: usize = 1 << 15;

fn scan(c: &mut Criterion) {
    // Any bytes do: what matters is how often a byte is below the threshold.
    let labels: Vec<Label> = (0..LABELS as u128)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_le_bytes())
        .collect();
    let difficulty = Difficulty::new(26, 4 << 32).expect("more labels than k1");
    let groups: Vec<NonceGroup> = (0..18).map(|group| NonceGroup::new(&Challenge([5; 32]), group, 1)).collect();
    let mut bench = c.benchmark_group("scan");
    bench.sample_size(10).throughput(Throughput::Bytes((LABELS * 16) as u64));
    for count in [1, 4, 8, 18] {
        let groups: Vec<&NonceGroup> = groups[..count].iter().collect();
        let job = ScanJob { groups: &groups, difficulty };
        let mut hits = Vec::new();
        for (tier, scan) in [
            ("reference", reference::scan as fn(&ScanJob<'_>, u64, &[Label], &mut Vec<_>)),
            ("portable", portable::scan),
        ] {
            bench.bench_function(format!("tier={tier}/groups={count}"), |b| {
                b.iter(|| {
                    hits.clear();
                    scan(&job, 0, &labels, std::hint::black_box(&mut hits));
                });
            });
        }
    }
    bench.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
