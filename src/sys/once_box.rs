//! A place for a value that is put there once, and that a fork cannot leave half filled: in a child of a fork that
//! happened while another thread filled it, it is empty or full. (A `OnceLock` would stay "being filled", and a thread
//! that asks for the value would wait for ever.)
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Empty, or a value that stays where it is until this is dropped.
pub struct OnceBox<T> {
    /// Null, or from `Box::into_raw`.
    value: AtomicPtr<T>,
    _owns: PhantomData<Box<T>>,
}

impl<T> OnceBox<T> {
    pub const fn new() -> Self {
        OnceBox { value: AtomicPtr::new(null_mut()), _owns: PhantomData }
    }

    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is null, or came from a box in `set`, and then nothing else owns that value, and it is
        // freed only by code that has this mutably. Its content was stored before the release there, which this acquire
        // reads from. That the reference may be used by other threads needs what the bounds of `Sync` below demand.
        unsafe { self.value.load(Ordering::Acquire).as_ref() }
    }

    /// Puts a value in, if there is none.
    pub fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        let value = Box::into_raw(value);
        match self.value.compare_exchange(null_mut(), value, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            // SAFETY: it was made from a box just now, and has not been given out.
            Err(_) => Err(unsafe { Box::from_raw(value) }),
        }
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Option<Box<T>> {
        let value = std::mem::replace(self.value.get_mut(), null_mut());
        // SAFETY: a pointer that is not null came from a box in `set`. It is forgotten here, so no box is made from it
        // again, and no reference to the value is left, since this is borrowed mutably.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

// SAFETY: it owns a `T`, or nothing, so sending it means sending that.
unsafe impl<T: Send> Send for OnceBox<T> {}
// SAFETY: `get` hands `&T` to any thread, which `T: Sync` allows; `set` moves a `T` into what another thread may drop, which
// `T: Send` allows.
unsafe impl<T: Send + Sync> Sync for OnceBox<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_first_value_stays_and_each_is_dropped_once() {
        let (first, second) = (Arc::new(1), Arc::new(2));
        let mut place = OnceBox::new();
        assert!(place.get().is_none());
        assert!(place.set(Box::new(Arc::clone(&first))).is_ok());
        let refused = place.set(Box::new(Arc::clone(&second))).unwrap_err();
        assert_eq!((**place.get().unwrap(), **refused), (1, 2));
        drop(refused);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 1));
        assert_eq!(place.take().map(|taken| **taken), Some(1));
        assert!(place.get().is_none() && place.take().is_none());
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(place.set(Box::new(Arc::clone(&first))).is_ok());
        drop(place);
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn of_threads_that_fill_it_at_once_one_does() {
        let place = OnceBox::new();
        let set_count = std::thread::scope(|scope| {
            let threads = [1, 2, 3].map(|number| {
                let place = &place;
                scope.spawn(move || {
                    let is_set = place.set(Box::new(number)).is_ok();
                    assert!(place.get().is_some());
                    usize::from(is_set)
                })
            });
            threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!(set_count, 1);
    }
}
