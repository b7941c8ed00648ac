# What ../envoy.yaml needs for this stack: who the identity provider is, and the rate limit service. `sed -f` puts it in
# when Envoy starts; everything else is that file as it stands.

# People sign in at the identity provider, here without TLS.
s|https://login\.example|http://127.0.0.1:5556|
s|address: login\.example, port_value: 443|address: 127.0.0.1, port_value: 5556|
/# Without TLS, and a name and a certificate that are checked/,/exact: login\.example/d

# Tokens for /api/ are that provider's too; its keys are fetched.
s|https://issuer\.example|http://127.0.0.1:5556|
/"local_jwks": {/,/},/c\
                          "remote_jwks": { "http_uri": { "uri": "http://127.0.0.1:5556/jwks", "cluster": "login", "timeout": "5s" } },

# Each request is asked about at limitador as well, which counts for all Envoys together: see limits.yaml.
/"enable_ratelimit_headers"/i\
                      "rate_limit_service": {\
                        "grpc_service": { "envoy_grpc": { "cluster_name": "ratelimit" } },\
                        "domain": "edge",\
                        "timeout": "0.05s",\
                        "circuit_breaker": { "consecutive_failures": 5, "cool_down": "5s" }\
                      },
/^  clusters:$/a\
  - name: ratelimit\
    type: STATIC\
    connect_timeout: 0.25s\
    typed_extension_protocol_options:\
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\
        explicit_http_config: { http2_protocol_options: {} }\
    load_assignment:\
      cluster_name: ratelimit\
      endpoints:\
      - lb_endpoints:\
        - endpoint:\
            address:\
              socket_address: { address: 127.0.0.1, port_value: 8081 }\

