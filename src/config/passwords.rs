/// How passwords are hashed.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordConfig {
    /// Memory of one Argon2id hash, in KiB; never below what OWASP advises
    #[arg(
        id = "argon2-memory-kib",
        long = "argon2-memory-kib",
        env = "SIGNET_ARGON2_MEMORY_KIB",
        value_name = "KIB",
        default_value = "19456",
        value_parser = clap::value_parser!(u32).range(19_456..=262_144)
    )]
    pub memory_kib: u32,

    /// Passes of Argon2id over its memory
    #[arg(
        id = "argon2-iterations",
        long = "argon2-iterations",
        env = "SIGNET_ARGON2_ITERATIONS",
        value_name = "COUNT",
        default_value = "2",
        value_parser = clap::value_parser!(u32).range(2..=16)
    )]
    pub iterations: u32,

    /// Lanes of one Argon2id hash
    #[arg(
        id = "argon2-parallelism",
        long = "argon2-parallelism",
        env = "SIGNET_ARGON2_PARALLELISM",
        value_name = "COUNT",
        default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=16)
    )]
    pub parallelism: u32,

    /// Threads that hash passwords, each with the memory of one hash; 0: one for each CPU the process may use, as far as a quarter of its memory limit goes
    #[arg(
        id = "hash-workers",
        long = "hash-workers",
        env = "SIGNET_HASH_WORKERS",
        value_name = "COUNT",
        default_value = "0",
        value_parser = clap::value_parser!(u16).range(0..=256)
    )]
    pub workers: u16,

    /// Priority of the threads that hash passwords (nice, 0 to 19): the higher, the more everything else goes first; never below that of the process
    #[arg(
        id = "hash-niceness",
        long = "hash-niceness",
        env = "SIGNET_HASH_NICENESS",
        value_name = "NICENESS",
        default_value = "10",
        value_parser = clap::value_parser!(u8).range(0..=19)
    )]
    pub niceness: u8,

    /// Most sign-ins that wait for a hash worker or are being prepared for it; more are refused at once
    #[arg(
        id = "hash-queue",
        long = "hash-queue",
        env = "SIGNET_HASH_QUEUE",
        value_name = "COUNT",
        default_value = "256",
        value_parser = clap::value_parser!(u32).range(1..=65_536)
    )]
    pub queue: u32,
}

impl PasswordConfig {
    /// Settings far below the floor, so that tests need not wait for hashes.
    #[doc(hidden)]
    pub fn weak_for_tests() -> Self {
        Self { memory_kib: 64, iterations: 1, ..super::defaults() }
    }
}
