//! Which functions the host has.

use std::cell::Cell;

use super::ForeignError;
use crate::abi;
use crate::error::{Reason, Status};

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A foreign function of Envoy's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Function {
            $($(#[$doc])* $name,)*
        }

        impl Function {
            /// The name it is called by.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Its bit in the memo.
            const fn bit(self) -> u32 {
                1 << self as u32
            }
        }
    };
}

functions! {
    /// [`verify_signature`](super::verify_signature): Envoy 1.30 and newer.
    VerifySignature = "verify_signature",
    /// [`sign`](super::sign): Envoy 1.37 and newer.
    Sign = "sign",
    /// [`compress`](super::compress)
    Compress = "compress",
    /// [`uncompress`](super::uncompress)
    Uncompress = "uncompress",
    /// [`set_envoy_filter_state`](super::set_envoy_filter_state)
    SetEnvoyFilterState = "set_envoy_filter_state",
    /// [`clear_route_cache`](super::clear_route_cache)
    ClearRouteCache = "clear_route_cache",
    /// [`declare_property`](super::declare_property)
    DeclareProperty = "declare_property",
    /// [`Expression::new`](super::Expression::new): where Envoy is built with a
    /// parser for expressions.
    ExprCreate = "expr_create",
    /// [`Expression::evaluate`](super::Expression::evaluate)
    ExprEvaluate = "expr_evaluate",
    /// [`Expression::delete`](super::Expression::delete)
    ExprDelete = "expr_delete",
}

thread_local! {
    /// The functions that were asked for, and those of them that are there. A
    /// worker's VM has one thread and these to itself.
    static ASKED: Cell<u32> = const { Cell::new(0) };
    static THERE: Cell<u32> = const { Cell::new(0) };
}

/// No function protocol of Envoy's takes this: the field's type is none.
const NONSENSE: &[u8] = &[0xff];

impl Function {
    /// Whether the host has the function, without calling it for its effect: for
    /// a filter that says so when it is configured, or goes another way.
    ///
    /// One host call the first time in a worker's VM, with arguments that the
    /// function refuses; none from then on. [`ClearRouteCache`](Self::ClearRouteCache)
    /// has no arguments to refuse, and clears.
    pub fn is_supported(self) -> bool {
        self.known().unwrap_or_else(|| {
            let there = self.answers_nonsense();
            self.remember(there);
            there
        })
    }

    /// What is known without a host call.
    pub(super) fn known(self) -> Option<bool> {
        let bit = self.bit();
        (ASKED.get() & bit != 0).then(|| THERE.get() & bit != 0)
    }

    pub(super) fn remember(self, there: bool) {
        let bit = self.bit();
        ASKED.set(ASKED.get() | bit);
        THERE.set(if there {
            THERE.get() | bit
        } else {
            THERE.get() & !bit
        });
    }

    /// For a function that answered "not found": whether that was about its
    /// arguments. Most never say so of those; the others are asked once more.
    pub(super) fn is_there(self) -> bool {
        let there = matches!(self, Self::SetEnvoyFilterState | Self::ExprEvaluate)
            && self.answers_nonsense();
        if there {
            self.remember(true);
        }
        there
    }

    pub(super) const fn not_supported(self) -> ForeignError {
        ForeignError::NotSupported {
            function: self.name(),
        }
    }

    fn answers_nonsense(self) -> bool {
        match abi::call_foreign_function(self.name().as_bytes(), NONSENSE) {
            Ok(answer) => answer.is_some(),
            Err(error) => error.reason != Reason::Status(Status::UNIMPLEMENTED),
        }
    }
}

/// Forgets what is known, for a mock host that begins as a new VM.
#[doc(hidden)]
pub fn forget() {
    ASKED.set(0);
    THERE.set(0);
}
