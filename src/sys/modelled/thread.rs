//! Thread-locals of the model checker's threads, which all run on one thread of the machine.

use std::cell::{Cell, RefCell};

/// What [`modelled_thread_local`] makes: as much of `std::thread::LocalKey` as this crate uses.
pub struct ThreadLocal<T: 'static>(loom::thread::LocalKey<T>);

impl<T> ThreadLocal<T> {
    pub const fn new(initial: fn() -> T) -> Self {
        ThreadLocal(loom::thread::LocalKey { init: initial, _p: std::marker::PhantomData })
    }
}

impl<T: Copy> ThreadLocal<Cell<T>> {
    pub fn get(&'static self) -> T {
        self.0.with(Cell::get)
    }

    pub fn set(&'static self, value: T) {
        self.0.with(|cell| cell.set(value));
    }

    pub fn replace(&'static self, value: T) -> T {
        self.0.with(|cell| cell.replace(value))
    }
}

impl<T> ThreadLocal<RefCell<T>> {
    pub fn with_borrow<R>(&'static self, body: impl FnOnce(&T) -> R) -> R {
        self.0.with(|cell| body(&cell.borrow()))
    }

    pub fn with_borrow_mut<R>(&'static self, body: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(|cell| body(&mut cell.borrow_mut()))
    }
}

/// As `std::thread_local!`, with initial values that are constants.
macro_rules! modelled_thread_local {
    ($($(#[$attribute:meta])* static $name:ident: $kind:ty = const { $initial:expr };)*) => {
        $(
            $(#[$attribute])*
            static $name: $crate::sys::modelled::thread::ThreadLocal<$kind> = $crate::sys::modelled::thread::ThreadLocal::new(|| $initial);
        )*
    };
}
pub(crate) use modelled_thread_local;
