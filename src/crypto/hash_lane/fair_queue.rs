//! A queue in which clients share the workers by work, not by count, so that neither a flood of hashes nor a few dear
//! ones of one client starve the others.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): each client has a clock that runs on by the work of what is taken
//! of it, and the client that is least far is next. With equal jobs that is taking turns.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// Items of several clients, each with the work it is.
pub(super) struct FairQueue<T> {
    lines: HashMap<Uuid, Line<T>>,
    /// How far the client was that was last taken from. Who comes anew begins here.
    clock: u64,
    turns: u64,
    len: usize,
}

/// The items of one client. A line that is empty is kept while the client is ahead of the others, or more is to come.
struct Line<T> {
    items: VecDeque<(u64, T)>,
    /// Of all items.
    work: u64,
    /// What will be pushed if nothing gets in its way.
    coming: Load,
    /// How far the client is.
    clock: u64,
    /// Among clients that are equally far, whoever had its turn first goes first.
    turn: u64,
}

/// Several items together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Load {
    pub(super) items: usize,
    /// All of their work.
    pub(super) work: u64,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), clock: 0, turns: 0, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// All that waits or is coming.
    pub(super) fn all(&self) -> Load {
        let mut all = Load::default();
        for line in self.lines.values().map(Line::waiting_and_coming) {
            all.items += line.items;
            all.work += line.work;
        }
        all
    }

    pub(super) fn push(&mut self, client: Uuid, work: u64, item: T) {
        let line = self.lines.entry(client).or_insert_with(Line::new);
        if line.items.is_empty() {
            line.clock = line.clock.max(self.clock);
            line.turn = self.turns;
            self.turns += 1;
        }
        line.items.push_back((work, item));
        line.work += work;
        self.len += 1;
    }

    /// The oldest item of the client that is least far. It is charged for it only if it `is_work`: what is too late is
    /// none.
    pub(super) fn pop(&mut self, is_work: impl FnOnce(&T) -> bool) -> Option<T> {
        let waiting = self.lines.values_mut().filter(|line| !line.items.is_empty());
        let line = waiting.min_by_key(|line| (line.clock, line.turn))?;
        let (work, item) = line.items.pop_front()?;
        line.work -= work;
        if is_work(&item) {
            self.clock = line.clock;
            line.clock += work;
            line.turn = self.turns;
            self.turns += 1;
        }
        self.took_one();
        Some(item)
    }

    /// What would be taken before an item that this client pushed now: estimated, if the items of another one are of
    /// unequal work.
    pub(super) fn ahead_of(&self, client: Uuid) -> Load {
        self.ahead(client, Line::waiting)
    }

    /// The same, if all that is coming had been pushed before.
    pub(super) fn ahead_of_coming(&self, client: Uuid) -> Load {
        self.ahead(client, Line::waiting_and_coming)
    }

    fn ahead(&self, client: Uuid, counted: impl Fn(&Line<T>) -> Load) -> Load {
        let own = self.lines.get(&client);
        let mut ahead = own.map_or(Load::default(), &counted);
        let begin = own.map_or(self.clock, |line| line.clock.max(self.clock)) + ahead.work;
        for (other, line) in &self.lines {
            let (theirs, clock) = (counted(line), line.clock.max(self.clock));
            if *other == client || theirs.items == 0 || clock > begin {
                continue;
            }
            let mean = (theirs.work / as_work(theirs.items)).max(1);
            let taken = ((begin - clock) / mean + 1).min(as_work(theirs.items));
            ahead.items += usize::try_from(taken).unwrap_or(usize::MAX);
            ahead.work += theirs.work.min(taken.saturating_mul(mean));
        }
        ahead
    }

    /// Says that an item will be pushed.
    pub(super) fn expect(&mut self, client: Uuid, work: u64) {
        let coming = &mut self.lines.entry(client).or_insert_with(Line::new).coming;
        coming.items += 1;
        coming.work += work;
    }

    /// Takes that back: it is here, or will not come.
    pub(super) fn expect_no_more(&mut self, client: Uuid, work: u64) {
        let Some(line) = self.lines.get_mut(&client) else { return };
        line.coming.items -= 1;
        line.coming.work -= work;
        self.forget_lines();
    }

    /// True if one more may come of this client: with what comes there are fewer than `len_max`, or another one has at
    /// least two more, of which room can be made.
    pub(super) fn has_room_for_coming(&self, client: Uuid, len_max: usize) -> bool {
        let count = |line: &Line<T>| line.waiting_and_coming().items;
        let own = self.lines.get(&client).map_or(0, count);
        self.all().items < len_max || self.lines.values().any(|line| count(line) >= own + 2)
    }

    /// Takes the newest item of the client with the most, if it has at least two more than `client`: room for its fair
    /// share.
    pub(super) fn make_room_for(&mut self, client: Uuid) -> Option<T> {
        let own = self.lines.get(&client).map_or(0, |line| line.items.len());
        let longest = self.lines.values_mut().max_by_key(|line| line.items.len())?;
        if longest.items.len() < own + 2 {
            return None;
        }
        let (work, item) = longest.items.pop_back()?;
        longest.work -= work;
        self.took_one();
        Some(item)
    }

    /// An item that waits.
    pub(super) fn find(&self, client: Uuid, wanted: impl Fn(&T) -> bool) -> Option<&T> {
        self.lines.get(&client)?.items.iter().map(|(_, item)| item).find(|item| wanted(item))
    }

    /// Takes an item out of turn.
    pub(super) fn remove(&mut self, client: Uuid, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let line = self.lines.get_mut(&client)?;
        let position = line.items.iter().position(|(_, item)| wanted(item))?;
        let (work, item) = line.items.remove(position)?;
        line.work -= work;
        self.took_one();
        Some(item)
    }

    fn took_one(&mut self) {
        self.len -= 1;
        self.forget_lines();
    }

    fn forget_lines(&mut self) {
        if self.len == 0 {
            // Once nobody waits, nobody has to be waited for.
            self.clock = 0;
            self.lines.values_mut().for_each(|line| line.clock = 0);
        }
        let clock = self.clock;
        self.lines.retain(|_, line| line.waiting_and_coming().items > 0 || line.clock > clock);
    }
}

impl<T> Line<T> {
    const fn new() -> Self {
        Self { items: VecDeque::new(), work: 0, coming: Load { items: 0, work: 0 }, clock: 0, turn: 0 }
    }

    fn waiting(&self) -> Load {
        Load { items: self.items.len(), work: self.work }
    }

    fn waiting_and_coming(&self) -> Load {
        Load { items: self.items.len() + self.coming.items, work: self.work + self.coming.work }
    }
}

fn as_work(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn clients_take_turns() {
        let mut queue = FairQueue::new();
        for item in 0..4 {
            queue.push(client(1), 7, item);
        }
        assert_eq!(queue.ahead_of(client(2)), Load { items: 1, work: 7 });
        queue.push(client(2), 7, 100);
        assert_eq!(std::iter::from_fn(|| queue.pop(|_| true)).collect::<Vec<_>>(), [0, 100, 1, 2, 3]);
    }

    #[test]
    fn whoever_has_dear_items_has_fewer_turns() {
        let mut queue = FairQueue::new();
        for item in 0..3 {
            queue.push(client(1), 40, item);
        }
        for item in 100..108 {
            queue.push(client(2), 10, item);
        }
        assert_eq!(queue.ahead_of(client(3)), Load { items: 2, work: 50 });
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(|_| true)).collect();
        assert_eq!(order, [0, 100, 101, 102, 103, 1, 104, 105, 106, 107, 2]);
    }

    #[test]
    fn whoever_waits_with_one_dear_item_at_a_time_has_no_more_turns() {
        let mut queue = FairQueue::new();
        for item in 100..104 {
            queue.push(client(2), 10, item);
        }
        queue.push(client(1), 20, 0);
        let mut order = Vec::new();
        while let Some(item) = queue.pop(|_| true) {
            order.push(item);
            if item == 0 {
                queue.push(client(1), 20, 1);
            }
        }
        assert_eq!(order, [100, 0, 101, 1, 102, 103]);
        queue.push(client(1), 20, 2);
        assert_eq!(queue.ahead_of(client(2)), Load { items: 1, work: 20 }, "what is long over is forgotten");
    }

    #[test]
    fn room_is_made_at_the_cost_of_the_longest() {
        let mut queue = FairQueue::new();
        for item in 0..3 {
            queue.push(client(1), 7, item);
        }
        assert_eq!(queue.make_room_for(client(1)), None);
        assert_eq!(queue.make_room_for(client(2)), Some(2));
        assert_eq!(queue.len(), 2);
    }

    proptest! {
        #[test]
        fn the_predicted_place_is_the_place(
            pushes in prop::collection::vec(0_u128..5, 0..40),
            pops in 0..10_usize,
            who in 0_u128..5,
        ) {
            let mut queue = FairQueue::new();
            for (item, owner) in pushes.iter().enumerate() {
                queue.push(client(*owner), 7, item);
            }
            for _ in 0..pops {
                queue.pop(|_| true);
            }
            let predicted = queue.ahead_of(client(who)).items;
            queue.push(client(who), 7, usize::MAX);
            let order: Vec<_> = std::iter::from_fn(|| queue.pop(|_| true)).collect();
            let place = order.iter().position(|item| *item == usize::MAX).unwrap();
            prop_assert!(place <= predicted, "predicted {}, found {}", predicted, place);
            prop_assert_eq!(queue.len(), 0);
        }

        #[test]
        fn what_is_coming_counts_as_if_it_was_there_and_then_as_if_it_never_was(
            pushes in prop::collection::vec(0_u128..5, 0..40),
            pops in 0..10_usize,
            comes in prop::collection::vec(0_u128..5, 0..40),
            who in 0_u128..5,
        ) {
            let [mut queue, mut other] = [(); 2].map(|()| {
                let mut queue = FairQueue::new();
                for owner in &pushes {
                    queue.push(client(*owner), 7, ());
                }
                for _ in 0..pops {
                    queue.pop(|()| true);
                }
                queue
            });
            let before = (queue.ahead_of(client(who)), queue.all(), queue.lines.len());
            for owner in &comes {
                queue.expect(client(*owner), 7);
                other.push(client(*owner), 7, ());
            }
            prop_assert_eq!(queue.ahead_of(client(who)), before.0);
            prop_assert_eq!(
                (queue.ahead_of_coming(client(who)), queue.all()),
                (other.ahead_of(client(who)), other.all()),
            );
            for owner in &comes {
                queue.expect_no_more(client(*owner), 7);
            }
            prop_assert_eq!((queue.ahead_of_coming(client(who)), queue.all(), queue.lines.len()), before);
        }
    }
}
