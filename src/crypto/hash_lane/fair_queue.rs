//! A queue in which clients share the workers by work, not by count, so that neither a flood of hashes nor a few dear
//! ones of one client starve the others.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): each client has a clock that runs on by the work of what is taken
//! of it, and the client that is least far is next. With equal jobs that is taking turns.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// Items of several clients, each with the work it is; and before them those who have to prepare an item, who have
/// their turns in the same order. A number stands for each of them.
pub(super) struct FairQueue<T, C> {
    lines: HashMap<Uuid, Line<T, C>>,
    /// How far the client was that was last taken from. Who comes anew begins here.
    clock: u64,
    turns: u64,
    len: usize,
    comers: usize,
    last_number: u64,
}

/// The items of one client. A line that is empty is kept while the client is ahead of the others, or more is to come.
struct Line<T, C> {
    items: VecDeque<(u64, T)>,
    /// Of all items.
    work: u64,
    /// Who waits for a turn to prepare an item, oldest first.
    comers: VecDeque<Comer<C>>,
    /// Whose turn it is.
    preparing: Vec<Preparing>,
    /// What all of those will push if nothing gets in its way.
    coming: Load,
    /// How far the client is.
    clock: u64,
    /// Among clients that are equally far, whoever had its turn first goes first.
    turn: u64,
}

struct Comer<C> {
    item: Preparing,
    who: C,
}

/// An item on its way.
#[derive(Clone, Copy)]
struct Preparing {
    number: u64,
    work: u64,
}

/// Several items together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Load {
    pub(super) items: usize,
    /// All of their work.
    pub(super) work: u64,
}

impl<T, C> FairQueue<T, C> {
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), clock: 0, turns: 0, len: 0, comers: 0, last_number: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many wait for a turn to prepare an item.
    pub(super) const fn comers(&self) -> usize {
        self.comers
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

    /// The same, if all that is being prepared had been pushed before.
    pub(super) fn ahead_of_preparing(&self, client: Uuid) -> Load {
        self.ahead(client, Line::waiting_and_preparing)
    }

    /// The same, if all that is coming had been pushed before.
    pub(super) fn ahead_of_coming(&self, client: Uuid) -> Load {
        self.ahead(client, Line::waiting_and_coming)
    }

    fn ahead(&self, client: Uuid, counted: impl Fn(&Line<T, C>) -> Load) -> Load {
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

    /// Lets somebody wait for a turn to prepare an item; gives the number.
    pub(super) fn line_up(&mut self, client: Uuid, work: u64, who: C) -> u64 {
        let (item, line) = self.come(client, work);
        line.comers.push_back(Comer { item, who });
        self.comers += 1;
        item.number
    }

    /// Says that an item is being prepared, out of turn; gives the number.
    pub(super) fn prepare(&mut self, client: Uuid, work: u64) -> u64 {
        let (item, line) = self.come(client, work);
        line.preparing.push(item);
        item.number
    }

    fn come(&mut self, client: Uuid, work: u64) -> (Preparing, &mut Line<T, C>) {
        self.last_number += 1;
        let line = self.lines.entry(client).or_insert_with(Line::new);
        line.coming.add(work);
        (Preparing { number: self.last_number, work }, line)
    }

    /// Whose turn to prepare an item is next, and of which client: the oldest of the client whose item would be taken
    /// first.
    pub(super) fn next_comer(&self) -> Option<(Uuid, &C)> {
        let first = |(client, line): (&Uuid, &'_ Line<T, C>)| {
            let begin = line.clock.max(self.clock) + line.waiting_and_preparing().work;
            line.comers.front().map(|comer| (begin, comer.item.number, *client))
        };
        let (.., client) = self.lines.iter().filter_map(first).min()?;
        Some((client, &self.lines.get(&client)?.comers.front()?.who))
    }

    /// The oldest comer of that client has its turn.
    pub(super) fn give_turn(&mut self, client: Uuid) -> Option<C> {
        let line = self.lines.get_mut(&client)?;
        let comer = line.comers.pop_front()?;
        line.preparing.push(comer.item);
        self.comers -= 1;
        Some(comer.who)
    }

    /// The oldest comer of that client will have none.
    pub(super) fn refuse_turn(&mut self, client: Uuid) -> Option<C> {
        let line = self.lines.get_mut(&client)?;
        let comer = line.comers.pop_front()?;
        Some(self.forget_comer(client, comer))
    }

    /// Whether somebody waits for a turn still.
    pub(super) fn waits(&self, client: Uuid, number: u64) -> bool {
        self.lines.get(&client).is_some_and(|line| line.comers.iter().any(|comer| comer.item.number == number))
    }

    /// Forgets who waits for a turn or has it: the item is here, or will not come.
    pub(super) fn forget(&mut self, client: Uuid, number: u64) {
        let Some(line) = self.lines.get_mut(&client) else { return };
        if let Some(position) = line.preparing.iter().position(|item| item.number == number) {
            let item = line.preparing.swap_remove(position);
            line.coming.remove(item.work);
            self.forget_lines();
        } else if let Some(position) = line.comers.iter().position(|comer| comer.item.number == number)
            && let Some(comer) = line.comers.remove(position)
        {
            self.forget_comer(client, comer);
        }
    }

    fn forget_comer(&mut self, client: Uuid, comer: Comer<C>) -> C {
        if let Some(line) = self.lines.get_mut(&client) {
            line.coming.remove(comer.item.work);
        }
        self.comers -= 1;
        self.forget_lines();
        comer.who
    }

    /// Takes the newest comer of the client with the most of all kinds among those with at least two more than
    /// `client`: room for its fair share. None if nobody of them waits for a turn.
    pub(super) fn take_comer_for(&mut self, client: Uuid) -> Option<C> {
        let count = |line: &Line<T, C>| line.waiting_and_coming().items;
        let own = self.lines.get(&client).map_or(0, count);
        let may_go = |line: &Line<T, C>| !line.comers.is_empty() && count(line) >= own + 2;
        let (longest, line) =
            self.lines.iter_mut().filter(|(_, line)| may_go(line)).max_by_key(|(_, line)| count(line))?;
        let (longest, comer) = (*longest, line.comers.pop_back()?);
        Some(self.forget_comer(longest, comer))
    }

    /// True if one more may come of this client: with what comes there are fewer than `len_max`, or another one has at
    /// least two more, of which room can be made.
    pub(super) fn has_room_for_coming(&self, client: Uuid, len_max: usize) -> bool {
        let count = |line: &Line<T, C>| line.waiting_and_coming().items;
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
        if self.all().items == 0 {
            // Once nobody waits, nobody has to be waited for.
            self.clock = 0;
            self.lines.values_mut().for_each(|line| line.clock = 0);
        }
        let clock = self.clock;
        self.lines.retain(|_, line| line.waiting_and_coming().items > 0 || line.clock > clock);
    }
}

impl Load {
    const fn add(&mut self, work: u64) {
        self.items += 1;
        self.work += work;
    }

    const fn remove(&mut self, work: u64) {
        self.items -= 1;
        self.work -= work;
    }
}

impl<T, C> Line<T, C> {
    const fn new() -> Self {
        Self {
            items: VecDeque::new(),
            work: 0,
            comers: VecDeque::new(),
            preparing: Vec::new(),
            coming: Load { items: 0, work: 0 },
            clock: 0,
            turn: 0,
        }
    }

    fn waiting(&self) -> Load {
        Load { items: self.items.len(), work: self.work }
    }

    fn waiting_and_preparing(&self) -> Load {
        let preparing: u64 = self.preparing.iter().map(|item| item.work).sum();
        Load { items: self.items.len() + self.preparing.len(), work: self.work + preparing }
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
        let mut queue = FairQueue::<_, ()>::new();
        for item in 0..4 {
            queue.push(client(1), 7, item);
        }
        assert_eq!(queue.ahead_of(client(2)), Load { items: 1, work: 7 });
        queue.push(client(2), 7, 100);
        assert_eq!(std::iter::from_fn(|| queue.pop(|_| true)).collect::<Vec<_>>(), [0, 100, 1, 2, 3]);
    }

    #[test]
    fn whoever_has_dear_items_has_fewer_turns() {
        let mut queue = FairQueue::<_, ()>::new();
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
        let mut queue = FairQueue::<_, ()>::new();
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
    fn clients_take_turns_to_prepare_as_they_take_turns_at_work() {
        let mut queue = FairQueue::<(), _>::new();
        queue.push(client(1), 7, ());
        let flood: Vec<_> = (0..4).map(|who| queue.line_up(client(1), 7, who)).collect();
        let late = queue.line_up(client(2), 7, 100);
        queue.line_up(client(2), 7, 101);
        assert_eq!(queue.comers(), 6);
        let turn = |queue: &mut FairQueue<(), i32>| {
            let (whose, _) = queue.next_comer()?;
            queue.give_turn(whose)
        };
        assert_eq!(turn(&mut queue), Some(100), "the other has one that waits already");
        assert_eq!(turn(&mut queue), Some(0), "now each has one, and it came first");
        queue.forget(client(1), flood[1]);
        assert!(queue.waits(client(1), flood[2]) && !queue.waits(client(1), flood[1]) && !queue.waits(client(2), late));
        assert_eq!(queue.ahead_of_preparing(client(2)), Load { items: 3, work: 21 });
        assert_eq!(std::iter::from_fn(|| turn(&mut queue)).collect::<Vec<_>>(), [101, 2, 3]);
        assert_eq!((queue.comers(), queue.all().items), (0, 6));
    }

    #[test]
    fn room_is_made_for_a_comer_at_the_cost_of_the_longest() {
        let mut queue = FairQueue::<(), _>::new();
        queue.line_up(client(1), 7, 0);
        queue.prepare(client(1), 7);
        queue.line_up(client(1), 7, 1);
        assert_eq!(queue.take_comer_for(client(1)), None);
        assert_eq!(queue.take_comer_for(client(2)), Some(1));
        assert_eq!((queue.comers(), queue.all().items), (1, 2));
        queue.line_up(client(3), 7, 2);
        queue.line_up(client(3), 7, 3);
        queue.give_turn(client(1));
        assert_eq!(queue.take_comer_for(client(2)), Some(3), "whoever is as long and has nobody to spare is let be");
        queue.refuse_turn(client(3));
        assert_eq!(queue.take_comer_for(client(2)), None, "they are being prepared");
    }

    #[test]
    fn room_is_made_at_the_cost_of_the_longest() {
        let mut queue = FairQueue::<_, ()>::new();
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
            let mut queue = FairQueue::<_, ()>::new();
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
                let mut queue = FairQueue::<_, usize>::new();
                for owner in &pushes {
                    queue.push(client(*owner), 7, ());
                }
                for _ in 0..pops {
                    queue.pop(|()| true);
                }
                queue
            });
            let before = (queue.ahead_of(client(who)), queue.all(), queue.lines.len());
            let mut numbers = Vec::new();
            for (index, owner) in comes.iter().enumerate() {
                numbers.push(if index % 3 == 0 {
                    queue.prepare(client(*owner), 7)
                } else {
                    queue.line_up(client(*owner), 7, index)
                });
                other.push(client(*owner), 7, ());
            }
            prop_assert_eq!(queue.ahead_of(client(who)), before.0);
            prop_assert_eq!(
                (queue.ahead_of_coming(client(who)), queue.all()),
                (other.ahead_of(client(who)), other.all()),
            );
            for (owner, number) in comes.iter().zip(numbers) {
                if number % 4 == 0 {
                    queue.give_turn(client(*owner));
                }
                queue.forget(client(*owner), number);
                queue.forget(client(*owner), number);
            }
            prop_assert_eq!(queue.comers(), 0);
            prop_assert_eq!((queue.ahead_of_coming(client(who)), queue.all(), queue.lines.len()), before);
        }
    }
}
