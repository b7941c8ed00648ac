;; The floor of rate-limit: it reads the header that requests are counted by, and counts nothing.
(module
  (import "env" "proxy_get_header_map_value"
    (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-key")
  (func (export "proxy_abi_version_0_2_1"))
  ;; The value is always put in the same place, and nothing else is.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))
  (func (export "proxy_on_request_headers")
    (param $context i32) (param $headers i32) (param $end i32) (result i32)
    ;; The map 0 is the request's headers.
    (drop (call $value (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 16) (i32.const 20)))
    (i32.const 0)))
