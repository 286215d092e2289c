//! The agent itself: a static Linux program, built with this crate and embedded.
//!
//! It is built for the target that this crate is built for, and for no other: an image of another architecture gets no guest
//! layer ([`architecture`] tells).

/// The program's bytes.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/banger-vsock-agent"));

/// The most that it may have: it is a part of every image.
pub const BYTES_LIMIT: usize = 2 << 20;

/// The architecture that it runs on, by the name that image indexes have for it (Go's `GOARCH`).
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets in an ELF header (elf(5)): the class, the machine, and of 64 bits the program headers.
    const CLASS_64: (usize, u8) = (4, 2);
    const PROGRAM_HEADERS: usize = 32;
    const PROGRAM_HEADER_BYTES: usize = 56;
    const PROGRAM_HEADER_COUNT: usize = 56;
    const INTERPRETER: u32 = 3;

    #[test]
    fn it_is_small() {
        assert!(BYTES.len() <= BYTES_LIMIT, "{} bytes", BYTES.len());
    }

    #[test]
    fn it_is_a_program_that_needs_no_other() {
        assert_eq!(&BYTES[..4], b"\x7fELF");
        assert_eq!(BYTES[CLASS_64.0], CLASS_64.1);
        let first = u64::from_le_bytes(*BYTES[PROGRAM_HEADERS..].first_chunk().unwrap()) as usize;
        let count = u16::from_le_bytes(*BYTES[PROGRAM_HEADER_COUNT..].first_chunk().unwrap());
        assert!(count > 0);
        for number in 0..usize::from(count) {
            let kind = u32::from_le_bytes(*BYTES[first + number * PROGRAM_HEADER_BYTES..].first_chunk().unwrap());
            assert_ne!(kind, INTERPRETER, "it asks for a dynamic loader");
        }
    }

    #[test]
    fn it_does_not_tell_where_it_was_built() {
        let home = std::env::var("HOME").unwrap();
        let paths = [env!("CARGO_MANIFEST_DIR"), &format!("{home}/.cargo/registry")];
        for path in paths {
            let found = BYTES.windows(path.len()).any(|window| window == path.as_bytes());
            assert!(!found, "{path} stands in the agent");
        }
    }
}
