;; The floor of jwt-auth where a token was seen before: told of contexts and of
;; requests, it fetches the request's headers, looks for one whose name is as long as
;; `authorization`, and takes the token out. Whose token it is it does not ask.
(module
  (import "env" "proxy_get_header_map_pairs"
    (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value"
    (func $remove (param i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "authorization")
  (func (export "proxy_abi_version_0_2_1"))
  ;; The map is always put in the same place, and nothing else is.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (i32.const 1024))
  (func (export "proxy_on_context_create") (param $context i32) (param $parent i32))
  (func (export "proxy_on_request_headers")
    (param $context i32) (param $headers i32) (param $end i32) (result i32)
    (local $left i32)
    (local $at i32)
    ;; The map 0 is the request's headers: their number, then the sizes of each name and value.
    (drop (call $pairs (i32.const 0) (i32.const 16) (i32.const 20)))
    (local.set $left (i32.load (i32.const 1024)))
    (local.set $at (i32.const 1028))
    (loop $next
      (if (i32.eqz (local.get $left))
        (then
          (drop (call $reply
            (i32.const 401)
            (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0)
            (i32.const -1)))
          (return (i32.const 1))))
      (if (i32.ne (i32.load (local.get $at)) (i32.const 13))
        (then
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (br $next))))
    (drop (call $remove (i32.const 0) (i32.const 0) (i32.const 13)))
    (i32.const 0)))
