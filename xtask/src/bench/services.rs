//! The SDK's services, one case each: a module that uses one of them many times in a request,
//! beside the same module and request without.

use serde_json::json;

use super::cases::Case;
use super::config::Route;
use super::filters::{Filter, Module, wasm};

#[path = "../../../tests/modules/calls/services.rs"]
mod table;

pub(super) use table::SERVICES;
use table::{Beside, Service};

/// What requests have besides their usual headers.
const FIELDS: [&str; 20] = [
    "x-field-1",
    "x-field-2",
    "x-field-3",
    "x-field-4",
    "x-field-5",
    "x-field-6",
    "x-field-7",
    "x-field-8",
    "x-field-9",
    "x-field-10",
    "x-field-11",
    "x-field-12",
    "x-field-13",
    "x-field-14",
    "x-field-15",
    "x-field-16",
    "x-field-17",
    "x-field-18",
    "x-field-19",
    "x-field-20",
];

/// All of them, in the table's order.
pub(super) fn cases() -> Vec<Case> {
    SERVICES.iter().map(case).collect()
}

fn case(service: &Service) -> Case {
    let doing = |call: Option<&str>, times: u32| {
        let module = wasm(Module::Built(service.module));
        match call {
            Some(call) => module.configured(json!({ "call": call, "times": times })),
            None => module,
        }
    };
    let (baseline, fewer): (Filter, _) = match service.beside {
        Beside::Nothing => (doing(Some("nothing"), 0), 0),
        Beside::Times(times) => (doing(service.call, times), times),
        Beside::Module(module) => (wasm(Module::Built(module)), 0),
    };
    Case {
        name: service.name,
        what: service.what,
        filters: vec![doing(service.call, service.times)],
        baseline: vec![baseline],
        // Envoy itself answers without waiting for a body.
        route: if service.body == 0 {
            Route::Direct
        } else {
            Route::Upstream
        },
        times: service.times.saturating_sub(fewer).max(1),
        request_headers: FIELDS
            .map(|name| (name, "a value of middling length"))
            .to_vec(),
        request_body: service.body,
        status: service.status,
        ..Case::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Case {
        let found = cases().into_iter().find(|case| case.name == name);
        found.expect("there is one")
    }

    #[test]
    fn a_service_stands_beside_its_module_that_does_nothing() {
        let case = named("now");

        let calls = wasm(Module::Built("calls"));
        let nothing = json!({ "call": "nothing", "times": 0 });
        assert_eq!(case.baseline, [calls.configured(nothing)]);
        assert_eq!(case.times, 50);
    }

    #[test]
    fn what_comes_after_something_else_stands_beside_that() {
        let case = named("get");

        let calls = wasm(Module::Built("calls"));
        let first = json!({ "call": "get", "times": 1 });
        assert_eq!(case.baseline, [calls.configured(first)]);
        assert_eq!(case.times, 100);
    }

    #[test]
    fn names_are_told_apart() {
        for (index, service) in SERVICES.iter().enumerate() {
            let others = SERVICES.iter().skip(index + 1);
            for other in others {
                assert_ne!(service.name, other.name);
                assert_ne!(service.what, other.what);
            }
        }
    }
}
