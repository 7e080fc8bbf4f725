//! The program at the top of the README.

use std::path::Path;
use test_kit::{Child, hear, say, scratch};

mod program {
    include!("../examples/sessions.rs");

    pub fn run() -> locule::Result<()> {
        main()
    }
}

#[test]
fn child_process() {
    test_kit::play(&[("run", run)]);
}

fn run(path: &Path, _: &str) {
    std::env::set_current_dir(path.parent().unwrap()).unwrap();
    say("ready");
    hear();
    for _ in 0..10 {
        program::run().unwrap();
    }
}

#[test]
fn it_is_the_example_of_the_same_name() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let readme = text("README.md");
    let program = readme.split("```rust,no_run\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(program, Some(text("examples/sessions.rs").as_str()));
}

/// It once ended with an error in its second run, since it inserted a key that was there.
#[test]
fn it_runs_any_number_of_times_also_in_several_processes_at_once() {
    let (directory, path) = scratch();
    let mut children: Vec<_> = (0..4).map(|_| Child::spawn("run", &path, "")).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    children.iter_mut().for_each(|child| child.tell("go"));
    children.into_iter().for_each(Child::finish);
    let table = locule::Table::<program::Session>::open(directory.path().join("sessions.loc")).unwrap();
    assert_eq!(table.find(&7).unwrap().unwrap().user, "eve");
}
