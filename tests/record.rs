//! What a user does with `record!`.

use locule::admin::{Dump, Info, Salvage};
use locule::{
    Bytes, Date, Error, Field, FieldSchema, FieldValue, Key, KeyField, Keyed, OpenOptions, Record, RecordId, Recovery,
    Row, Rows, Schema, Snapshot, Status, Table, Text, Timestamp, TransactionRows, Upserted, Value, WriteTransaction,
};

mod inner {
    use locule::{Text, Timestamp};

    /// The longest note.
    pub const NOTE: Text<40> = Text::literal("nothing yet");

    locule::record! {
        /// One visitor's session.
        #[derive(PartialOrd)]
        pub struct Session {
            /// The number in the visitor's cookie.
            ///
            /// Never reused.
            pub key id: u64,
            pub user: Text<32>,
            #[allow(dead_code)]
            /// How often.
            pub hits: u32 = 2 + 3,
            pub(crate) score: f64,
            pub seen: Timestamp,
            pub note: Option<Text<40>> = Some(NOTE),
        }
    }

    locule::record! { pub struct Hidden { secret: u16 = 9 } }

    impl Hidden {
        pub fn secret(&self) -> u16 {
            self.secret
        }
    }
}

use inner::{Hidden, Session};

locule::record! {
    struct Everything {
        a: bool, b: i8, c: i16, d: i32, e: i64, f: i128, g: u8, h: u16, i: u32, j: u64, k: u128, l: f32, m: f64,
        key n: Text<5>, o: Bytes<5>, p: Timestamp, q: Date,
        oa: Option<bool>, of: Option<i128>, ol: Option<f32>, on: Option<Text<5>>, oo: Option<locule::Bytes<5>>,
        op: Option<Timestamp>, oq: ::core::option::Option<Date>,
    }
}

// Names that the macro itself could have used, and a field that is named like its keyword.
locule::record! {
    struct Awkward {
        key key: u8,
        bytes: u8 = DEFAULT,
        rest: u8,
        r#type: u8,
        value: u8,
        name: u8,
    }
}

const DEFAULT: u8 = 11;

locule::record! { struct Unkeyed { key: u8 } }
locule::record! { #[derive(Eq, Hash)] pub(crate) struct KeyLast { a: u8, key pub(crate) b: Bytes<3> } }

/// What only one thread can use.
#[derive(Clone, Debug, PartialEq)]
struct OfOneThread(std::rc::Rc<u8>);

impl FieldValue for OfOneThread {
    type Stored = u8;

    fn to_stored(&self) -> u8 {
        *self.0
    }

    fn from_stored(stored: u8) -> locule::Result<Self> {
        Ok(OfOneThread(stored.into()))
    }
}

locule::record! { struct Local { value: OfOneThread } }

fn everything() -> Everything {
    Everything {
        a: true,
        b: i8::MIN,
        c: i16::MIN,
        d: i32::MIN,
        e: i64::MIN,
        f: i128::MIN,
        g: u8::MAX,
        h: u16::MAX,
        i: u32::MAX,
        j: u64::MAX,
        k: u128::MAX,
        l: -0.0,
        m: f64::NEG_INFINITY,
        n: Text::literal("a\0b"),
        o: Bytes::literal(&[0, 255]),
        p: Timestamp::MIN,
        q: Date::new(1815, 12, 10).unwrap(),
        oa: Some(false),
        of: Some(i128::MAX),
        ol: Some(1.5),
        on: Some(Text::literal("")),
        oo: None,
        op: Some(Timestamp::MAX),
        oq: Some(Date::MIN),
    }
}

fn encoded<R: Record>(record: &R) -> Vec<u8> {
    let mut bytes = vec![0xa5; R::RECORD_BYTES];
    record.encode(&mut bytes);
    bytes
}

#[test]
fn a_record_is_an_ordinary_struct() {
    let session = Session { id: 42, user: "alice".parse().unwrap(), ..Session::default() };
    let copy = session;
    assert_eq!(copy, session);
    assert!(Session { id: 43, ..session } > session);
    assert!(format!("{session:?}").contains("user: \"alice\""), "{session:?}");
}

#[test]
fn defaults_are_the_ones_written_or_those_of_the_type() {
    let session = Session::default();
    assert_eq!((session.id, session.user.as_str(), session.hits, session.score), (0, "", 5, 0.0));
    assert_eq!((session.seen, session.note, Hidden::default().secret()), (Timestamp::default(), Some(inner::NOTE), 9));
    assert_eq!(Awkward::default().bytes, 11);
}

#[test]
fn records_come_back_from_their_bytes() {
    let record = everything();
    assert_eq!(Everything::decode(&encoded(&record)).unwrap(), record);
    assert_eq!(Everything::decode(&encoded(&record)).unwrap().l.to_bits(), (-0.0_f32).to_bits());
    let empty = Everything::default();
    assert_eq!(Everything::decode(&encoded(&empty)).unwrap(), empty);
    let awkward = Awkward { key: 1, bytes: 2, rest: 3, r#type: 4, value: 5, name: 6 };
    assert_eq!(encoded(&awkward), [1, 2, 3, 4, 5, 6]);
    assert_eq!(Awkward::decode(&[1, 2, 3, 4, 5, 6]).unwrap(), awkward);
}

#[test]
fn a_record_is_read_and_written_whole_or_not_at_all() {
    for length in [0, Session::RECORD_BYTES - 1, Session::RECORD_BYTES + 1] {
        assert!(matches!(Session::decode(&vec![0; length]), Err(Error::Damaged { .. })));
        let write = || Session::default().encode(&mut vec![0; length]);
        assert!(std::panic::catch_unwind(write).is_err());
    }
}

#[test]
fn damage_is_reported_with_the_field() {
    let mut bytes = encoded(&Session::default());
    let user = Session::schema().field("user").unwrap().offset_bytes();
    bytes[user] = 1;
    bytes[user + 1] = 1;
    let error = Session::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("field `user`: expected a length of at most 32 bytes, found 257"), "{error}");
}

#[test]
fn random_bytes_are_a_record_or_an_error() {
    let mut state = 5_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let whole = encoded(&everything());
    let mut accepted_count = 0;
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random() % 3 {
            let place = random() % bytes.len();
            bytes[place] = random() as u8;
        }
        match Everything::decode(&bytes) {
            Ok(record) => {
                assert_eq!(encoded(&record), bytes);
                accepted_count += 1;
            }
            Err(error) => assert!(matches!(error, Error::Damaged { .. })),
        }
    }
    assert!((1_000..19_000).contains(&accepted_count), "{accepted_count}");
}

#[test]
fn the_schema_says_what_the_struct_says() {
    let schema = Session::schema();
    assert_eq!(
        schema.to_string(),
        "/// The number in the visitor's cookie.\n///\n/// Never reused.\nkey id: u64,\nuser: text(32),\n\
         /// How often.\nhits: u32 = 5,\nscore: f64,\nseen: timestamp,\nnote: text(40)? = \"nothing yet\""
    );
    assert_eq!(schema.record_bytes(), Session::RECORD_BYTES);
    assert_eq!(schema.field("id").unwrap().doc(), "The number in the visitor's cookie.\n\nNever reused.");
    assert_eq!(schema.field("hits").unwrap().doc(), "How often.");
    assert_eq!(schema.field("hits").unwrap().default(), Some(&5_u32.to_ne_bytes()[..]));
    assert_eq!(schema.field("id").unwrap().default(), None);
    assert!(Awkward::schema().field("type").is_some());
    assert_eq!(Unkeyed::schema().to_string(), "key: u8");
    assert!(Unkeyed::schema().key().is_none());

    // The macro makes no schema that the checks would refuse, and the file gives it back.
    for schema in [schema, Everything::schema(), Awkward::schema(), Unkeyed::schema(), KeyLast::schema()] {
        assert_eq!(Schema::new(schema.fields().to_vec()).unwrap(), schema);
        assert_eq!(schema.to_string().parse::<Schema>().unwrap(), schema);
        assert_eq!(Schema::decode(&schema.encode()).unwrap(), schema);
    }
}

fn find<R: Keyed, Q: Key<R::Key> + ?Sized>(record: &R, key: &Q) -> bool {
    let mut bytes = vec![0; R::KEY_BYTES];
    key.encode_key(&mut bytes) && encoded(record)[R::KEY_OFFSET_BYTES..][..R::KEY_BYTES] == bytes
}

fn check_key<R: Keyed>(record: &R) {
    let schema = R::schema();
    let key = schema.key().unwrap();
    assert_eq!((key.offset_bytes(), key.field_bytes()), (R::KEY_OFFSET_BYTES, R::KEY_BYTES));
    assert_eq!(key.field_type(), <R::Key as FieldValue>::Stored::TYPE);
    assert!(find(record, record.key()));
}

#[test]
fn the_key_is_found_in_the_bytes_of_the_record() {
    let session = Session { id: 42, ..Session::default() };
    check_key(&session);
    check_key(&everything());
    check_key(&Awkward::default());
    check_key(&KeyLast { a: 1, b: Bytes::literal(b"xyz") });
    assert!(find(&session, &42) && !find(&session, &43));
    assert!(find(&everything(), "a\0b") && !find(&everything(), "a") && !find(&everything(), "much too long"));
    assert!(find(&KeyLast { a: 1, b: Bytes::literal(b"xyz") }, b"xyz"));
    fn is_key<K: FieldValue<Stored: KeyField>>(_: &K) {}
    is_key(session.key());
}

#[test]
fn words_hold_a_record() {
    assert_eq!(Session::ZEROED.as_ref().len(), Session::RECORD_BYTES.div_ceil(8));
    assert!(Session::ZEROED.as_ref().iter().all(|word| *word == 0));
    assert_eq!(Unkeyed::ZEROED.as_ref().len(), 1);
    assert_eq!(FieldSchema::field_bytes(&Unkeyed::schema().fields()[0]), 1);
}

#[test]
fn what_is_handed_out_can_be_sent_shown_and_compared() {
    fn check<T: Send + Sync + Unpin + std::panic::UnwindSafe + Clone + PartialEq + std::fmt::Debug>() {}
    fn check_value<T: Copy + Default + Ord + std::hash::Hash + std::fmt::Display + std::str::FromStr<Err = Error>>() {}
    check::<Session>();
    check::<Text<8>>();
    check::<locule::Value>();
    check::<Schema>();
    check::<FieldSchema>();
    check::<locule::FieldType>();
    check::<locule::RecordId>();
    check::<locule::Row<Session>>();
    check::<locule::admin::DumpedRow>();
    check::<locule::admin::Verification>();
    check_value::<Text<8>>();
    check_value::<Bytes<8>>();
    check_value::<Timestamp>();
    check_value::<Date>();
    fn is_shown<T: std::fmt::Debug>() {}
    is_shown::<locule::admin::Dump>();
    is_shown::<locule::admin::Salvage>();
    is_shown::<locule::admin::Info>();
    is_shown::<OpenOptions<Session>>();
    // Records that can be hashed make rows that can be.
    fn check_set<T: Eq + std::hash::Hash>() {}
    check_set::<locule::Row<KeyLast>>();
    check_set::<locule::Upserted>();
    check_set::<locule::Recovery>();
    check_set::<locule::Status>();
    check_set::<locule::admin::Verification>();
    check_set::<locule::admin::SyncInfo>();
    check_set::<Option<locule::admin::Pending>>();
}

/// What is known about a type. A constant that is of the type itself is found before one that is of a trait.
struct Of<T>(std::marker::PhantomData<T>);

trait Otherwise {
    const IS_SEND: bool = false;
    const IS_SYNC: bool = false;
    const IS_UNWIND_SAFE: bool = false;
    const IS_REF_UNWIND_SAFE: bool = false;
}

impl<T> Otherwise for Of<T> {}

impl<T: Send> Of<T> {
    const IS_SEND: bool = true;
}

impl<T: Sync> Of<T> {
    const IS_SYNC: bool = true;
}

impl<T: std::panic::UnwindSafe> Of<T> {
    const IS_UNWIND_SAFE: bool = true;
}

impl<T: std::panic::RefUnwindSafe> Of<T> {
    const IS_REF_UNWIND_SAFE: bool = true;
}

#[test]
fn what_can_go_to_other_threads_and_through_a_panic_does() {
    macro_rules! check {
        ($($type:ty),+ => $expected:expr) => {$(
            let (threads, panics) = (
                [Of::<$type>::IS_SEND, Of::<$type>::IS_SYNC],
                [Of::<$type>::IS_UNWIND_SAFE, Of::<$type>::IS_REF_UNWIND_SAFE],
            );
            assert_eq!((threads, panics), $expected, "{}", stringify!($type));
        )+};
    }
    const ALL: ([bool; 2], [bool; 2]) = ([true; 2], [true; 2]);
    check!(Table<Session>, OpenOptions<Session>, Rows<'static, Session>, Snapshot<'static, Session> => ALL);
    check!(Salvage => ALL);
    check!(Status, Recovery, Upserted, Row<Session>, RecordId, Value => ALL);
    // Records of any type make a table that can be shared, since it holds none; but a row holds one.
    check!(Table<Local>, OpenOptions<Local>, Rows<'static, Local>, Snapshot<'static, Local> => ALL);
    check!(Row<Local> => ([false; 2], [true; 2]));
    // An error may be that of a caller, of any type; the others can hold one.
    check!(Error, Info, Dump => ([true; 2], [false; 2]));
    // The thread that has taken the lock is the one that may give it back.
    check!(WriteTransaction<'static, Session> => ([false; 2], [true; 2]));
    check!(TransactionRows<'static, 'static, Session> => ([false; 2], [false, true]));
}
