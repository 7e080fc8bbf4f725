//! Comparing text and bytes of records with other text and bytes, on either side.

use std::cmp::Ordering;

use super::inline::{Bytes, Text};

// UTF-8 is ordered like its bytes, so text can be compared as bytes, without checking whether it is UTF-8.
fn bytes_of<T: AsRef<[u8]> + ?Sized>(value: &T) -> &[u8] {
    value.as_ref()
}

macro_rules! compared_with {
    ($inline:ident: $([$($generic:tt)*] $other:ty),+) => {$(
        impl<$($generic)* const N: usize> PartialEq<$other> for $inline<N> {
            #[inline]
            fn eq(&self, other: &$other) -> bool {
                bytes_of(self) == bytes_of(other)
            }
        }

        impl<$($generic)* const N: usize> PartialEq<$inline<N>> for $other {
            #[inline]
            fn eq(&self, other: &$inline<N>) -> bool {
                bytes_of(self) == bytes_of(other)
            }
        }

        impl<$($generic)* const N: usize> PartialOrd<$other> for $inline<N> {
            #[inline]
            fn partial_cmp(&self, other: &$other) -> Option<Ordering> {
                Some(bytes_of(self).cmp(bytes_of(other)))
            }
        }

        impl<$($generic)* const N: usize> PartialOrd<$inline<N>> for $other {
            #[inline]
            fn partial_cmp(&self, other: &$inline<N>) -> Option<Ordering> {
                Some(bytes_of(self).cmp(bytes_of(other)))
            }
        }
    )+};
}

compared_with!(Text: [] str, ['a,] &'a str, [] String);
compared_with!(Bytes: [] [u8], ['a,] &'a [u8], [] Vec<u8>, [const M: usize,] [u8; M], ['a, const M: usize,] &'a [u8; M]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compared_with_strings_on_either_side() {
        let texts = ["", "\0", "a", "ab", "b", "Łódź", "ł", "longer than it"];
        for left in texts.into_iter().take(7) {
            let text = Text::<8>::new(left).unwrap();
            for right in texts {
                let (is_equal, order) = (left == right, left.partial_cmp(right));
                let owned = right.to_owned();
                assert_eq!([text == *right, text == right, text == owned], [is_equal; 3]);
                assert_eq!([*right == text, right == text, owned == text], [is_equal; 3]);
                let orders = [text.partial_cmp(right), text.partial_cmp(&right), text.partial_cmp(&owned)];
                assert_eq!(orders, [order; 3]);
                let orders = [right.partial_cmp(&text), (&right).partial_cmp(&&text), owned.partial_cmp(&text)];
                assert_eq!(orders.map(|order| order.map(Ordering::reverse)), [order; 3]);
            }
        }
        assert!(Text::<8>::literal("b") > "a" && "c" > Text::<8>::literal("b"));
    }

    #[test]
    fn bytes_are_compared_with_slices_arrays_and_vectors_on_either_side() {
        let bytes = Bytes::<4>::literal(&[1, 0, 2]);
        let (array, slice) = (&[1, 0, 2], &[1, 0, 2][..]);
        assert!(bytes == *array && bytes == array && bytes == *slice && bytes == slice);
        assert!(*array == bytes && array == bytes && *slice == bytes && slice == bytes);
        assert!(bytes == vec![1, 0, 2] && vec![1, 0, 2] == bytes && bytes != vec![1, 0] && vec![1, 0, 2, 0] != bytes);
        assert!(bytes > [1, 0] && bytes < [1, 0, 2, 0] && [1, 1] > bytes && bytes < vec![2] && bytes > [0, 9][..]);
    }
}
