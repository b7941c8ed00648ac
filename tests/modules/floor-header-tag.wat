;; The floor of header-tag: it sets a request header, and is called whenever
;; header-tag must be, for what other configurations of it do.
(module
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-envoy-plugin")
  (data (i32.const 16) "header-tag")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))
  (func (export "proxy_on_context_create") (param $context i32) (param $parent i32))
  (func (export "proxy_on_request_headers")
    (param $context i32) (param $headers i32) (param $end i32) (result i32)
    ;; The map 0 is the request's headers.
    (drop (call $replace
      (i32.const 0)
      (i32.const 0) (i32.const 14)
      (i32.const 16) (i32.const 10)))
    (i32.const 0))
  (func (export "proxy_on_response_headers")
    (param $context i32) (param $headers i32) (param $end i32) (result i32)
    (i32.const 0)))
