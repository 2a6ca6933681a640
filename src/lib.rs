//! reminder-worker: a daemon that never forgets a due date.
//!
//! # The way of one event
//!
//! ```text
//! broker → Dapr → http → reading → intake → writer: domain decides ─ store commits (fdatasync) → SUCCESS
//!                                              └ shows when the next one wakes ↓
//!              clock → scheduler: sleep until then → tick: claim → dapr publishes → writer settles
//! broker ← Dapr ←────────────────────────────────────────────────────────┘
//! ```
//!
//! One direction, no way back: [`reading`] turns bytes into an event and knows no store; [`domain`] decides and does
//! no I/O; the [`writer`] carries decisions out, in one commit a group of commands; [`store`] is the only room that
//! names a database, [`dapr`] the only one that knows Dapr's shapes, [`clock`] the only one that knows the time. [`app`]
//! puts them together. `tests/tidy.rs` holds the imports to this.
//!
//! # What always holds
//!
//! 1. **Durable before acknowledged.** Every answer comes from the one commit loop after its sync ([`writer`],
//!    [`store`]).
//! 2. **Never early**, by the wall clock re-read after every sleep ([`scheduler`], [`clock`]).
//! 3. **At least once, one identity**, and the same bytes while the task does not change, whatever its user wishes
//!    meanwhile ([`domain::ReminderId`], [`domain::decide`], [`dapr::reminder_due`], [`dapr::reminder_digest`], [`tick`]).
//! 4. **Order does not matter**: any order and any repetition of the same events ends in the same record and the
//!    same live plan ([`domain::task`]).
//! 5. **Nothing vanishes**: every reminder planned is in exactly one state, every event received is counted once
//!    ([`domain::Tally`], [`store::EventTally`]).
//! 6. **Poison does not block**, coming in ([`intake`]) or going out ([`dapr`], [`scheduler`]).
//! 7. **Everything is bounded**: each bound is a named constant, with its reason and a test on it.
//! 8. **A cancel has an answer**: will not fire, fired, or in flight ([`domain::decide`],
//!    [`domain::Fate`]).
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | due date | when a task should be done: an instant, a wall time in a zone, or a date |
//! | occurrence | a due date as it was stated; what a reminder is for |
//! | rule | what makes a reminder: an offset before due, or a stated time |
//! | birth | the latest instant at which anything a reminder depends on came to be so |
//! | overdue | later than its birth, and not sent yet |
//! | missed | overdue by more than a minute, and never tried ([`domain::catch_up`]) |
//! | held back | due, and waiting for its turn under a rate |
//! | lateness | from a reminder's instant until the broker had it |
//! | version | the place of an event in its task's history; the greater wins, field by field |
//! | preference, wish | what a user says of the reminders of all its tasks |
//! | digest | reminders of one user in one event: what was moved to the same instant |
//! | tombstone | the record of a deleted task, which goes on merging |
//! | horizon | the newest transport stamp among purged tasks: nothing at or below it revives one |
//! | claim | what says on the disk that an attempt to publish has begun |
//! | attempt | one publish of a batch: confirmed, certainly failed, or ambiguous |
//! | receipt | a reminder that came back through the broker |
//! | quarantine | events that were dropped, with their bodies and reasons |
//! | note | what a record keeps of an event that changed it |
//! | fate | what is answered of a reminder to who calls it off |
//! | outbox | events that apps asked the worker to publish |
//! | dead letter | an outbox entry that the sidecar refused for good |

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dapr;
pub mod domain;
pub mod erasing;
pub mod faults;
pub mod gauges;
pub mod health;
pub mod housekeeping;
pub mod http;
pub mod intake;
pub mod outbox;
pub mod reading;
pub mod scheduler;
pub mod shutdown;
pub mod sidecar;
pub mod store;
pub mod telemetry;
pub mod tick;
pub mod writer;
