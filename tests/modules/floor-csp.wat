;; The floor of csp: it reads what type a response has, and sets its policy whatever it is.
(module
  (import "env" "proxy_get_header_map_value"
    (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "content-type")
  (data (i32.const 32) "content-security-policy")
  (data (i32.const 64) "default-src 'self'; object-src 'none'")
  (func (export "proxy_abi_version_0_2_1"))
  ;; The value is always put in the same place, and nothing else is.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))
  (func (export "proxy_on_response_headers")
    (param $context i32) (param $headers i32) (param $end i32) (result i32)
    ;; The map 2 is the response's headers.
    (drop (call $value (i32.const 2) (i32.const 0) (i32.const 12) (i32.const 112) (i32.const 116)))
    (drop (call $replace
      (i32.const 2)
      (i32.const 32) (i32.const 23)
      (i32.const 64) (i32.const 37)))
    (i32.const 0)))
