//! Time of one RandomX hash on all cores: light mode, and fast mode in each kind of pages. Where no huge pages are
//! reserved (`vm.nr_hugepages`), "reserved" falls back to "transparent"; the benchmark says so.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use post_core::pow::{LazyRandomX, Mode, Options, Pages};
use post_core::watch::{Event, Watch};

struct Nobody;

impl Watch for Nobody {
    fn event(&self, _: Event) {}
    fn stop(&self) -> bool {
        false
    }
}

fn pow(c: &mut Criterion) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut group = c.benchmark_group("pow");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    for (name, mode, pages) in [
        ("light", Mode::Light, Pages::Transparent),
        ("fast/pages=small", Mode::Fast, Pages::Small),
        ("fast/pages=transparent", Mode::Fast, Pages::Transparent),
        ("fast/pages=reserved", Mode::Fast, Pages::Reserved),
    ] {
        group.bench_function(format!("mode={name}/threads={threads}"), |b| {
            b.iter_custom(|iterations| {
                // Noise in the dataset's place reads like it, and is there in a second.
                let randomx = LazyRandomX::new(Options { mode, threads, pages });
                let measured = randomx.measure(Duration::from_secs(2), true, &Nobody).expect("enough memory");
                if measured.pages.is_some_and(|got| got != pages) {
                    eprintln!("not measured as asked: the dataset is in {:?} pages", measured.pages);
                }
                Duration::from_secs_f64(iterations as f64 / measured.hashes_per_s)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pow);
criterion_main!(benches);
