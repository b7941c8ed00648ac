# A filter as an image in Istio's compat variant: one layer with plugin.wasm. `cargo xtask dist` makes the same without Docker,
# with sums and a list of crates beside it.
#
#   docker build --build-arg FILTER=jwt-auth --tag registry.example.com/legation/jwt-auth:0.1.0 .

FROM rust:1.95-bookworm AS build
ARG FILTER=header-tag
WORKDIR /legation
COPY . .
RUN rustup target add wasm32-wasip1
RUN cargo xtask build "$FILTER"
RUN mkdir /image && cp "target/legation/$FILTER.wasm" /image/plugin.wasm

FROM scratch
COPY --from=build /image/plugin.wasm ./
