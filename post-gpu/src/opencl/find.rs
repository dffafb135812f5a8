//! Which devices there are.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::{env, fs};

use ocl::core::{self, DeviceId, DeviceInfo, DeviceInfoResult, DeviceType, PlatformId, PlatformInfo, Status};

use super::error::unusable;
use crate::device::{Facts, Trouble};

/// Buffers that the kernels can see; they take so many arguments.
pub(super) const MAX_BUFFERS: usize = 8;

/// A device that can be opened.
pub(super) struct Found {
    pub(super) device: DeviceId,
    pub(super) facts: Facts,
    /// What work is spread over.
    pub(super) compute_units: u32,
    /// Memory of a workgroup, in bytes.
    pub(super) local_bytes: u64,
    /// The most work items of a workgroup.
    pub(super) largest_group: usize,
}

/// Held while a driver is asked for the first time: PoCL isn't safe against two threads that wake it up at once.
pub(super) fn first_touch() -> MutexGuard<'static, ()> {
    static TOUCH: Mutex<()> = Mutex::new(());
    TOUCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every device that could be used, ordered by the names of the platforms: the loader's own order is that of a folder.
pub(super) fn all() -> Result<Vec<Found>, Trouble> {
    let _touch = first_touch();
    if opencl_loader::library().is_err() {
        return Ok(Vec::new());
    }
    let platforms = core::get_platform_ids().map_err(unusable("listing the OpenCL platforms"))?;
    let mut platforms: Vec<_> = platforms.into_iter().map(|platform| (platform_name(platform), platform)).collect();
    platforms.sort_by(|(a, _), (b, _)| a.cmp(b));

    let mut all = Vec::new();
    for (p, (platform_name, platform)) in platforms.iter().enumerate() {
        for (d, device) in devices_of(*platform)?.into_iter().enumerate() {
            all.extend(look_at(device, format!("opencl:{p}:{d}"), platform_name));
        }
    }
    Ok(all)
}

fn platform_name(platform: PlatformId) -> String {
    core::get_platform_info(platform, PlatformInfo::Name).map_or_else(|_| String::new(), |name| name.to_string())
}

fn devices_of(platform: PlatformId) -> Result<Vec<DeviceId>, Trouble> {
    // More than `ocl` has room for by default; it doesn't check whether there were more.
    const ROOM: u32 = 1024;
    match core::get_device_ids(platform, Some(DeviceType::GPU | DeviceType::CPU), Some(ROOM)) {
        Ok(devices) => Ok(devices),
        Err(error) if error.api_status() == Some(Status::CL_DEVICE_NOT_FOUND) => Ok(Vec::new()),
        Err(error) => Err(unusable("listing the devices of an OpenCL platform")(error)),
    }
}

/// What the device says of itself. `None` if it can't run our kernels.
fn look_at(device: DeviceId, id: String, platform: &str) -> Option<Found> {
    let text = |what| core::get_device_info(device, what).map_or_else(|_| String::new(), |text| text.to_string());
    if !(flag(device, DeviceInfo::Available)?
        && flag(device, DeviceInfo::CompilerAvailable)?
        && flag(device, DeviceInfo::EndianLittle)?)
    {
        return None;
    }
    let DeviceInfoResult::Type(kind) = core::get_device_info(device, DeviceInfo::Type).ok()? else { return None };
    let largest_group = match core::get_device_info(device, DeviceInfo::MaxWorkGroupSize).ok()? {
        DeviceInfoResult::MaxWorkGroupSize(items) if items >= crate::device::BLOCK as usize => items,
        _ => return None,
    };
    let facts = Facts {
        id,
        name: text(DeviceInfo::Name).trim().to_owned(),
        driver: format!("{platform} {}", text(DeviceInfo::DriverVersion)).trim().to_owned(),
        software: kind.contains(DeviceType::CPU),
        memory_bytes: Some(number(device, DeviceInfo::GlobalMemSize)?),
        has_display: kind.contains(DeviceType::GPU) && drives_a_display(device),
        max_buffer_bytes: number(device, DeviceInfo::MaxMemAllocSize)?,
        max_buffers: MAX_BUFFERS as u32,
    };
    Some(Found {
        device,
        facts,
        compute_units: u32::try_from(number(device, DeviceInfo::MaxComputeUnits)?).ok()?,
        local_bytes: number(device, DeviceInfo::LocalMemSize)?,
        largest_group,
    })
}

/// NVIDIA tells whether the system stops kernels that run long, which it does on cards with a screen. Elsewhere only a GPU
/// that shares the machine's memory is taken for one.
fn drives_a_display(device: DeviceId) -> bool {
    const KERNEL_EXEC_TIMEOUT_NV: u32 = 0x4006;
    match core::get_device_info_raw(device, KERNEL_EXEC_TIMEOUT_NV) {
        Ok(answer) => answer.iter().any(|byte| *byte != 0),
        Err(_) => flag(device, DeviceInfo::HostUnifiedMemory).unwrap_or(false),
    }
}

fn flag(device: DeviceId, what: DeviceInfo) -> Option<bool> {
    number(device, what).map(|number| number != 0)
}

/// An answer of four or eight bytes.
fn number(device: DeviceId, what: DeviceInfo) -> Option<u64> {
    let answer = core::get_device_info_raw(device, what as u32).ok()?;
    match answer.len() {
        4 => Some(u64::from(u32::from_ne_bytes(*answer.first_chunk()?))),
        8 => Some(u64::from_ne_bytes(*answer.first_chunk()?)),
        _ => None,
    }
}

/// PoCL keeps compiled kernels in a folder below the home folder and fails where it can't. Then it gets one of its own,
/// for this process only: a folder that others could write to would let them run code as this user.
///
/// Must be called before any driver of any API is at work: it changes the environment, and drivers read that.
pub(crate) fn give_pocl_a_cache() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let needed = env::var_os("POCL_CACHE_DIR").is_none()
            && !default_cache().is_some_and(|folder| writable(&folder))
            && opencl_loader::library().is_ok();
        if !needed {
            return;
        }
        if let Ok(folder) = tempfile::Builder::new().prefix("post-pocl-").tempdir() {
            // SAFETY: Rust's own reads of the environment are locked against this. Those of C libraries aren't: they are in
            // drivers, and none has started.
            unsafe { env::set_var("POCL_CACHE_DIR", folder.keep()) };
        }
    });
}

/// Where PoCL would put it.
fn default_cache() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))
}

/// Whether a file could be made in the folder, or in the one that it would be made in.
fn writable(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|folder| fs::metadata(folder).is_ok());
    existing.is_some_and(|folder| tempfile::tempfile_in(folder).is_ok())
}
