//! Which devices compute: those that a call names, else the best of this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use post_core::backend::pool::Pool;
use post_core::backend::{Backend, Info};
use post_core::params::ScryptParams;
use post_gpu::{Facts, Tune};

use crate::args::Compute;
use crate::machine;
use crate::report::{Reporter, human_bytes};

/// The device that is always there.
pub(crate) const CPU: &str = "cpu";

/// Rows of ROMix from which measuring the CPU's best way, or waking a GPU, pays: about ten seconds' work of one core.
const WORTH_ROWS: u64 = 1 << 28;

/// Labels of a set from which waking a GPU for a proof pays: seconds of scanning.
const WORTH_LABELS: u64 = 1 << 26;

/// What is to be done, as far as it decides about devices.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// So many labels of this cost.
    Labels(ScryptParams, u64),
    /// Scans of so many labels.
    Scan(u64),
    /// What a CPU does in less time than a GPU needs to wake up.
    Short,
}

impl Work {
    fn is_long(self) -> bool {
        match self {
            Self::Labels(scrypt, labels) => labels.saturating_mul(u64::from(scrypt.n)) >= WORTH_ROWS,
            Self::Scan(labels) => labels >= WORTH_LABELS,
            Self::Short => false,
        }
    }
}

/// Devices at work, as one.
pub(crate) struct Devices {
    pub(crate) backend: Box<dyn Backend>,
    infos: Vec<Info>,
}

impl Devices {
    /// What computes labels, a line a device, for people.
    pub(crate) fn labels_with(&self) -> Vec<String> {
        self.lines("labels", |info| &info.labels)
    }

    /// What scans labels, a line a device, for people.
    pub(crate) fn scans_with(&self) -> Vec<String> {
        self.lines("scanning", |info| &info.scan)
    }

    fn lines(&self, what: &str, how: fn(&Info) -> &str) -> Vec<String> {
        let line = |info: &Info| {
            let how = how(info);
            if info.kind == CPU {
                format!("{what} on {}, threads: {}, instructions: {how}", info.name, info.threads)
            } else {
                format!("{what} on {} ({}), layout: {how}", info.id, info.name)
            }
        };
        self.infos.iter().map(line).collect()
    }
}

/// Opens the devices asked for, and if none are, those that suit the work. `reporter` hears of each that drops out, now or
/// in the middle of the work.
pub(crate) fn open(compute: &Compute, work: Work, reporter: &Arc<Reporter>) -> Result<Devices> {
    let mut backends = if compute.devices.is_empty() {
        if work.is_long() { open_gpus(compute, reporter) } else { Vec::new() }
    } else {
        open_named(compute, work)?
    };
    if backends.is_empty() {
        backends.push(open_cpu(compute, work)?);
    }
    let infos = backends.iter().map(|backend| backend.info().clone()).collect();
    // One device alone stays what it is: its errors say best what happened to it.
    let backend = if backends.len() == 1 { backends.pop() } else { None };
    let backend = match backend {
        Some(backend) => backend,
        None => {
            let reporter = Arc::clone(reporter);
            Box::new(Pool::new(backends, Box::new(move |out| reporter.device_out(&out.device, &out.reason)))?)
        }
    };
    Ok(Devices { backend, infos })
}

fn open_cpu(compute: &Compute, work: Work) -> Result<Box<dyn Backend>> {
    let mut cpu = machine::open_cpu(compute)?;
    if let (Work::Labels(scrypt, _), true) = (work, work.is_long()) {
        cpu.tune(scrypt, machine::forced_label_tier()?)?;
    }
    Ok(Box::new(cpu))
}

/// Every real GPU that works. None is no error: then the CPU computes.
fn open_gpus(compute: &Compute, reporter: &Reporter) -> Vec<Box<dyn Backend>> {
    open_working(&default_gpus(), |id| open_gpu(id, compute, Tune::Auto), reporter)
}

/// Those that can be opened; of the others `reporter` hears.
fn open_working(
    gpus: &[String],
    open: impl Fn(&str) -> Result<Box<dyn Backend>>,
    reporter: &Reporter,
) -> Vec<Box<dyn Backend>> {
    let mut opened = Vec::new();
    for id in gpus {
        match open(id) {
            Ok(backend) => opened.push(backend),
            Err(error) => reporter.device_out(id, &format!("{error:#}")),
        }
    }
    if opened.is_empty() && !gpus.is_empty() {
        reporter.note("no GPU can be used: the CPU computes; `post doctor` says what is missing");
    }
    opened
}

fn open_named(compute: &Compute, work: Work) -> Result<Vec<Box<dyn Backend>>> {
    check_named(compute)?;
    let open = |id: &String| match id.as_str() {
        CPU => open_cpu(compute, work),
        id => open_gpu(id, compute, Tune::Auto),
    };
    compute.devices.iter().map(open).collect()
}

/// Refuses what can't be meant, before anything is opened.
pub(crate) fn check_named(compute: &Compute) -> Result<()> {
    let named = &compute.devices;
    if let Some(id) = named.iter().enumerate().find_map(|(at, id)| named[..at].contains(id).then_some(id)) {
        bail!("--device {id} is given twice; name each device once");
    }
    if named.iter().any(|id| id != CPU) {
        // Asked for only where needed: drivers take their time.
        let found = post_gpu::devices();
        let known: Vec<&str> = std::iter::once(CPU).chain(found.devices.iter().map(|facts| &*facts.id)).collect();
        if let Some(unknown) = named.iter().find(|id| !known.contains(&id.as_str())) {
            bail!(
                "unknown device `{unknown}`; this machine has {}; `post doctor` says what is missing",
                known.join(", ")
            );
        }
    } else if compute.gpu_memory.is_some() && !named.is_empty() {
        bail!("--gpu-memory means nothing to the cpu; name a GPU with --device, or leave it out");
    }
    Ok(())
}

/// One GPU, tested.
pub(crate) fn open_gpu(id: &str, compute: &Compute, tune: Tune) -> Result<Box<dyn Backend>> {
    let options =
        post_gpu::Options { gpu_memory: compute.gpu_memory, cache_dir: cache_dir(), tune, ..Default::default() };
    let cure = || match compute.gpu_memory {
        Some(bytes) => format!("{id} can't be used with --gpu-memory of {}; give it more", human_bytes(bytes)),
        None => format!("{id} can't be used; name another device, or see `post doctor`"),
    };
    post_gpu::open(id, options).with_context(cure)
}

/// The ids of all real GPUs, each card once.
pub(crate) fn default_gpus() -> Vec<String> {
    let cache = cache_dir();
    let speed = |facts: &Facts| Some(post_gpu::tuning(facts, cache.as_deref()?)?.steps_per_second);
    let found = post_gpu::devices().devices;
    choose(&found, speed).into_iter().map(|facts| facts.id.clone()).collect()
}

/// Of all real devices, each card once. A card is seen by every API, and by every driver, that there is for it, mostly under
/// another name each time. So the cards of one maker are all used through one driver: the one that shows most of them, of
/// several the one that an earlier run found to be faster, of several the first.
fn choose(found: &[Facts], speed: impl Fn(&Facts) -> Option<f64>) -> Vec<&Facts> {
    let mut ways: Vec<Way<'_>> = Vec::new();
    for facts in found.iter().filter(|facts| !facts.software) {
        let (api, maker) = (facts.id.split(':').next().unwrap_or_default(), maker(facts));
        match ways.iter_mut().find(|way| (way.api, way.driver, &way.maker) == (api, &facts.driver, &maker)) {
            Some(way) => way.cards.push(facts),
            None => ways.push(Way { maker, api, driver: &facts.driver, cards: vec![facts] }),
        }
    }
    // How fast all cards are together; unknown if one wasn't measured.
    let speed = |way: &Way<'_>| way.cards.iter().map(|facts| speed(facts)).sum::<Option<f64>>();
    let is_better = |new: &Way<'_>, old: &Way<'_>| {
        let faster = matches!((speed(new), speed(old)), (Some(new), Some(old)) if new > old);
        new.cards.len() > old.cards.len() || (new.cards.len() == old.cards.len() && faster)
    };
    let mut best: BTreeMap<&str, &Way<'_>> = BTreeMap::new();
    for way in &ways {
        if best.get(way.maker.as_str()).is_none_or(|old| is_better(way, old)) {
            best.insert(&way.maker, way);
        }
    }
    let chosen = |facts: &&Facts| best.values().any(|way| way.cards.iter().any(|card| card.id == facts.id));
    found.iter().filter(chosen).collect()
}

/// The cards of one maker that one driver shows by one API.
struct Way<'a> {
    maker: String,
    api: &'a str,
    driver: &'a str,
    cards: Vec<&'a Facts>,
}

/// Whose card it is; the card's own name if that can't be told.
fn maker(facts: &Facts) -> String {
    const SIGNS: [(&str, &str); 10] = [
        ("nvidia", "NVIDIA"),
        ("geforce", "NVIDIA"),
        ("tesla", "NVIDIA"),
        ("radeon", "AMD"),
        ("amd", "AMD"),
        ("advanced micro devices", "AMD"),
        ("gfx", "AMD"),
        ("intel", "Intel"),
        ("apple", "Apple"),
        ("qualcomm", "Qualcomm"),
    ];
    let text = format!("{} {}", facts.name, facts.driver).to_lowercase();
    let known = SIGNS.iter().find(|(sign, _)| text.contains(sign));
    known.map_or_else(|| facts.name.clone(), |(_, maker)| (*maker).to_owned())
}

/// Where tunings are remembered: `post` in the user's cache folder. None where the system names no such folder.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        set("HOME").map(|home| home.join("Library/Caches"))
    } else {
        set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))
    };
    folder.map(|folder| folder.join("post"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(id: &str, name: &str, driver: &str, software: bool) -> Facts {
        Facts {
            id: id.into(),
            name: name.into(),
            driver: driver.into(),
            software,
            memory_bytes: None,
            has_display: false,
            max_buffer_bytes: 1 << 30,
            max_buffers: 8,
        }
    }

    fn chosen(found: &[Facts], fast: &[&str]) -> Vec<String> {
        // Everything was measured if anything was.
        let speed = |facts: &Facts| match fast {
            [] => None,
            fast => Some(if fast.contains(&&*facts.id) { 2.0 } else { 1.0 }),
        };
        choose(found, speed).into_iter().map(|facts| facts.id.clone()).collect()
    }

    #[test]
    fn each_card_is_chosen_once() {
        let found = [
            facts("vulkan:0", "NVIDIA GeForce RTX 4090", "NVIDIA 550", false),
            facts("vulkan:1", "AMD Radeon RX 7900 XTX (RADV NAVI31)", "radv Mesa 24", false),
            facts("vulkan:2", "NVIDIA GeForce RTX 3090", "NVIDIA 550", false),
            facts("vulkan:3", "llvmpipe", "llvmpipe Mesa 24", true),
            facts("opencl:0:0", "gfx1100", "AMD Accelerated Parallel Processing 3602", false),
            facts("opencl:1:0", "NVIDIA GeForce RTX 4090", "NVIDIA CUDA 550", false),
            facts("opencl:1:1", "NVIDIA GeForce RTX 3090", "NVIDIA CUDA 550", false),
            facts("opencl:2:0", "pthread-AMD EPYC", "Portable Computing Language 3.1", true),
        ];
        assert_eq!(chosen(&found, &[]), ["vulkan:0", "vulkan:1", "vulkan:2"]);
        // Both of a maker's drivers were measured: the faster one counts.
        let fast = ["opencl:1:0", "opencl:1:1"];
        assert_eq!(chosen(&found, &fast), ["vulkan:1", "opencl:1:0", "opencl:1:1"]);
        // No Vulkan driver for one maker's cards, or one that does not show all of them.
        assert_eq!(chosen(&found[3..], &[]), ["opencl:0:0", "opencl:1:0", "opencl:1:1"]);
        assert_eq!(chosen(&found[1..], &[]), ["vulkan:1", "opencl:1:0", "opencl:1:1"]);
    }

    #[test]
    fn two_drivers_of_one_api_are_two_ways_to_one_card() {
        let found = [
            facts("vulkan:0", "AMD Radeon RX 6800", "AMD open-source 2024", false),
            facts("vulkan:1", "AMD Radeon RX 6800 (RADV NAVI21)", "radv Mesa 24", false),
        ];
        assert_eq!(chosen(&found, &[]), ["vulkan:0"]);
        assert_eq!(chosen(&found, &["vulkan:1"]), ["vulkan:1"]);
    }

    #[test]
    fn a_gpu_that_fails_is_left_out_and_the_rest_go_on() {
        let gpus = ["vulkan:0", "vulkan:1", "vulkan:2"].map(str::to_owned);
        let open = |id: &str| -> Result<Box<dyn Backend>> {
            if id == "vulkan:1" { bail!("it failed") } else { open_cpu(&Compute::default(), Work::Short) }
        };
        assert_eq!(open_working(&gpus, open, &Reporter::quiet()).len(), 2);
        assert_eq!(open_working(&gpus, |_| bail!("all fail"), &Reporter::quiet()).len(), 0);
    }

    #[test]
    fn only_long_work_wakes_gpus() {
        let mainnet = ScryptParams::MAINNET;
        for (work, long) in [
            (Work::Labels(mainnet, 1 << 32), true),
            (Work::Labels(mainnet, u64::MAX), true),
            (Work::Labels(mainnet, 1000), false),
            (Work::Scan(4 << 32), true),
            (Work::Scan(1 << 20), false),
            (Work::Short, false),
        ] {
            assert_eq!(work.is_long(), long);
        }
    }

    #[test]
    fn software_is_never_chosen_and_strangers_are() {
        assert!(chosen(&[facts("vulkan:0", "llvmpipe", "llvmpipe", true)], &[]).is_empty());
        let found = [facts("vulkan:0", "Card A", "driver 1", false), facts("opencl:0:0", "Card A", "driver 2", false)];
        assert_eq!(chosen(&found, &[]), ["vulkan:0"]);
    }
}
