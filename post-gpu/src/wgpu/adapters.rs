//! What Vulkan (or Metal) finds on this machine.

use wgpu::{Adapter, AdapterInfo, Backends, DeviceType};

use super::Wgpu;
use super::gpu::Gpu;
use super::kernels::Kernels;
use crate::device::{Device, Facts, Trouble};
use crate::{Absent, Api};

/// Bindings stay below this, whatever a driver claims: some count bytes in 31 bits.
const MAX_BINDING: u64 = (1 << 31) - 1;

/// Scratch buffers at most: more would only make the kernels longer.
const MAX_SCRATCH: u32 = 128;

/// Buffers of `fill` and `walk` beside the scratch.
const OTHER_BUFFERS: u32 = 1;

/// The one that is asked here.
pub(crate) const API: Api = if cfg!(target_os = "macos") { Api::Metal } else { Api::Vulkan };

/// Every device, and why there is none if there is none.
pub(crate) fn devices() -> (Vec<Facts>, Option<Absent>) {
    let found: Vec<_> = adapters().into_iter().map(|(facts, _)| facts).collect();
    let absent = found.is_empty().then(absent);
    (found, absent)
}

/// Opens the device with this id.
pub(crate) fn open(id: &str) -> Result<Box<dyn Device>, Trouble> {
    let (facts, adapter) = adapters().into_iter().find(|(facts, _)| facts.id == id).ok_or_else(|| {
        Trouble::Unavailable { reason: format!("there is no such device; `post devices` lists what {API} finds") }
    })?;
    let limits = adapter.limits();
    if facts.max_buffers == 0 || limits.max_compute_invocations_per_workgroup < 256 {
        return Err(Trouble::Unavailable { reason: format!("its {API} driver offers too little for our kernels") });
    }
    let gpu = Gpu::open(&adapter)?;
    Ok(Box::new(Wgpu { facts, gpu, kernels: Kernels::default(), labels: None, scan: None }))
}

/// Turns off a layer of Mesa's that puts the desktop's favourite card first: the order is ours to make, and the layer writes
/// an error to stderr wherever there is no desktop.
///
/// Must be called before any driver of any API is at work: it changes the environment, and drivers read that.
#[allow(unsafe_code)]
pub(crate) fn leave_the_order_alone() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: Rust's own reads of the environment are locked against this. Those of C libraries aren't: they are in
    // drivers, and none has started.
    ONCE.call_once(|| unsafe { std::env::set_var("NODEVICE_SELECT", "1") });
}

/// Every adapter, in an order that does not depend on the driver's mood: real ones first, by their place on the bus.
fn adapters() -> Vec<(Facts, Adapter)> {
    let mut wanted = wgpu::InstanceDescriptor::new_without_display_handle();
    wanted.backends = if API == Api::Metal { Backends::METAL } else { Backends::VULKAN };
    wanted.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(wanted);
    let mut adapters: Vec<_> = pollster::block_on(instance.enumerate_adapters(Backends::all()))
        .into_iter()
        .map(|adapter| (adapter.get_info(), adapter))
        .collect();
    adapters.sort_by_cached_key(|(info, _)| {
        let software = info.device_type == DeviceType::Cpu;
        (software, info.device_pci_bus_id.clone(), info.name.clone(), info.driver.clone(), info.device)
    });
    adapters.into_iter().enumerate().map(|(at, (info, adapter))| (facts(at, &info, &adapter), adapter)).collect()
}

fn facts(at: usize, info: &AdapterInfo, adapter: &Adapter) -> Facts {
    let limits = adapter.limits();
    Facts {
        id: format!("{}:{at}", API.name()),
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        software: info.device_type == DeviceType::Cpu,
        memory_bytes: memory_bytes(adapter),
        has_display: has_display(info),
        max_buffer_bytes: limits.max_buffer_size.min(limits.max_storage_buffer_binding_size).min(MAX_BINDING),
        max_buffers: limits.max_storage_buffers_per_shader_stage.saturating_sub(OTHER_BUFFERS).min(MAX_SCRATCH),
    }
}

/// The largest heap that is the device's own. wgpu doesn't tell, so the driver is asked past it.
#[cfg(not(target_os = "macos"))]
#[allow(unsafe_code)]
fn memory_bytes(adapter: &Adapter) -> Option<u64> {
    // SAFETY: the adapter is only looked at, and outlives the look.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = adapter.shared_instance().raw_instance();
    // SAFETY: the physical device is one of this instance, and both live as long as `adapter`, which is held here.
    let memory = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
    let heaps = memory.memory_heaps.iter().take(memory.memory_heap_count as usize);
    heaps.filter(|heap| heap.flags.contains(ash::vk::MemoryHeapFlags::DEVICE_LOCAL)).map(|heap| heap.size).max()
}

#[cfg(target_os = "macos")]
fn memory_bytes(_: &Adapter) -> Option<u64> {
    None
}

/// On Linux the kernel tells which card a screen hangs on. Elsewhere every card may have one.
#[cfg(target_os = "linux")]
fn has_display(info: &AdapterInfo) -> bool {
    let Ok(connectors) = std::fs::read_dir("/sys/class/drm") else { return false };
    connectors.flatten().map(|entry| entry.path()).any(|connector| {
        // A connector (`card0-DP-1`) is below its card, which is a link to its place on the bus.
        let status = std::fs::read_to_string(connector.join("status")).unwrap_or_default();
        let card = std::fs::canonicalize(connector.join("device/device")).unwrap_or_default();
        status.trim() == "connected"
            && !info.device_pci_bus_id.is_empty()
            && card.file_name().is_some_and(|name| name.to_string_lossy() == info.device_pci_bus_id)
    })
}

#[cfg(not(target_os = "linux"))]
fn has_display(info: &AdapterInfo) -> bool {
    info.device_type != DeviceType::Cpu
}

/// Why there is no adapter, and what brings one.
#[cfg(not(target_os = "macos"))]
#[allow(unsafe_code)]
fn absent() -> Absent {
    // SAFETY: loading the Vulkan loader runs its start-up code, as wgpu has just done; nothing of it is called.
    match unsafe { ash::Entry::load() } {
        Err(e) => Absent {
            api: API,
            reason: format!("the Vulkan loader is not installed ({e})"),
            cure: "install it (Debian, Ubuntu: apt install libvulkan1) and your card's driver".into(),
        },
        Ok(_) => Absent {
            api: API,
            reason: "the Vulkan loader finds no driver".into(),
            cure: "install your card's driver: NVIDIA's own (nvidia-driver, with its Vulkan part), or \
                   mesa-vulkan-drivers for AMD and Intel"
                .into(),
        },
    }
}

#[cfg(target_os = "macos")]
fn absent() -> Absent {
    Absent { api: API, reason: "Metal finds no device".into(), cure: "use a Mac with a Metal GPU".into() }
}
