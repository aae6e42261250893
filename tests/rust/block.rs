// SPDX-License-Identifier: MIT
//! A kernel in Rust, without std, that reads and writes blocks through examples/block_device.h.
//!
//! `Nvme` has the shape that such kernels give a block device: read_block(n, &mut buffer),
//! write_block(n, &buffer), handle_irq(). The declarations at the top are what bindgen makes of the
//! header. The machine below is C: main.c.
#![no_std]

use core::ffi::c_void;

// ---- The header --------------------------------------------------------------------------

#[repr(C)]
#[derive(Clone, Copy)]
pub struct BlockHooks {
    arg: *mut c_void,
    sleep: Option<unsafe extern "C" fn(arg: *mut c_void, event: *const u32)>,
    wake: Option<unsafe extern "C" fn(arg: *mut c_void, event: *const u32)>,
}

#[repr(C, align(64))]
pub struct BlockDevice {
    block_count: u64,
    status: u16,
    reserved: u16,
    ratio: u32,
    alignment: u32,
    vector: u32,
    queue: *mut c_void,
    ns: *const c_void,
    controller: *mut c_void,
    hooks: BlockHooks,
    lock: u32,
    idle: u32,
    ended: u32,
    error: i32,
    copy: BlockCopy,
}

#[repr(C, align(64))]
struct BlockCopy([u64; 512]);

#[repr(C)]
pub struct BlockConfig {
    registers: *mut c_void,
    registers_bytes: usize,
    ordinary: *mut c_void,
    ordinary_bytes: usize,
    dma: *mut c_void,
    dma_bytes: usize,
    dma_context: *mut c_void,
    hooks: BlockHooks,
    bus_master: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    intx_level: Option<unsafe extern "C" fn(arg: *mut c_void) -> bool>,
    nsid: u32,
    hart: u32,
    alignment: u32,
    vector: u16,
    pci_vendor: u16,
    pci_device: u16,
}

extern "C" {
    fn block_open(device: *mut BlockDevice, config: *const BlockConfig) -> i32;
    fn block_close(device: *mut BlockDevice) -> i32;
    fn block_interrupt(device: *mut BlockDevice);
    fn block_read(device: *mut BlockDevice, first: u64, count: u32, buffer: *mut u8) -> i32;
    fn block_write(device: *mut BlockDevice, first: u64, count: u32, buffer: *const u8) -> i32;
    fn block_flush(device: *mut BlockDevice) -> i32;
}

// ---- The driver as the kernel has it -----------------------------------------------------

const BLOCK_BYTES: usize = 512;

/// An error of the device: a value of enum nvme_error.
pub type Error = i32;

fn check(error: i32) -> Result<(), Error> {
    if error == 0 { Ok(()) } else { Err(error) }
}

/// A disk. It may not move, because the controller knows its address.
pub struct Nvme {
    device: *mut BlockDevice,
}

impl Nvme {
    /// # Safety
    /// The memory and the registers of the configuration are the device's until close().
    pub unsafe fn new(device: *mut BlockDevice, config: &BlockConfig) -> Result<Self, Error> {
        check(block_open(device, config))?;
        Ok(Nvme { device })
    }

    pub fn read_block(&mut self, block: usize, buffer: &mut [u8]) -> Result<(), Error> {
        let count = (buffer.len() / BLOCK_BYTES) as u32;
        check(unsafe { block_read(self.device, block as u64, count, buffer.as_mut_ptr()) })
    }

    pub fn write_block(&mut self, block: usize, buffer: &[u8]) -> Result<(), Error> {
        let count = (buffer.len() / BLOCK_BYTES) as u32;
        check(unsafe { block_write(self.device, block as u64, count, buffer.as_ptr()) })
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        check(unsafe { block_flush(self.device) })
    }

    pub fn close(self) -> Result<(), Error> {
        check(unsafe { block_close(self.device) })
    }
}

// ---- The kernel around it: traps and sleep -----------------------------------------------

extern "C" {
    /// The machine goes on until it interrupts, and calls trap().
    fn machine_wait();
}

static mut DEVICE: *mut BlockDevice = core::ptr::null_mut();

/// The trap of an external interrupt.
#[no_mangle]
pub unsafe extern "C" fn trap() {
    block_interrupt(DEVICE);
}

unsafe extern "C" fn sleep(_arg: *mut c_void, event: *const u32) {
    if event.read_volatile() == 0 {
        machine_wait();
    }
}

unsafe extern "C" fn wake(_arg: *mut c_void, _event: *const u32) {}

// ---- What it does ------------------------------------------------------------------------

/// Blocks through one buffer that is used again and again and begins at an odd address.
fn exercise(disk: &mut Nvme) -> Result<bool, Error> {
    let mut memory = [0u8; BLOCK_BYTES + 1];
    let buffer = &mut memory[1..];
    for block in 0..64 {
        buffer.fill(block as u8);
        disk.write_block(block, buffer)?;
    }
    disk.flush()?;
    for block in (0..64).rev() {
        disk.read_block(block, buffer)?;
        if buffer.iter().any(|byte| *byte != block as u8) {
            return Ok(false);
        }
    }
    let beyond = disk.read_block(1 << 40, buffer);
    Ok(beyond == Err(-3))
}

fn run(device: *mut BlockDevice, config: &BlockConfig) -> Result<bool, Error> {
    let mut disk = unsafe { Nvme::new(device, config)? };
    let good = exercise(&mut disk)?;
    disk.close()?;
    Ok(good)
}

/// 0: all is right; 1: other data; negative: the device's error. `sleeps`: not by polling.
#[no_mangle]
pub unsafe extern "C" fn kernel_main(
    device: *mut BlockDevice,
    config: *mut BlockConfig,
    sleeps: bool,
) -> i32 {
    DEVICE = device;
    if sleeps {
        (*config).hooks.sleep = Some(sleep);
        (*config).hooks.wake = Some(wake);
    }
    match run(device, &*config) {
        Ok(good) => i32::from(!good),
        Err(error) => error,
    }
}

/// For main.c, which compares them with the header's.
#[no_mangle]
pub static RUST_DEVICE_BYTES: usize = core::mem::size_of::<BlockDevice>();
#[no_mangle]
pub static RUST_CONFIG_BYTES: usize = core::mem::size_of::<BlockConfig>();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
