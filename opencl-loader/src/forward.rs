//! One function of ours for each of OpenCL's, which does what the real one does.
//!
//! What they take is said by size only: all handles and pointers are `Ptr`, all bit fields `u64`. Arguments have letters
//! for names: they are handed on in order and not looked at.
// OpenCL's names are not ours to choose.
#![allow(non_snake_case)]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::OnceLock;

use crate::symbol;

type Ptr = *mut c_void;

const SUCCESS: i32 = 0;
const OUT_OF_RESOURCES: i32 = -5;
const INVALID_OPERATION: i32 = -59;
const PLATFORM_NOT_FOUND: i32 = -1001;

/// What `ocl` gets to see of a status: it panics on a code it doesn't know.
fn known(status: i32) -> i32 {
    match status {
        -19..=SUCCESS | -70..=-30 | -1001..=-1000 | -9999 => status,
        _ => OUT_OF_RESOURCES,
    }
}

/// The real function behind one of ours, looked up once. `None` where the library, or the function in it, is missing.
macro_rules! real {
    ($name:ident($($type:ty),*) -> $result:ty) => {{
        type Real = unsafe extern "system" fn($($type),*) -> $result;
        static REAL: OnceLock<Option<Real>> = OnceLock::new();
        // SAFETY: the table below says how OpenCL 1.2 declares the function of this name.
        *REAL.get_or_init(|| unsafe { symbol::<Real>(stringify!($name)) })
    }};
}

/// Functions that return a status.
macro_rules! status {
    ($($name:ident($($arg:ident: $type:ty),*))*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "system" fn $name($($arg: $type),*) -> i32 {
            match real!($name($($type),*) -> i32) {
                // SAFETY: the caller's promise to the real function.
                Some(real) => known(unsafe { real($($arg),*) }),
                None => INVALID_OPERATION,
            }
        }
    )*};
}

/// Functions that give an object back. `ocl` calls them when it drops a handle, and panics if one fails, as they do when a
/// device is lost; nobody could do anything about it.
macro_rules! release {
    ($($name:ident($arg:ident: $type:ty))*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "system" fn $name($arg: $type) -> i32 {
            if let Some(real) = real!($name($type) -> i32) {
                // SAFETY: the caller's promise to the real function.
                unsafe { real($arg) };
            }
            SUCCESS
        }
    )*};
}

/// Functions that return an object, and a status through their last argument.
macro_rules! object {
    ($($name:ident($($arg:ident: $type:ty),*))*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "system" fn $name($($arg: $type,)* status: *mut i32) -> Ptr {
            let mut real_status = INVALID_OPERATION;
            let object = match real!($name($($type,)* *mut i32) -> Ptr) {
                // SAFETY: the caller's promise to the real function; the status is a place of ours.
                Some(real) => unsafe { real($($arg,)* &raw mut real_status) },
                None => null_mut(),
            };
            if !status.is_null() {
                // SAFETY: by the standard it is null or a place for a status.
                unsafe { status.write(known(real_status)) };
            }
            object
        }
    )*};
}

/// Functions that return an address and have no way to say why there is none.
macro_rules! address {
    ($($name:ident($($arg:ident: $type:ty),*))*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "system" fn $name($($arg: $type),*) -> Ptr {
            match real!($name($($type),*) -> Ptr) {
                // SAFETY: the caller's promise to the real function.
                Some(real) => unsafe { real($($arg),*) },
                None => null_mut(),
            }
        }
    )*};
}

/// No library, and a loader without drivers, both mean that there are no platforms. The loader would call it an error, on
/// which `ocl` tries again for ten seconds.
#[unsafe(no_mangle)]
unsafe extern "system" fn clGetPlatformIDs(entries: u32, platforms: Ptr, count: *mut u32) -> i32 {
    let status = match real!(clGetPlatformIDs(u32, Ptr, *mut u32) -> i32) {
        // SAFETY: the caller's promise to the real function.
        Some(real) => known(unsafe { real(entries, platforms, count) }),
        None => PLATFORM_NOT_FOUND,
    };
    if status != PLATFORM_NOT_FOUND {
        return status;
    }
    if !count.is_null() {
        // SAFETY: by the standard it is null or a place for a count.
        unsafe { count.write(0) };
    }
    SUCCESS
}

status! {
    clGetPlatformInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clGetDeviceIDs(a: Ptr, b: u64, c: u32, d: Ptr, e: Ptr)
    clGetDeviceInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clCreateSubDevices(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr)
    clRetainDevice(a: Ptr)
    clRetainContext(a: Ptr)
    clGetContextInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clRetainCommandQueue(a: Ptr)
    clGetCommandQueueInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clRetainMemObject(a: Ptr)
    clGetSupportedImageFormats(a: Ptr, b: u64, c: u32, d: u32, e: Ptr, f: Ptr)
    clGetMemObjectInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clGetImageInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clSetMemObjectDestructorCallback(a: Ptr, b: Ptr, c: Ptr)
    clRetainSampler(a: Ptr)
    clGetSamplerInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clRetainProgram(a: Ptr)
    clBuildProgram(a: Ptr, b: u32, c: Ptr, d: Ptr, e: Ptr, f: Ptr)
    clUnloadCompiler()
    clCompileProgram(a: Ptr, b: u32, c: Ptr, d: Ptr, e: u32, f: Ptr, g: Ptr, h: Ptr, i: Ptr)
    clGetProgramInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clGetProgramBuildInfo(a: Ptr, b: Ptr, c: u32, d: usize, e: Ptr, f: Ptr)
    clCreateKernelsInProgram(a: Ptr, b: u32, c: Ptr, d: Ptr)
    clRetainKernel(a: Ptr)
    clSetKernelArg(a: Ptr, b: u32, c: usize, d: Ptr)
    clGetKernelInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clGetKernelArgInfo(a: Ptr, b: u32, c: u32, d: usize, e: Ptr, f: Ptr)
    clGetKernelWorkGroupInfo(a: Ptr, b: Ptr, c: u32, d: usize, e: Ptr, f: Ptr)
    clWaitForEvents(a: u32, b: Ptr)
    clGetEventInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clRetainEvent(a: Ptr)
    clSetUserEventStatus(a: Ptr, b: i32)
    clSetEventCallback(a: Ptr, b: i32, c: Ptr, d: Ptr)
    clGetEventProfilingInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clFlush(a: Ptr)
    clFinish(a: Ptr)
    clEnqueueReadBuffer(a: Ptr, b: Ptr, c: u32, d: usize, e: usize, f: Ptr, g: u32, h: Ptr, i: Ptr)
    clEnqueueReadBufferRect(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr, f: Ptr, g: usize, h: usize, i: usize, j: usize, k: Ptr, l: u32, m: Ptr, n: Ptr)
    clEnqueueWriteBuffer(a: Ptr, b: Ptr, c: u32, d: usize, e: usize, f: Ptr, g: u32, h: Ptr, i: Ptr)
    clEnqueueWriteBufferRect(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr, f: Ptr, g: usize, h: usize, i: usize, j: usize, k: Ptr, l: u32, m: Ptr, n: Ptr)
    clEnqueueFillBuffer(a: Ptr, b: Ptr, c: Ptr, d: usize, e: usize, f: usize, g: u32, h: Ptr, i: Ptr)
    clEnqueueCopyBuffer(a: Ptr, b: Ptr, c: Ptr, d: usize, e: usize, f: usize, g: u32, h: Ptr, i: Ptr)
    clEnqueueCopyBufferRect(a: Ptr, b: Ptr, c: Ptr, d: Ptr, e: Ptr, f: Ptr, g: usize, h: usize, i: usize, j: usize, k: u32, l: Ptr, m: Ptr)
    clEnqueueReadImage(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr, f: usize, g: usize, h: Ptr, i: u32, j: Ptr, k: Ptr)
    clEnqueueWriteImage(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr, f: usize, g: usize, h: Ptr, i: u32, j: Ptr, k: Ptr)
    clEnqueueFillImage(a: Ptr, b: Ptr, c: Ptr, d: Ptr, e: Ptr, f: u32, g: Ptr, h: Ptr)
    clEnqueueCopyImage(a: Ptr, b: Ptr, c: Ptr, d: Ptr, e: Ptr, f: Ptr, g: u32, h: Ptr, i: Ptr)
    clEnqueueCopyImageToBuffer(a: Ptr, b: Ptr, c: Ptr, d: Ptr, e: Ptr, f: usize, g: u32, h: Ptr, i: Ptr)
    clEnqueueCopyBufferToImage(a: Ptr, b: Ptr, c: Ptr, d: usize, e: Ptr, f: Ptr, g: u32, h: Ptr, i: Ptr)
    clEnqueueUnmapMemObject(a: Ptr, b: Ptr, c: Ptr, d: u32, e: Ptr, f: Ptr)
    clEnqueueMigrateMemObjects(a: Ptr, b: u32, c: Ptr, d: u64, e: u32, f: Ptr, g: Ptr)
    clEnqueueNDRangeKernel(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr, f: Ptr, g: u32, h: Ptr, i: Ptr)
    clEnqueueTask(a: Ptr, b: Ptr, c: u32, d: Ptr, e: Ptr)
    clEnqueueNativeKernel(a: Ptr, b: Ptr, c: Ptr, d: usize, e: u32, f: Ptr, g: Ptr, h: u32, i: Ptr, j: Ptr)
    clEnqueueMarker(a: Ptr, b: Ptr)
    clEnqueueMarkerWithWaitList(a: Ptr, b: u32, c: Ptr, d: Ptr)
    clEnqueueWaitForEvents(a: Ptr, b: u32, c: Ptr)
    clEnqueueBarrierWithWaitList(a: Ptr, b: u32, c: Ptr, d: Ptr)
    clEnqueueBarrier(a: Ptr)
    clGetGLObjectInfo(a: Ptr, b: Ptr, c: Ptr)
    clGetGLTextureInfo(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
    clEnqueueAcquireGLObjects(a: Ptr, b: u32, c: Ptr, d: u32, e: Ptr, f: Ptr)
    clEnqueueReleaseGLObjects(a: Ptr, b: u32, c: Ptr, d: u32, e: Ptr, f: Ptr)
    clGetGLContextInfoKHR(a: Ptr, b: u32, c: usize, d: Ptr, e: Ptr)
}

release! {
    clReleaseDevice(a: Ptr)
    clReleaseContext(a: Ptr)
    clReleaseCommandQueue(a: Ptr)
    clReleaseMemObject(a: Ptr)
    clReleaseSampler(a: Ptr)
    clReleaseProgram(a: Ptr)
    clReleaseKernel(a: Ptr)
    clReleaseEvent(a: Ptr)
}

object! {
    clCreateContext(a: Ptr, b: u32, c: Ptr, d: Ptr, e: Ptr)
    clCreateContextFromType(a: Ptr, b: u64, c: Ptr, d: Ptr)
    clCreateCommandQueue(a: Ptr, b: Ptr, c: u64)
    clCreateBuffer(a: Ptr, b: u64, c: usize, d: Ptr)
    clCreateSubBuffer(a: Ptr, b: u64, c: u32, d: Ptr)
    clCreateImage2D(a: Ptr, b: u64, c: Ptr, d: usize, e: usize, f: usize, g: Ptr)
    clCreateImage3D(a: Ptr, b: u64, c: Ptr, d: usize, e: usize, f: usize, g: usize, h: usize, i: Ptr)
    clCreateImage(a: Ptr, b: u64, c: Ptr, d: Ptr, e: Ptr)
    clCreateSampler(a: Ptr, b: u32, c: u32, d: u32)
    clCreateProgramWithSource(a: Ptr, b: u32, c: Ptr, d: Ptr)
    clCreateProgramWithBinary(a: Ptr, b: u32, c: Ptr, d: Ptr, e: Ptr, f: Ptr)
    clCreateProgramWithBuiltInKernels(a: Ptr, b: u32, c: Ptr, d: Ptr)
    clLinkProgram(a: Ptr, b: u32, c: Ptr, d: Ptr, e: u32, f: Ptr, g: Ptr, h: Ptr)
    clCreateKernel(a: Ptr, b: Ptr)
    clCreateUserEvent(a: Ptr)
    clEnqueueMapBuffer(a: Ptr, b: Ptr, c: u32, d: u64, e: usize, f: usize, g: u32, h: Ptr, i: Ptr)
    clEnqueueMapImage(a: Ptr, b: Ptr, c: u32, d: u64, e: Ptr, f: Ptr, g: Ptr, h: Ptr, i: u32, j: Ptr, k: Ptr)
    clCreateFromGLBuffer(a: Ptr, b: u64, c: u32)
    clCreateFromGLTexture(a: Ptr, b: u64, c: u32, d: i32, e: u32)
    clCreateFromGLRenderbuffer(a: Ptr, b: u64, c: u32)
    clCreateFromGLTexture2D(a: Ptr, b: u64, c: u32, d: i32, e: u32)
    clCreateFromGLTexture3D(a: Ptr, b: u64, c: u32, d: i32, e: u32)
}

address! {
    clGetExtensionFunctionAddress(a: Ptr)
    clGetExtensionFunctionAddressForPlatform(a: Ptr, b: Ptr)
}
