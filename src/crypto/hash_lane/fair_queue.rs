//! A queue in which clients take turns, so that a flood from one does not starve the others.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

/// Items of several clients. Invariant: `turns` holds each client with items once.
pub(super) struct FairQueue<T> {
    items: HashMap<Uuid, VecDeque<T>>,
    turns: VecDeque<Uuid>,
    len: usize,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self { items: HashMap::new(), turns: VecDeque::new(), len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, client: Uuid, item: T) {
        let queue = self.items.entry(client).or_default();
        if queue.is_empty() {
            self.turns.push_back(client);
        }
        queue.push_back(item);
        self.len += 1;
    }

    /// The oldest item of the client whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let client = self.turns.pop_front()?;
        let queue = self.items.get_mut(&client)?;
        let item = queue.pop_front()?;
        if queue.is_empty() {
            self.items.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.len -= 1;
        Some(item)
    }

    /// How many items would be taken before one that this client pushed now.
    pub(super) fn ahead_of(&self, client: Uuid) -> usize {
        let own = self.items.get(&client).map_or(0, VecDeque::len);
        let of_others = self.items.iter().filter(|(other, _)| **other != client);
        own + of_others.map(|(_, queue)| queue.len().min(own + 1)).sum::<usize>()
    }

    /// Takes the newest item of the client with the most, if it has at least two more than `client`: room for its fair share.
    pub(super) fn make_room_for(&mut self, client: Uuid) -> Option<T> {
        let own = self.items.get(&client).map_or(0, VecDeque::len);
        let (_, longest) = self.items.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        if longest.len() < own + 2 {
            return None;
        }
        self.len -= 1;
        longest.pop_back()
    }

    /// Takes an item out of turn.
    pub(super) fn remove(&mut self, client: Uuid, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let queue = self.items.get_mut(&client)?;
        let position = queue.iter().position(wanted)?;
        let item = queue.remove(position)?;
        if queue.is_empty() {
            self.items.remove(&client);
            self.turns.retain(|other| *other != client);
        }
        self.len -= 1;
        Some(item)
    }
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
            queue.push(client(1), item);
        }
        assert_eq!(queue.ahead_of(client(2)), 1);
        queue.push(client(2), 100);
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [0, 100, 1, 2, 3]);
    }

    #[test]
    fn room_is_made_at_the_cost_of_the_longest() {
        let mut queue = FairQueue::new();
        for item in 0..3 {
            queue.push(client(1), item);
        }
        assert_eq!(queue.make_room_for(client(1)), None);
        assert_eq!(queue.make_room_for(client(2)), Some(2));
        assert_eq!(queue.len(), 2);
    }

    proptest! {
        #[test]
        fn the_predicted_place_is_the_place(pushes in prop::collection::vec(0_u128..5, 0..40), pops in 0..10_usize, who in 0_u128..5) {
            let mut queue = FairQueue::new();
            for (item, owner) in pushes.iter().enumerate() {
                queue.push(client(*owner), item);
            }
            for _ in 0..pops {
                queue.pop();
            }
            let predicted = queue.ahead_of(client(who));
            queue.push(client(who), usize::MAX);
            let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            let place = order.iter().position(|item| *item == usize::MAX).unwrap();
            prop_assert!(place <= predicted, "predicted {}, found {}", predicted, place);
            prop_assert_eq!(queue.len(), 0);
        }
    }
}
