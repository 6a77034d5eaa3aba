//! What every fuzz target does around its oracle: it counts, and it watches allocations.
//!
//! ```text
//!     bytes ──▶ oracle (annals::oracle) ──▶ panics, or says whether the bytes got past the checks
//!                  └─ no allocation above ALLOCATION_MAX
//! ```
//!
//! Plain `cargo build --release` in this folder makes instrumented binaries: see `.cargo/config.toml`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Twice the largest batch that the oracles accept: nothing larger may be allocated, whatever a length says.
const ALLOCATION_MAX: usize = 2 * 64 * 1024;

/// The largest allocation since it was last reset, in bytes.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// The system's allocator, watched.
struct Watched;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from the system's allocator, by `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many inputs there were, and how many of them got past the checks.
#[derive(Debug)]
pub struct Tally {
    inputs: AtomicU64,
    passed: AtomicU64,
}

impl Tally {
    #[expect(clippy::new_without_default, reason = "made once, by the macro, as a static")]
    pub const fn new() -> Self {
        Self { inputs: AtomicU64::new(0), passed: AtomicU64::new(0) }
    }

    /// Asks the oracle about one input. Says now and then how the counts stand: the fuzzer ends the process
    /// without a word.
    pub fn ask(&self, oracle: fn(&[u8]) -> bool, bytes: &[u8]) {
        LARGEST.store(0, Ordering::Relaxed);
        let passed = u64::from(oracle(bytes));
        let passed = self.passed.fetch_add(passed, Ordering::Relaxed) + passed;
        let largest = LARGEST.load(Ordering::Relaxed);
        assert!(largest <= ALLOCATION_MAX, "{largest} bytes allocated for {} bytes of input", bytes.len());
        let inputs = self.inputs.fetch_add(1, Ordering::Relaxed) + 1;
        if inputs.is_power_of_two() && inputs >= 1024 {
            eprintln!("{passed} of {inputs} inputs passed the checks");
        }
    }
}

/// A fuzz target: the oracle that is asked about every input.
#[macro_export]
macro_rules! target {
    ($oracle:path) => {
        static TALLY: $crate::Tally = $crate::Tally::new();
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TALLY.ask($oracle, bytes));
    };
}
