//! Labels and scanning on GPUs, behind `post_core::backend::Backend`.
//!
//! [`devices`] lists what this machine has, [`open`] makes one of them a backend. A device's way of failing (`device`) and
//! its limits in memory and time (`budget`) lead to batches that are checked (`engine`); one folder an API says how it is
//! done there. The kernels are in the crate `shaders`. The device `cpu` lives in `post-core`.
#![deny(unsafe_code)]

mod budget;
mod cache;
mod device;
mod engine;
#[cfg(feature = "opencl")]
#[allow(unsafe_code)]
mod opencl;
#[cfg(feature = "vulkan")]
mod wgpu;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use post_core::backend::{Backend, Error};

pub use crate::cache::Tuning;
use crate::device::Device;
pub use crate::device::{BLOCK, Facts, Trouble};
use crate::engine::{GpuBackend, Settings};

/// How long an API may take to list its devices. Healthy ones take milliseconds, broken ones for ever.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// In the cache folder.
const TUNING_FILE: &str = "gpu-tuning.json";

/// A way to reach devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// On everything but macOS.
    Vulkan,
    /// On macOS.
    Metal,
    /// Wherever a driver offers it.
    OpenCl,
}

impl Api {
    /// What ids of its devices begin with.
    #[must_use]
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
        f.write_str(match self {
            Self::Vulkan => "Vulkan",
            Self::Metal => "Metal",
            Self::OpenCl => "OpenCL",
        })
    }
}

/// Why an API has no devices here.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{api}: {reason}; {cure}")]
pub struct Absent {
    /// The API.
    pub api: Api,
    /// What is missing or broken.
    pub reason: String,
    /// What brings or mends it.
    pub cure: String,
}

/// What this machine has.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Every device of every API; one card may be among them twice, once for each API.
    pub devices: Vec<Facts>,
    /// The APIs without any.
    pub absent: Vec<Absent>,
}

/// How to open a device. The default is right for all but tests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Bytes of its memory to take; most of it if `None`.
    pub gpu_memory: Option<u64>,
    /// Where tunings are remembered from run to run; nowhere if `None`.
    pub cache_dir: Option<PathBuf>,
    /// Whether to find out how the device is fastest.
    pub tune: Tune,
    /// How labels are laid out, instead of what memory and tuning say.
    pub forced: Option<Forced>,
}

/// When to spend about a second on finding a device's best gap and number of labels in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tune {
    /// Before the first long job, unless an earlier run did.
    #[default]
    Auto,
    /// Not at all; what an earlier run found is used.
    Never,
    /// Before the first job, whatever an earlier run found.
    Always,
}

/// A layout of labels, for tests.
#[derive(Clone, Copy, Debug)]
pub struct Forced {
    /// Every `gap`-th line is kept: 1, 2 or 4.
    pub gap: u32,
    /// Labels in flight, a multiple of [`BLOCK`].
    pub labels: u32,
    /// Labels of one scratch buffer, a multiple of [`BLOCK`].
    pub labels_per_buffer: u32,
    /// Steps of ROMix in one submit; measured if `None`.
    pub steps_per_submit: Option<u32>,
}

/// What this crate needs of an API.
#[derive(Clone, Copy)]
struct Driver {
    api: Api,
    /// All its devices, or why there are none.
    devices: fn() -> (Vec<Facts>, Option<Absent>),
    open: fn(&str) -> Result<Box<dyn Device>, Trouble>,
}

/// The APIs of this build.
const DRIVERS: &[Driver] = &[
    #[cfg(feature = "vulkan")]
    Driver { api: wgpu::API, devices: wgpu::devices, open: wgpu::open },
    #[cfg(feature = "opencl")]
    Driver { api: Api::OpenCl, devices: opencl::devices, open: opencl::open },
];

/// Lists every device, within five seconds an API. The id of a device is the same in every run, as long as no card comes or goes.
#[must_use]
pub fn devices() -> Found {
    before_any_driver();
    let mut found = Found::default();
    // One API after the other: PoCL sets a variable of the environment while it starts, and drivers read the environment at
    // that very time, which no lock protects. Each on a thread of its own: a broken driver may hang or panic.
    for driver in DRIVERS {
        match listed(driver) {
            Ok((devices, absent)) => {
                found.devices.extend(devices);
                found.absent.extend(absent);
            }
            Err(reason) => {
                let cure = "update or reinstall the card's driver, and start the machine anew".to_owned();
                found.absent.push(Absent { api: driver.api, reason, cure });
            }
        }
    }
    found
}

/// What the driver lists, unless it fails or doesn't answer in time.
fn listed(driver: &Driver) -> Result<(Vec<Facts>, Option<Absent>), String> {
    let (told, list) = mpsc::channel();
    let devices = driver.devices;
    std::thread::Builder::new()
        .name(format!("list-{}", driver.api.name()))
        .spawn(move || drop(told.send(devices())))
        .map_err(|e| format!("no thread to ask it: {e}"))?;
    list.recv_timeout(LIST_LIMIT).map_err(|e| match e {
        mpsc::RecvTimeoutError::Timeout => format!("its driver did not answer within {} seconds", LIST_LIMIT.as_secs()),
        mpsc::RecvTimeoutError::Disconnected => "its driver failed while it listed its devices".to_owned(),
    })
}

/// Opens the device `id`, one that [`devices`] lists, and lets it compute a few labels and hits that are compared with the
/// CPU's. The first time on a machine a driver compiles kernels meanwhile: a second or two on a GPU, up to half a minute on
/// a software device.
///
/// # Errors
/// [`Error::Unavailable`] if there is no such device or it can't be used, [`Error::Wrong`] if it computes wrong labels, and
/// whatever else befalls a device at work.
pub fn open(id: &str, options: Options) -> Result<Box<dyn Backend>, Error> {
    before_any_driver();
    let unavailable = |reason: &str| Error::Unavailable { device: id.to_owned(), reason: reason.to_owned() };
    let api = id.split(':').next().unwrap_or_default();
    let Some(driver) = DRIVERS.iter().find(|driver| driver.api.name() == api).copied() else {
        let known = [Api::Vulkan, Api::Metal, Api::OpenCl].into_iter().any(|known| known.name() == api);
        return Err(unavailable(if known {
            "this program was built without that API, or not for this system; `post devices` lists what can be used"
        } else {
            "there is no such device; `post devices` lists what can be used"
        }));
    };
    if options.forced.is_some_and(|forced| !forced.is_valid()) {
        return Err(unavailable("the forced layout is none: gaps are 1, 2 or 4, numbers of labels multiples of 64"));
    }
    let name = id.to_owned();
    let settings = Settings {
        gpu_memory: options.gpu_memory,
        cache: options.cache_dir.map(|folder| folder.join(TUNING_FILE)),
        tune: options.tune,
        forced: options.forced,
        limits: None,
    };
    let backend = GpuBackend::open(driver.api.name(), id, Box::new(move || (driver.open)(&name)), settings)?;
    Ok(Box::new(backend))
}

/// What must be done while no driver is at work yet.
fn before_any_driver() {
    #[cfg(feature = "vulkan")]
    wgpu::leave_the_order_alone();
    #[cfg(feature = "opencl")]
    opencl::give_pocl_a_cache();
}

/// What an earlier run found to be fastest on such a device.
#[must_use]
pub fn tuning(facts: &Facts, cache_dir: &Path) -> Option<Tuning> {
    Tuning::recall(&cache_dir.join(TUNING_FILE), facts)
}

impl Forced {
    fn is_valid(&self) -> bool {
        let blocks = |labels: u32| labels > 0 && labels.is_multiple_of(BLOCK);
        matches!(self.gap, 1 | 2 | 4) && blocks(self.labels) && blocks(self.labels_per_buffer)
    }
}
