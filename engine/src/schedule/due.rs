//! Who is due lives in memory, in the node that owns the source's partition: a heap of instants and a slot a source. Nothing is
//! stored; after a restart or a take-over the same instants follow from id and interval alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::clock::Micros;
use crate::ids::SourceId;

/// What is known of a scheduled source between polls: about a hundred bytes with its place in the heap.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Interval in microseconds; 0: the feed itself names its instants.
    pub every: i64,
    /// Its partition.
    pub part: u16,
    /// Which feed, by its number in the catalogue.
    pub feed: u16,
    /// Faults in a row.
    pub faults: u16,
    /// The last poll took this long, in milliseconds.
    pub took_ms: u16,
    /// Items that the last poll returned.
    pub items: u32,
    /// When the last poll began, in Unix seconds; 0: none since this node owns it.
    pub polled_s: u32,
    due: Micros,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the heap.
    Waits,
    /// Handed out; `finished` puts it back.
    Polling,
    /// Handed out, and somebody asked for another poll meanwhile.
    PollingAgain,
    /// Never due by itself (a timer that has run out).
    Rests,
}

/// The sources of this node's partitions, by when they are due.
#[derive(Debug, Default)]
pub struct Due {
    slots: HashMap<SourceId, Slot>,
    heap: BinaryHeap<Reverse<(Micros, SourceId)>>,
}

impl Due {
    /// Schedules a source at `due` (`None`: it rests until it is woken), or changes its interval. One that is being polled keeps
    /// being polled once.
    pub fn put(&mut self, source: SourceId, every: i64, part: i64, feed: u16, due: Option<Micros>) {
        let fresh = Slot {
            every,
            part: u16::try_from(part).unwrap_or(u16::MAX),
            feed,
            faults: 0,
            took_ms: 0,
            items: 0,
            polled_s: 0,
            due: Micros::MAX,
            state: State::Rests,
        };
        let slot = self.slots.entry(source).or_insert(fresh);
        slot.every = every;
        match (slot.state, due) {
            (State::Polling | State::PollingAgain, _) => slot.state = State::PollingAgain,
            (State::Waits | State::Rests, Some(due)) => self.enqueue(source, due),
            (State::Waits | State::Rests, None) => slot.state = State::Rests,
        }
    }

    /// Forgets a source; a poll under way ends without effect on the schedule.
    pub fn remove(&mut self, source: SourceId) {
        self.slots.remove(&source);
        self.compact();
    }

    /// Forgets every source of these partitions, and says which they were.
    pub fn remove_parts(&mut self, parts: &[i64]) -> Vec<SourceId> {
        let gone = self.slots.extract_if(|_, slot| parts.contains(&i64::from(slot.part))).map(|(source, _)| source);
        let gone = gone.collect();
        self.compact();
        gone
    }

    /// Makes a source due now, or again as soon as its poll under way is finished.
    pub fn wake(&mut self, source: SourceId, now: Micros) -> bool {
        let Some(slot) = self.slots.get_mut(&source) else { return false };
        match slot.state {
            State::Polling | State::PollingAgain => slot.state = State::PollingAgain,
            State::Waits | State::Rests => self.enqueue(source, now),
        }
        true
    }

    /// Hands out up to `most` sources that are due at `until`, with the instants at which they were due.
    pub fn pop(&mut self, until: Micros, most: usize, out: &mut Vec<(SourceId, Micros)>) {
        while out.len() < most {
            let Some(&Reverse((due, source))) = self.heap.peek() else { break };
            if due > until {
                break;
            }
            self.heap.pop();
            let Some(slot) = self.slots.get_mut(&source) else { continue };
            if slot.state == State::Waits && slot.due == due {
                slot.state = State::Polling;
                out.push((source, due));
            }
        }
    }

    /// The poll of a source is over; it is due next at `next` (`None`: it rests), or `now` if somebody asked meanwhile.
    /// `note` writes down how it went.
    pub fn finished(&mut self, source: SourceId, next: Option<Micros>, now: Micros, note: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get_mut(&source) else { return };
        note(slot);
        let again = slot.state == State::PollingAgain;
        slot.state = State::Rests;
        match (again, next) {
            (true, _) => self.enqueue(source, now),
            (false, Some(next)) => self.enqueue(source, next),
            (false, None) => {}
        }
    }

    /// The next instant at which somebody is due.
    pub fn next(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// What is known of a source, and when it is due next.
    pub fn look(&self, source: SourceId) -> Option<(Slot, Option<Micros>)> {
        let slot = self.slots.get(&source)?;
        Some((*slot, (slot.state == State::Waits).then_some(slot.due)))
    }

    /// How many sources are scheduled.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn enqueue(&mut self, source: SourceId, due: Micros) {
        if let Some(slot) = self.slots.get_mut(&source) {
            if slot.state == State::Waits && slot.due == due {
                return;
            }
            slot.due = due;
            slot.state = State::Waits;
            self.heap.push(Reverse((due, source)));
        }
        self.compact();
    }

    /// Places in the heap that no longer stand are dropped when they are half of it.
    fn compact(&mut self) {
        if self.heap.len() > 64 && self.heap.len() > self.slots.len() * 2 {
            let slots = &self.slots;
            self.heap.retain(|Reverse((due, source))| {
                slots.get(source).is_some_and(|s| s.state == State::Waits && s.due == *due)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(due: &mut Due, until: Micros) -> Vec<i64> {
        let mut out = Vec::new();
        due.pop(until, 100, &mut out);
        out.into_iter().map(|(s, _)| s.0).collect()
    }

    #[test]
    fn sources_come_in_the_order_of_their_instants_and_once() {
        let mut due = Due::default();
        due.put(SourceId(1), 10, 0, 0, Some(30));
        due.put(SourceId(2), 10, 0, 0, Some(10));
        assert_eq!(due.next(), Some(10));
        assert_eq!(popped(&mut due, 40), [2, 1]);
        assert_eq!(popped(&mut due, 40), [0; 0]);
        due.finished(SourceId(2), Some(50), 41, |_| {});
        assert_eq!(popped(&mut due, 50), [2]);
    }

    #[test]
    fn a_wake_during_a_poll_polls_once_more() {
        let mut due = Due::default();
        due.put(SourceId(1), 10, 0, 0, Some(10));
        assert_eq!(popped(&mut due, 10), [1]);
        assert!(due.wake(SourceId(1), 11));
        assert!(due.wake(SourceId(1), 12));
        due.finished(SourceId(1), Some(20), 13, |_| {});
        assert_eq!(popped(&mut due, 13), [1]);
        due.finished(SourceId(1), Some(20), 14, |_| {});
        assert_eq!(popped(&mut due, 19), [0; 0]);
    }

    #[test]
    fn a_removed_source_is_never_due_again() {
        let mut due = Due::default();
        due.put(SourceId(1), 10, 7, 0, Some(10));
        due.put(SourceId(2), 10, 8, 0, Some(10));
        due.remove_parts(&[7]);
        assert_eq!(popped(&mut due, 10), [2]);
        due.remove(SourceId(2));
        due.finished(SourceId(2), Some(20), 11, |_| {});
        assert!(due.is_empty());
        assert_eq!(popped(&mut due, 100), [0; 0]);
    }

    #[test]
    fn the_heap_stays_small_however_often_sources_are_woken() {
        let mut due = Due::default();
        for source in 0..100 {
            due.put(SourceId(source), 10, 0, 0, Some(1_000_000));
        }
        for at in 0..100_000 {
            due.wake(SourceId(at % 100), at);
        }
        assert!(due.heap.len() <= 2 * due.slots.len() + 1);
    }
}
