use walrus::{ExportItem, Module};

use super::prune;

/// A module with the exports of the ABI crate, the SDK's own, and the section.
fn module(section: Option<&str>, body: &str) -> Vec<u8> {
    let section = section.map_or_else(String::new, |names| {
        let names = names.replace('\n', "\\n");
        format!(r#"(@custom "legation.exports" "{names}")"#)
    });
    wat::parse_str(format!("(module {body} {section})")).expect("wat is well-formed")
}

const STOCK: &str = r#"
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header" (func $get (result i32)))
    (memory (export "memory") 1)
    (global $g (export "__heap_base") i32 (i32.const 1024))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
    (func (export "_initialize"))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $log (i32.const 0) (i32.const 0) (i32.const 0)))
    (func (export "proxy_on_log") (param i32))
    (func $own (export "legation_proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $get))
    (func (export "legation__initialize"))
    (func (export "legation_proxy_on_log") (param i32))
"#;

fn exports_of(wasm: &[u8]) -> Vec<String> {
    let module = Module::from_buffer(wasm).expect("the pruned module is valid");
    let mut names: Vec<_> = module.exports.iter().map(|e| e.name.clone()).collect();
    names.sort();
    names
}

fn functions_in(wasm: &[u8]) -> usize {
    let module = Module::from_buffer(wasm).expect("the pruned module is valid");
    module.funcs.iter_local().count()
}

#[test]
fn keeps_what_the_section_names_under_its_abi_name() {
    let wasm = module(Some("_initialize\nproxy_on_request_headers\n"), STOCK);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    let expected = [
        "_initialize",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
        "proxy_on_request_headers",
    ];
    assert_eq!(pruned.exports, expected);
    assert_eq!(exports_of(&pruned.wasm), expected);
}

#[test]
fn the_sdks_function_takes_the_place_of_the_crates() {
    let wasm = module(Some("proxy_on_request_headers\n"), STOCK);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    // The crate's function logs, the SDK's reads a header: only that import is left.
    let module = Module::from_buffer(&pruned.wasm).expect("valid");
    let imports: Vec<_> = module.imports.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(imports, ["proxy_get_header"]);
    let export = module.exports.get_func("proxy_on_request_headers");
    assert!(export.is_ok());
}

#[test]
fn removes_what_only_dropped_exports_used() {
    let wasm = module(Some("_initialize\n"), STOCK);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    let module = Module::from_buffer(&pruned.wasm).expect("valid");
    assert_eq!(module.imports.iter().count(), 0);
    assert_eq!(module.globals.iter().count(), 0);
    assert_eq!(module.funcs.iter_local().count(), 3);
}

#[test]
fn drops_the_section_itself() {
    let wasm = module(Some("_initialize\n"), STOCK);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    let again = prune(&pruned.wasm).expect("reads");
    assert!(again.is_none(), "the section is still there");
}

#[test]
fn an_empty_section_keeps_only_what_every_module_needs() {
    let wasm = module(Some(""), STOCK);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    let expected = [
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
    ];
    assert_eq!(pruned.exports, expected);
}

#[test]
fn names_may_repeat_and_lines_may_be_blank() {
    let wasm = module(Some("_initialize\n\n_initialize\n"), STOCK);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    let count = pruned
        .exports
        .iter()
        .filter(|e| *e == "_initialize")
        .count();
    assert_eq!(count, 1);
}

#[test]
fn leaves_a_module_without_the_section_alone() {
    let wasm = module(None, STOCK);

    assert!(prune(&wasm).expect("reads").is_none());
}

#[test]
fn refuses_a_section_that_names_an_entry_point_the_module_lacks() {
    let wasm = module(Some("proxy_on_tick\n"), STOCK);

    let error = prune(&wasm).expect_err("must refuse").to_string();

    assert!(error.contains("names `proxy_on_tick`"), "{error}");
    assert!(
        error.contains("exports no `legation_proxy_on_tick`"),
        "{error}"
    );
    assert!(error.contains("`legation_proxy_on_log`"), "{error}");
}

#[test]
fn refuses_an_entry_point_that_is_not_a_function() {
    let wasm = module(
        Some("proxy_on_tick\n"),
        r#"(global (export "legation_proxy_on_tick") i32 (i32.const 0))"#,
    );

    let error = prune(&wasm).expect_err("must refuse").to_string();

    assert!(error.contains("is not a function"), "{error}");
}

#[test]
fn refuses_what_is_not_wasm() {
    let error = prune(b"hello").expect_err("must refuse").to_string();

    assert!(error.contains("not a readable Wasm module"), "{error}");
}

/// Two functions in a table: one of a type that the kept callback calls, one of a
/// type that only the dropped callback calls.
const TABLE: &str = r#"
    (type $kept (func (param i32)))
    (type $lost (func (param i64)))
    (table $t 3 funcref)
    (elem (table $t) (i32.const 1) func $a $b)
    (func $a (type $kept))
    (func $b (type $lost) call $only_b)
    (func $only_b)
    (func (export "legation_proxy_on_log")
        (call_indirect $t (type $kept) (i32.const 0) (i32.const 1)))
    (func (export "legation_proxy_on_tick")
        (call_indirect $t (type $lost) (i64.const 0) (i32.const 2)))
"#;

#[test]
fn empties_slots_that_no_kept_code_can_call() {
    let wasm = module(Some("proxy_on_log\n"), TABLE);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    assert_eq!(pruned.dropped_slots, 1);
    // The callback, `$a`, and the stub.
    assert_eq!(functions_in(&pruned.wasm), 3);
}

#[test]
fn keeps_slots_that_kept_code_can_call() {
    let wasm = module(Some("proxy_on_log\nproxy_on_tick\n"), TABLE);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    assert_eq!(pruned.dropped_slots, 0);
    assert_eq!(functions_in(&pruned.wasm), 5);
}

#[test]
fn a_slot_wakes_the_slots_that_it_calls() {
    let body = TABLE.replace(
        "(func $a (type $kept))",
        "(func $a (type $kept) (call_indirect $t (type $lost) (i64.const 0) (i32.const 2)))",
    );
    let wasm = module(Some("proxy_on_log\n"), &body);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    assert_eq!(pruned.dropped_slots, 0);
}

#[test]
fn keeps_every_slot_of_a_table_that_is_read_otherwise() {
    let body = TABLE.replace(
        "(func $only_b)",
        "(func $only_b (table.set $t (i32.const 0) (table.get $t (i32.const 2))))",
    );
    let wasm = module(Some("proxy_on_log\n"), &body);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    assert_eq!(pruned.dropped_slots, 0);
}

#[test]
fn a_stub_stands_where_the_slot_was() {
    let wasm = module(Some("proxy_on_log\n"), TABLE);

    let pruned = prune(&wasm).expect("prunes").expect("has the section");

    let module = Module::from_buffer(&pruned.wasm).expect("valid");
    let element = module.elements.iter().next().expect("the segment is kept");
    let walrus::ElementItems::Functions(functions) = &element.items else {
        panic!("the segment still lists functions");
    };
    assert_eq!(functions.len(), 2);
    let exported = module.exports.iter().any(|e| match e.item {
        ExportItem::Function(function) => functions.contains(&function),
        _ => false,
    });
    assert!(!exported);
}
