//! The derives that a program writes above a struct of `record!` or an enumeration of `field_enum!`, without those that
//! these macros add: the same derive twice would not compile.

/// Writes an item with its attributes, less the derives that the macro adds itself.
///
/// ```text
/// @attributes kind [attributes that are kept] { the others } { item }
/// @derives kind [attributes that are kept] [derives that are kept] { the others } { the other attributes } { item }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! derive_rules {
    (@attributes $kind:ident [$($kept:tt)*] {} { $($item:tt)* }) => { $($kept)* $($item)* };
    // Documentation is taken in large pieces: each step counts against the limit of recursion.
    (@attributes $kind:ident [$($kept:tt)*] {
        #[doc $($a:tt)*] #[doc $($b:tt)*] #[doc $($c:tt)*] #[doc $($d:tt)*] #[doc $($e:tt)*] #[doc $($f:tt)*] $($rest:tt)*
    } $item:tt) => {
        $crate::derive_rules! { @attributes $kind [
            $($kept)*
            #[doc $($a)*] #[doc $($b)*] #[doc $($c)*] #[doc $($d)*] #[doc $($e)*] #[doc $($f)*]
        ] { $($rest)* } $item }
    };
    (@attributes $kind:ident $kept:tt { #[derive($($derives:tt)*)] $($rest:tt)* } $item:tt) => {
        $crate::derive_rules! { @derives $kind $kept [] { $($derives)* } { $($rest)* } $item }
    };
    // What the macro writes beside the item would not be conditional.
    (@attributes $kind:ident $kept:tt { #[cfg $($condition:tt)*] $($rest:tt)* } $item:tt) => {
        ::core::compile_error!("what a macro of locule declares cannot be conditional: put `#[cfg]` on a module around it");
        $crate::derive_rules! { @attributes $kind $kept { $($rest)* } $item }
    };
    (@attributes $kind:ident [$($kept:tt)*] { #[$($attribute:tt)*] $($rest:tt)* } $item:tt) => {
        $crate::derive_rules! { @attributes $kind [$($kept)* #[$($attribute)*]] { $($rest)* } $item }
    };

    (@variant cfg $($condition:tt)*) => {
        ::core::compile_error!("a variant cannot be conditional: all programs that share a file need the same ones");
    };
    (@variant $($other:tt)*) => {};

    (@derives $kind:ident $kept:tt [] {} $rest:tt $item:tt) => {
        $crate::derive_rules! { @attributes $kind $kept $rest $item }
    };
    (@derives $kind:ident [$($kept:tt)*] [$($derive:tt)+] {} $rest:tt $item:tt) => {
        $crate::derive_rules! { @attributes $kind [$($kept)* #[derive($($derive)+)]] $rest $item }
    };

    // The standard library's by their names alone.
    (@derives $kind:ident $kept:tt $derives:tt { $(::)? std :: $module:ident :: $name:ident $($more:tt)* } $($others:tt)*) => {
        $crate::derive_rules! { @derives $kind $kept $derives { $name $($more)* } $($others)* }
    };
    (@derives $kind:ident $kept:tt $derives:tt { $(::)? core :: $module:ident :: $name:ident $($more:tt)* } $($others:tt)*) => {
        $crate::derive_rules! { @derives $kind $kept $derives { $name $($more)* } $($others)* }
    };

    // Those that the macros add.
    (@derives $kind:ident $kept:tt $derives:tt { Clone $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives $kind $kept $derives { $($($more)*)? } $($others)* }
    };
    (@derives $kind:ident $kept:tt $derives:tt { Copy $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives $kind $kept $derives { $($($more)*)? } $($others)* }
    };
    (@derives $kind:ident $kept:tt $derives:tt { Debug $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives $kind $kept $derives { $($($more)*)? } $($others)* }
    };
    (@derives $kind:ident $kept:tt $derives:tt { PartialEq $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives $kind $kept $derives { $($($more)*)? } $($others)* }
    };
    (@derives record $kept:tt $derives:tt { Default $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives record $kept $derives { $($($more)*)? } $($others)* }
    };
    (@derives enumeration $kept:tt $derives:tt { Eq $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives enumeration $kept $derives { $($($more)*)? } $($others)* }
    };
    (@derives enumeration $kept:tt $derives:tt { Hash $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! { @derives enumeration $kept $derives { $($($more)*)? } $($others)* }
    };

    // All others.
    (@derives $kind:ident $kept:tt [$($derive:tt)*] { :: $($segment:ident)::+ $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! {
            @derives $kind $kept [$($derive)* :: $($segment)::+,] { $($($more)*)? } $($others)*
        }
    };
    (@derives $kind:ident $kept:tt [$($derive:tt)*] { $($segment:ident)::+ $(, $($more:tt)*)? } $($others:tt)*) => {
        $crate::derive_rules! {
            @derives $kind $kept [$($derive)* $($segment)::+,] { $($($more)*)? } $($others)*
        }
    };
}
