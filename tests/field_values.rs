//! A program's own types as fields of records.

use locule::{Bytes, Error, FieldValue, Key, Keyed, Record, Result, Table, Text};

/// Not `Copy` and without a default, and not every text is one.
#[derive(Clone, Debug, PartialEq)]
struct Email(String);

impl FieldValue for Email {
    type Stored = Text<64>;

    fn to_stored(&self) -> Text<64> {
        Text::new(&self.0).unwrap()
    }

    fn from_stored(stored: Text<64>) -> Result<Self> {
        if stored.contains('@') {
            Ok(Email(stored.as_str().to_owned()))
        } else {
            Err(Error::InvalidValue { reason: format!("{stored:?} is no address") })
        }
    }
}

impl Key<Email> for str {
    fn encode_key(&self, bytes: &mut [u8]) -> bool {
        Key::<Text<64>>::encode_key(self, bytes)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Celsius(f64);

impl FieldValue for Celsius {
    type Stored = f64;

    fn to_stored(&self) -> f64 {
        self.0
    }

    fn from_stored(stored: f64) -> Result<Self> {
        Ok(Celsius(stored))
    }
}

locule::field_enum! {
    /// What a worker does.
    #[derive(Default, PartialOrd, Ord, Debug, Eq, std::hash::Hash)]
    pub(crate) enum State: i16 {
        /// Nothing.
        #[default]
        Idle = 0,
        Busy = 5,
        Gone = -2,
    }
}

locule::record! {
    // What the macro derives itself can be written, by whatever name.
    #[derive(Clone, ::core::marker::Copy, Debug)]
    #[derive(std::cmp::PartialEq, Default, PartialOrd)]
    /// A worker.
    struct Worker {
        key state: State,
        before: Option<State> = Some(State::Gone),
        after: Option<State>,
        digest: [u8; 4],
        salt: Option<[u8; 2]>,
    }
}

locule::record! {
    struct User {
        pub key email: Email,
        invited_by: Option<Email>,
        room: Celsius = Celsius(20.5),
    }
}

// What `Worker` and `User` are in the file.
locule::record! {
    struct StoredWorker {
        key state: i16, before: Option<i16>, after: Option<i16>, digest: Bytes<4>, salt: Option<Bytes<2>>,
    }
}
locule::record! { struct StoredUser { key email: Text<64>, invited_by: Option<Text<64>>, room: f64 = 20.5 } }

fn encoded<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = vec![0xa5; R::RECORD_BYTES];
    record.encode(&mut bytes);
    bytes
}

#[test]
fn the_file_has_what_is_stored() {
    assert!(Worker::schema().same_records(&StoredWorker::schema()), "{}", Worker::schema());
    assert_eq!(User::schema(), StoredUser::schema());
    assert_eq!(
        Worker::schema().field("before").unwrap().default(),
        Some(&[&[1][..], &(-2_i16).to_ne_bytes()].concat()[..])
    );
    assert_eq!(Worker::KEY_BYTES, 2);

    let worker = Worker { state: State::Busy, digest: [1, 2, 3, 4], salt: Some([5, 6]), ..Worker::default() };
    let stored = StoredWorker {
        state: 5,
        before: Some(-2),
        after: None,
        digest: Bytes::literal(&[1, 2, 3, 4]),
        salt: Some(Bytes::literal(&[5, 6])),
    };
    assert_eq!(encoded(&worker), encoded(&stored));
    assert_eq!(Worker::decode(&encoded(&stored)).unwrap(), worker);
    assert!(Worker { state: State::Gone, ..worker } < worker);
}

#[test]
fn a_record_of_them_is_an_ordinary_struct() {
    let worker = Worker::default();
    let copy = worker;
    assert_eq!(copy, worker);
    assert_eq!((worker.state, worker.before, worker.after), (State::Idle, Some(State::Gone), None));
    // Not `Copy`, since an address is not, and without a default, since the key has none.
    let user = User { email: Email("a@b".into()), invited_by: None, room: Celsius(1.0) };
    assert_eq!(user.clone(), user);
    assert!(format!("{user:?}").contains("Email(\"a@b\")"));
}

#[test]
fn they_are_written_found_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let users = Table::<User>::options().capacity(9).create(directory.path().join("users.loc")).unwrap();
    let [ada, eve] = ["ada@example.org", "eve@example.org"].map(|address| Email(address.to_owned()));
    users.insert(&User { email: ada.clone(), invited_by: None, room: Celsius(-0.0) }).unwrap();
    let id = users.insert(&User { email: eve.clone(), invited_by: Some(ada.clone()), room: Celsius(1.5) }).unwrap();
    assert_eq!(users.find(&eve).unwrap().unwrap().invited_by, Some(ada.clone()));
    assert_eq!(users.find("eve@example.org").unwrap().unwrap().id(), id);
    assert!(!users.contains_key(&Email("nobody@example.org".into())).unwrap());
    let again = User { email: ada, invited_by: None, room: Celsius(3.0) };
    assert!(matches!(users.insert(&again), Err(Error::DuplicateKey { .. })));
    assert!(matches!(users.update(id, |user| user.email.0.push('x')), Err(Error::KeyChanged)));

    let workers = Table::<Worker>::options().capacity(9).create(directory.path().join("workers.loc")).unwrap();
    let id = workers.upsert(&Worker { state: State::Busy, ..Worker::default() }).unwrap().id;
    workers.update(id, |worker| worker.after = Some(State::Idle)).unwrap();
    assert_eq!(workers.find(&State::Busy).unwrap().unwrap().after, Some(State::Idle));
    assert!(workers.find(&State::Idle).unwrap().is_none());
}

/// What a newer program wrote, or one that knows only the stored types.
#[test]
fn what_no_value_is_stored_as_is_an_error_that_names_the_field() {
    fn refused<T: std::fmt::Debug>(result: Result<T>, expected: &str) {
        match result {
            Err(Error::InvalidValue { reason }) => assert_eq!(reason, expected),
            other => panic!("expected {expected:?}, found {other:?}"),
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("workers.loc");
    let stored = Table::<StoredWorker>::options().capacity(9).create(&path).unwrap();
    let good = StoredWorker { digest: Bytes::literal(b"1234"), ..StoredWorker::default() };
    let id = stored.insert(&good).unwrap();
    let workers = Table::<Worker>::open(&path).unwrap();
    assert!(workers.get(id).unwrap().is_some());

    stored.update(id, |worker| worker.after = Some(7)).unwrap();
    let no_state = "field `after`: expected a `State`: 0 (Idle), 5 (Busy), -2 (Gone); found 7, which a newer program may have \
                    written";
    refused(workers.get(id), no_state);
    refused(workers.find(&State::Idle), no_state);
    refused(workers.update(id, |_| panic!("there is nothing to change")), no_state);
    refused(workers.select(|_| true), no_state);

    stored.replace(id, &StoredWorker { digest: Bytes::literal(b"123"), ..good }).unwrap();
    refused(workers.get(id), "field `digest`: expected 4 bytes, found 3");
    refused(User::decode(&encoded(&StoredUser::default())), "field `email`: \"\" is no address");
    // The file is in order nevertheless.
    assert!(locule::admin::verify(&path).unwrap().is_good());
    stored.replace(id, &good).unwrap();
    assert_eq!(workers.get(id).unwrap().unwrap().digest, *b"1234");
}

/// A type that is stored as what it does not accept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Percent(u8);

impl FieldValue for Percent {
    type Stored = u8;

    fn to_stored(&self) -> u8 {
        self.0
    }

    fn from_stored(stored: u8) -> Result<Self> {
        if stored <= 100 { Ok(Percent(stored)) } else { Err(Error::InvalidValue { reason: format!("{stored} %") }) }
    }
}

locule::record! {
    struct Share {
        key id: u64,
        percent: Percent,
    }
}

/// The record was once inserted, and then an error returned, since what was to be returned could not be read back.
#[test]
fn an_upsert_that_cannot_return_the_record_has_not_inserted_it() {
    let directory = tempfile::tempdir().unwrap();
    let table = Table::<Share>::create(directory.path().join("shares.loc"), 9).unwrap();
    let share = Share { id: 1, percent: Percent(150) };
    assert!(matches!(table.upsert_with(&share, |_| {}), Err(Error::InvalidValue { .. })));
    table
        .write(|transaction| {
            assert!(matches!(transaction.upsert_with(&share, |_| {}), Err(Error::InvalidValue { .. })));
            Ok(())
        })
        .unwrap();
    assert_eq!(table.len().unwrap(), 0);
}
