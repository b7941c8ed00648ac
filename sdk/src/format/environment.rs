//! Where `%ENVIRONMENT(…)%` is read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A set of environment variables.
pub trait Environment {
    /// The value of a variable, or `None` where it is not set.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment of the process; inside Envoy, what
/// `vm_config.environment_variables` lets the VM see.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        // The standard library panics on names that cannot be one.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        Self::get(self, name).cloned()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Environment>>> = const { RefCell::new(None) };
}

/// Runs `work` with this environment as the one that formats in a configuration
/// are resolved in.
pub fn within<T>(environment: Rc<dyn Environment>, work: impl FnOnce() -> T) -> T {
    let _restored = Restored(CURRENT.replace(Some(environment)));
    work()
}

/// What a format read from a configuration resolves its environment in.
pub(super) fn current() -> Rc<dyn Environment> {
    let current = CURRENT.with_borrow(Clone::clone);
    current.unwrap_or_else(|| Rc::new(ProcessEnvironment))
}

/// A variable of that environment.
pub fn variable(name: &str) -> Option<String> {
    current().get(name)
}

struct Restored(Option<Rc<dyn Environment>>);

impl Drop for Restored {
    fn drop(&mut self) {
        CURRENT.replace(self.0.take());
    }
}
