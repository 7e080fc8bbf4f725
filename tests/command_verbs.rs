//! What each verb prints, as it is seen when it is typed.
#![cfg(feature = "cli")]

use snapbox::{Data, IntoData, assert_data_eq, str};
use std::path::Path;
use test_kit::command_line::session;

const VISITS: &str = "locule create visits.loc --capacity 100 \
                      --schema 'key id: i64, user: text(16), hits: u32 = 0, note: text(20)?'
                      locule put visits.loc id=42 user=ada hits=3 note=first
                      locule put visits.loc id=-7 user=eve
                      locule put visits.loc id=9 user=bob hits=1 note=null";

/// A directory with a table of three visits.
fn visits() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let done = session(directory.path(), VISITS);
    assert!(!done.contains("[exit"), "{done}");
    directory
}

/// What is seen, without a change: neither paths nor wildcards are looked for in it.
fn seen(directory: &Path, lines: &str) -> Data {
    session(directory, lines).raw()
}

fn of_visits(lines: &str) -> Data {
    seen(visits().path(), lines)
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

#[test]
fn a_table_is_made_shown_and_destroyed() {
    assert_data_eq!(
        of_visits(
            "locule visits.loc
             locule summary visits.loc --limit 1
             locule schema visits.loc
             locule create copy.loc --schema \"$(locule schema visits.loc)\" --mode 640
             locule schema visits.loc | locule create other.loc --schema -
             locule count copy.loc; stat -c %a copy.loc
             locule create copy.loc --schema 'key id: u8'
             locule destroy copy.loc
             ls"
        ),
        str![[r#"
$ locule visits.loc
visits.loc: 3 of 100 records
key id: i64, user: text(16), hits: u32 = 0, note: text(20)?
┌────┬──────┬──────┬────────┐
│ id ┆ user ┆ hits ┆ note   │
╞════╪══════╪══════╪════════╡
│ 42 ┆ ada  ┆ 3    ┆ first  │
│ -7 ┆ eve  ┆ 0    ┆ null   │
│ 9  ┆ bob  ┆ 1    ┆ "null" │
└────┴──────┴──────┴────────┘
$ locule summary visits.loc --limit 1
visits.loc: 3 of 100 records
key id: i64, user: text(16), hits: u32 = 0, note: text(20)?
┌────┬──────┬──────┬───────┐
│ id ┆ user ┆ hits ┆ note  │
╞════╪══════╪══════╪═══════╡
│ 42 ┆ ada  ┆ 3    ┆ first │
└────┴──────┴──────┴───────┘
and 2 more: `locule dump visits.loc` shows all
$ locule schema visits.loc
key id: i64, user: text(16), hits: u32 = 0, note: text(20)?
$ locule create copy.loc --schema "$(locule schema visits.loc)" --mode 640
$ locule schema visits.loc | locule create other.loc --schema -
$ locule count copy.loc; stat -c %a copy.loc
0
640
$ locule create copy.loc --schema 'key id: u8'
locule: copy.loc exists already, and is left as it is: choose another name, or delete it first
[exit 2]
$ locule destroy copy.loc
$ ls
other.loc
visits.loc

"#]]
        .raw()
    );
}

#[test]
fn a_table_is_made_from_a_csv_file() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "visits.csv",
        "id,First Name,hits,ratio,is new,day,at,note\n\
         1,Ada,3,0.5,true,2024-02-29,2024-02-29T12:00:00Z,\n\
         2,Łódź,-1,7,false,2024-03-01,2024-02-29T12:00:00.5Z,\"a, \"\"b\"\"\"\n",
    );
    assert_data_eq!(
        seen(
            directory.path(),
            "locule create visits.loc --from visits.csv --key id --dry-run
             locule create visits.loc --from visits.csv --key id --type 'note=text(40)?' --type 'hits=i16 = 5'
             locule dump visits.loc --fields @id,@version,id,First_Name,is_new,note
             locule create again.loc --from - --key 'First Name' --capacity 5 < visits.csv
             locule create full.loc --from visits.csv --capacity 1
             locule create full.loc --from visits.csv --key is_new
             locule create full.loc --from visits.csv --type nope=u8
             locule create full.loc --from visits.csv --type note=u8
             locule create full.loc --from visits.csv --type 'note=text'
             locule create full.loc --from none.csv
             ls"
        ),
        str![[r#"
$ locule create visits.loc --from visits.csv --key id --dry-run
key id: u64, First_Name: text(16), hits: i64, ratio: f64, is_new: bool, day: date, at: timestamp, note: text(16)?
$ locule create visits.loc --from visits.csv --key id --type 'note=text(40)?' --type 'hits=i16 = 5'
key id: u64, First_Name: text(16), hits: i16 = 5, ratio: f64, is_new: bool, day: date, at: timestamp, note: text(40)?
2 records in visits.loc, room for 10000
$ locule dump visits.loc --fields @id,@version,id,First_Name,is_new,note
┌──────────┬──────────┬────┬────────────┬────────┬────────┐
│ @id      ┆ @version ┆ id ┆ First_Name ┆ is_new ┆ note   │
╞══════════╪══════════╪════╪════════════╪════════╪════════╡
│ 16777216 ┆ 2        ┆ 1  ┆ Ada        ┆ true   ┆ null   │
│ 16777217 ┆ 2        ┆ 2  ┆ Łódź       ┆ false  ┆ a, "b" │
└──────────┴──────────┴────┴────────────┴────────┴────────┘
$ locule create again.loc --from - --key 'First Name' --capacity 5 < visits.csv
id: u64, key First_Name: text(16), hits: i64, ratio: f64, is_new: bool, day: date, at: timestamp, note: text(16)?
2 records in again.loc, room for 5
$ locule create full.loc --from visits.csv --capacity 1
locule: visits.csv: row 2 (line 3): more records than a capacity of 1 has room for
[exit 2]
$ locule create full.loc --from visits.csv --key is_new
id: u64, First_Name: text(16), hits: i64, ratio: f64, key is_new: bool, day: date, at: timestamp, note: text(16)?
2 records in full.loc, room for 10000
$ locule create full.loc --from visits.csv --type nope=u8
locule: visits.csv: --type: there is no column "nope": there are id, First Name, hits, ratio, is new, day, at, note
[exit 2]
$ locule create full.loc --from visits.csv --type note=u8
locule: visits.csv: row 1 (line 2), field `note`: expected a u8, 0 to 255, found "": only a field with a ? can hold nothing
[exit 2]
$ locule create full.loc --from visits.csv --type 'note=text'
locule: visits.csv: --type note=text: expected a type such as u32, text(32) or date?
[exit 2]
$ locule create full.loc --from none.csv
locule: none.csv: No such file or directory (os error 2)
[exit 2]
$ ls
again.loc
full.loc
visits.csv
visits.loc

"#]].raw()
    );
}

#[test]
fn a_csv_file_that_does_not_fit_leaves_no_table() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "twice.csv", "id,a\n1,x\n2,y\n1,z\n");
    write(directory.path(), "short.csv", "id,a\n1,x\n2\n");
    write(directory.path(), "empty.csv", "");
    assert_data_eq!(
        seen(
            directory.path(),
            "locule create new.loc --from twice.csv --key id
             locule create new.loc --from short.csv --key id
             locule create new.loc --from empty.csv
             locule create new.loc --from twice.csv --type id=bool
             locule create new.loc --from twice.csv --mode 4755
             locule create new.loc --from twice.csv --capacity 16777217
             locule create new.loc
             ls"
        ),
        str![[r#"
$ locule create new.loc --from twice.csv --key id
locule: twice.csv: row 3 (line 4): the key 1 is in row 1 (line 2) already
[exit 2]
$ locule create new.loc --from short.csv --key id
locule: short.csv: row 2 (line 3): expected 2 cells, as in the first line, found 1
[exit 2]
$ locule create new.loc --from empty.csv
locule: empty.csv: the input is empty: expected CSV, whose first line has the names of the fields
[exit 2]
$ locule create new.loc --from twice.csv --type id=bool
locule: twice.csv: row 1 (line 2), field `id`: expected true or false, found "1"
[exit 2]
$ locule create new.loc --from twice.csv --mode 4755
locule: a mode is up to 0o777, read and write for whom it is to be, and not 0o4755
[exit 2]
$ locule create new.loc --from twice.csv --capacity 16777217
locule: a table has 1 to 16777216 slots, not 16777217
[exit 2]
$ locule create new.loc
locule: expected --schema TEXT or --from CSV; see `locule create --help`
[exit 2]
$ ls
empty.csv
short.csv
twice.csv

"#]]
        .raw()
    );
}

#[test]
fn records_are_shown_chosen_and_sorted() {
    assert_data_eq!(
        of_visits(
            "locule dump visits.loc
             locule dump visits.loc --where 'hits > 0' --sort -hits --fields user,hits --format csv
             locule dump visits.loc --sort note,-id --limit 2 --format jsonl
             locule dump visits.loc --sort -@id --limit 2 --fields user --format csv
             locule dump visits.loc --format json --fields id,note
             locule dump visits.loc --where 'id == 0' --format json
             locule dump visits.loc --where 'id == 0' --fields user
             locule put visits.loc id=1 user= note=
             locule export visits.loc
             locule export visits.loc --null NA
             locule export visits.loc --fields note"
        ),
        str![[r#"
$ locule dump visits.loc
┌──────────┬──────────┬────┬──────┬──────┬────────┐
│ @id      ┆ @version ┆ id ┆ user ┆ hits ┆ note   │
╞══════════╪══════════╪════╪══════╪══════╪════════╡
│ 16777216 ┆ 2        ┆ 42 ┆ ada  ┆ 3    ┆ first  │
│ 16777217 ┆ 3        ┆ -7 ┆ eve  ┆ 0    ┆ null   │
│ 16777218 ┆ 4        ┆ 9  ┆ bob  ┆ 1    ┆ "null" │
└──────────┴──────────┴────┴──────┴──────┴────────┘
$ locule dump visits.loc --where 'hits > 0' --sort -hits --fields user,hits --format csv
user,hits
ada,3
bob,1
$ locule dump visits.loc --sort note,-id --limit 2 --format jsonl
{"id":"42","user":"ada","hits":3,"note":"first"}
{"id":"9","user":"bob","hits":1,"note":"null"}
$ locule dump visits.loc --sort -@id --limit 2 --fields user --format csv
user
bob
eve
$ locule dump visits.loc --format json --fields id,note
[
{"id":"42","note":"first"},
{"id":"-7","note":null},
{"id":"9","note":"null"}
]
$ locule dump visits.loc --where 'id == 0' --format json
[]
$ locule dump visits.loc --where 'id == 0' --fields user
┌──────┐
│ user │
╞══════╡
└──────┘
$ locule put visits.loc id=1 user= note=
inserted, version 5
$ locule export visits.loc
id,user,hits,note
42,ada,3,first
-7,eve,0,
9,bob,1,null
1,,0,""
$ locule export visits.loc --null NA
id,user,hits,note
42,ada,3,first
-7,eve,0,NA
9,bob,1,null
1,,0,
$ locule export visits.loc --fields note
note
first
\N
null
""

"#]]
        .raw()
    );
}

#[test]
fn one_record_is_read_and_counted() {
    assert_data_eq!(
        of_visits(
            "locule get visits.loc 42
             locule get visits.loc -7 --json
             locule get visits.loc 42 user
             locule get visits.loc 42 @version
             locule get visits.loc -7 note
             locule get visits.loc -7 note --json
             locule get visits.loc 1
             locule exists visits.loc 42
             locule exists visits.loc 1
             locule exists visits.loc --where 'hits > 2'
             locule exists visits.loc --where 'hits > 3'
             locule count visits.loc
             locule count visits.loc --where 'note != null'"
        ),
        str![[r#"
$ locule get visits.loc 42
id        42
user      ada
hits      3
note      first
@id       16777216
@version  2
$ locule get visits.loc -7 --json
{"id":"-7","user":"eve","hits":0,"note":null}
$ locule get visits.loc 42 user
ada
$ locule get visits.loc 42 @version
2
$ locule get visits.loc -7 note

$ locule get visits.loc -7 note --json
null
$ locule get visits.loc 1
locule: visits.loc has no record 1
[exit 1]
$ locule exists visits.loc 42
$ locule exists visits.loc 1
[exit 1]
$ locule exists visits.loc --where 'hits > 2'
$ locule exists visits.loc --where 'hits > 3'
[exit 1]
$ locule count visits.loc
3
$ locule count visits.loc --where 'note != null'
2

"#]]
        .raw()
    );
}

#[test]
fn records_are_written_and_deleted() {
    assert_data_eq!(
        of_visits(
            "locule put visits.loc id=42 user=ada --json
             locule put visits.loc id=42 user=ada --if-version 0
             locule put visits.loc id=43 user=new --if-version 0
             locule set visits.loc 42 hits=5 note:=null
             locule set visits.loc 42 hits=6 --if-version 6
             locule set visits.loc 42 hits=6 --if-version 7 --json
             locule set visits.loc 1 hits=6
             printf 'two\\nlines\\n' | locule set visits.loc 42 note=-
             locule get visits.loc 42
             locule delete visits.loc 42 --if-version 3
             locule delete visits.loc 42
             locule delete visits.loc 42
             locule delete visits.loc --where 'hits < 3' --json
             locule delete visits.loc --where 'hits < 3'
             locule count visits.loc"
        ),
        str![[r#"
$ locule put visits.loc id=42 user=ada --json
{"is_new":false,"id":"16777216","version":"5"}
$ locule put visits.loc id=42 user=ada --if-version 0
locule: visits.loc: nothing was changed: the record has version 5
[exit 1]
$ locule put visits.loc id=43 user=new --if-version 0
inserted, version 6
$ locule set visits.loc 42 hits=5 note:=null
version 7
$ locule set visits.loc 42 hits=6 --if-version 6
locule: visits.loc: nothing was changed: the record has version 7
[exit 1]
$ locule set visits.loc 42 hits=6 --if-version 7 --json
{"version":"8"}
$ locule set visits.loc 1 hits=6
locule: visits.loc has no record 1
[exit 1]
$ printf 'two\nlines\n' | locule set visits.loc 42 note=-
version 9
$ locule get visits.loc 42
id        42
user      ada
hits      6
note      two\nlines
@id       16777216
@version  9
$ locule delete visits.loc 42 --if-version 3
locule: visits.loc: nothing was changed: the record has version 9
[exit 1]
$ locule delete visits.loc 42
1 deleted
$ locule delete visits.loc 42
locule: visits.loc has no record 42
[exit 1]
$ locule delete visits.loc --where 'hits < 3' --json
{"deleted_count":3}
$ locule delete visits.loc --where 'hits < 3'
0 deleted
[exit 1]
$ locule count visits.loc
0

"#]]
        .raw()
    );
}

#[test]
fn records_without_a_key_go_by_their_ids() {
    let directory = tempfile::tempdir().unwrap();
    assert_data_eq!(
        seen(
            directory.path(),
            "locule create log.loc --schema 'line: text(20), token: bytes(4)?' --capacity 10
             locule put log.loc line=one
             locule put log.loc line=one token=00ff
             locule dump log.loc
             locule get log.loc 16777217 token
             printf 'a\\n' | locule set log.loc 16777217 token=-
             locule get log.loc 16777217 token
             locule delete log.loc 16777216
             locule get log.loc 16777216
             locule get log.loc one"
        ),
        str![[r#"
$ locule create log.loc --schema 'line: text(20), token: bytes(4)?' --capacity 10
$ locule put log.loc line=one
inserted, version 2
$ locule put log.loc line=one token=00ff
inserted, version 3
$ locule dump log.loc
┌──────────┬──────────┬──────┬───────┐
│ @id      ┆ @version ┆ line ┆ token │
╞══════════╪══════════╪══════╪═══════╡
│ 16777216 ┆ 2        ┆ one  ┆ null  │
│ 16777217 ┆ 3        ┆ one  ┆ 00ff  │
└──────────┴──────────┴──────┴───────┘
$ locule get log.loc 16777217 token
00ff
$ printf 'a\n' | locule set log.loc 16777217 token=-
version 4
$ locule get log.loc 16777217 token
610a
$ locule delete log.loc 16777216
1 deleted
$ locule get log.loc 16777216
locule: log.loc has no record 16777216
[exit 1]
$ locule get log.loc one
locule: the table has no key: expected an @id, found "one"
[exit 2]

"#]]
        .raw()
    );
}

#[test]
fn two_tables_are_compared() {
    assert_data_eq!(
        of_visits(
            "locule backup visits.loc copy.loc
             locule diff visits.loc copy.loc
             locule set copy.loc 42 note:=null hits=4 > /dev/null
             locule delete copy.loc 9
             locule put copy.loc id=10 user=zoe > /dev/null
             locule set copy.loc -7 note=null > /dev/null
             locule diff visits.loc copy.loc
             locule diff visits.loc copy.loc --json
             locule alter copy.loc add 'is_new: bool = true'
             locule diff visits.loc copy.loc
             locule create other.loc --schema 'key user: text(16)'
             locule diff visits.loc other.loc"
        ),
        str![[r#"
$ locule backup visits.loc copy.loc
3 records in copy.loc
$ locule diff visits.loc copy.loc
$ locule set copy.loc 42 note:=null hits=4 > /dev/null
$ locule delete copy.loc 9
1 deleted
$ locule put copy.loc id=10 user=zoe > /dev/null
$ locule set copy.loc -7 note=null > /dev/null
$ locule diff visits.loc copy.loc
~ -7  note: null -> "null"
- 9  user: bob, hits: 1, note: "null"
+ 10  user: zoe, hits: 0, note: null
~ 42  hits: 3 -> 4, note: first -> null
[exit 1]
$ locule diff visits.loc copy.loc --json
{"change":"changed","key":"-7","fields":{"note":{"from":null,"to":"null"}}}
{"change":"removed","key":"9","record":{"id":"9","user":"bob","hits":1,"note":"null"}}
{"change":"added","key":"10","record":{"id":"10","user":"zoe","hits":0,"note":null}}
{"change":"changed","key":"42","fields":{"hits":{"from":3,"to":4},"note":{"from":"first","to":null}}}
[exit 1]
$ locule alter copy.loc add 'is_new: bool = true'
`is_new: bool = true` is new, after `note`
done, 3 records
$ locule diff visits.loc copy.loc
~ schema: `is_new: bool = true` is new, after `note`
~ -7  note: null -> "null"
- 9  user: bob, hits: 1, note: "null"
+ 10  user: zoe, hits: 0, note: null, is_new: true
~ 42  hits: 3 -> 4, note: first -> null
[exit 1]
$ locule create other.loc --schema 'key user: text(16)'
$ locule diff visits.loc other.loc
~ schema: `key id: i64` is gone
~ schema: `hits: u32 = 0` is gone
~ schema: `note: text(20)?` is gone
~ schema: `user` is the key
locule: the tables have other keys: their records cannot be compared
[exit 2]

"#]]
        .raw()
    );
}

#[test]
fn a_table_is_altered() {
    assert_data_eq!(
        of_visits(
            "locule alter visits.loc add 'is_new: bool' --dry-run
             locule alter visits.loc add 'is_new: bool = true' --after user
             locule alter visits.loc add 'day: date?' --first --json
             locule alter visits.loc drop day --dry-run
             locule alter visits.loc drop day --yes
             locule alter visits.loc rename user visitor
             locule alter visits.loc default hits 7
             locule alter visits.loc default hits
             locule alter visits.loc widen hits 'u64?'
             locule alter visits.loc widen visitor 'text(2)'
             locule alter visits.loc widen visitr 'text(2)'
             locule alter visits.loc widen hits u65
             locule alter visits.loc resize 2
             locule alter visits.loc resize 200
             locule visits.loc"
        ),
        str![[r#"
$ locule alter visits.loc add 'is_new: bool' --dry-run
locule: the new field `is_new` needs a default, for the records that there are, or must be nullable
[exit 2]
$ locule alter visits.loc add 'is_new: bool = true' --after user
`is_new: bool = true` is new, after `user`
done, 3 records
$ locule alter visits.loc add 'day: date?' --first --json
{"changes":["`day: date?` is new, at the beginning"],"schema":"day: date?, key id: i64, user: text(16), is_new: bool = true, hits: u32 = 0, note: text(20)?","is_done":true,"record_count":3}
$ locule alter visits.loc drop day --dry-run
`day: date?` is gone
$ locule alter visits.loc drop day --yes
`day: date?` is gone
done, 3 records
$ locule alter visits.loc rename user visitor
`user` is called `visitor`
done, 3 records
$ locule alter visits.loc default hits 7
`hits` has the default 7 instead of 0
done, 3 records
$ locule alter visits.loc default hits
`hits` has the default none instead of 7
done, 3 records
$ locule alter visits.loc widen hits 'u64?'
`hits` is u64 instead of u32
`hits` can be null
done, 3 records
$ locule alter visits.loc widen visitor 'text(2)'
`visitor` is text(2) instead of text(16)
locule: 3 records do not fit, so nothing was changed: record 16777216: `id` 42: field `visitor`: expected a text of at most 2 bytes, found a text of 3 bytes, "ada"; record 16777217: `id` -7: field `visitor`: expected a text of at most 2 bytes, found a text of 3 bytes, "eve"; record 16777218: `id` 9: field `visitor`: expected a text of at most 2 bytes, found a text of 3 bytes, "bob"
[exit 2]
$ locule alter visits.loc widen visitr 'text(2)'
locule: there is no field `visitr`: did you mean `visitor`?
[exit 2]
$ locule alter visits.loc widen hits u65
locule: expected a type such as u64, text(64) or date?, found "u65"
[exit 2]
$ locule alter visits.loc resize 2
locule: visits.loc holds 3 records, which do not fit in 2: delete some first, such as by `locule delete visits.loc --where …`
[exit 2]
$ locule alter visits.loc resize 200
room for 200 records instead of 100
done, 3 records
$ locule visits.loc
visits.loc: 3 of 200 records
key id: i64, visitor: text(16), is_new: bool = true, hits: u64?, note: text(20)?
┌────┬─────────┬────────┬──────┬────────┐
│ id ┆ visitor ┆ is_new ┆ hits ┆ note   │
╞════╪═════════╪════════╪══════╪════════╡
│ 42 ┆ ada     ┆ true   ┆ 3    ┆ first  │
│ -7 ┆ eve     ┆ true   ┆ 0    ┆ null   │
│ 9  ┆ bob     ┆ true   ┆ 1    ┆ "null" │
└────┴─────────┴────────┴──────┴────────┘

"#]].raw()
    );
}

#[test]
fn a_table_is_looked_after() {
    assert_data_eq!(
        of_visits(
            "locule sync visits.loc
             locule sync visits.loc --json
             locule backup visits.loc copy.loc
             locule backup visits.loc copy.loc
             locule delete visits.loc 42
             locule scrub visits.loc --json
             locule scrub visits.loc
             locule restore copy.loc visits.loc
             locule restore visits.loc visits.loc
             locule restore none.loc visits.loc
             locule get visits.loc 42 user
             locule verify visits.loc
             locule verify visits.loc --json
             locule repair visits.loc new.loc
             locule repair visits.loc new.loc
             locule repair visits.loc other.loc --json
             locule diff visits.loc new.loc"
        ),
        str![[r#"
$ locule sync visits.loc
synced up to transaction 4
$ locule sync visits.loc --json
{"synced_number":"4"}
$ locule backup visits.loc copy.loc
3 records in copy.loc
$ locule backup visits.loc copy.loc
locule: copy.loc exists already, and is left as it is: choose another name, or delete it first
[exit 2]
$ locule delete visits.loc 42
1 deleted
$ locule scrub visits.loc --json
{"wiped_count":1}
$ locule scrub visits.loc
0 old contents wiped
$ locule restore copy.loc visits.loc
3 records in visits.loc
$ locule restore visits.loc visits.loc
locule: visits.loc is the table itself, and not a backup of it
[exit 2]
$ locule restore none.loc visits.loc
locule: none.loc does not exist: `locule create none.loc --schema …` makes a table, or `--from` a CSV file
[exit 2]
$ locule get visits.loc 42 user
ada
$ locule verify visits.loc
checked everything, 3 records
$ locule verify visits.loc --json
{"is_good":true,"record_count":3,"problem_count":0,"problems":[],"recovery":null}
$ locule repair visits.loc new.loc
3 records saved in new.loc
$ locule repair visits.loc new.loc
locule: new.loc exists already, and is left as it is: choose another name, or delete it first
[exit 2]
$ locule repair visits.loc other.loc --json
{"record_count":3,"problem_count":0,"problems":[],"left_out_count":0,"left_out":[]}
$ locule diff visits.loc new.loc

"#]]
        .raw()
    );
}

#[test]
fn a_slot_is_shown_byte_by_byte_and_all_of_them_on_a_map() {
    assert_data_eq!(
        of_visits(
            "locule set visits.loc 42 hits=4
             locule dump visits.loc --raw 0
             locule dump visits.loc --raw 100
             locule info visits.loc --map | tail -n 3"
        ),
        str![[r#"
$ locule set visits.loc 42 hits=4
version 5
$ locule dump visits.loc --raw 0
slot 0: transaction 5, a record, in cell 1
0x00002320  head
0x00012000  cell 0
            transaction   2
            generation    1, a record
            update count  0
            check         0x0445ef70: matches
0x00012018  id  42
              2a 00 00 00 00 00 00 00
0x00012020  user  ada
              03 00 61 64 61 00 00 00 00 00 00 00 00 00 00 00
              00 00
0x00012032  hits  3
              03 00 00 00
0x00012036  note  first
              01 05 00 66 69 72 73 74 00 00 00 00 00 00 00 00
              00 00 00 00 00 00 00
0x00012050  cell 1, current
            transaction   5
            generation    1, a record
            update count  1
            check         0xf71e3936: matches
0x00012068  id  42
              2a 00 00 00 00 00 00 00
0x00012070  user  ada
              03 00 61 64 61 00 00 00 00 00 00 00 00 00 00 00
              00 00
0x00012082  hits  4
              04 00 00 00
0x00012086  note  first
              01 05 00 66 69 72 73 74 00 00 00 00 00 00 00 00
              00 00 00 00 00 00 00
0x000120a0  cell 2
            holds nothing
0x000120f0  cell 3
            holds nothing
$ locule dump visits.loc --raw 100
locule: visits.loc has the slots 0 to 99
[exit 2]
$ locule info visits.loc --map | tail -n 3
███·············································································
····················
each character is 1 slot: · none taken, ░ some, ▒ half, ▓ many, █ nearly all

"#]]
    );
}

/// Records keep their slots, and a slot that was freed last is taken first.
#[test]
fn what_is_said_of_records_that_are_too_far_behind_for_fewer_slots_helps() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write(here, "rows.csv", "id\n1\n2\n3\n4\n");
    let refused = session(
        here,
        "locule create rows.loc --schema 'key id: u64' --capacity 10
         locule import rows.loc rows.csv
         locule delete rows.loc 2
         locule alter rows.loc resize 3
         locule alter rows.loc resize 2 --dry-run
         locule alter rows.loc resize 0 --dry-run
         locule alter rows.loc resize 99999999999 --dry-run",
    );
    assert_data_eq!(
        &refused,
        str![[r#"
$ locule create rows.loc --schema 'key id: u64' --capacity 10
$ locule import rows.loc rows.csv
4 inserted
$ locule delete rows.loc 2
1 deleted
$ locule alter rows.loc resize 3
room for 3 records instead of 10
locule: 1 record does not fit, so nothing was changed: record 16777219: `id` 4: it is in slot 3, which would be gone; records cannot move, but a new table takes them: `locule create NEW --schema "$(locule schema rows.loc)" --capacity 3`, then `locule export rows.loc | locule import NEW -`, and `locule restore NEW rows.loc` puts it in the place of the old one
[exit 2]
$ locule alter rows.loc resize 2 --dry-run
locule: rows.loc holds 3 records, which do not fit in 2: delete some first, such as by `locule delete rows.loc --where …`
[exit 2]
$ locule alter rows.loc resize 0 --dry-run
locule: a table has 1 to 16777216 slots, not 0
[exit 2]
$ locule alter rows.loc resize 99999999999 --dry-run
locule: a table has 1 to 16777216 slots, not 99999999999
[exit 2]

"#]]
    );
    // Typed as it is written.
    let remedies: Vec<&str> =
        refused.split('`').filter(|part| part.starts_with("locule ") && part.contains("NEW")).collect();
    assert_eq!(remedies.len(), 3, "{remedies:?}");
    let done = session(here, &[remedies.join("\n").as_str(), "locule rows.loc --limit 0"].join("\n"));
    assert!(done.contains("\nrows.loc: 3 of 3 records\n"), "{done}");
}
