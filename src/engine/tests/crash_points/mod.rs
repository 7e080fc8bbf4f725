//! Death at every store: a process that is killed before or after any access to shared memory leaves a table in which
//! its operation has happened or has not, both for processes that read at that moment and for those that come after.
//!
//! The operations are the shipped code on a table in memory; the facade's probe stops them at each place. A model says what
//! the table has to hold: records, ids, versions, update counts, the live count, free slots in their order. After each death
//! others take over, and are killed in turn.
//!
//! | file | what is there |
//! |---|---|
//! | `model` | what a table has to hold |
//! | `table` | tables, operations on them, and what is left of one |
//! | `death` | stopping and killing a process at each place |
//! | `check` | what has to be true of a table |
//! | `settle` | repairing what a death left, and dying during that |
//! | `operations` | each operation alone, killed at each place |
//! | `in_flight` | with a sync of another process in flight |
//! | `lost_file_system` | the control group of an earlier moment, behind a sync that was acknowledged |
//! | `first_opener` | recoveries, killed at each place |
//! | `readers` | readers that stand still meanwhile |

mod check;
mod death;
mod first_opener;
mod in_flight;
mod lost_file_system;
mod model;
mod operations;
mod readers;

mod settle;
mod table;
