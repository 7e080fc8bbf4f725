//! What locule's tests share: tables of visits, real processes that play roles, system calls that fail, power cuts, and the
//! command as it is typed and seen. Not published.

pub mod command_line;
pub mod picture;
pub mod power_cuts;
mod process;
pub mod system_calls;
pub mod terminal;
mod visits;

pub use process::{Child, Role, command, end_with_parent, fork, hear, in_fork, play, say, wait_until};
pub use visits::{
    Visit, Visits, assert_consistent, assert_recovers_the_same, assert_whole, insert_all, keys, options, scratch, visit,
};
