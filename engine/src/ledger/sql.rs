//! The ledger's statements: each takes a batch of rows `v` from one JSON parameter. What is looked up answers with what does *not*
//! stand, which is nearly always nothing: an embedded database hands rows over one by one, between two threads.

use crate::batch;
use crate::store::batch::Batch;

/// Which of the proofs no longer hold; on PostgreSQL the lease rows of the others stay locked to the end of the transaction.
pub const LOST: Batch = batch!([0 part bigint, 1 epoch bigint]
    "SELECT v.part, v.epoch FROM v
     WHERE NOT EXISTS (SELECT 1 FROM leases l WHERE l.part = v.part AND l.epoch = v.epoch"; " FOR SHARE"; ")");
/// Which of the AREAs no longer stand.
pub const STALE: Batch = batch!([0 area bigint, 1 version bigint]
    "SELECT v.area, v.version FROM v
     WHERE NOT EXISTS (SELECT 1 FROM areas a WHERE a.no = v.area AND a.version = v.version AND a.state = 'active')");
/// Which of the runs are no longer held.
pub const LET_GO: Batch = batch!([0 run bigint]
    "SELECT v.run FROM v WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = v.run AND r.state = 'held')");
/// Which of the runs are there.
pub const BORN: Batch = batch!([0 id bigint] "SELECT r.id FROM v CROSS JOIN runs r WHERE r.id = v.id");
/// Which of the events are decided.
pub const SETTLED: Batch = batch!([0 id bigint]
    "SELECT e.id FROM v CROSS JOIN events e WHERE e.id = v.id AND e.undecided IS NULL");
/// Which of the keys are recorded.
pub const RECORDED: Batch = batch!([0 source bigint, 1 key text]
    "SELECT e.id, e.source_id, e.key FROM v CROSS JOIN events e WHERE e.source_id = v.source AND e.key = v.key");
/// Where the cursors are.
pub const CURSORS: Batch = batch!([0 id bigint]
    "SELECT s.id, s.version, s.cursor FROM v CROSS JOIN sources s WHERE s.id = v.id");
/// Records events.
pub const EVENTS: Batch = batch!([0 id bigint, 1 source bigint, 2 key text, 3 body text, 4 at bigint, 5 undecided bigint,
    6 mark bigint, 7 only_area bigint, 8 depth bigint]
    "INSERT INTO events (id, source_id, key, body, at, undecided, mark, only_area, depth)
     SELECT id, source, key, body, at, undecided, mark, only_area, NULLIF(depth, 0) FROM v");
/// Marks events as decided, wholly or up to an AREA.
pub const DECIDED: Batch = batch!([0 id bigint, 1 mark bigint]
    "UPDATE events SET undecided = CASE WHEN v.mark IS NULL THEN NULL ELSE undecided END, mark = v.mark
     FROM v WHERE events.id = v.id");
/// Records births.
pub const RUNS: Batch = batch!([0 id bigint, 1 area bigint, 2 event bigint, 3 replay bigint, 4 revision bigint, 5 part bigint,
    6 state text, 7 reason text, 8 due_at bigint, 9 ended_at bigint, 10 detail text]
    "INSERT INTO runs (id, area_no, event_id, replay, revision, part, state, reason, due_at, ended_at, detail)
     SELECT id, area, event, replay, revision, part, state, reason, due_at, ended_at, detail FROM v WHERE true
     ON CONFLICT (area_no, event_id, replay) DO NOTHING");
/// Records what became of open runs; one that ended meanwhile (cancelled) stays as it is. The condition is written so that the
/// index of open runs does not serve it: it is full of runs that ended since, and each is found by its id.
pub const UPDATES: Batch = batch!([0 id bigint, 1 state text, 2 reason text, 3 due_at bigint, 4 ended_at bigint, 5 detail text]
    "UPDATE runs SET state = v.state, reason = v.reason, due_at = v.due_at, ended_at = v.ended_at,
     detail = COALESCE(v.detail, runs.detail) FROM v WHERE runs.id = v.id AND COALESCE(runs.ended_at, 0) = 0");
/// Moves cursors.
pub const MOVES: Batch = batch!([0 id bigint, 1 version bigint, 2 cursor text]
    "UPDATE sources SET cursor = v.cursor, version = sources.version + 1
     FROM v WHERE sources.id = v.id AND sources.version = v.version");
/// Stores the policies' state.
pub const POLICIES: Batch = batch!([0 area bigint, 1 policy text]
    "UPDATE areas SET policy = v.policy FROM v WHERE areas.no = v.area");
/// Completes baselines. What was there already is asked for once: not again when its user resumes it. Who asks for it has joined
/// when it has caught up.
pub const JOINS: Batch = batch!([0 area bigint, 1 version bigint, 2 joined_at bigint, 3 mark bigint]
    "UPDATE areas SET joined_at = v.joined_at, has_joined = areas.has_joined OR v.mark IS NULL,
     mark = COALESCE(CASE WHEN areas.has_joined THEN NULL ELSE v.mark END, areas.mark)
     FROM v WHERE areas.no = v.area AND areas.version = v.version AND areas.joined_at IS NULL");
/// Stores health that changed.
pub const HEALTH: Batch = batch!([0 id bigint, 1 health text]
    "UPDATE sources SET health = v.health FROM v WHERE sources.id = v.id");
/// Counts failures.
pub const FAILURES: Batch = batch!([0 area bigint, 1 failures bigint, 2 failing_at bigint]
    "UPDATE areas SET failures = v.failures, failing_at = v.failing_at FROM v WHERE areas.no = v.area");
/// Pauses by a fault. An AREA that still caught up after the last one goes on from where it came to: its mark never moves ahead.
pub const FAULTED: Batch = batch!([0 area bigint, 1 reason text, 2 mark bigint]
    "UPDATE areas SET state = 'faulted', reason = v.reason, version = version + 1,
     mark = CASE WHEN areas.mark < v.mark THEN areas.mark ELSE v.mark END
     FROM v WHERE areas.no = v.area AND areas.state = 'active'");
/// Moves the instants at which silence is raised.
pub const SILENCES: Batch = batch!([0 area bigint, 1 silent_at bigint]
    "UPDATE areas SET silent_at = v.silent_at FROM v WHERE areas.no = v.area");
/// Moves the marks of AREAs that catch up.
pub const MARKS: Batch = batch!([0 area bigint, 1 mark bigint]
    "UPDATE areas SET mark = v.mark,
     has_joined = areas.has_joined OR (v.mark IS NULL AND areas.joined_at IS NOT NULL)
     FROM v WHERE areas.no = v.area");
