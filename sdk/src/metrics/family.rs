//! Metrics whose tags' values are known only at run time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use hashbrown::HashMap;

use super::Metric;
use super::name::Template;

/// What a value is called that is one too many.
const OTHER: &str = "other";

/// Combinations of values that a family tells apart unless it is told otherwise.
const DEFAULT_LIMIT: usize = 100;

/// A metric with `N` tags whose values are known only at run time, such as the
/// issuer of a token.
///
/// ```
/// # use legation::{Configure, LocalReply};
/// use legation::metrics::{Counter, Family};
///
/// struct Filter {
///     refused: Family<Counter, 2>,
/// }
///
/// # impl Filter {
/// fn configure(host: &mut Configure) -> Filter {
///     Filter {
///         refused: host.counter_family("refused", ["reason", "issuer"]),
///     }
/// }
///
/// fn refuse(&self, issuer: &str) {
///     self.refused.with(["expired", issuer]).increment();
/// }
/// # }
/// ```
///
/// **Envoy keeps a metric for ever**, and whoever sends requests may choose the
/// value: so a family tells apart 100 combinations
/// ([`at_most`](Self::at_most)); to all others every tag's value is `other`. A
/// value longer than [`MAX_TAG_VALUE`](super::MAX_TAG_VALUE) is one of them. The
/// bound is that of one worker and one configuration: each begins with none.
///
/// A combination costs one host call when it is first seen; after that none,
/// and no allocation. The update itself is one host call as of any metric.
pub struct Family<M, const N: usize>(Option<Rc<Members<M>>>);

struct Members<M> {
    template: Template,
    limit: Cell<usize>,
    seen: RefCell<Seen<M>>,
}

struct Seen<M> {
    metrics: HashMap<Box<str>, M>,
    other: Option<M>,
    /// Where names are written, to be looked up.
    name: String,
}

impl<M: Metric, const N: usize> Family<M, N> {
    pub(crate) fn new(template: Template) -> Self {
        Self(Some(Rc::new(Members {
            template,
            limit: Cell::new(DEFAULT_LIMIT),
            seen: RefCell::new(Seen {
                metrics: HashMap::new(),
                other: None,
                name: String::new(),
            }),
        })))
    }

    /// A family that counts nothing.
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// Tells apart as many combinations of values, and not 100. It goes for this
    /// family and its clones.
    #[must_use]
    pub fn at_most(self, combinations: usize) -> Self {
        if let Some(members) = &self.0 {
            members.limit.set(combinations);
        }
        self
    }

    /// The metric with these values, in the order of the tags given when the
    /// family was defined.
    ///
    /// One host call where the combination is new, else none. A metric that the
    /// host refuses is one that counts nothing, and a warning in the log.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "they are written where they are used: `with([reason, issuer])`"
    )]
    pub fn with<V: AsRef<[u8]>>(&self, values: [V; N]) -> M {
        let Some(members) = &self.0 else {
            return M::disabled();
        };
        let value = |at: usize| values.get(at).map_or(&[][..], AsRef::as_ref);
        members.with(value).unwrap_or_else(M::disabled)
    }
}

impl<M: Metric> Members<M> {
    fn with<'a>(&self, value: impl Fn(usize) -> &'a [u8]) -> Option<M> {
        let mut seen = self.seen.try_borrow_mut().ok()?;
        let Seen {
            metrics,
            other,
            name,
        } = &mut *seen;
        name.clear();
        let written = self.template.write(name, value);
        if written.is_ok() {
            if let Some(metric) = metrics.get(name.as_str()) {
                return Some(*metric);
            }
            if metrics.len() < self.limit.get() {
                let metric = define(name);
                metrics.insert(name.as_str().into(), metric);
                return Some(metric);
            }
        }
        let define_other = || define(&self.template.with_all(OTHER));
        Some(*other.get_or_insert_with(define_other))
    }
}

fn define<M: Metric>(name: &str) -> M {
    M::define(name).unwrap_or_else(|error| {
        log::warn!(error:%, metric = name; "a metric is not counted");
        M::disabled()
    })
}

impl<M, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M, const N: usize> fmt::Debug for Family<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family")
            .field(&self.0.as_ref().map(|members| &members.template))
            .finish()
    }
}
