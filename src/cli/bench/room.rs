//! How much memory may be taken for a measurement. A benchmark is run in the pod of a service that works: it must not
//! be what the system kills that pod for.

use crate::crypto::argon2_kernel::{Argon2Cost, MEMORY_KIB_MAX};

/// The part of what is left that the workers may take. The other half is for whatever runs beside them: the workers of
/// a service that begins to hash, most of all.
const SHARE: u64 = 2;

/// What there is for all workers of the benchmark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes.
    bytes: Option<u64>,
    workers: usize,
}

/// Not even the least cost of this service has room.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{workers} {} {needed_mib} MiB with the least cost, and may take {mib} MiB here, half of the memory that is left: \
     make room{}",
    if *.workers == 1 { "worker takes" } else { "workers take" },
    if *.workers == 1 { "" } else { ", or tell fewer workers by --hash-workers" },
)]
pub(super) struct NoRoom {
    workers: usize,
    needed_mib: u64,
    mib: u64,
}

impl Room {
    /// For so many workers, where so many bytes are left; none if nobody knows.
    pub(super) fn new(left: Option<u64>, workers: usize) -> Result<Self, NoRoom> {
        let room = Self { bytes: left.map(|bytes| bytes / SHARE), workers };
        let needed_mib = room.all_workers(&Argon2Cost::OWASP).div_ceil(1 << 20);
        if room.holds(&Argon2Cost::OWASP) {
            Ok(room)
        } else {
            Err(NoRoom { workers, needed_mib, mib: room.bytes.unwrap_or_default() >> 20 })
        }
    }

    /// Whether all workers can hash at such a cost.
    pub(super) fn holds(&self, cost: &Argon2Cost) -> bool {
        self.bytes.is_none_or(|bytes| self.all_workers(cost) <= bytes)
    }

    /// Bytes that the workers may take together: what was told, or less.
    pub(super) fn within(&self, arenas_max: Option<u64>) -> Option<u64> {
        self.bytes.into_iter().chain(arenas_max).min()
    }

    /// What is left out for want of room, for people. None if there is room for everything.
    pub(super) fn note(&self, left_out: &[Argon2Cost]) -> Option<String> {
        let bytes =
            self.bytes.filter(|_| !self.holds(&Argon2Cost { memory_kib: MEMORY_KIB_MAX, ..Argon2Cost::OWASP }))?;
        let sets: Vec<String> = left_out.iter().map(|cost| format!("{} KiB", cost.memory_kib)).collect();
        let sets = if sets.is_empty() { String::new() } else { format!(" Left out: {}.", sets.join(", ")) };
        let workers = u64::try_from(self.workers).unwrap_or(u64::MAX).max(1);
        Some(format!(
            "No hash with more than {} KiB was tried: {workers} at a time may take half of the memory that is left here.{sets}",
            bytes / workers / 1024,
        ))
    }

    fn all_workers(&self, cost: &Argon2Cost) -> u64 {
        u64::from(cost.memory_kib) * 1024 * u64::try_from(self.workers).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn cost(memory_mib: u32) -> Argon2Cost {
        Argon2Cost { memory_kib: memory_mib * 1024, ..Argon2Cost::OWASP }
    }

    #[test]
    fn half_of_what_is_left_is_taken() {
        let room = Room::new(Some(512 * MIB), 4).unwrap();
        assert!(room.holds(&cost(64)) && !room.holds(&cost(65)));
        assert_eq!(room.within(None), Some(256 * MIB));
        assert_eq!(room.within(Some(128 * MIB)), Some(128 * MIB), "the service would take no more");
        assert_eq!(room.within(Some(1024 * MIB)), Some(256 * MIB));
        let note = room.note(&[cost(128)]).unwrap();
        assert!(note.contains("more than 65536 KiB") && note.ends_with("Left out: 131072 KiB."), "{note}");
    }

    #[test]
    fn where_there_is_plenty_nothing_is_said() {
        assert_eq!(Room::new(Some(4096 * MIB), 8).unwrap().note(&[]), None);
        let unknown = Room::new(None, 8).unwrap();
        assert!(unknown.holds(&cost(256)) && unknown.note(&[]).is_none() && unknown.within(None).is_none());
    }

    #[test]
    fn without_room_for_the_least_cost_nothing_is_measured() {
        let refused = |mib, workers| Room::new(Some(mib * MIB), workers).unwrap_err();
        assert_eq!(refused(151, 4), NoRoom { workers: 4, needed_mib: 76, mib: 75 });
        let (four, one) = (refused(151, 4).to_string(), refused(37, 1).to_string());
        assert!(four.starts_with("4 workers take 76 MiB") && four.ends_with("--hash-workers"), "{four}");
        assert!(one.starts_with("1 worker takes 19 MiB") && one.ends_with("make room"), "fewer there are not: {one}");
        assert!(Room::new(Some(152 * MIB), 4).is_ok());
    }
}
