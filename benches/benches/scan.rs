//! Bytes of labels scanned per second by one core: every tier of this machine, by number of nonce groups, at mainnet's
//! difficulty for 4 units and at higher hit densities.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use post_core::difficulty::Difficulty;
use post_core::identity::Challenge;
use post_core::label::Label;
use post_core::scan::tier::{Scanner, Tier};
use post_core::scan::{NonceGroup, ScanJob};

const LABELS: usize = 1 << 14;

fn labels() -> Vec<Label> {
    // Any bytes do: what matters is how often a byte is below the threshold.
    let mix = |i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (0..LABELS as u128).map(|i| mix(i).to_le_bytes()).collect()
}

fn scan(c: &mut Criterion) {
    let labels = labels();
    let mainnet = Difficulty::new(26, 4 << 32).expect("more labels than k1");
    // The share of bytes that hit: mainnet's next to none, then what only small test sets have.
    let densities =
        [("0", mainnet), ("0.1", Difficulty { msb: 25, lsb: 0 }), ("1", Difficulty { msb: 255, lsb: 1 << 55 })];
    let groups: Vec<NonceGroup> = (0..18).map(|group| NonceGroup::new(&Challenge([5; 32]), group, 1)).collect();
    let mut bench = c.benchmark_group("scan");
    bench.sample_size(10).throughput(Throughput::Bytes((LABELS * 16) as u64));
    for (density, difficulty) in densities {
        for count in [1, 4, 8, 18] {
            let groups: Vec<&NonceGroup> = groups[..count].iter().collect();
            let job = ScanJob { groups: &groups, difficulty };
            for tier in Tier::available() {
                let (mut scanner, mut hits) = (Scanner::new(tier), Vec::new());
                bench.bench_function(format!("tier={tier}/groups={count}/density={density}"), |b| {
                    b.iter(|| {
                        hits.clear();
                        scanner.scan(&job, 0, &labels, std::hint::black_box(&mut hits));
                    });
                });
                if density == "0" && scanner.aes_only(&job, &labels).is_some() {
                    bench.bench_function(format!("tier=aes_bound/of={tier}/groups={count}"), |b| {
                        b.iter(|| scanner.aes_only(&job, std::hint::black_box(&labels)));
                    });
                }
            }
        }
    }
    bench.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
