//! Labels and scanning on GPUs, behind `post_core::backend::Backend`.
#![deny(unsafe_code)]

mod device;
mod wgpu;

use std::fmt;

pub use device::{Facts, Trouble};

pub(crate) const JOB_BYTES: u64 = 40;
pub(crate) const LINE_BYTES: u64 = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Vulkan,
    Metal,
    OpenCl,
}
impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::OpenCl => "opencl",
        }
    }
}
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
#[derive(Clone, Debug)]
pub struct Absent {
    pub api: Api,
    pub reason: String,
    pub cure: String,
}

#[cfg(test)]
mod tests {
    use post_core::{identity::Commitment, label, params::ScryptParams};
    use std::time::Instant;
    #[test]
    fn smoke() {
        let (devices, absent) = crate::wgpu::devices();
        eprintln!("{devices:?} {absent:?}");
        let mut device = crate::wgpu::open(&devices[0].id).unwrap();
        for (n, gap, lpb) in [(2, 1, 128), (16, 1, 64), (16, 2, 64), (16, 4, 128), (8192, 1, 128), (8192, 4, 64)] {
            let t = Instant::now();
            device.prepare_labels(&crate::device::Shape { n, gap, labels: 128, labels_per_buffer: lpb }).unwrap();
            let prep = t.elapsed();
            let jobs: Vec<_> = (0..128u64).map(|i| (Commitment([i as u8; 32]), i << 30)).collect();
            let t = Instant::now();
            device.submit_labels(0, &jobs, 1000).unwrap();
            let sub = t.elapsed();
            let mut labels = Vec::new();
            device.collect_labels(0, &mut labels).unwrap();
            eprintln!("n {n} gap {gap}: prep {prep:?} submit {sub:?} total {:?}", t.elapsed());
            for i in [0, 1, 63, 64, 65, 127] {
                let want = label::reference::full_label(&jobs[i].0, jobs[i].1, ScryptParams { n, r: 1, p: 1 }).unwrap();
                assert_eq!(labels[i], label::stored(&want), "n {n} gap {gap} {i}");
            }
        }
    }
}
