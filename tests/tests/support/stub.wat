;; A module for tests of the harness. On configure it logs its configuration, and refuses
;; one that begins with `!` with two errors. A request with more than 20 header fields traps.
(module
  (import "env" "proxy_log"
    (func $log (param $level i32) (param $text i32) (param $size i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $buffer (param $kind i32) (param $from i32) (param $size i32)
                  (param $text i32) (param $length i32) (result i32)))

  (memory (export "memory") 4)
  (data (i32.const 0) "rules[0].when.pth: unknown field; did you mean `path`?")
  (data (i32.const 100) "rules[1]: two lines\0aof one error")

  ;; Envoy writes here where a text is (200) and how long it is (204).
  (global $text i32 (i32.const 200))
  (global $length i32 (i32.const 204))

  (func (export "proxy_abi_version_0_2_1"))

  (global $free (mut i32) (i32.const 4096))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $size)))
    (local.get $at))

  (func (export "proxy_on_configure") (param $context i32) (param $size i32) (result i32)
    (if (i32.eqz (local.get $size)) (then (return (i32.const 1))))
    ;; Buffer 7 is the plugin's configuration.
    (drop (call $buffer (i32.const 7) (i32.const 0) (local.get $size)
                        (global.get $text) (global.get $length)))
    (drop (call $log (i32.const 2) (i32.load (global.get $text)) (i32.load (global.get $length))))
    (if (i32.ne (i32.load8_u (i32.load (global.get $text))) (i32.const 33 (; ! ;)))
      (then (return (i32.const 1))))
    (drop (call $log (i32.const 4) (i32.const 0) (i32.const 54)))
    (drop (call $log (i32.const 4) (i32.const 100) (i32.const 32)))
    (i32.const 0))

  (func (export "proxy_on_request_headers")
      (param $context i32) (param $fields i32) (param $end i32) (result i32)
    (if (i32.gt_u (local.get $fields) (i32.const 20)) (then (unreachable)))
    (i32.const 0)))
