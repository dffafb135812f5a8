//! What the operating system tells of cards and pages. Only Linux is asked.

use post_gpu::Api;

/// Whose card is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    Nvidia,
    Amd,
    Intel,
}

impl Maker {
    /// By the number that its cards have on the bus.
    fn of(vendor: &str) -> Option<Self> {
        match vendor.trim() {
            "0x10de" => Some(Self::Nvidia),
            "0x1002" => Some(Self::Amd),
            "0x8086" => Some(Self::Intel),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "NVIDIA",
            Self::Amd => "AMD",
            Self::Intel => "Intel",
        }
    }

    /// Whether a device that says this of itself, in lower case, is one of these cards.
    pub(super) fn is_in(self, text: &str) -> bool {
        let signs: &[&str] = match self {
            Self::Nvidia => &["nvidia"],
            Self::Amd => &["amd", "radeon", "advanced micro devices"],
            Self::Intel => &["intel"],
        };
        signs.iter().any(|sign| text.contains(sign))
    }

    /// What brings its driver.
    pub(super) fn cure(self, api: Api) -> &'static str {
        match (self, api) {
            (Self::Nvidia, Api::OpenCl) => {
                "install NVIDIA's driver with its OpenCL part (Debian: nvidia-driver, nvidia-opencl-icd, ocl-icd-libopencl1)"
            }
            (Self::Nvidia, _) => {
                "install NVIDIA's driver with its Vulkan part (Debian: nvidia-driver, nvidia-vulkan-icd, libvulkan1)"
            }
            (Self::Amd, Api::OpenCl) => {
                "not needed where Vulkan works; else install AMD's ROCm (Debian: rocm-opencl-icd)"
            }
            (Self::Intel, Api::OpenCl) => {
                "not needed where Vulkan works; else install intel-opencl-icd and ocl-icd-libopencl1"
            }
            (Self::Amd | Self::Intel, _) => "install mesa-vulkan-drivers and libvulkan1",
        }
    }
}

/// The makers of the graphics and compute cards on the bus, each once.
pub(super) fn makers() -> Vec<Maker> {
    let mut makers = Vec::new();
    for device in std::fs::read_dir("/sys/bus/pci/devices").into_iter().flatten().flatten() {
        let read = |name| std::fs::read_to_string(device.path().join(name)).unwrap_or_default();
        // 0x03: displays and 3D; 0x12: accelerators.
        let class = read("class");
        if (class.starts_with("0x03") || class.starts_with("0x12"))
            && let Some(maker) = Maker::of(&read("vendor"))
            && !makers.contains(&maker)
        {
            makers.push(maker);
        }
    }
    makers
}

/// 2080 MiB of them hold RandomX's dataset.
const WANTED_PAGES: u64 = 1040;

/// What there is of huge pages, and what to do for more.
pub(super) fn huge_pages() -> (String, Option<(String, String)>) {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let (Some(free), Some(kib)) = (field("HugePages_Free"), field("Hugepagesize")) else {
        return ("huge pages: unknown on this system".to_owned(), None);
    };
    let free = if kib == 2048 { free } else { 0 };
    let found = format!("huge pages set aside: {free}");
    let tip = (free < WANTED_PAGES).then(|| {
        let what = format!("with {WANTED_PAGES} huge pages set aside fast mode is up to half as fast again");
        (what, "sysctl vm.nr_hugepages=1300, as root".to_owned())
    });
    (found, tip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_known_by_their_numbers_and_names() {
        for (vendor, text, maker) in [
            ("0x10de\n", "nvidia h200 nvidia 570", Maker::Nvidia),
            ("0x1002\n", "gfx1100 amd accelerated parallel processing", Maker::Amd),
            ("0x8086\n", "intel(r) arc(tm) a770", Maker::Intel),
        ] {
            assert_eq!(Maker::of(vendor), Some(maker));
            assert!(maker.is_in(text));
            for api in [Api::Vulkan, Api::OpenCl] {
                assert!(maker.cure(api).contains("install"), "{maker:?} {api}");
            }
        }
        assert_eq!(Maker::of("0x1af4\n"), None);
        assert!(!Maker::Nvidia.is_in("llvmpipe mesa"));
    }
}
