;; The floor of rate-limit with a lease of ten: it knows the configuration of each request, reads the header
;; that requests are counted by, and takes ten tokens at a time from shared data. It checks nothing.
(module
  (import "env" "proxy_get_header_map_value"
    (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $time (param i32) (result i32)))
  (import "env" "proxy_get_shared_data"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data"
    (func $set (param i32 i32 i32 i32 i32) (result i32)))
  ;; 0 the header's name, 16 and 20 where a value is and its size, 24 the version of shared data, 32 the time,
  ;; 40 the request's configuration, 1024 the key, 32768 what is shared; from 65536 on, for each key that is
  ;; known, its hash and the tokens at hand: 16,384 of 16 bytes.
  (memory (export "memory") 6)
  (data (i32.const 0) "x-key")
  (global $room (mut i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $room))
  (func (export "proxy_on_context_create") (param $context i32) (param $root i32)
    (i32.store (i32.const 40) (local.get $root)))
  (func (export "proxy_on_request_headers")
    (param $context i32) (param $headers i32) (param $end i32) (result i32)
    (local $at i32) (local $to i32) (local $hash i64) (local $hand i32)
    (global.set $room (i32.const 1024))
    (drop (call $value (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 16) (i32.const 20)))
    ;; FNV-1a.
    (local.set $at (i32.const 1024))
    (local.set $to (i32.add (i32.const 1024) (i32.load (i32.const 20))))
    (local.set $hash (i64.const 0xcbf29ce484222325))
    (block $hashed
      (loop $bytes
        (br_if $hashed (i32.ge_u (local.get $at) (local.get $to)))
        (local.set $hash (i64.mul
          (i64.xor (local.get $hash) (i64.load8_u (local.get $at)))
          (i64.const 0x100000001b3)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes)))
    (local.set $hand (i32.add (i32.const 65536)
      (i32.shl (i32.and (i32.wrap_i64 (local.get $hash)) (i32.const 16383)) (i32.const 4))))
    (if (i32.and
          (i64.eq (i64.load (local.get $hand)) (local.get $hash))
          (i32.ne (i32.load offset=8 (local.get $hand)) (i32.const 0)))
      (then
        (i32.store offset=8 (local.get $hand)
          (i32.sub (i32.load offset=8 (local.get $hand)) (i32.const 1)))
        (return (i32.const 0))))
    (drop (call $time (i32.const 32)))
    (global.set $room (i32.const 32768))
    (i32.store (i32.const 24) (i32.const 0))
    (drop (call $get
      (i32.const 1024) (i32.load (i32.const 20)) (i32.const 16) (i32.const 28) (i32.const 24)))
    (drop (call $set
      (i32.const 1024) (i32.load (i32.const 20)) (i32.const 32) (i32.const 16)
      (i32.load (i32.const 24))))
    (i64.store (local.get $hand) (local.get $hash))
    ;; One of eleven is this request's: a lease of ten is beside what a request asks for.
    (i32.store offset=8 (local.get $hand) (i32.const 10))
    (i32.const 0)))
