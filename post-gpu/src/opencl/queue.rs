//! What a device can be told: build kernels, take memory, copy, run, and say when it is done. All of it in order, one
//! command after the other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::rc::Rc;
use std::slice;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use ocl::core::{
    self, ArgVal, CommandExecutionStatus, CommandQueue, Context, DeviceId, Event, Kernel, MapFlags, Mem, MemFlags,
    MemMap, OpenclVersion, Program,
};

use super::error::{ended, failed, refused, unusable};
use super::find::{Found, first_touch};
use crate::device::Trouble;

/// A device's in-order queue, and what was built for it.
pub(super) struct Queue {
    commands: CommandQueue,
    context: Context,
    device: DeviceId,
    programs: RefCell<HashMap<(&'static str, String), Program>>,
    pub(super) compute_units: u32,
    pub(super) local_bytes: u64,
    pub(super) largest_group: usize,
    /// Whether it is a processor in disguise.
    pub(super) software: bool,
}

/// What a kernel is given.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Buffer(&'a Mem),
    U32(u32),
    U64(u64),
}

impl Queue {
    /// Opens the device and has it do a first small thing.
    pub(super) fn new(found: &Found) -> Result<Self, Trouble> {
        let _touch = first_touch();
        let device = found.device;
        let context = core::create_context(None, &[device], None, None).map_err(unusable("opening the device"))?;
        let commands =
            core::create_command_queue(&context, device, None).map_err(unusable("opening a queue of the device"))?;
        let queue = Self {
            commands,
            context,
            device,
            programs: RefCell::default(),
            compute_units: found.compute_units,
            local_bytes: found.local_bytes,
            largest_group: found.largest_group,
            software: found.facts.software,
        };
        queue.buffer(64)?;
        Ok(queue)
    }

    /// A kernel of a source, built with these options; what was built once is kept.
    pub(super) fn kernel(&self, source: &'static str, options: &str, name: &str) -> Result<Kernel, Trouble> {
        let key = (source, options.to_owned());
        let mut programs = self.programs.borrow_mut();
        if !programs.contains_key(&key) {
            let program = self.build(source, options)?;
            programs.insert(key.clone(), program);
        }
        let program = programs.get(&key).ok_or_else(super::unprepared)?;
        core::create_kernel(program, name).map_err(unusable("taking a kernel out of its program"))
    }

    fn build(&self, source: &str, options: &str) -> Result<Program, Trouble> {
        let text = |text: &str| CString::new(text).map_err(|error| unusable("compiling the kernels")(error.into()));
        let program = core::create_program_with_source(&self.context, &[text(source)?])
            .map_err(unusable("handing over the kernels"))?;
        let options = text(&format!("-cl-std=CL1.2 {options}"))?;
        core::build_program(&program, Some(&[self.device]), &options, None, None)
            .map_err(unusable("compiling the kernels"))?;
        Ok(program)
    }

    /// A buffer that the device really has: some drivers find out that there is no memory only when it is written to.
    pub(super) fn buffer(&self, bytes: u64) -> Result<Mem, Trouble> {
        // No driver was made for larger fills.
        const PIECE: u64 = 1 << 30;
        let fits = |bytes: u64| usize::try_from(bytes).map_err(|_| Trouble::OutOfMemory { bytes });
        let bytes = bytes.next_multiple_of(16).max(16);
        // SAFETY: no memory of ours is handed over.
        let buffer = unsafe {
            core::create_buffer::<_, u8>(&self.context, MemFlags::new().read_write(), fits(bytes)?, None)
                .map_err(refused("taking memory", bytes))?
        };
        for start in (0..bytes).step_by(PIECE as usize) {
            let length = PIECE.min(bytes - start);
            self.fill(&buffer, fits(start)?, fits(length)?).map_err(refused("touching memory", bytes))?;
        }
        let mut done = Event::null();
        core::enqueue_marker_with_wait_list(
            &self.commands,
            None::<&Event>,
            Some(&mut done),
            Some(&OpenclVersion::new(1, 2)),
        )
        .map_err(refused("touching memory", bytes))?;
        match self.pending(done, "touching memory")?.wait() {
            // The same words mean less here than in the middle of the work.
            Err(Trouble::Lost { .. } | Trouble::OutOfMemory { .. }) => Err(Trouble::OutOfMemory { bytes }),
            other => other.map(|()| buffer),
        }
    }

    fn fill(&self, buffer: &Mem, start: usize, length: usize) -> Result<(), core::Error> {
        core::enqueue_fill_buffer(
            &self.commands,
            buffer,
            0_u32,
            start / 4,
            length / 4,
            None::<&Event>,
            None::<&mut Event>,
            Some(&OpenclVersion::new(1, 2)),
        )
    }

    /// Sets the first bytes of a buffer, a multiple of 4, to zero, in order.
    pub(super) fn clear(&self, buffer: &Mem, bytes: usize) -> Result<(), Trouble> {
        self.fill(buffer, 0, bytes).map_err(failed("clearing memory"))
    }

    /// Memory of this machine that the device can copy from and to by itself.
    pub(super) fn pinned(self: &Rc<Self>, bytes: u64) -> Result<Pinned, Trouble> {
        let doing = "taking memory for transfers";
        let length = usize::try_from(bytes.max(1)).map_err(|_| Trouble::OutOfMemory { bytes })?;
        let flags = MemFlags::new().read_write().alloc_host_ptr();
        // SAFETY: no memory of ours is handed over; the mapping is waited for, and undone when it is dropped.
        unsafe {
            let buffer =
                core::create_buffer::<_, u8>(&self.context, flags, length, None).map_err(refused(doing, bytes))?;
            let map = core::enqueue_map_buffer(
                &self.commands,
                &buffer,
                true,
                MapFlags::new().read().write(),
                0,
                length,
                None::<&Event>,
                None::<&mut Event>,
            )
            .map_err(refused(doing, bytes))?;
            Ok(Pinned { queue: self.clone(), buffer, map, length })
        }
    }

    /// Queues a copy of the first `bytes` to the device. None is fine.
    ///
    /// # Safety
    /// `from` stays and isn't written to until a later command of this queue was waited for.
    pub(super) unsafe fn upload(&self, from: &Pinned, to: &Mem, bytes: usize) -> Result<(), Trouble> {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let queued = unsafe {
            let from = from.bytes().get(..bytes).ok_or_else(super::unprepared)?;
            core::enqueue_write_buffer(&self.commands, to, false, 0, from, None::<&Event>, None::<&mut Event>)
        };
        queued.map_err(failed("copying to the device"))
    }

    /// Queues a copy of `bytes`, at least 1, from the start of a buffer of the device, and sends all that is queued on its
    /// way.
    ///
    /// # Safety
    /// `to` stays and isn't looked at until what is returned was waited for.
    pub(super) unsafe fn download(&self, from: &Mem, to: &mut Pinned, bytes: usize) -> Result<Pending, Trouble> {
        let mut done = Event::null();
        // SAFETY: the caller's promise.
        let queued = unsafe {
            let to = to.bytes_mut().get_mut(..bytes).ok_or_else(super::unprepared)?;
            core::enqueue_read_buffer(&self.commands, from, false, 0, to, None::<&Event>, Some(&mut done))
        };
        queued.map_err(failed("copying from the device"))?;
        self.pending(done, "the work on the device")
    }

    /// Queues a kernel over `items` work items in groups of `group`, of which `items` is a multiple.
    ///
    /// # Safety
    /// The kernel, given `args`, stays inside the buffers.
    pub(super) unsafe fn run(
        &self,
        kernel: &Kernel,
        args: &[Arg<'_>],
        items: usize,
        group: usize,
    ) -> Result<(), Trouble> {
        let doing = "starting a kernel";
        for (place, arg) in (0..).zip(args) {
            let value = match arg {
                Arg::Buffer(buffer) => ArgVal::mem(buffer),
                Arg::U32(number) => ArgVal::scalar(number),
                Arg::U64(number) => ArgVal::scalar(number),
            };
            core::set_kernel_arg(kernel, place, value).map_err(failed(doing))?;
        }
        // SAFETY: the caller's promise.
        let queued = unsafe {
            core::enqueue_kernel(
                &self.commands,
                kernel,
                1,
                None,
                &[items, 1, 1],
                Some([group, 1, 1]),
                None::<&Event>,
                None::<&mut Event>,
            )
        };
        queued.map_err(failed(doing))
    }

    /// Sends what is queued on its way, so that it runs as a piece of work of its own.
    pub(super) fn flush(&self) -> Result<(), Trouble> {
        core::flush(&self.commands).map_err(failed("sending work to the device"))
    }

    /// Waits until nothing is queued any more. An error means the same.
    pub(super) fn finish(&self) {
        let _ = core::finish(&self.commands);
    }

    /// Something to wait for the event with, once all that is queued is on its way.
    fn pending(&self, event: Event, doing: &'static str) -> Result<Pending, Trouble> {
        let signal = Arc::new(Signal { status: Mutex::new(None), changed: Condvar::new() });
        let lent = Arc::into_raw(signal.clone()).cast_mut().cast::<c_void>();
        // SAFETY: the function takes the pointer back, and is called once at most.
        let watched =
            unsafe { core::set_event_callback(&event, CommandExecutionStatus::Complete, Some(completed), lent) };
        let watched = watched.is_ok();
        if !watched {
            // SAFETY: nobody else has the pointer.
            drop(unsafe { Arc::from_raw(lent.cast_const().cast::<Signal>()) });
        }
        let pending = Pending { event, signal: watched.then_some(signal), doing };
        self.flush()?;
        Ok(pending)
    }
}

/// What a driver's thread tells us.
struct Signal {
    /// 0 is success, a negative number is an error.
    status: Mutex<Option<i32>>,
    changed: Condvar,
}

extern "C" fn completed(_event: *mut c_void, status: i32, signal: *mut c_void) {
    // SAFETY: `pending` lent a count of this signal to this one call.
    let signal = unsafe { Arc::from_raw(signal.cast_const().cast::<Signal>()) };
    *signal.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    signal.changed.notify_all();
}

/// A command that may still run.
pub(super) struct Pending {
    event: Event,
    /// `None` if the driver wouldn't call us.
    signal: Option<Arc<Signal>>,
    doing: &'static str,
}

impl Pending {
    /// Sleeps until it is done. Asking OpenCL to wait would do too, but some drivers burn a core in that.
    pub(super) fn wait(self) -> Result<(), Trouble> {
        let Some(signal) = &self.signal else {
            return core::wait_for_event(&self.event).map_err(failed(self.doing));
        };
        let mut status = signal.status.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *status {
                Some(status) if status < 0 => return Err(ended(self.doing, status)),
                Some(_) => return Ok(()),
                None => status = signal.changed.wait(status).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Memory of this machine that stays where it is, so that copies run beside everything else.
pub(super) struct Pinned {
    queue: Rc<Queue>,
    buffer: Mem,
    map: MemMap<u8>,
    length: usize,
}

impl Pinned {
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: as many bytes are mapped, from creation to drop.
        unsafe { slice::from_raw_parts(self.map.as_ptr(), self.length) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; this is the only reference.
        unsafe { slice::from_raw_parts_mut(self.map.as_mut_ptr(), self.length) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // If this fails the device is lost, and the mapping with it.
        let _ = core::enqueue_unmap_mem_object(
            &self.queue.commands,
            &self.buffer,
            &self.map,
            None::<&Event>,
            None::<&mut Event>,
        );
    }
}
