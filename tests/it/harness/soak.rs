//! What a soak asks of the scenarios: `cargo testbed soak` says it by two variables.
//!
//! In `cargo test` neither is set, and every choice is always the same.

#![expect(
    clippy::print_stdout,
    reason = "a seed is told, so that it can be repeated"
)]

use super::Helm;

/// What `cargo test` draws by.
const SEED: u64 = 20_261_124;

/// How many rounds a soak wants; none in `cargo test`.
pub fn rounds() -> Option<u64> {
    number("DEPLOY_SOAK")
}

/// Whether this is a soak.
pub fn is_on() -> bool {
    rounds().is_some()
}

/// What everything is drawn by that has no fixed seed of its own.
pub fn seed() -> u64 {
    seed_or(SEED)
}

/// What a soak draws by, else `fixed`.
pub fn seed_or(fixed: u64) -> u64 {
    number("DEPLOY_SOAK_SEED").unwrap_or(fixed)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// Random numbers that a seed repeats (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// By this seed.
    pub const fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// For one test, told on its output.
    pub fn new(what: &str, helm: Helm) -> Self {
        let seed = seed();
        println!("{what} with {helm:?}: DEPLOY_SOAK_SEED={seed}");
        Self(seed ^ helm as u64)
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A place in something of this length; the first where it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap()
    }

    /// One of them.
    pub fn of<T: Clone>(&mut self, some: &[T]) -> T {
        some[self.index(some.len())].clone()
    }
}
