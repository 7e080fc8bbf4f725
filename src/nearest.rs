//! What somebody probably meant who wrote a name that is none.

/// No name has more bytes, and what is no name may come from anywhere.
const NAME_BYTES_MAX: usize = 255;

/// Counting the changes takes at most so many steps, for all candidates together: some thousand short ones.
const STEP_COUNT_MAX: usize = 1 << 20;

/// The candidate that takes the fewest changes to become, if it takes so few that it was probably meant. Where there are too
/// many candidates, the first of them are compared.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_lowercase();
    let mut left_count = STEP_COUNT_MAX;
    let compared = candidates.into_iter().map_while(|candidate| {
        left_count = left_count.checked_sub(name.len().saturating_mul(candidate.len()))?;
        let change_count = change_count(&name, &candidate.to_lowercase());
        Some((change_count, candidate))
    });
    let (change_count, nearest) = compared.min_by_key(|(change_count, _)| *change_count)?;
    (change_count <= name.chars().count().max(nearest.chars().count()) / 3).then_some(nearest)
}

/// How many characters have to be inserted, removed, replaced, or exchanged with the next one: the distance of optimal
/// string alignment.
fn change_count(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    // How far the beginning of `from` that was read is from each beginning of `to`.
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, this) in from.chars().enumerate() {
        let mut row_counts = vec![row + 1];
        for (column, that) in to.iter().enumerate() {
            let at = |counts: &[usize], column: usize| counts.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut count = (at(&last, column) + usize::from(this != *that))
                .min(at(&last, column + 1) + 1)
                .min(at(&row_counts, column) + 1);
            let is_exchanged = column > 0 && previous == Some(*that) && to.get(column - 1) == Some(&this);
            if is_exchanged {
                count = count.min(at(&before_last, column - 1) + 1);
            }
            row_counts.push(count);
        }
        before_last = std::mem::replace(&mut last, row_counts);
        previous = Some(this);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted() {
        for (from, to, count) in [
            ("", "", 0),
            ("user", "user", 0),
            ("usr", "user", 1),
            ("uesr", "user", 1),
            ("usera", "user", 1),
            ("uzer", "user", 1),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ä", "a", 1),
        ] {
            assert_eq!(change_count(from, to), count, "{from:?} {to:?}");
            assert_eq!(change_count(to, from), count, "{to:?} {from:?}");
        }
    }

    #[test]
    fn a_name_that_is_near_is_suggested_and_one_that_is_far_is_not() {
        let names = ["id", "user", "hits", "last_seen"];
        assert_eq!(nearest("usr", names), Some("user"));
        assert_eq!(nearest("HITS", names), Some("hits"));
        assert_eq!(nearest("lastseen", names), Some("last_seen"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("user", [""; 0]), None);
    }

    /// A name of 100 kB was compared with each of ten thousand, for minutes.
    #[test]
    #[cfg_attr(miri, ignore = "a million steps take Miri most of an hour")]
    fn what_is_longer_than_a_name_is_near_to_none_and_of_very_many_only_the_first_are_compared() {
        let [longest, too_long] = [255, 256].map(|length_bytes| "x".repeat(length_bytes));
        assert_eq!(nearest(&longest, [too_long.as_str()]), Some(too_long.as_str()));
        assert_eq!(nearest(&too_long, [longest.as_str()]), None);

        let others = || std::iter::repeat_n("something_else", 1_000);
        assert_eq!(nearest("usr", others().chain(["user"])), Some("user"));
        let mut asked_count = 0;
        let many = std::iter::repeat_n(longest.as_str(), usize::MAX).inspect(|_| asked_count += 1);
        assert_eq!(nearest("usr", many), None);
        assert!(asked_count < 10_000);
    }
}
