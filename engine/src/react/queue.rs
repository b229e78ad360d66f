//! Who runs next. Pure: heads in, heads out. Users take turns, so that one user's flood delays nobody else; an AREA's order says
//! how many of its runs go at once; a head that is not due waits. Memory holds heads only: what a run needs is read when it goes.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use crate::clock::Micros;
use crate::ids::{AreaNo, RunId, UserId};

/// An open run, as narrow as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: RunId,
    /// Its AREA.
    pub area: AreaNo,
    /// The AREA's owner.
    pub user: UserId,
    /// Its partition.
    pub part: i64,
    /// The partition's epoch when it was read: under another one somebody else may have worked it since.
    pub epoch: i64,
    /// When it may go on.
    pub due: Micros,
    /// How many of the AREA's runs may go at once.
    pub at_once: u32,
    /// A policy holds it until it is due.
    pub held: bool,
    /// It takes the place of the AREA's older runs when it is let go.
    pub restarts: bool,
}

/// The queue of this node's partitions.
#[derive(Debug)]
pub struct Queue {
    per_user: u32,
    heads: HashMap<RunId, Head>,
    waits: BTreeSet<(Micros, RunId)>,
    users: HashMap<UserId, User>,
    turns: VecDeque<UserId>,
    areas: HashMap<AreaNo, Area>,
    going: HashSet<RunId>,
    /// Of those that are going, the ones that wait for the node.
    resting: HashSet<RunId>,
    parts: HashMap<i64, usize>,
    let_go: Vec<Head>,
}

#[derive(Debug, Default)]
struct User {
    going: u32,
    ready: VecDeque<AreaNo>,
    in_turn: bool,
}

#[derive(Debug, Default)]
struct Area {
    going: u32,
    open: usize,
    ready: BTreeSet<RunId>,
    listed: bool,
}

impl Queue {
    /// An empty queue in which one user has at most `per_user` runs going.
    pub fn new(per_user: u32) -> Self {
        Self {
            per_user,
            heads: HashMap::new(),
            waits: BTreeSet::new(),
            users: HashMap::new(),
            turns: VecDeque::new(),
            areas: HashMap::new(),
            going: HashSet::new(),
            resting: HashSet::new(),
            parts: HashMap::new(),
            let_go: Vec::new(),
        }
    }

    /// Takes a head in; one that is known stays as it is.
    pub fn put(&mut self, head: Head, now: Micros) {
        if self.heads.contains_key(&head.run) {
            return;
        }
        self.heads.insert(head.run, head);
        self.areas.entry(head.area).or_default().open += 1;
        *self.parts.entry(head.part).or_default() += 1;
        self.place(head, now);
    }

    /// Changes when a head that is not going is due (a debounced run moves, a held one is let go).
    pub fn move_to(&mut self, run: RunId, due: Micros, now: Micros) {
        if self.going.contains(&run) {
            return;
        }
        if let Some(head) = self.heads.get_mut(&run) {
            self.waits.remove(&(head.due, run));
            if let Some(area) = self.areas.get_mut(&head.area) {
                area.ready.remove(&run);
            }
            head.due = due;
            let head = *head;
            self.place(head, now);
        }
    }

    /// Hands out the next head whose turn it is; it is going until `ended` or `again`.
    pub fn next(&mut self, now: Micros) -> Option<Head> {
        self.ripen(now);
        for _ in 0..self.turns.len() {
            let user = self.turns.pop_front()?;
            if let Some(head) = self.take_of(user) {
                self.going.insert(head.run);
                return Some(head);
            }
            self.forget_idle(user);
        }
        None
    }

    /// The heads that were let go since this was asked last, and that take the place of older ones.
    pub fn take_let_go(&mut self) -> Vec<Head> {
        std::mem::take(&mut self.let_go)
    }

    /// The run is over.
    pub fn ended(&mut self, run: RunId) {
        let Some(head) = self.heads.remove(&run) else { return };
        self.waits.remove(&(head.due, run));
        if let Some(count) = self.parts.get_mut(&head.part) {
            *count -= 1;
        }
        self.resting.remove(&run);
        let was_going = self.going.remove(&run);
        if let Some(area) = self.areas.get_mut(&head.area) {
            area.ready.remove(&run);
            area.open -= 1;
        }
        if was_going {
            self.stopped(head);
        }
        if self.areas.get(&head.area).is_some_and(|a| a.open == 0) {
            self.areas.remove(&head.area);
        }
    }

    /// The run goes on at `due`.
    pub fn again(&mut self, run: RunId, due: Micros, now: Micros) {
        if !self.going.remove(&run) {
            return;
        }
        if let Some(head) = self.heads.get_mut(&run) {
            // What a policy held it for is over: from here on it waits like any other.
            (head.due, head.held) = (due, false);
            let head = *head;
            self.stopped(head);
            self.place(head, now);
        }
    }

    /// The node cannot go on with the run before `due`. It keeps its turn: what comes after it in its AREA waits with it.
    pub fn rest(&mut self, run: RunId, due: Micros) {
        if !self.going.contains(&run) {
            return;
        }
        if let Some(head) = self.heads.get_mut(&run) {
            (head.due, head.held) = (due, false);
            self.waits.insert((due, run));
            self.resting.insert(run);
        }
    }

    /// Forgets the heads of these partitions, and says which they were. Those that are going stay until they end.
    pub fn remove_parts(&mut self, parts: &[i64]) -> Vec<RunId> {
        let goes = |run| self.going.contains(run) && !self.resting.contains(run);
        let gone: Vec<RunId> =
            self.heads.values().filter(|h| parts.contains(&h.part) && !goes(&h.run)).map(|h| h.run).collect();
        for run in &gone {
            self.ended(*run);
        }
        gone
    }

    /// The clock was set back by `by`: what waits for its next try waits no longer than it would have. What a policy holds is held
    /// until an instant, and that stands.
    pub fn set_back(&mut self, by: Micros) {
        for (due, run) in std::mem::take(&mut self.waits) {
            let due = match self.heads.get_mut(&run) {
                Some(head) if !head.held => {
                    head.due = due - by;
                    head.due
                }
                _ => due,
            };
            self.waits.insert((due, run));
        }
    }

    /// The instant at which the next waiting head is due.
    pub fn next_due(&self) -> Option<Micros> {
        self.waits.first().map(|(due, _)| *due)
    }

    /// How many runs of an AREA are open here.
    pub fn open_of(&self, area: AreaNo) -> usize {
        self.areas.get(&area).map_or(0, |a| a.open)
    }

    /// The runs of an AREA that go or wait, the oldest first; those that a policy holds are left out.
    pub fn runs_of(&self, area: AreaNo, now: Micros) -> Vec<RunId> {
        if !self.areas.contains_key(&area) {
            return Vec::new();
        }
        let own = |h: &&Head| h.area == area && !(h.held && h.due > now);
        let mut runs: Vec<RunId> = self.heads.values().filter(own).map(|h| h.run).collect();
        runs.sort_unstable();
        runs
    }

    /// How many heads of a partition are held.
    pub fn heads_of_part(&self, part: i64) -> usize {
        self.parts.get(&part).copied().unwrap_or(0)
    }

    /// How many runs are going.
    pub fn going(&self) -> usize {
        self.going.len()
    }

    /// Whether this run is held.
    pub fn is_known(&self, run: RunId) -> bool {
        self.heads.contains_key(&run)
    }

    /// Whether this run is going.
    pub fn is_going(&self, run: RunId) -> bool {
        self.going.contains(&run)
    }

    /// How many heads are held.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    fn place(&mut self, head: Head, now: Micros) {
        if head.due > now {
            self.waits.insert((head.due, head.run));
        } else {
            self.ready(head);
        }
    }

    fn ready(&mut self, head: Head) {
        if head.held && head.restarts {
            self.let_go.push(head);
        }
        self.areas.entry(head.area).or_default().ready.insert(head.run);
        self.list(head);
    }

    /// Lists the AREA with its user, and the user for a turn.
    fn list(&mut self, head: Head) {
        let Some(area) = self.areas.get_mut(&head.area) else { return };
        let user = self.users.entry(head.user).or_default();
        if !area.listed && !area.ready.is_empty() && area.going < head.at_once {
            area.listed = true;
            user.ready.push_back(head.area);
        }
        if !user.in_turn && !user.ready.is_empty() && user.going < self.per_user {
            user.in_turn = true;
            self.turns.push_back(head.user);
        }
    }

    fn ripen(&mut self, now: Micros) {
        while let Some(&(due, run)) = self.waits.first() {
            if due > now {
                break;
            }
            self.waits.pop_first();
            if let Some(head) = self.heads.get(&run).copied() {
                if self.resting.remove(&run) {
                    self.going.remove(&run);
                    self.stopped(head);
                }
                self.ready(head);
            }
        }
    }

    fn take_of(&mut self, id: UserId) -> Option<Head> {
        let user = self.users.get_mut(&id)?;
        user.in_turn = false;
        while let Some(no) = user.ready.pop_front() {
            let Some(area) = self.areas.get_mut(&no) else { continue };
            area.listed = false;
            let Some(run) = area.ready.first().copied() else { continue };
            let Some(head) = self.heads.get(&run).copied() else { continue };
            // Listed twice: the AREA was forgotten and came back while its user had it in the list.
            if area.going >= head.at_once {
                continue;
            }
            area.ready.remove(&run);
            area.going += 1;
            user.going += 1;
            self.list(head);
            return Some(head);
        }
        None
    }

    fn stopped(&mut self, head: Head) {
        if let Some(area) = self.areas.get_mut(&head.area) {
            area.going -= 1;
        }
        if let Some(user) = self.users.get_mut(&head.user) {
            user.going -= 1;
        }
        self.list(head);
        self.forget_idle(head.user);
    }

    fn forget_idle(&mut self, user: UserId) {
        if self.users.get(&user).is_some_and(|u| u.going == 0 && u.ready.is_empty() && !u.in_turn) {
            self.users.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(run: i64, area: i64, user: u128, due: Micros, at_once: u32) -> Head {
        let user = UserId(uuid::Uuid::from_u128(user));
        Head {
            run: RunId(run),
            area: AreaNo(area),
            user,
            part: 0,
            epoch: 0,
            due,
            at_once,
            held: false,
            restarts: false,
        }
    }

    fn drain(queue: &mut Queue, now: Micros) -> Vec<i64> {
        std::iter::from_fn(|| queue.next(now)).map(|h| h.run.0).collect()
    }

    #[test]
    fn users_take_turns() {
        let mut queue = Queue::new(10);
        for run in 0..4 {
            queue.put(head(run, run, 1, 0, 1), 0);
        }
        queue.put(head(10, 10, 2, 0, 1), 0);
        assert_eq!(drain(&mut queue, 0), [0, 10, 1, 2, 3]);
    }

    #[test]
    fn a_user_has_no_more_going_than_allowed() {
        let mut queue = Queue::new(2);
        for run in 0..4 {
            queue.put(head(run, run, 1, 0, 1), 0);
        }
        assert_eq!(drain(&mut queue, 0), [0, 1]);
        queue.ended(RunId(0));
        assert_eq!(drain(&mut queue, 0), [2]);
    }

    #[test]
    fn an_area_runs_in_the_order_of_births_and_one_at_a_time() {
        let mut queue = Queue::new(10);
        queue.put(head(2, 1, 1, 0, 1), 0);
        queue.put(head(1, 1, 1, 0, 1), 0);
        assert_eq!(drain(&mut queue, 0), [1]);
        queue.ended(RunId(1));
        assert_eq!(drain(&mut queue, 0), [2]);
    }

    #[test]
    fn a_later_run_passes_one_that_waits_for_a_retry() {
        let mut queue = Queue::new(10);
        queue.put(head(1, 1, 1, 0, 1), 0);
        queue.put(head(2, 1, 1, 0, 1), 0);
        assert_eq!(drain(&mut queue, 0), [1]);
        queue.again(RunId(1), 50, 0);
        assert_eq!(drain(&mut queue, 0), [2]);
        assert_eq!(queue.next_due(), Some(50));
        queue.ended(RunId(2));
        assert_eq!(drain(&mut queue, 50), [1]);
    }

    #[test]
    fn a_run_that_waits_for_its_node_keeps_its_turn() {
        let mut queue = Queue::new(10);
        queue.put(head(1, 1, 1, 0, 1), 0);
        queue.put(head(2, 1, 1, 0, 1), 0);
        queue.put(head(3, 2, 1, 0, 1), 0);
        assert_eq!(drain(&mut queue, 0), [1, 3]);
        queue.rest(RunId(1), 50);
        assert_eq!(drain(&mut queue, 49), [0; 0]);
        assert_eq!(drain(&mut queue, 50), [1]);
        queue.rest(RunId(1), 60);
        let mut gone = queue.remove_parts(&[0]);
        gone.sort_unstable();
        assert_eq!(gone, [RunId(1), RunId(2)]);
        queue.ended(RunId(3));
        assert_eq!(drain(&mut queue, 60), [0; 0]);
        assert!(queue.is_empty() && queue.users.is_empty() && queue.resting.is_empty() && queue.going.is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_delays_retries_no_longer_but_moves_nothing_that_is_held() {
        let mut queue = Queue::new(10);
        queue.put(head(1, 1, 1, 1_050, 1), 1_000);
        queue.put(Head { held: true, ..head(2, 2, 1, 1_020, 1) }, 1_000);
        queue.set_back(900);
        assert_eq!((drain(&mut queue, 100), queue.next_due()), (vec![], Some(150)));
        assert_eq!(drain(&mut queue, 150), [1]);
        assert_eq!(drain(&mut queue, 1_019), [0; 0]);
        assert_eq!(drain(&mut queue, 1_020), [2]);
    }

    #[test]
    fn parallel_areas_go_as_many_at_once_as_they_ask() {
        let mut queue = Queue::new(10);
        for run in 0..5 {
            queue.put(head(run, 1, 1, 0, 3), 0);
        }
        assert_eq!(drain(&mut queue, 0), [0, 1, 2]);
        queue.ended(RunId(1));
        assert_eq!(drain(&mut queue, 0), [3]);
    }

    #[test]
    fn an_area_that_was_forgotten_while_it_was_listed_goes_no_oftener_than_it_may() {
        let mut queue = Queue::new(10);
        queue.put(head(1, 1, 1, 0, 1), 0);
        queue.ended(RunId(1));
        queue.put(head(2, 1, 1, 0, 1), 0);
        queue.put(head(3, 1, 1, 0, 1), 0);
        assert_eq!(drain(&mut queue, 0), [2]);
        queue.ended(RunId(2));
        assert_eq!(drain(&mut queue, 0), [3]);
    }

    #[test]
    fn nothing_is_left_behind_when_all_have_ended() {
        let mut queue = Queue::new(3);
        for run in 0..100 {
            queue.put(head(run, run % 7, u128::try_from(run % 7 % 3).unwrap_or(0), run % 3, 1), 0);
        }
        let mut ended = 0;
        while let Some(next) = queue.next(10) {
            queue.ended(next.run);
            ended += 1;
        }
        assert_eq!(ended, 100);
        assert!(queue.is_empty() && queue.areas.is_empty() && queue.going.is_empty());
        assert!(queue.users.is_empty());
    }
}
