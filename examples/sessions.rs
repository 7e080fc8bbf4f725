use locule::{Table, Text};

locule::record! {
    /// One visitor's session.
    pub struct Session {
        pub key id: u64,
        pub user: Text<32>,
        pub hits: u32 = 0,
        pub note: Option<Text<40>>,
    }
}

fn main() -> Result<(), locule::Error> {
    // Fifty processes can do this at once: they get one table.
    let table = Table::<Session>::options().capacity(10_000).open_or_create("sessions.loc")?;

    // Inserted once, and changed from then on. The closure runs again if another process was faster.
    let ada = Session { id: 42, user: Text::new("ada")?, hits: 1, ..Session::default() };
    table.upsert_with(&ada, |session| session.hits += 1)?;
    // A read takes no lock and makes no system call.
    if let Some(row) = table.find(&42)? {
        println!("{} has {} hits, version {}", row.user, row.hits, row.version());
    }
    // All or nothing, and no other write comes in between.
    table.write(|transaction| {
        transaction.query().filter(Session::FIELDS.hits.gt(3)).delete()?;
        transaction.upsert(&Session { id: 7, user: Text::new("eve")?, ..Session::default() })
    })?;
    // From here on it survives a power cut.
    table.sync().map(drop)
}
