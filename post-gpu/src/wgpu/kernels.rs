//! Compiled kernels. Compiling takes a moment on a GPU and seconds on a software device, so each is compiled once, when it
//! is first needed.

use std::collections::HashMap;

use shaders::wgsl;
use wgpu::{BindGroup, BindGroupLayout, BindingType, Buffer, BufferBindingType, ComputePipeline};

use super::gpu::Gpu;
use crate::device::Trouble;

/// Memory of a workgroup that `scan` wants for each copy of its table.
const TABLE_BYTES: u32 = 1024;

/// Copies of the table at most: one for each bank of the workgroup's memory.
const MAX_COPIES: u32 = 32;

/// Kernels that see the same buffers.
#[derive(Clone)]
pub(super) struct Kernel {
    layout: BindGroupLayout,
    pub(super) first: ComputePipeline,
    pub(super) second: ComputePipeline,
}

/// All kernels compiled so far.
#[derive(Default)]
pub(super) struct Kernels {
    hash: Option<Kernel>,
    scan: Option<Kernel>,
    /// By number of scratch buffers and gap.
    romix: HashMap<(u32, u32), Kernel>,
}

/// What a kernel does with a buffer.
#[derive(Clone, Copy)]
enum Use {
    Parameters,
    Reads,
    Writes,
}

impl Kernels {
    /// `expand` and `compress`.
    pub(super) fn hash(&mut self, gpu: &Gpu) -> Result<Kernel, Trouble> {
        let uses = [Use::Parameters, Use::Writes, Use::Reads, Use::Writes];
        cached(&mut self.hash, || Kernel::compile(gpu, wgsl::HASH, ["expand", "compress"], &uses))
    }

    /// `fill` and `walk`.
    pub(super) fn romix(&mut self, gpu: &Gpu, buffers: u32, gap: u32) -> Result<Kernel, Trouble> {
        if let Some(kernel) = self.romix.get(&(buffers, gap)) {
            return Ok(kernel.clone());
        }
        let mut uses = vec![Use::Parameters, Use::Writes];
        uses.resize(uses.len() + buffers as usize, Use::Writes);
        let kernel = Kernel::compile(gpu, &wgsl::romix(buffers, gap), ["fill", "walk"], &uses)?;
        self.romix.insert((buffers, gap), kernel.clone());
        Ok(kernel)
    }

    /// `scan`.
    pub(super) fn scan(&mut self, gpu: &Gpu) -> Result<Kernel, Trouble> {
        let room = gpu.device.limits().max_compute_workgroup_storage_size / TABLE_BYTES;
        // A power of two, so that a thread's copy is a mask away.
        let copies = 1 << room.clamp(1, MAX_COPIES).ilog2();
        let uses = [Use::Parameters, Use::Reads, Use::Reads, Use::Reads, Use::Writes];
        cached(&mut self.scan, || Kernel::compile(gpu, &wgsl::scan(copies), ["scan", "scan"], &uses))
    }
}

fn cached(slot: &mut Option<Kernel>, compile: impl FnOnce() -> Result<Kernel, Trouble>) -> Result<Kernel, Trouble> {
    match slot {
        Some(kernel) => Ok(kernel.clone()),
        None => Ok(slot.insert(compile()?).clone()),
    }
}

impl Kernel {
    fn compile(gpu: &Gpu, source: &str, [first, second]: [&str; 2], uses: &[Use]) -> Result<Self, Trouble> {
        gpu.checked(0, || {
            let device = &gpu.device;
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(first),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            let entries: Vec<_> = uses.iter().zip(0..).map(|(used, binding)| entry(binding, *used)).collect();
            let layout = device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(first), entries: &entries });
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(first),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = |name| {
                device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some(name),
                    layout: Some(&pipeline_layout),
                    module: &module,
                    entry_point: Some(name),
                    compilation_options: wgpu::PipelineCompilationOptions {
                        zero_initialize_workgroup_memory: false,
                        ..Default::default()
                    },
                    cache: None,
                })
            };
            let compiled = pipeline(first);
            let other = if second == first { compiled.clone() } else { pipeline(second) };
            Self { layout, first: compiled, second: other }
        })
    }

    /// Binds `buffers` in their order.
    pub(super) fn bind(&self, gpu: &Gpu, buffers: &[&Buffer]) -> Result<BindGroup, Trouble> {
        let entries: Vec<_> = buffers
            .iter()
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        gpu.checked(0, || {
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.layout,
                entries: &entries,
            })
        })
    }
}

fn entry(binding: u32, used: Use) -> wgpu::BindGroupLayoutEntry {
    let ty = match used {
        Use::Parameters => BufferBindingType::Uniform,
        Use::Reads => BufferBindingType::Storage { read_only: true },
        Use::Writes => BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}

/// Records one dispatch.
pub(super) fn dispatch(
    encoder: &mut wgpu::CommandEncoder,
    pipeline: &ComputePipeline,
    buffers: &BindGroup,
    workgroups: u32,
) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, buffers, &[]);
    pass.dispatch_workgroups(workgroups, 1, 1);
}

/// Parameters as a uniform buffer holds them.
pub(super) fn words(words: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}
