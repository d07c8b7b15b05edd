//! What hashes leave in the memory is gone after a wipe, as the system sees it. Alone in its program, so that the only
//! memory of this kind is the test's.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{File, read_to_string},
    os::unix::fs::FileExt as _,
};

use signet_argon2_kernel::{Input, Kernel, Parameters, Path, Variant, Version};

/// All bytes of this process that are not to be part of a core dump: the arena, and nothing else here.
fn undumped() -> Vec<u8> {
    let (mut range, mut bytes) = (0..0, Vec::new());
    for line in read_to_string("/proc/self/smaps").unwrap().lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let number = |digits| u64::from_str_radix(digits, 16).unwrap();
            range = number(start)..number(end);
        } else if first == "VmFlags:" && line.split_whitespace().any(|flag| flag == "dd") {
            let before = bytes.len();
            bytes.resize(before + usize::try_from(range.end - range.start).unwrap(), 0);
            // What the kernel maps itself (vvar) cannot be read.
            if File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes[before..], range.start).is_err() {
                bytes.truncate(before);
            }
        }
    }
    bytes
}

fn derive(kernel: &mut Kernel, memory_kib: u32) {
    let input = Input {
        variant: Variant::Id,
        version: Version::V0x13,
        parameters: Parameters::new(memory_kib, 1, 1).unwrap(),
        password: b"password",
        salt: b"somesalt",
        secret: b"",
        associated_data: b"",
    };
    kernel.derive(&input, &mut [0; 32]).unwrap();
}

fn written(bytes: &[u8]) -> usize {
    bytes.chunks(1024).filter(|block| block.iter().any(|byte| *byte != 0)).count()
}

#[test]
fn nothing_is_left_after_a_wipe_and_nothing_is_dumped() {
    assert_eq!(written(&undumped()), 0);
    for path in Path::available() {
        let mut kernel = Kernel::new(path);
        derive(&mut kernel, 5000);
        assert_eq!(undumped().len(), kernel.memory_bytes());
        assert_eq!(written(&undumped()), 5000, "{path}");
        derive(&mut kernel, 64);
        assert_eq!(written(&undumped()), 5000, "{path}");
        assert!(!kernel.is_wiped());
        kernel.wipe();
        assert!(kernel.is_wiped());
        assert_eq!(written(&undumped()), 0, "{path}");
        // Less than before: all that was written since the last wipe is wiped, and that is all there is.
        derive(&mut kernel, 64);
        assert_eq!(written(&undumped()), 64, "{path}");
        kernel.wipe();
        assert_eq!(written(&undumped()), 0, "{path}");
        derive(&mut kernel, 64);
        kernel.release();
        assert_eq!(undumped().len(), 0, "{path}");
    }
}
